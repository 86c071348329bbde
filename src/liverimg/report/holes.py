"""Masks without holes."""

from __future__ import annotations

import fill_voids
import numpy as np

from liverimg.core.labels import BoolArray


def without_holes(mask: BoolArray) -> BoolArray:
    """A mask with what it encloses: that of one plane, or of each plane of a stack by itself.

    The same as ``scipy.ndimage.binary_fill_holes`` of each plane.

    Args:
        mask: Shape (rows, columns) or (planes, rows, columns).
    """
    filled = np.empty_like(mask)
    for plane, out in zip(mask.reshape(-1, *mask.shape[-2:]), filled.reshape(-1, *mask.shape[-2:]), strict=True):
        out[:] = fill_voids.fill(np.ascontiguousarray(plane))
    return filled
