"""Geometry on a grid that is oblique, anisotropic, left-handed and off-origin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverimg.core.grid import Grid

FRAME = "1.2.826.0.1.3680043.8.498.1"


def test_the_awkward_grid_is_awkward(awkward_grid: Grid) -> None:
    assert np.linalg.det(awkward_grid.affine[:3, :3]) * np.linalg.det(np.eye(3)[[2, 1, 0]]) < 0, "left-handed"
    assert len(set(awkward_grid.spacing_mm.round(6))) == 3, "anisotropic"
    assert np.abs(awkward_grid.directions).max() < 0.999, "oblique"


def test_spacing_belongs_to_its_array_axis(awkward_grid: Grid) -> None:
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 1
        moved_mm = np.linalg.norm(awkward_grid.index_to_lps_mm(step) - awkward_grid.index_to_lps_mm((0, 0, 0)))
        assert moved_mm == pytest.approx(awkward_grid.spacing_mm[axis])
    assert awkward_grid.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert awkward_grid.voxel_ml == pytest.approx(2.5 * 0.8 * 0.7 / 1000)


@given(index=st.tuples(*[st.floats(-100, 600)] * 3))
def test_index_and_lps_are_inverse(index: tuple[float, float, float]) -> None:
    grid = Grid.from_axes(
        (5, 6, 7),
        spacing_mm=(5, 0.7, 0.9),
        directions=((0, 0.6, 0.8), (0, 0.8, -0.6), (1, 0, 0)),
        origin_lps_mm=(-200, 30, 1500),
    )
    assert grid.lps_mm_to_index(grid.index_to_lps_mm(index)) == pytest.approx(np.array(index), abs=1e-9)


def test_arrays_of_points_keep_their_shape(awkward_grid: Grid) -> None:
    points = np.random.default_rng(0).normal(size=(4, 5, 3))
    assert awkward_grid.index_to_lps_mm(points).shape == (4, 5, 3)
    assert awkward_grid.lps_mm_to_index(awkward_grid.index_to_lps_mm(points)) == pytest.approx(points)


def test_two_unknown_frames_are_not_the_same(awkward_grid: Grid) -> None:
    nowhere = Grid(awkward_grid.shape, awkward_grid.affine)
    assert not nowhere.is_same_as(nowhere)
    assert nowhere.fits_in_space(awkward_grid)
    assert awkward_grid.is_same_as(Grid(awkward_grid.shape, awkward_grid.affine, FRAME))
    assert not awkward_grid.is_same_as(Grid(awkward_grid.shape, awkward_grid.affine, FRAME + ".2"))


def test_a_small_turn_of_a_large_grid_is_seen_at_its_corners(awkward_grid: Grid) -> None:
    affine = np.array(awkward_grid.affine)
    affine[:3, 1] *= 1.001  # 0.0008 mm per voxel, 0.03 mm at the far corner
    assert not awkward_grid.is_same_as(Grid(awkward_grid.shape, affine, FRAME), tolerance_mm=0.01)
    assert awkward_grid.is_same_as(Grid(awkward_grid.shape, affine, FRAME), tolerance_mm=0.1)


def test_cropping_moves_no_voxel(awkward_grid: Grid) -> None:
    part = awkward_grid.cropped((3, 5, 7), (4, 4, 4))
    assert part.index_to_lps_mm((1, 2, 3)) == pytest.approx(awkward_grid.index_to_lps_mm((4, 7, 10)))


def test_resampling_keeps_the_first_edge(awkward_grid: Grid) -> None:
    coarse = awkward_grid.resampled(4.0)
    assert coarse.spacing_mm == pytest.approx((4, 4, 4))
    assert coarse.index_to_lps_mm((-0.5, -0.5, -0.5)) == pytest.approx(awkward_grid.index_to_lps_mm((-0.5, -0.5, -0.5)))
    far_edge = np.asarray(coarse.shape) - 0.5
    assert np.all(far_edge * 4.0 + 2.0 >= np.asarray(awkward_grid.shape) * awkward_grid.spacing_mm - 1e-6)


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.zeros((4, 4)), "last row"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), "singular"),
        (np.diag([np.nan, 1.0, 1.0, 1.0]), "NaN"),
    ],
)
def test_impossible_affines_are_refused(affine: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grid((2, 2, 2), affine)


def test_a_grid_cannot_be_changed(awkward_grid: Grid) -> None:
    with pytest.raises(ValueError, match="read-only"):
        awkward_grid.affine[0, 0] = 5
