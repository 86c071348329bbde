"""Masks taken to other grids of the same space."""

import numpy as np
import pytest

from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import Grid
from liverimg.core.nearest import lattice_offset, on_grid


def ball(grid: Grid, centre_lps_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    points = grid.index_to_lps_mm(np.stack(np.indices(grid.shape), axis=-1))
    return np.linalg.norm(points - centre_lps_mm, axis=-1) <= radius_mm


def turned(grid: Grid, order: tuple[int, int, int], flips: tuple[int, int, int]) -> tuple[Grid, tuple]:
    """The same voxels with axes in another order and direction, and how to turn an array that way."""
    index = np.zeros((4, 4))
    index[3, 3] = 1
    for new, old in enumerate(order):
        index[old, new] = -1 if flips[new] else 1
        index[old, 3] = grid.shape[old] - 1 if flips[new] else 0
    shape = tuple(grid.shape[old] for old in order)
    axes = tuple(n for n in range(3) if flips[n])
    return Grid(shape, grid.affine @ index), (order, axes)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(0, 0, 0), (1, 0, 1)])
def test_the_same_voxels_in_another_order_stay_the_same(order, flips, awkward_grid: Grid) -> None:
    rng = np.random.default_rng(1)
    mask = rng.random(awkward_grid.shape) > 0.5
    other, (turn, axes) = turned(awkward_grid, order, flips)
    assert np.array_equal(on_grid(mask, awkward_grid, other), np.flip(mask.transpose(turn), axes))


def test_a_cut_out_part_goes_back_to_its_place(awkward_grid: Grid) -> None:
    mask = np.random.default_rng(2).random((5, 9, 7)) > 0.5
    part = awkward_grid.cropped((3, 20, 8), (5, 9, 7))
    assert lattice_offset(part, awkward_grid).tolist() == [3, 20, 8]
    out = on_grid(mask, part, awkward_grid)
    assert np.array_equal(out[3:8, 20:29, 8:15], mask)
    assert out.sum() == mask.sum()


def test_half_a_voxel_or_a_turned_axis_is_no_common_lattice(awkward_grid: Grid) -> None:
    assert lattice_offset(awkward_grid.cropped((0.5, 0, 0), awkward_grid.shape), awkward_grid) is None
    assert lattice_offset(awkward_grid.resampled((2.5, 0.8, 0.9)), awkward_grid) is None
    assert lattice_offset(turned(awkward_grid, (0, 2, 1), (0, 0, 0))[0], awkward_grid) is None


def test_an_oblique_ball_arrives_where_it_was(awkward_grid: Grid) -> None:
    centre = awkward_grid.centre_lps_mm
    straight = Grid.from_axes((60, 60, 60), spacing_mm=(1, 1, 1), origin_lps_mm=centre - 30)
    out = on_grid(ball(straight, centre, 10.0), straight, awkward_grid)
    # Half a diagonal of the source's voxels is the farthest that a nearest voxel may lie.
    assert not (ball(awkward_grid, centre, 10.0 - np.sqrt(3) / 2) & ~out).any()
    assert not (out & ~ball(awkward_grid, centre, 10.0 + np.sqrt(3) / 2)).any()


def test_nothing_lies_outside_of_the_source(awkward_grid: Grid) -> None:
    part = awkward_grid.cropped((0, 0, 0), (4, 4, 4))
    assert on_grid(np.ones((4, 4, 4), bool), part, awkward_grid).sum() == 64


def test_a_mask_of_another_shape_is_refused(awkward_grid: Grid) -> None:
    with pytest.raises(GridMismatchError):
        on_grid(np.ones((2, 2, 2), bool), awkward_grid, awkward_grid)
