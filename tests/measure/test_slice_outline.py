"""Outlines within a slice, and lines through a body: where half a pixel's doubt is told apart by the rows around it."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.measure.axial import axial_diameters, farthest
from liverimg.measure.slice_outline import slice_distances
from liverimg.measure.span import longest_span
from liverimg.measure.surface import blob_surface

from .shapes import Ellipsoid, centres, sphere

PIXELS = np.array([0.8, 0.7])


def plane(shape, pixels_mm, *, rows=48, columns=52):
    """Distances and mask of one slice, and where its pixel centres lie from the middle, in mm."""
    i, j = np.mgrid[:rows, :columns]
    row, column = (i - (rows - 1) / 2) * pixels_mm[0], (j - (columns - 1) / 2) * pixels_mm[1]
    mask = shape(row, column)
    distance, deepest = slice_distances(mask[None], np.asarray(pixels_mm))
    return distance[0], float(deepest[0]), mask, row, column


def test_a_disc_s_outline_and_depth_are_found_to_a_tenth_of_a_pixel():
    rng = np.random.default_rng(3)
    worst, mean, tops = [], [], []
    for _ in range(20):
        radius, (y, x) = rng.uniform(6, 14), rng.uniform(-0.4, 0.4, 2)

        def disc(row, column, radius=radius, y=y, x=x):
            return np.hypot(row - y, column - x) <= radius

        distance, deepest, mask, row, column = plane(disc, PIXELS)
        true = radius - np.hypot(row - y, column - x)
        near = np.abs(true) < 1.5
        worst.append(np.abs(distance - true)[near].max())
        mean.append((distance - true)[near].mean())
        tops.append(deepest - radius)
        assert ((distance > 0) == mask).all(), "every pixel centre is on its side"
    assert abs(np.mean(mean)) < 0.02
    assert np.median(worst) < 0.2
    # The depth is the least distance to an outline that errs here and there, so a little too small.
    assert -0.2 < np.mean(tops) < 0.02


def test_a_row_of_pixels_that_is_in_or_out_together_does_not_move_the_outline_by_its_half():
    """The flat side of a disc: the line half way between two rows is off by almost half a pixel."""
    radius = 16.49
    distance, _, _, row, _ = plane(lambda r, c: np.hypot(r - 0.5, c) <= radius, (1.0, 1.0), rows=45, columns=45)
    middle = distance[:, 22]
    top = int(np.flatnonzero(middle > 0)[-1])
    edge = row[top, 0] + middle[top] / (middle[top] - middle[top + 1])
    half_way = row[top, 0] + 0.5
    assert abs(half_way - (0.5 + radius)) > 0.4
    assert abs(edge - (0.5 + radius)) < 0.2


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_few_pixels_keep_their_sides(size):
    mask = np.zeros((3, 9, 9), bool)
    mask[1, 4 : 4 + size, 4] = True
    distance, deepest = slice_distances(mask, PIXELS)
    assert ((distance[1] > 0) == mask[1]).all()
    assert 0.1 < deepest[1] < 0.8
    assert deepest[0] == deepest[2] == 0


def test_a_hole_is_a_hole():
    def ring(row, column):
        return np.abs(np.hypot(row, column) - 9) <= 4

    distance, deepest, mask, row, column = plane(ring, PIXELS)
    true = 4 - np.abs(np.hypot(row, column) - 9)
    near = np.abs(true) < 1.5
    assert np.abs(distance - true)[near].mean() < 0.08
    assert ((distance > 0) == mask).all()
    assert deepest == pytest.approx(4, abs=0.15)


def lines_of(body, grid):
    mask = body.holds(centres(grid))
    surface = blob_surface(mask, grid)
    ends = longest_span(surface)
    raw = farthest(surface.vertices_lps_mm)
    return axial_diameters(surface).long_mm, *(float(np.linalg.norm(e[1] - e[0])) for e in (ends, raw))


@pytest.mark.parametrize("slices_mm", [1.0, 3.0])
def test_balls_read_neither_too_long_nor_too_short(slices_mm):
    rng = np.random.default_rng(8)
    longer, wider, widest, pitch_mm = [], [], [], (slices_mm * 0.64) ** (1 / 3)
    for _ in range(16):
        radius = rng.uniform(6, 14)
        grid = Grid.from_axes((int(34 / slices_mm), 44, 44), spacing_mm=(slices_mm, 0.8, 0.8))
        middle = grid.centre_lps_mm + rng.uniform(-0.5, 0.5, 3) * (0.8, 0.8, slices_mm)
        ball = sphere(middle, radius)
        long, span, raw = lines_of(ball, grid)
        longer.append((long - ball.axial_mm(grid)[0]) / 0.8)
        wider.append((span - 2 * radius) / pitch_mm)
        widest.append((raw - 2 * radius) / pitch_mm)
    # A small perfect ball on an upright grid is the hardest body: every direction is as long as the next, so the one
    # wins that errs outward. Of random bodies the mean is asked in test_coverage.py.
    assert abs(np.mean(longer)) < 0.15
    assert abs(np.mean(wider)) < 0.15
    assert np.mean(wider) < np.mean(widest) - 0.03, "fitted ends take out part of what the largest of many finds"


def test_the_longest_line_through_a_slender_body_reaches_its_tips():
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    grid = Grid.from_axes((30, 60, 60), spacing_mm=(1.0, 0.8, 0.8))
    body = Ellipsoid(grid.centre_lps_mm + 0.17, np.array([20.0, 6.0, 6.0]), turn)
    long, span, _ = lines_of(body, grid)
    assert span == pytest.approx(40, abs=0.4)
    assert long == pytest.approx(body.axial_mm(grid)[0], abs=0.4)
