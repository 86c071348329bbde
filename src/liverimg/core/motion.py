"""A rigid motion between two frames of reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverimg.core.grid import FloatArray

_ORTHONORMAL = 1e-6


@dataclass(frozen=True, eq=False)
class RigidMotion:
    """Where a point of one examination lies in another: ``matrix @ point + shift_mm``, LPS mm.

    Attributes:
        matrix: Rotation, shape (3, 3), without reflection.
        shift_mm: Translation, shape (3,).
    """

    matrix: FloatArray
    shift_mm: FloatArray

    def __post_init__(self) -> None:
        """Refuses what is no rotation: a scaled or mirrored tumour would have other margins."""
        matrix = np.asarray(self.matrix, dtype=float)
        shift = np.asarray(self.shift_mm, dtype=float)
        square = matrix.shape == (3, 3) and shift.shape == (3,)
        if not square or not np.allclose(matrix @ matrix.T, np.eye(3), atol=_ORTHONORMAL) or np.linalg.det(matrix) < 0:
            raise ValueError("a rigid motion is a rotation and a shift; this matrix scales, shears or mirrors")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "shift_mm", shift)

    @classmethod
    def none(cls) -> RigidMotion:
        """Everything stays where it is."""
        return cls(np.eye(3), np.zeros(3))

    def apply(self, points_lps_mm: FloatArray) -> FloatArray:
        """The points in the other examination, shape (..., 3)."""
        return np.asarray(points_lps_mm @ self.matrix.T + self.shift_mm)

    def inverse(self) -> RigidMotion:
        """The way back."""
        return RigidMotion(self.matrix.T, -self.matrix.T @ self.shift_mm)

    def after(self, first: RigidMotion) -> RigidMotion:
        """This motion made after another."""
        return RigidMotion(self.matrix @ first.matrix, self.matrix @ first.shift_mm + self.shift_mm)
