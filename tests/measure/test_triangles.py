"""What is left out for speed changes nothing: held against every triangle, every distance, every voxel."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.measure.ablation_margin import _near_outside
from liverimg.measure.margin import margin_at, margin_at_least
from liverimg.measure.surface import Surface, blob_surface
from liverimg.measure.triangles import Triangles

SPACING_MM = (2.0, 0.9, 0.9)


@pytest.fixture(scope="module")
def surface() -> Surface:
    """An ellipsoid with a dent, on a turned grid."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn * SPACING_MM
    grid = Grid((16, 30, 30), affine, None)
    places = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    away = (places - np.array([7.6, 15.2, 14.7])) * SPACING_MM
    body = (away / np.array([11.0, 9.0, 10.0])) ** 2
    return blob_surface((body.sum(axis=-1) <= 1) & (np.linalg.norm(away - [0, 9, 0], axis=-1) > 4), grid)


@pytest.fixture(scope="module")
def points(surface: Surface) -> np.ndarray:
    """Near the surface, within it, far away, and some of its own vertices."""
    rng = np.random.default_rng(4)
    middle = surface.vertices_lps_mm.mean(axis=0)
    spread = [middle + rng.normal(size=(400, 3)) * width for width in (4.0, 9.0, 30.0)]
    return np.concatenate([*spread, surface.vertices_lps_mm[::50]])


def _to_segment(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    edge = end - start
    share = np.clip(((point - start) * edge).sum(axis=1) / (edge**2).sum(axis=1), 0, 1)
    return np.linalg.norm(start + share[:, None] * edge - point, axis=1)


def _to_triangles(point: np.ndarray, corners: np.ndarray) -> float:
    """Distance of one point to the nearest of all triangles, by the plane of each and its three edges."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    above = ((point - corners[:, 0]) * normal).sum(axis=1)
    foot = point - (above / (normal**2).sum(axis=1))[:, None] * normal
    sides = [
        (np.cross(corners[:, (n + 1) % 3] - corners[:, n], foot - corners[:, n]) * normal).sum(axis=1) for n in range(3)
    ]
    plane = np.where(np.min(sides, axis=0) >= 0, np.linalg.norm(foot - point, axis=1), np.inf)
    edges = [_to_segment(point, corners[:, n], corners[:, (n + 1) % 3]) for n in range(3)]
    return float(min(plane.min(), *(e.min() for e in edges)))


def test_the_nearest_triangle_is_that_of_all(surface: Surface, points: np.ndarray) -> None:
    distance, nearest = Triangles.of(surface).nearest(points)
    corners = surface.vertices_lps_mm[surface.faces]
    assert distance[::7] == pytest.approx([_to_triangles(p, corners) for p in points[::7]], abs=1e-9)
    assert np.linalg.norm(nearest - points, axis=1) == pytest.approx(distance, abs=1e-12)


def test_levels_are_told_as_by_the_margins_themselves(surface: Surface, points: np.ndarray) -> None:
    margin, _ = margin_at(points, surface)
    # Margins that occur are levels too: there a bound decides nothing.
    levels = (0.0, -2.5, 2.5, 7.0, -40.0, float(margin[0]), float(margin[700]))
    assert np.array_equal(margin_at_least(points, surface, levels), [margin >= level for level in levels])


def test_no_points_are_no_trouble(surface: Surface) -> None:
    distance, nearest = Triangles.of(surface).nearest(np.empty((0, 3)))
    assert distance.shape == (0,) and nearest.shape == (0, 3)
    assert margin_at_least(np.empty((0, 3)), surface, (0.0, 1.0)).shape == (2, 0)


@pytest.mark.parametrize("sheared", [False, True])
def test_what_is_near_the_capsule_is_near_some_voxel_outside(surface: Surface, sheared: bool) -> None:
    rng = np.random.default_rng(5)
    affine = np.array(surface.grid.affine)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * (3.0, 1.5, 1.5)
    if sheared:
        affine[:3, 1] += 0.4 * affine[:3, 2]
    grid = Grid((10, 20, 20), affine, None)
    liver = rng.random(grid.shape) < 0.97
    points = grid.index_to_lps_mm(rng.uniform(-1, 20, (150, 3)) * [0.5, 1, 1])
    index = np.stack(np.meshgrid(*[np.arange(-9, n + 9) for n in grid.shape], indexing="ij"), axis=-1)
    outside = index[~np.pad(liver, 9)]
    for reach_mm in (0.1, 2.0, 5.0):
        found = _near_outside(points, liver, grid, reach_mm)
        limit = reach_mm + float(np.prod(grid.spacing_mm) ** (1 / 3)) / 2
        places = grid.index_to_lps_mm(outside)
        plain = [np.linalg.norm(places - p, axis=1).min() <= limit for p in points]
        assert np.array_equal(found, plain)
