"""A zone that shrinks draws tissue together, and the way there and back are one another's inverse."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.phantom.deformation import Deformation, Squeeze

CENTRE = (10.0, -5.0, 20.0)


def _shrunk() -> Deformation:
    return Deformation(np.eye(3), np.zeros(3), np.zeros(3), (), (), (Squeeze(CENTRE, 0.2, 16.0),))


def test_distances_near_the_centre_are_shorter_by_the_share() -> None:
    near = np.array(CENTRE) + np.eye(3) * 0.5
    found = np.linalg.norm(_shrunk().from_built(near) - CENTRE, axis=1)
    assert found == pytest.approx(0.8 * 0.5, rel=1e-2)


def test_far_tissue_stays_and_the_centre_too() -> None:
    points = np.array((CENTRE, (120.0, -5.0, 20.0)))
    assert _shrunk().from_built(points) == pytest.approx(points, abs=1e-6)


def test_there_and_back() -> None:
    points = np.random.default_rng(0).uniform(-40, 60, size=(200, 3))
    shrunk = _shrunk()
    assert shrunk.to_built(shrunk.from_built(points)) == pytest.approx(points, abs=1e-6)
    assert np.linalg.norm(shrunk.from_built(points) - points, axis=1).max() <= shrunk.most_mm
