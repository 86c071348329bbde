"""Tapered capsules against what they are: the union of all balls along the axis."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import capsule_distance, chain, distance, joined, near_distance, paint


@pytest.mark.parametrize(("r1", "r2"), [(2.0, 2.0), (4.0, 1.0), (1.0, 3.5), (9.0, 1.0)])
def test_distance_is_that_to_the_union_of_sliding_balls(r1: float, r2: float) -> None:
    rng = np.random.default_rng(4)
    start, end = np.array([1.0, -2.0, 3.0]), np.array([5.0, 1.0, -1.0])
    points = rng.uniform(-12, 15, size=(400, 3))
    share = np.linspace(0, 1, 4001)
    centres = start + share[:, None] * (end - start)
    radii = r1 + share * (r2 - r1)
    balls = (np.linalg.norm(points[:, None] - centres, axis=2) - radii).min(axis=1)
    exact = capsule_distance(points, start, end, r1, r2)
    outside = balls > 0
    np.testing.assert_allclose(exact[outside], balls[outside], atol=2e-3)
    assert (exact[~outside] <= 2e-3).all()


def test_no_capsules_are_infinitely_far() -> None:
    none = chain([[0, 0, 0], [1, 0, 0]], 1.0).select(np.array([False]))
    assert np.isinf(distance([[0, 0, 0]], none)).all()


def test_painting_on_an_awkward_grid_gives_the_exact_distance(awkward_grid: Grid) -> None:
    centre = awkward_grid.centre_lps_mm
    line = centre + np.array([[-8, 0, -12], [0, 3, 0], [9, -4, 14.0]])
    tubes = chain(line, [3.0, 2.0, 1.0])
    painted = paint(tubes, awkward_grid, band_mm=4.0)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in awkward_grid.shape], indexing="ij"), axis=-1)
    exact = distance(awkward_grid.index_to_lps_mm(index.reshape(-1, 3)), tubes).reshape(awkward_grid.shape)
    np.testing.assert_allclose(painted, np.minimum(exact, 4.0), atol=2e-3)
    assert (painted <= 0).any()


def test_near_distance_agrees_close_to_the_surface() -> None:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(0, 3, size=(300, 3)), axis=0)
    tubes = chain(walk, rng.uniform(0.5, 4, size=300))
    points = walk[rng.integers(0, 300, 200)] + rng.normal(0, 4, size=(200, 3))
    exact = distance(points, tubes)
    close = np.abs(exact) < 3
    np.testing.assert_allclose(near_distance(tubes)(points)[close], exact[close], atol=1e-9)


def test_joined_and_selected_keep_links() -> None:
    first, second = chain([[0, 0, 0], [1, 0, 0], [2, 0, 0]], 1.0), chain([[5, 0, 0], [6, 0, 0], [7, 0, 0]], 1.0)
    both = joined(first, second)
    assert both.parent.tolist() == [-1, 0, -1, 2]
    assert both.select(np.array([True, True, False, True])).parent.tolist() == [-1, 0, -1]
