"""What is drawn faster is drawn the same: each way held against its plain definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure

from liverimg.core.grid import Grid
from liverimg.report.holes import without_holes
from liverimg.report.level_lines import level_lines, simplified
from liverimg.report.mesh_view import nearest_points
from liverimg.report.sampling import Lattice, pictured, sampled, sampled_on
from liverimg.report.splines import cubic_picture, linear_picture
from liverimg.report.surface3d import coarse
from liverimg.report.text import named
from liverimg.report.window_view import Camera, turned_block


def blobs(shape: tuple[int, ...], smooth: float, seed: int = 3) -> Any:
    noise = np.random.default_rng(seed).standard_normal(shape)
    return ndimage.gaussian_filter(noise, smooth).astype(np.float32)


@pytest.mark.parametrize("smooth", [0.8, 3.0, 9.0])
@pytest.mark.parametrize("tolerance", [0.12, 0.6])
def test_lines_keep_the_points_that_douglas_and_peucker_keep(smooth: float, tolerance: float) -> None:
    field = blobs((90, 110), smooth)
    lines = [*level_lines(field, 0.0), *level_lines((field > 0).astype(float), 0.5), np.array([[1.0, 2.0], [3.0, 4.0]])]
    found = simplified(lines, tolerance)
    assert len(found) == len(lines) > 2
    for line, fewer in zip(lines, found, strict=True):
        assert np.array_equal(fewer, measure.approximate_polygon(line, tolerance))  # type: ignore[no-untyped-call]
    assert simplified([], tolerance) == []


def test_holes_are_filled_plane_by_plane() -> None:
    mask = np.random.default_rng(1).random((6, 40, 50)) < 0.62
    mask[0] = False
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    assert np.array_equal(without_holes(mask), expected) and (expected != mask).any()
    assert np.array_equal(without_holes(mask[:, ::-1, ::-1]), expected[:, ::-1, ::-1])
    assert np.array_equal(without_holes(mask[2]), expected[2])


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("axes", [(0, 1), (2, 1), (1, 0), (0, 2)])
def test_planes_along_the_axes_are_those_of_scattered_places(order: int, axes: tuple[int, int]) -> None:
    volume = blobs((18, 24, 30), 1.0)
    down, right = np.zeros(3), np.zeros(3)
    down[axes[0]], right[axes[1]] = 0.37, -0.43
    # Partly beyond the volume, where everything has the value for outside.
    lattice = Lattice(np.array([3.3, 14.6, 11.7]), down, right, (60, 70))
    found = sampled_on(volume, lattice, order=order, outside=-9.0)
    expected = sampled(volume, lattice.indices(), order=order, outside=-9.0)
    assert found == pytest.approx(expected, abs=1e-5) and (expected == -9).any() and (expected != -9).any()


def test_an_oblique_picture_is_that_of_its_places() -> None:
    volume = 100 * blobs((40, 60, 60), 0.8)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    lattice = Lattice(np.array([19.0, 29, 29]) - 9 * (turn[0] + turn[1]), 0.2 * turn[0], 0.2 * turn[1], (90, 90))
    expected = sampled_on(volume, lattice, order=3, outside=0.0)
    found = pictured(volume, lattice, outside=0.0)
    assert np.abs(found - expected).max() < 0.02 * np.ptp(expected)
    assert np.abs(found - expected).mean() < 0.001 * np.ptp(expected)
    # A plane that leaves the volume is sampled place by place: its border stays sharp.
    beyond = Lattice(lattice.first_kji, 3 * lattice.down_kji, 3 * lattice.right_kji, (90, 90))
    assert np.array_equal(pictured(volume, beyond, outside=0.0), sampled_on(volume, beyond, order=3, outside=0.0))


def test_where_a_plane_meets_a_block() -> None:
    rng = np.random.default_rng(9)
    met = 0
    for _ in range(60):
        lattice = Lattice(rng.uniform(-4, 12, 3), rng.normal(size=3) * 0.3, rng.normal(size=3) * 0.3, (40, 50))
        inside = ((lattice.indices() >= 0) & (lattice.indices() <= np.array([8, 10, 12]).reshape(3, 1, 1))).all(axis=0)
        if not inside.any():
            continue
        found = lattice.where((9, 11, 13))
        places = np.argwhere(inside)
        assert found is not None
        assert (places.min(axis=0) >= found[0]).all() and (places.max(axis=0) < found[1]).all()
        met += 1
    assert met > 10


def test_pictures_by_rows_and_columns_are_those_by_places() -> None:
    picture = blobs((30, 40), 1.0)
    rows, columns = np.linspace(-2, 31, 57), np.linspace(1.3, 43, 61)
    where = np.meshgrid(rows, columns, indexing="ij")
    cubic = ndimage.map_coordinates(picture, where, order=3, mode="nearest")
    assert cubic_picture(picture, rows, columns) == pytest.approx(cubic, abs=1e-5)
    linear = ndimage.map_coordinates(picture, where, order=1, cval=0.0)
    assert linear_picture(picture, rows, columns) == pytest.approx(linear, abs=1e-5)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_a_turned_block_is_interpolated_as_any_other(order: tuple[int, int, int]) -> None:
    block = blobs((12, 14, 16), 1.0)
    turn = np.zeros((3, 3))
    turn[list(order), [0, 1, 2]] = (0.6, -0.7, 0.5)
    start, size = np.array([2.0, 11.5, 6.25]), np.array([20, 24, 26])
    expected = ndimage.affine_transform(block, turn, offset=start, output_shape=(20, 24, 26), order=1)
    assert turned_block(block, turn, start, size) == pytest.approx(expected, abs=1e-5)
    assert (expected == 0).any()


@pytest.mark.parametrize("open_ended", [False, True])
def test_coarse_voxels_are_means_of_fine_ones(open_ended: bool) -> None:
    mask = blobs((17, 22, 25), 2.0) > 0
    grid = Grid.from_axes(mask.shape, spacing_mm=(2.0, 1.0, 1.0))
    block = coarse(mask, grid, target_mm=4.0, open_ended=open_ended)
    assert block is not None
    short = -np.array(mask.shape) % (2, 4, 4)
    last = (0, short[0]), (0, 0), (0, 0)
    whole = np.pad(mask, last, mode="edge" if open_ended else "constant")
    whole = np.pad(whole, ((0, 0), (0, short[1]), (0, short[2])))
    k, j, i = (n // f for n, f in zip(whole.shape, (2, 4, 4), strict=True))
    mean = whole.reshape(k, 2, j, 4, i, 4).mean(axis=(1, 3, 5), dtype=np.float32)
    sides = [(0, 0) if open_ended else (2, 2), (2, 2), (2, 2)]
    expected = ndimage.gaussian_filter(np.pad(mean, sides), 0.8, mode="nearest")
    assert block.filled == pytest.approx(expected, abs=1e-6)


def test_the_nearest_of_many_points_is_seen() -> None:
    points = np.random.default_rng(2).uniform(-1, 11, (4000, 3))
    camera = Camera(np.array([1.0, 0, 0]), np.array([0, 0, -1.0]), np.array([0.0, 0, 10.0]), 10.0, 10.0, 0.0)
    shown = nearest_points(points, camera, mm_per_pixel=1.0)
    column, row = np.floor(points[:, 0]).astype(int), np.floor(10 - points[:, 2]).astype(int)
    for y, x in np.ndindex(10, 10):
        own = np.flatnonzero((column == x) & (row == y))
        assert shown[y, x] == own[np.argmin(points[own, 1])]


def test_items_are_called_by_their_names() -> None:
    strings = {"item": {"inr": "INR", "ascites_grade": "Ascites, clinical grade", "ascites": "Never"}}
    said = "not given: inr, ascites_grade; ascites_grades and inrs stay"
    assert named(said, strings) == "not given: “INR”, “Ascites, clinical grade”; ascites_grades and inrs stay"
    assert named(said, {}) == said
