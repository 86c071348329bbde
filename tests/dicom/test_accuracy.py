"""Geometry against the headers themselves, read by pydicom: within 0.01 mm and 0.001 degree; and a round trip."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from liverimg.core.grid import Grid
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series

CLOSE_MM = 0.01
CLOSE_DEGREES = 0.001
ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def corners_by_header(path: Path) -> np.ndarray:
    """LPS mm of the four corner pixels of a slice, by PS3.3 equation C.7.6.2.1-1, shape (4, 3)."""
    header = dcmread(path, stop_before_pixels=True)
    first = np.array(header.ImagePositionPatient, dtype=float)
    row, column = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = (float(v) for v in header.PixelSpacing)
    return np.array(
        [
            first + j * between_rows * column + i * between_columns * row
            for j in (0, header.Rows - 1)
            for i in (0, header.Columns - 1)
        ]
    )


def hold_against_headers(grid: Grid, paths: list[Path]) -> None:
    """Slice k of the grid is file k."""
    _, rows, columns = grid.shape
    for k, path in enumerate(paths):
        ours = grid.index_to_lps_mm([(k, j, i) for j in (0, rows - 1) for i in (0, columns - 1)])
        assert np.linalg.norm(ours - corners_by_header(path), axis=1).max() < CLOSE_MM
    orientation = np.array(dcmread(paths[0], stop_before_pixels=True).ImageOrientationPatient, dtype=float)
    for axis, header in ((2, orientation[:3]), (1, orientation[3:])):
        sine = np.linalg.norm(np.cross(grid.directions[axis], header / np.linalg.norm(header)))
        assert np.rad2deg(np.arcsin(sine)) < CLOSE_DEGREES


def turned(rng: np.random.Generator) -> np.ndarray:
    """A random turn, mirrored half of the time."""
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(turn)


@pytest.mark.parametrize("digits", [16, 6])
@pytest.mark.parametrize("seed", range(12))
def test_oblique_slices_lie_where_their_headers_say(
    seed: int, digits: int, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    """With decimals as long as DICOM allows, and with six places as many scanners write."""
    rng = np.random.default_rng(seed)
    grid = Grid.from_axes(
        (6, 9, 11),
        spacing_mm=rng.uniform((0.5, 0.3, 0.3), (8, 2, 2)),
        directions=turned(rng),
        origin_lps_mm=rng.uniform(-900, 900, 3),
    )

    def shorter(dataset: Any, k: int) -> None:
        if digits < 16:
            for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
                setattr(dataset, keyword, [f"{float(v):.{digits}f}" for v in getattr(dataset, keyword)])

    paths = build.write_series(tmp_path, grid=grid, edit=shorter)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    first = np.array(dcmread(paths[0], stop_before_pixels=True).ImagePositionPatient, dtype=float)
    if np.linalg.norm(series.grid.origin_lps_mm - first) > CLOSE_MM:
        paths = paths[::-1]
    hold_against_headers(series.grid, paths)
    assert not [flag for flag in series.flags if flag.startswith("derived")]


def test_a_right_angle_that_decimals_have_rounded_is_left_as_it_is(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    angle = np.deg2rad(33.3)
    axes = [[0, 0, 1], [-np.sin(angle), np.cos(angle), 0], [np.cos(angle), np.sin(angle), 0]]
    grid = Grid.from_axes((6, 400, 500), spacing_mm=(2.5, 0.8, 0.8), directions=axes)

    def edit(dataset: Any, k: int) -> None:
        dataset.ImageOrientationPatient = ["0.8358", "0.549", "0", "-0.5490", "0.8354", "0"]

    paths = build.write_series(tmp_path, grid=grid, edit=edit, values=np.zeros(grid.shape))
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    orientation = np.array(dcmread(paths[0]).ImageOrientationPatient, dtype=float)
    for axis, header in ((2, orientation[:3]), (1, orientation[3:])):
        np.testing.assert_allclose(series.grid.directions[axis], header / np.linalg.norm(header), atol=1e-9)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_48_orientations_survive_our_own_writer(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    """Written, read again: every voxel lies at the same place in the patient, with its value."""
    grid = Grid.from_axes(
        (4, 6, 7),
        spacing_mm=(2.5, 0.9, 0.8),
        directions=np.eye(3)[list(order)] * np.array(signs)[:, None],
        origin_lps_mm=(11.5, -20.25, 300.125),
        frame_of_reference_uid="1.2.3",
    )
    values = build.values_on(grid)
    study = StudyHeader("PHANTOM^TURNED", "P", uid_from("study"), "20260101", "100000")
    series = SeriesHeader(Modality.CT, 1, uid_from("series"), "", "100000")
    write_series(Volume(values, grid, Quantity.HU), tmp_path, study=study, series=series, compressed=False)
    found = read_study(tmp_path, phase_rules=rules)
    build.same_in_space(load_volume(found.stacks[0]), grid, values)
