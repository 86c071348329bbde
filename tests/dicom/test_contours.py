"""Contours with closed-form regions: what is filled lies within half a pixel of what was drawn."""

import numpy as np
import pytest

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.dicom.contours import fill_contours


def circle(grid: Grid, k: float, *, radius_mm: float, centre_ji: tuple[float, float] = (19.3, 17.6)) -> np.ndarray:
    """Points of a circle in slice k, in LPS mm."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    j = centre_ji[0] + radius_mm * np.sin(angle) / grid.spacing_mm[1]
    i = centre_ji[1] + radius_mm * np.cos(angle) / grid.spacing_mm[2]
    return grid.index_to_lps_mm(np.column_stack([np.full(400, k), j, i]))


def from_circle_mm(grid: Grid, centre_ji: tuple[float, float] = (19.3, 17.6)) -> np.ndarray:
    """Distance of each pixel centre of a slice from a point, in mm."""
    j, i = np.indices(grid.shape[1:])
    return np.hypot((j - centre_ji[0]) * grid.spacing_mm[1], (i - centre_ji[1]) * grid.spacing_mm[2])


def box(grid: Grid, k: float, corners_ji: list[tuple[float, float]]) -> np.ndarray:
    return grid.index_to_lps_mm([(k, j, i) for j, i in corners_ji])


def test_a_circle_on_an_oblique_left_handed_grid(awkward_grid: Grid) -> None:
    filled = fill_contours([circle(awkward_grid, k, radius_mm=9.0) for k in (4, 5, 6)], awkward_grid)
    expected = from_circle_mm(awkward_grid) < 9.0
    assert filled.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [4, 5, 6]
    wrong = filled.mask[5] ^ expected
    # The polygon's chords cut off less than 1/3000 of the radius: only pixels on the edge may differ.
    assert np.abs(from_circle_mm(awkward_grid)[wrong] - 9.0).max(initial=0) < 0.01
    assert not filled.off_slices
    assert not filled.holes


def test_nested_contours_are_holes_and_islands_in_them_are_not(awkward_grid: Grid) -> None:
    rings = [circle(awkward_grid, 8, radius_mm=r) for r in (10.0, 7.0, 3.0)]
    filled = fill_contours(rings, awkward_grid)
    distance = from_circle_mm(awkward_grid)
    expected = (distance < 10) & ~((distance < 7) & (distance >= 3))
    edge = np.min([np.abs(distance - r) for r in (10, 7, 3)], axis=0) < 0.01
    assert np.array_equal(filled.mask[8] & ~edge, expected & ~edge)
    assert filled.holes
    assert not filled.crossing


@pytest.mark.parametrize("width", [0.0, 1e-3])
def test_a_keyhole_leaves_no_trace(width: float, awkward_grid: Grid) -> None:
    # Out, in through a channel along the pixel row 20, around the hole the other way, and back.
    outer = [(10, 5), (10, 30), (20, 30)]
    hole = [(20, 22), (15, 22), (15, 12), (25, 12), (25, 22), (20 + width, 22)]
    line = [*outer, *hole, (20 + width, 30), (30, 30), (30, 5)]
    filled = fill_contours([box(awkward_grid, 3, line)], awkward_grid)
    expected = np.zeros(awkward_grid.shape[1:], bool)
    expected[10:30, 5:30] = True
    expected[15:25, 12:22] = False
    assert np.array_equal(filled.mask[3], expected)


def test_regions_that_share_an_edge_share_no_voxel(awkward_grid: Grid) -> None:
    left = fill_contours([box(awkward_grid, 2, [(5, 5), (5, 12), (15, 12), (15, 5)])], awkward_grid).mask
    right = fill_contours([box(awkward_grid, 2, [(5, 12), (5, 20), (15, 20), (15, 12)])], awkward_grid).mask
    assert not (left & right).any()
    assert (left | right)[2].sum() == 10 * 15


def test_contours_that_cross_are_noticed(awkward_grid: Grid) -> None:
    a = box(awkward_grid, 2, [(5, 5), (5, 12), (15, 12), (15, 5)])
    b = box(awkward_grid, 2, [(10, 8), (10, 18), (20, 18), (20, 8)])
    filled = fill_contours([a, b], awkward_grid)
    assert filled.crossing
    assert not filled.mask[2, 12, 10]


def test_every_third_slice_is_bridged_by_the_shape_between(awkward_grid: Grid) -> None:
    radii = {3: 6.0, 6: 9.0, 9: 6.0}
    filled = fill_contours([circle(awkward_grid, k, radius_mm=r) for k, r in radii.items()], awkward_grid)
    assert filled.interpolated == 4
    assert filled.open_gaps == 0
    distance = from_circle_mm(awkward_grid)
    for k, radius in ((4, 7.0), (5, 8.0), (7, 8.0)):
        wrong = filled.mask[k] ^ (distance < radius)
        assert np.abs(distance[wrong] - radius).max(initial=0) < 0.8, "one pixel"


def test_gaps_wider_than_elsewhere_and_two_lone_contours_stay_open(awkward_grid: Grid) -> None:
    filled = fill_contours([circle(awkward_grid, k, radius_mm=6.0) for k in (2, 3, 4, 9, 10)], awkward_grid)
    assert filled.open_gaps == 1
    assert filled.interpolated == 0
    assert not filled.mask[5:9].any()
    two = fill_contours([circle(awkward_grid, k, radius_mm=6.0) for k in (2, 14)], awkward_grid)
    assert two.mask.any(axis=(1, 2)).sum() == 2


def test_contours_between_the_slices_go_to_the_nearest(awkward_grid: Grid) -> None:
    levels = [4.3, 5.3, 6.3, 7.3]
    filled = fill_contours([circle(awkward_grid, k, radius_mm=6.0 + k / 4) for k in levels], awkward_grid)
    assert filled.off_slices
    assert filled.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [4, 5, 6, 7]
    distance = from_circle_mm(awkward_grid)
    wrong = filled.mask[5] ^ (distance < 6.0 + 5.3 / 4)
    assert np.abs(distance[wrong] - (6.0 + 5.3 / 4)).max(initial=0) < 0.35, "half a pixel"


def test_contours_in_planes_across_the_slices(awkward_grid: Grid) -> None:
    """A box outlined in planes of constant j, as a viewer draws on a coronal reformat."""
    lines = [
        awkward_grid.index_to_lps_mm([(4.5, j, 6.5), (4.5, j, 25.5), (15.5, j, 25.5), (15.5, j, 6.5)])
        for j in range(10, 21)
    ]
    filled = fill_contours(lines, awkward_grid)
    expected = np.zeros(awkward_grid.shape, bool)
    expected[5:16, 10:21, 7:26] = True
    assert filled.off_slices
    assert np.array_equal(filled.mask, expected)


def test_a_crooked_contour_is_refused(awkward_grid: Grid) -> None:
    points = circle(awkward_grid, 5, radius_mm=9.0)
    points[::2] += awkward_grid.directions[0] * 4
    with pytest.raises(InputRefusedError, match="not flat"):
        fill_contours([points], awkward_grid)
    across = awkward_grid.index_to_lps_mm([(4, 10, 6), (4, 10, 25), (15, 10, 25), (15, 10, 6)])
    with pytest.raises(InputRefusedError, match="not parallel"):
        fill_contours([across, circle(awkward_grid, 5, radius_mm=9.0)], awkward_grid)


def test_planes_far_apart_are_refused_and_not_allocated(awkward_grid: Grid) -> None:
    slanted = awkward_grid.index_to_lps_mm([(4.5, 1, 1), (4.5, 9, 1), (4.5, 9, 9)])
    far = slanted + np.array([0, 0, 9e4])
    near = slanted + awkward_grid.directions[0] * 0.1
    with pytest.raises(InputRefusedError, match="too far apart"):
        fill_contours([slanted, near, far], awkward_grid)


def test_what_lies_outside_of_the_grid_is_cut_off(awkward_grid: Grid) -> None:
    filled = fill_contours([circle(awkward_grid, k, radius_mm=60.0) for k in (-3, -2, -1, 0, 1)], awkward_grid)
    assert filled.mask[:2].all()
    assert not filled.mask[2:].any()
