"""Resampling along array axes with voxel edges kept in place (grids from ``Grid.resampled``).

Downwards every voxel becomes the weighted mean of those it covers (a triangle twice as wide as the new
voxel, so noise and small things do not alias); upwards it is linear interpolation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def weights(old_count: int, new_count: int, ratio: float) -> FloatArray:
    """Matrix (new_count, old_count) that resamples one axis.

    Args:
        old_count: Voxels along the axis.
        new_count: Voxels wanted; the first edge coincides with the old first edge.
        ratio: New spacing over old spacing.
    """
    centre = (np.arange(new_count) + 0.5) * ratio - 0.5
    centre = np.clip(centre, 0, old_count - 1)
    reach = max(1.0, ratio)
    gap = np.abs(centre[:, None] - np.arange(old_count)[None, :])
    matrix = np.maximum(0, 1 - gap / reach)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def resampled(array: NDArray[Any], new_shape: tuple[int, int, int], ratio: NDArray[np.float64]) -> FloatArray:
    """An array (k, j, i) on the grid with the same first edge and ``ratio`` times the spacing.

    Slices are taken one by one, so that only the result is ever held in single precision.
    """
    along_k, along_j, along_i = (
        weights(old, new, float(r)) for old, new, r in zip(array.shape, new_shape, ratio, strict=True)
    )
    out = np.zeros(new_shape, dtype=np.float32)
    for k in range(array.shape[0]):
        targets = np.flatnonzero(along_k[:, k])
        if len(targets) == 0:
            continue
        small = along_j @ (array[k].astype(np.float32) @ along_i.T)
        for target in targets:
            out[target] += along_k[target, k] * small
    return out


class Enlarger:
    """Class probabilities brought to a finer grid one slice at a time, by linear interpolation."""

    def __init__(self, probability: FloatArray, new_shape: tuple[int, int, int], ratio: NDArray[np.float64]) -> None:
        """Prepares.

        Args:
            probability: (classes, k, j, i).
            new_shape: Of the finer grid.
            ratio: New spacing over old spacing, below 1 for an enlargement.
        """
        self._probability = probability
        old = probability.shape[1:]
        self._along_k, self._along_j, along_i = (
            weights(o, n, float(r)) for o, n, r in zip(old, new_shape, ratio, strict=True)
        )
        self._along_i = along_i.T.copy()

    def slice(self, k: int) -> FloatArray:
        """Probabilities (classes, j, i) of one slice of the finer grid."""
        near = np.flatnonzero(self._along_k[k])
        small = sum(self._along_k[k, n] * self._probability[:, n] for n in near)
        return np.asarray(self._along_j @ (small @ self._along_i))
