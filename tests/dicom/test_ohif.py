"""OHIF, out of an Orthanc, draws our segments over the CT where they belong."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from tests.chromium import Page, chromium, find_chromium
from tests.dicom.published import EQUIPMENT, STYLE, segments, source_of
from tests.ohif import find_ohif, ohif
from tests.pacs.conftest import running_orthanc

from liverimg.core.grid import Grid
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.write_seg import write_seg

pytestmark = [pytest.mark.server, pytest.mark.slow]
GRID = Grid.from_axes((6, 64, 64), spacing_mm=(3.0, 4.0, 4.0), frame_of_reference_uid="1.2.3")
# The scan is white or grey; a colour is the segment's.
COLOURED = 50
CANVAS = """(() => {
  const box = [...document.querySelectorAll('canvas')].map((c) => c.getBoundingClientRect());
  box.sort((a, b) => b.width - a.width);
  return [box[0].left, box[0].top, box[0].width, box[0].height];
})()"""


def yellow(page: Page, path: Path) -> Any:
    """Where the segment's colour is, in the first picture that shows it."""
    for _ in range(600):
        red, green, blue = np.moveaxis(np.asarray(Image.open(page.picture(path)).convert("RGB")).astype(int), -1, 0)
        found = (red > 200) & (green > 170) & (blue < red - COLOURED)
        if found.sum() > 2000:
            return found
        time.sleep(1)
    raise AssertionError(f"no segment was drawn; the page says: {page.complaints()[:5]}")


def test_ohif_draws_our_segments_over_the_ct(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    dist = find_ohif()
    values = np.full(GRID.shape, 40, np.int16)
    files = build.write_series(tmp_path / "ct", grid=GRID, values=values)
    array = np.zeros(GRID.shape, np.uint8)
    # A lesion in the patient's right and front: in the upper left quarter of the picture, and nowhere else.
    array[:, 6:22, 4:28] = 2
    seg = write_seg(array, segments(2), source_of(tmp_path / "ct", rules), style=STYLE, equipment=EQUIPMENT)
    (tmp_path / "seg.dcm").write_bytes(seg.data)
    with (
        running_orthanc(tmp_path / "orthanc") as archive,
        ohif(dist, archive.web.url.removesuffix("/dicom-web")) as address,
        chromium(find_chromium()) as browser,
    ):
        for file in (*files, tmp_path / "seg.dcm"):
            archive.rest("/instances", method="POST", body=file.read_bytes())
        header = dcmread(tmp_path / "seg.dcm", stop_before_pixels=True)
        where = f"StudyInstanceUIDs={header.StudyInstanceUID}&initialSeriesInstanceUID={header.SeriesInstanceUID}"
        page = browser.open(f"{address}/viewer?{where}", width=1200, height=800)
        page.wait_for("[...document.querySelectorAll('a, button')].some((e) => e.textContent.trim() === 'Skip all')")
        page.ask("[...document.querySelectorAll('a, button')].find((e) => e.textContent.trim() === 'Skip all').click()")
        found = yellow(page, tmp_path / "ohif.png")
        left, top, width, height = page.ask(CANVAS)
        assert page.asked_elsewhere(address) == []
    # The viewport shows 64 x 64 voxels as a square in its middle.
    side = min(width, height)
    left, top = left + (width - side) / 2, top + (height - side) / 2
    for axis, start, (first, last) in ((0, top, (6, 22)), (1, left, (4, 28))):
        places = np.flatnonzero(found.any(axis=1 - axis))
        assert places[[0, -1]] == pytest.approx([start + n / 64 * side for n in (first, last)], abs=side / 64)
