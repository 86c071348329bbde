"""What the grid hides of a length."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.measure.axial import axial_diameters
from liverimg.measure.lattice import GridShare, Lattice
from liverimg.measure.surface import blob_surface

from .shapes import Ellipsoid, centres

SHARE = GridShare(pixel=0.2, small=2.0, slice=0.05, across=0.4, few=1.5)
UP, FLAT = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])


def lattice(slices_mm, **known):
    grid = Grid.from_axes((20, 40, 40), spacing_mm=(slices_mm, 0.8, 0.5))
    return Lattice.of(grid, grid.spacing_mm, **known)


def test_lines_within_a_slice_are_known_by_pixels_those_across_by_slices():
    thick = lattice(5.0)
    assert thick.half_mm(SHARE, FLAT) == pytest.approx(np.hypot(0.2 * np.sqrt(0.4), 0.05 * 5))
    assert thick.half_mm(SHARE, UP) == pytest.approx(np.hypot(0.2 * np.sqrt(0.4), np.hypot(0.05, 0.4) * 5))
    assert thick.half_mm(SHARE, UP) == thick.half_mm(SHARE, -UP)
    assert thick.half_mm(SHARE) == thick.half_mm(SHARE, FLAT)


def test_small_lesions_and_few_slices_are_known_less_well():
    plain = lattice(2.0).half_mm(SHARE, UP)
    few = [lattice(2.0, slices=n).half_mm(SHARE, UP) for n in (20, 6, 3, 2)]
    small = [lattice(2.0, area_mm2=np.pi * d**2).half_mm(SHARE, UP) for d in (40.0, 10.0, 4.0)]
    for halves in (few, small):
        assert plain < halves[0] and halves == sorted(halves)


def test_slices_as_they_were_acquired_count():
    grid = Grid.from_axes((20, 40, 40), spacing_mm=(1.0, 0.8, 0.5))
    resampled = Lattice.of(grid, np.array([5.0, 0.8, 0.5]))
    assert resampled.half_mm(SHARE, UP) == pytest.approx(lattice(5.0).half_mm(SHARE, UP))


def test_a_nearly_round_lesion_leaves_open_which_line_is_its_longest():
    grid = Grid.from_axes((30, 60, 60), spacing_mm=(1.0, 0.7, 0.7))
    width = []
    for axes in ((10.0, 9.9, 9.0), (14.0, 8.0, 9.0)):
        body = Ellipsoid(grid.centre_lps_mm + 0.2, np.array(axes), np.eye(3))
        found = axial_diameters(blob_surface(body.holds(centres(grid)), grid))
        low, high = found.short_range_mm
        assert low <= found.short_mm <= high
        width.append(high - low)
    assert width[0] > 2 * width[1]
