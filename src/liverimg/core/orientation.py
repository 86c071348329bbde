"""Turning an array so that its axes run as a reader of axial slices expects.

The only place that permutes and flips array axes. Standard order: k to Superior, j to Posterior, i to Left
(a DICOM axial stack seen from the feet, first slice lowest). Oblique grids are turned to the nearest axes
and stay oblique: nothing is resampled here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid

# Rows: standard array axes k, j, i; columns: L, P, S.
_STANDARD = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float)


@dataclass(frozen=True)
class Orientation:
    """How to turn an array into standard order and back.

    Attributes:
        order: For each standard axis, which axis of the original array it is.
        flip: For each standard axis, whether it runs backwards in the original.
    """

    order: tuple[int, int, int]
    flip: tuple[bool, bool, bool]

    @classmethod
    def of(cls, grid: Grid) -> Orientation:
        """The turn that brings ``grid`` nearest to standard order."""
        cosines = _STANDARD @ grid.directions.T
        best = max(permutations(range(3)), key=lambda p: sum(abs(cosines[a, p[a]]) for a in range(3)))
        flip = tuple(bool(cosines[a, best[a]] < 0) for a in range(3))
        return cls((best[0], best[1], best[2]), (flip[0], flip[1], flip[2]))

    @property
    def is_standard(self) -> bool:
        """Whether nothing needs to be turned."""
        return self.order == (0, 1, 2) and not any(self.flip)

    def turn(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array in standard order, a view. Extra trailing axes are left alone."""
        extra = tuple(range(3, array.ndim))
        turned = np.transpose(array, (*self.order, *extra))
        return np.flip(turned, axis=tuple(a for a in range(3) if self.flip[a]))

    def turn_back(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of :meth:`turn`, a view."""
        unflipped = np.flip(array, axis=tuple(a for a in range(3) if self.flip[a]))
        extra = tuple(range(3, array.ndim))
        return np.transpose(unflipped, (*np.argsort(self.order), *extra))

    def turn_grid(self, grid: Grid) -> Grid:
        """The grid of the turned array: the same voxels, the same places."""
        matrix = np.eye(4)
        shape = tuple(grid.shape[a] for a in self.order)
        matrix[:3, :3] = 0
        for new_axis, old_axis in enumerate(self.order):
            matrix[old_axis, new_axis] = -1 if self.flip[new_axis] else 1
            matrix[old_axis, 3] = grid.shape[old_axis] - 1 if self.flip[new_axis] else 0
        return Grid((shape[0], shape[1], shape[2]), grid.affine @ matrix, grid.frame_of_reference_uid)
