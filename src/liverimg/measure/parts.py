"""Connected parts of a mask."""

from __future__ import annotations

from typing import Any, Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import BoolArray

_FACES: Literal[6] = 6
_FULL_NEIGHBOURHOOD: Literal[26] = 26


def numbered_parts(mask: BoolArray, *, by_faces: bool = False) -> NDArray[np.unsignedinteger[Any]]:
    """The first of what :func:`counted_parts` gives."""
    return counted_parts(mask, by_faces=by_faces)[0]


def counted_parts(mask: BoolArray, *, by_faces: bool = False) -> tuple[NDArray[np.unsignedinteger[Any]], int]:
    """The number of the connected part that each voxel belongs to, from 1, 0 outside the mask; and how many there are.

    Args:
        mask: Shape (k, j, i), one voxel thick as well.
        by_faces: Whether only neighbours by faces hang together, not those by edges and corners.
    """
    neighbours = _FACES if by_faces else _FULL_NEIGHBOURHOOD
    # Padded: cc3d fails on arrays one voxel thick, such as two voxels with a gap between them.
    parts, count = cc3d.connected_components(np.pad(mask, 1), connectivity=neighbours, return_N=True)
    return np.asarray(parts[1:-1, 1:-1, 1:-1]), int(count)
