"""Distances and smoothing in small boxes give, to the last bit, what whole arrays give."""

from __future__ import annotations

import edt
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from liverimg.core.boxes import box_of
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.zones.distance import deeper, depth_mm, grown, level_in, level_of, near, signed_mm


@pytest.fixture(params=range(12))
def scene(request: pytest.FixtureRequest) -> tuple[BoolArray, Grid, np.ndarray]:
    """A ragged mask, at the array's edge in some of them, on uneven voxels; and an image."""
    rng = np.random.default_rng(request.param)
    shape = tuple(int(n) for n in rng.integers(1 if request.param % 4 == 0 else 12, 40, 3))
    grid = Grid.from_axes((shape[0], shape[1], shape[2]), spacing_mm=rng.uniform(0.6, 4.0, 3))
    index = np.stack(np.indices(shape), axis=-1)
    ball = np.linalg.norm((index - rng.uniform(0, shape)) * grid.spacing_mm, axis=-1) < rng.uniform(4, 20)
    return ball & (rng.random(shape) < 0.97), grid, rng.normal(100, 10, shape).astype(np.float32)


def _edt(mask: BoolArray, grid: Grid) -> np.ndarray:
    return np.asarray(edt.edt(np.ascontiguousarray(mask), anisotropy=tuple(float(s) for s in grid.spacing_mm)))


def test_distances(scene: tuple[BoolArray, Grid, np.ndarray]) -> None:
    mask, grid, _ = scene
    half = 0.5 * float(grid.spacing_mm.min())
    plain = (
        np.where(mask, _edt(mask, grid) - half, half - _edt(~mask, grid))
        if mask.any()
        else np.full(mask.shape, -np.inf)
    )
    plain = plain.astype(np.float32)
    np.testing.assert_array_equal(signed_mm(mask, grid), plain)
    close = signed_mm(mask, grid, within_mm=3.0)
    np.testing.assert_array_equal(close[plain >= -3.0], plain[plain >= -3.0])
    assert (close[plain < -3.0] < -3.0).all()
    np.testing.assert_array_equal(near(mask, grid, 3.0), plain >= -3.0)
    padded = _edt(np.pad(mask, 1), grid)[1:-1, 1:-1, 1:-1]
    np.testing.assert_array_equal(depth_mm(mask, grid, ends_at_edge=True), padded)
    np.testing.assert_array_equal(depth_mm(mask, grid, ends_at_edge=False), _edt(mask, grid))
    np.testing.assert_array_equal(deeper(mask, grid, 3.0), padded > 3.0)


def test_level(scene: tuple[BoolArray, Grid, np.ndarray]) -> None:
    mask, grid, image = scene
    sigma = 4.0 / grid.spacing_mm
    weight = gaussian_filter(mask.astype(np.float32), sigma, truncate=3.0)
    total = gaussian_filter(np.where(mask, image, np.float32(0)), sigma, truncate=3.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(weight > 1e-3, total / weight, np.nan)
    np.testing.assert_array_equal(level_of(image, mask, sigma), plain)
    box = box_of(mask)
    if box is not None:
        box = grown(box, 2.0, grid, mask.shape)
        np.testing.assert_array_equal(level_in(box, image, mask, sigma), plain[box])
