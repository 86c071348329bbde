"""Boxes of voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def box_of(mask: NDArray[np.bool_], *, pad: Sequence[int] = (0, 0, 0)) -> Box | None:
    """The box (k, j, i) around the voxels of a mask, with some room within the array; None where there are none.

    Args:
        mask: Shape (k, j, i).
        pad: Voxels more on either side of each axis.
    """
    found: list[slice] = []
    for axis in range(3):
        # What the axes before have cut off need not be gone through again.
        part = mask[tuple(found)]
        occupied = np.flatnonzero(part.any(axis=tuple(a for a in range(3) if a != axis)))
        if len(occupied) == 0:
            return None
        found.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    k, j, i = (
        slice(max(0, s.start - room), min(size, s.stop + room))
        for s, room, size in zip(found, pad, mask.shape, strict=True)
    )
    return k, j, i
