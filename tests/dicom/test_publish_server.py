"""Through a real archive and back: what comes out of Orthanc is what went in, voxel for voxel and number for number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydicom import dcmread
from tests.dicom.published import EQUIPMENT, ORIENTATIONS, STYLE, labels_on, segments, source_of, turned_grid
from tests.dicom.test_publish_sr import groups, numbers
from tests.pacs.conftest import Archive, running_orthanc

from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.rtstruct import read_rtstruct
from liverimg.dicom.seg import read_seg
from liverimg.dicom.write_rtstruct import write_rtstruct
from liverimg.dicom.write_seg import write_seg
from liverimg.pacs import web
from liverimg.pacs.parcel import Fate, parcel
from liverimg.pacs.pull import pull
from liverimg.pacs.push import push
from liverimg.pacs.wanted import Wanted

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def there_and_back(archive: Archive, folder: Path, back: Path, *, way: str) -> dict[str, Path]:
    """Stores every object of a folder, fetches the study, and returns the files by SOPInstanceUID."""
    sent = sorted(folder.glob("*.dcm"))
    verdicts = push(archive.dimse, parcel(folder).ready, folder=folder)
    assert [v.fate for v in verdicts] == [Fate.STORED] * len(sent)
    wanted = Wanted(str(dcmread(sent[0], stop_before_pixels=True).StudyInstanceUID))
    count = web.pull(archive.web, wanted, back) if way == "wado" else pull(archive.dimse, wanted, back)
    assert count == len(sent)
    return {str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in back.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("way", "step"),
    [
        ("wado", 7),  # each order of the axes, and seven of the eight combinations of their signs
        pytest.param("wado", 1, marks=pytest.mark.slow),
        pytest.param("get", 1, marks=pytest.mark.slow),
    ],
)
def test_48_orientations_survive_an_archive(
    way: str, step: int, archive: Archive, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    archive.clear()
    (tmp_path / "out").mkdir()
    made = []
    for number, (order, signs) in enumerate(ORIENTATIONS[::step]):
        grid = turned_grid(order, signs, (5, 9, 11))
        build.write_series(tmp_path / str(number), grid=grid, values=build.values_on(grid))
        source = source_of(tmp_path / str(number), rules)
        array = labels_on(source.grid, seed=number)
        seg = write_seg(array, segments(), source, style=STYLE, equipment=EQUIPMENT)
        outlines = write_rtstruct(array, segments(), source, style=STYLE, equipment=EQUIPMENT)
        (tmp_path / "out" / f"{number}_seg.dcm").write_bytes(seg.data)
        (tmp_path / "out" / f"{number}_rt.dcm").write_bytes(outlines.data)
        made.append((source.grid, array, seg.sop_instance_uid, outlines.sop_instance_uid))
    back = there_and_back(archive, tmp_path / "out", tmp_path / "back", way=way)
    assert len(back) == 2 * len(made)
    for grid, array, seg_uid, outlines_uid in made:
        by_seg = read_seg(back[seg_uid], on=grid, drawn_on_it=True).drawings
        by_outline = read_rtstruct(back[outlines_uid], on=grid).drawings
        for segment, drawn, outlined in zip(segments(), by_seg, by_outline, strict=True):
            np.testing.assert_array_equal(drawn.mask(), array == segment.value)
            np.testing.assert_array_equal(outlined.mask(), array == segment.value)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["wado", "get"])
@pytest.mark.parametrize("results", ["published", "published_post", "published_ceus"])
def test_the_published_sample_comes_back_unchanged(
    results: str, way: str, archive: Archive, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    archive.clear()
    folder = request.getfixturevalue(results) / "dicom"
    back = there_and_back(archive, folder, tmp_path / "back", way=way)
    for path in folder.glob("*.dcm"):
        sent = dcmread(path)
        returned = dcmread(back[str(sent.SOPInstanceUID)])
        assert returned == sent, path.name
    report = folder / "sr.dcm"
    again = back[str(dcmread(report).SOPInstanceUID)]
    for (target, items), (other, returned_items) in zip(groups(report), groups(again), strict=True):
        assert (target, numbers(items)) == (other, numbers(returned_items))
