"""The known motion between two examinations: invertible, rigid where it says so, and what the labels follow."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.phantom import ellipsoids, render
from liverimg.phantom.scene import Scene
from liverimg.phantom.solids import at_points


def test_there_and_back(treated_scene: Scene) -> None:
    moved = treated_scene.deformation
    assert moved is not None
    points = np.random.default_rng(1).uniform(-150, 150, size=(500, 3))
    np.testing.assert_allclose(moved.to_built(moved.from_built(points)), points, atol=1e-6)
    np.testing.assert_allclose(moved.from_built(moved.to_built(points)), points, atol=1e-6)
    assert np.linalg.norm(moved.displacement(points), axis=1).max() > 4


def test_steepness_bounds_the_change_of_the_displacement(treated_scene: Scene) -> None:
    moved = treated_scene.deformation
    assert moved is not None
    rng = np.random.default_rng(2)
    points = rng.uniform(-150, 150, size=(5000, 3))
    step = rng.normal(size=(5000, 3))
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    change = np.linalg.norm(moved.displacement(points + 0.5 * step) - moved.displacement(points), axis=1) / 0.5
    assert change.max() <= moved.steepness < 0.5


def test_around_the_zones_the_motion_is_rigid(treated_scene: Scene) -> None:
    moved = treated_scene.deformation
    assert moved is not None
    for ball in moved.still:
        inside = np.array(ball.centre_lps_mm) + 0.99 * ball.radius_mm * ellipsoids.unit_directions(50)
        np.testing.assert_array_equal(moved.displacement(inside), 0)
        there = moved.from_built(inside)
        gaps, built = np.linalg.norm(there[:, None] - there, axis=2), np.linalg.norm(inside[:, None] - inside, axis=2)
        np.testing.assert_allclose(gaps, built, atol=1e-6)


def test_an_ellipsoid_is_placed_where_its_points_go(treated_scene: Scene) -> None:
    moved = treated_scene.deformation
    assert moved is not None
    shape = treated_scene.lesions[1].shape
    there = moved.from_built(ellipsoids.surface_points(shape, ellipsoids.unit_directions(200)))
    placed = ellipsoids.placed(shape, moved)
    assert np.abs(at_points(placed, there)).max() < 1e-6
    far = ellipsoids.Ellipsoid((0, 0, -60), (5, 5, 5))
    with pytest.raises(ValueError, match="bends"):
        ellipsoids.placed(far, moved)


def test_labels_follow_the_motion(scene: Scene, treated_scene: Scene) -> None:
    moved = treated_scene.deformation
    assert moved is not None
    values = {s: n for n, s in enumerate(Structure, start=1)}
    grid = Grid.from_axes((20, 30, 30), spacing_mm=(12, 11, 12), origin_lps_mm=(-170, -150, -115))
    labels = render.labels(treated_scene, grid, values)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1).reshape(-1, 3)
    places = moved.to_built(grid.index_to_lps_mm(index))
    picked = np.random.default_rng(5).choice(len(index), 40, replace=False)
    for at, voxel in zip(places[picked], index[picked], strict=True):
        one = Grid.from_axes((1, 1, 1), spacing_mm=(1, 1, 1), origin_lps_mm=at)
        expected = render.labels(scene, one, values).array[0, 0, 0]
        got = labels.array[tuple(voxel)]
        assert got == expected or got == values[Structure.ABLATION_ZONE]
