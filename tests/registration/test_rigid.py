"""The rigid motion nearest to displacements."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.core.motion import RigidMotion
from liverimg.registration.rigid import rigid_through


def _motion(degrees: float, shift: tuple[float, float, float]) -> RigidMotion:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return RigidMotion(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array(shift))


def test_points_fix_a_rotation_exactly() -> None:
    rng = np.random.default_rng(0)
    points, true = rng.normal(0, 30, size=(8, 3)), _motion(35.0, (1.0, -20.0, 3.0))
    found = rigid_through(points, true.apply(points), rng.uniform(0.1, 1.0, 8))
    assert found.apply(points) == pytest.approx(true.apply(points), abs=1e-9)


def test_a_mirrored_shape_is_turned_and_never_mirrored() -> None:
    points = np.random.default_rng(1).normal(0, 30, size=(20, 3))
    found = rigid_through(points, points * (-1.0, 1.0, 1.0), np.ones(20))
    assert np.linalg.det(found.matrix) == pytest.approx(1.0)
