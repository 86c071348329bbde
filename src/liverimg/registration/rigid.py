"""The rigid motion nearest to given displacements."""

from __future__ import annotations

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.motion import RigidMotion


def rigid_through(here: FloatArray, there: FloatArray, weight: FloatArray) -> RigidMotion:
    """The rigid motion that takes points nearest to others, least weighted squares (Kabsch 1976; Umeyama 1991)."""
    share = weight / weight.sum()
    from_middle, to_middle = share @ here, share @ there
    cross = ((here - from_middle) * share[:, None]).T @ (there - to_middle)
    left, _, right = np.linalg.svd(cross)
    keep = np.diag([1.0, 1.0, np.sign(np.linalg.det(right.T @ left.T))])
    matrix = right.T @ keep @ left.T
    return RigidMotion(matrix, to_middle - matrix @ from_middle)
