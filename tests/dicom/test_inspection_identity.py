"""``liverimg inspect`` never tells who it is, whatever stands in headers and pixels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.datadict import keyword_for_tag
from tests.dicom.inspection_page import KNOWN_TAGS, page_of
from tests.dicom.sentinels import Sentinels, filled, survivors
from tests.dicom.test_hostile_strings import HOSTILE

from liverimg.core.grid import Grid
from liverimg.dicom.deidentify_rules import DeidentifyRules
from liverimg.files.tables import read_table

Call = Callable[..., Any]
GRID = Grid.from_axes((6, 40, 48), spacing_mm=(2.5, 0.9, 0.8), frame_of_reference_uid="1.2.3")


def _names(words: str) -> list[str]:
    return [f"{''.join(c for c in words if c not in '/' + chr(0))[:60]}{k}" for k in range(6)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_words_are_words_on_the_page(kind: str, tmp_path: Path, build: ModuleType, liverimg: Call) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName, dataset.PatientID = f"SENTINEL-NAME^{HOSTILE['quote'][:8]}", "SENTINEL-ID<b>"
        for keyword in ("ProtocolName", "ContrastBolusAgent", "Manufacturer", "StudyDescription"):
            setattr(dataset, keyword, HOSTILE[kind])

    build.write_series(tmp_path / "study", grid=GRID, edit=edit, description=HOSTILE[kind], names=_names(HOSTILE[kind]))
    page = page_of(tmp_path / "study", tmp_path / "page.html", liverimg)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert {tag for tag, _ in page.elements} <= KNOWN_TAGS
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
    assert len(page.all("img")) == 2
    assert "SENTINEL" not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)
    shown = {"script": "<script>alert(1)", "formula": "=cmd|", "newline": "forged: done", "path": "../tmp/escaped",
             "template": "{{ 7 * 7 }}", "quote": "onmouseover=alert(3)"}  # fmt: skip
    assert shown[kind] in page.words, "shown as it is, but inert"


@pytest.fixture(scope="session")
def tags_of_identity() -> frozenset[int]:
    """Every attribute that PS3.15 knows to tell who it is, but those that a study is read by."""
    rules = DeidentifyRules(read_table("deidentify"))
    shown = ("SeriesDescription", "StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate")
    return frozenset(
        tag
        for tag in rules.tags_of_the_table
        if tag >> 16 not in (0x0020, 0x0028, 0x7FE0)
        and keyword_for_tag(tag) not in (*shown, "SOPInstanceUID", "SOPClassUID", "Modality", "SpecificCharacterSet")
    )


def test_no_sentinel_reaches_any_output(
    tags_of_identity: frozenset[int], tmp_path: Path, build: ModuleType, liverimg: Call
) -> None:
    """Table, record, page, volumes, log: none says what any of the attributes of PS3.15 table E.1-1 says."""
    sentinels = Sentinels()
    whole = filled(tags_of_identity, sentinels)

    def edit(dataset: Any, k: int) -> None:
        for element in whole:
            if element.tag not in dataset or element.keyword in ("PatientName", "PatientID"):
                dataset[element.tag] = element
        dataset.PatientName, dataset.PatientID = "Sentinel00000X^Jane", "Sentinel00000X"
        dataset.SeriesDescription = "abd portal venous Sentinel00000X jane"
        dataset.ProtocolName = "liver JANE"

    build.write_series(tmp_path / "study", grid=GRID, edit=edit)
    assert len(sentinels.texts) > 500
    out = tmp_path / "out"
    out.mkdir()
    said = [
        liverimg("inspect", tmp_path / "study", "--evidence", "--html", out / "page.html"),
        liverimg("inspect", tmp_path / "study", "--json"),
        liverimg("ingest", tmp_path / "study", "--out", out / "ingested"),
    ]
    assert [one.code for one in said] == [0, 0, 0], said[-1].err
    assert (out / "ingested" / "log.txt").is_file()
    words = "".join(one.out + one.err for one in said).replace(str(tmp_path), "")
    assert survivors(out, [*sentinels.texts, "Sentinel00000X"], words) == []
    assert "jane" not in words.lower()
    assert "[removed]" in (out / "page.html").read_text(encoding="utf-8")


def test_writing_burned_into_a_volume_is_not_shown(tmp_path: Path, build: ModuleType, liverimg: Call) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k == 4:
            dataset.BurnedInAnnotation = "YES"

    build.write_series(tmp_path / "study", grid=GRID, edit=edit)
    page = page_of(tmp_path / "study", tmp_path / "page.html", liverimg)
    assert page.all("img") == []
    assert "No picture: the file says that writing is burned into its pixels" in page.words


def test_ultrasound_shows_nothing_outside_its_picture(
    tmp_path: Path, build_us: ModuleType, sample: Path, liverimg: Call
) -> None:
    """Writing above the region, and in the corner of the region's rectangle, where no tissue moves."""
    picture = build_us.speckle(20, 90, seed=5)
    frames = np.zeros((20, 90, 100), dtype=np.uint8)
    frames[:, 20:80, 14:86] = picture
    frames[:, 4:12, 5:60] = 255
    frames[:, 22:28, 15:25] = 255
    rgb = np.repeat(frames[..., None], 3, axis=-1)
    build_us.write_loop(tmp_path / "study", rgb, regions=[build_us.region((14, 20, 85, 79))], series=1)
    build_us.write_loop(tmp_path / "study", rgb, series=2)
    page = page_of(tmp_path / "study", tmp_path / "page.html", liverimg)
    (shown,) = page.pictures()
    assert shown.shape[1] / shown.shape[0] == pytest.approx(72 / 60, rel=0.02), "the region alone"
    assert shown[: shown.shape[0] // 5, : shown.shape[1] // 5].max() < 30, "no writing in its corner"
    assert shown[shown.shape[0] // 2].max() > 60
    assert "No picture: no region of the file says where its picture is" in page.words
