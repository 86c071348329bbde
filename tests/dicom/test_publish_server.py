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


WAYS = {
    "wado": lambda archive, wanted, folder: web.pull(archive.web, wanted, folder),
    "get": lambda archive, wanted, folder: pull(archive.dimse, wanted, folder),
}


def there_and_back(archive: Archive, folder: Path, back: Path, *ways: str) -> list[dict[str, Path]]:
    """Stores every object of a folder once, fetches the study each way, and returns the files by SOPInstanceUID."""
    sent = sorted(folder.glob("*.dcm"))
    archive.clear()
    verdicts = push(archive.dimse, parcel(folder).ready, folder=folder)
    assert [v.fate for v in verdicts] == [Fate.STORED] * len(sent)
    wanted = Wanted(str(dcmread(sent[0], stop_before_pixels=True).StudyInstanceUID))
    found = []
    back.mkdir()
    for way in ways:
        assert WAYS[way](archive, wanted, back / way) == len(sent), way
        files = (p for p in (back / way).rglob("*") if p.is_file())
        found.append({str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in files})
    return found


@pytest.mark.parametrize(
    ("ways", "step"),
    [
        (["wado"], 7),  # each order of the axes, and seven of the eight combinations of their signs
        pytest.param(list(WAYS), 1, marks=pytest.mark.slow),
    ],
)
def test_48_orientations_survive_an_archive(
    ways: list[str], step: int, archive: Archive, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
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
    for back in there_and_back(archive, tmp_path / "out", tmp_path / "back", *ways):
        assert len(back) == 2 * len(made)
        for grid, array, seg_uid, outlines_uid in made:
            by_seg = read_seg(back[seg_uid], on=grid, drawn_on_it=True).drawings
            by_outline = read_rtstruct(back[outlines_uid], on=grid).drawings
            for segment, drawn, outlined in zip(segments(), by_seg, by_outline, strict=True):
                np.testing.assert_array_equal(drawn.mask(), array == segment.value)
                np.testing.assert_array_equal(outlined.mask(), array == segment.value)


@pytest.mark.slow
@pytest.mark.parametrize("results", ["published", "published_post", "published_ceus"])
def test_the_published_sample_comes_back_unchanged(
    results: str, archive: Archive, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(results) / "dicom"
    sent = [dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    report = next(one for one in sent if one.Modality == "SR")
    for back in there_and_back(archive, folder, tmp_path / "back", *WAYS):
        for one in sent:
            assert dcmread(back[str(one.SOPInstanceUID)]) == one, one.SeriesDescription
        again = back[str(report.SOPInstanceUID)]
        for (target, items), (other, returned) in zip(groups(folder / "sr.dcm"), groups(again), strict=True):
            assert (target, numbers(items)) == (other, numbers(returned))
