"""Grown trees: Murray's law, one piece, inside the liver, clear of each other, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import Capsules, distance
from liverimg.phantom.ducts import beside
from liverimg.phantom.inside import distance_of_mask, points_inside
from liverimg.phantom.scene import Scene
from liverimg.phantom.solids import at_points
from liverimg.phantom.vessels import Growth, grow_tree

RADII = np.array([70.0, 55.0, 60.0])


def ball(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return (np.linalg.norm(np.asarray(points) / RADII, axis=-1) - 1) * RADII.min()


def grow(seed: int = 1, **more: object) -> Capsules:
    rng = np.random.default_rng(seed)
    return grow_tree(
        [[(0, 0, -80), (0, 0, -30)], [(0, 0, -30), (-25, 5, -10)], [(0, 0, -30), (25, -5, -5)]],
        signed_distance=ball,
        target_points=points_inside(ball, -RADII, RADII, rng=rng),
        rng=rng,
        trunk_radius_mm=6.0,
        **more,  # type: ignore[arg-type]
    )


def along(tree: Capsules, share: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = tree.start_lps_mm * (1 - share) + tree.end_lps_mm * share
    return at, tree.radius_start_mm * (1 - share) + tree.radius_end_mm * share


def assert_murray(tree: Capsules) -> None:
    children = np.zeros(len(tree))
    inner = tree.parent >= 0
    np.add.at(children, tree.parent[inner], tree.radius_start_mm[inner] ** 3)
    mothers = children > 0
    np.testing.assert_allclose(tree.radius_end_mm[mothers] ** 3, children[mothers], rtol=1e-9)


def assert_connected(tree: Capsules) -> None:
    inner = np.flatnonzero(tree.parent >= 0)
    assert (tree.parent[inner] < inner).all()
    np.testing.assert_allclose(tree.start_lps_mm[inner], tree.end_lps_mm[tree.parent[inner]])


def test_murray_holds_at_every_fork_and_the_root_has_its_radius() -> None:
    tree = grow()
    assert len(tree) > 200
    assert_murray(tree)
    assert tree.radius_start_mm[0] == pytest.approx(6.0)
    assert tree.generation.max() > 5


def test_a_tree_is_one_piece_and_its_grown_part_stays_inside() -> None:
    tree = grow()
    assert_connected(tree)
    assert (tree.parent < 0).sum() == 1
    grown = tree.generation > 1
    assert (ball(tree.end_lps_mm[grown]) < 0).all()


def test_every_place_deep_inside_is_near_a_vessel() -> None:
    tree = grow(growth=Growth(near_mm=9.0))
    rng = np.random.default_rng(9)
    deep = points_inside(ball, -RADII, RADII, rng=rng, wall_mm=8.0)
    gaps = distance(deep, tree)
    assert np.quantile(gaps, 0.95) < 14


def test_the_same_seed_gives_the_same_tree() -> None:
    one, two, other = grow(1), grow(1), grow(2)
    np.testing.assert_array_equal(one.end_lps_mm, two.end_lps_mm)
    assert len(other) != len(one) or not np.array_equal(other.end_lps_mm, one.end_lps_mm)


def test_a_tree_keeps_clear_of_an_obstacle() -> None:
    def obstacle(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(points - np.array([0, 30, 10]), axis=-1) - 15)

    tree = grow(obstacle=obstacle, growth=Growth(clearance_mm=1.5))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at, radius = along(tree, share)
        assert (obstacle(at) - radius > 1.2).all()


def test_ducts_are_thin_and_touch_no_vessel() -> None:
    tree = grow()
    ducts = beside(tree, least_radius_mm=1.5, radius_ratio=0.35, gap_mm=0.5, towards=(0, -1, 0.2))
    assert len(ducts) > 20
    assert ducts.radius_start_mm.max() < 0.36 * tree.radius_start_mm.max()
    for share in (0.0, 0.5, 1.0):
        at, radius = along(ducts, share)
        gaps = distance(at, tree) - radius
        assert gaps.min() > 0.25
        assert np.median(gaps) < 3


def test_a_mask_can_stand_for_the_liver(awkward_grid: Grid) -> None:
    grid = awkward_grid.resampled(2.0)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    away = np.linalg.norm(grid.index_to_lps_mm(index) - grid.centre_lps_mm, axis=-1)
    signed = distance_of_mask(away <= 10, grid)
    rng = np.random.default_rng(2)
    points = grid.centre_lps_mm + rng.uniform(-8, 8, size=(200, 3))
    exact = np.linalg.norm(points - grid.centre_lps_mm, axis=-1) - 10
    assert np.abs(signed(points) - exact).max() < 2.0
    assert np.abs((signed(points) - exact).mean()) < 0.4


def test_trees_of_whole_people(scene: Scene, strangers: list[Scene]) -> None:
    for person in (scene, *strangers):
        hepatic, portal, ducts = person.hepatic_veins, person.portal_veins, person.bile_ducts
        for tree in (hepatic, portal):
            assert_murray(tree)
            assert_connected(tree)
            assert len(tree) > 100
        grown = portal.generation > 3
        assert (at_points(person.liver, portal.end_lps_mm[grown]) < 0).all()
        at, radius = along(portal, 0.5)
        assert (distance(at[grown], hepatic) - radius[grown] > 0.8).all()
        for lesion in person.lesions:
            for tree in (hepatic, portal, ducts):
                at, radius = along(tree, 0.5)
                assert (at_points(lesion.shape, at) > 0).all()
