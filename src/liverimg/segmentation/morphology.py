"""Pieces and neighbourhoods of masks, by what is quickest and exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]

# Every so many voxels along k, j, i are asked which piece is the largest.
_SAMPLED: Final = (4, 16, 16)


def largest_piece(mask: BoolArray, *, connectivity: int) -> BoolArray:
    """The connected piece with the most voxels; all false where nothing is set.

    Args:
        mask: Shape (k, j, i), more than one voxel along each axis.
        connectivity: 6, 18 or 26 neighbours.
    """
    solid = np.ascontiguousarray(mask)
    pieces = cc3d.connected_components(solid, connectivity=connectivity, binary_image=True)
    few = np.bincount(pieces[tuple(slice(None, None, step) for step in _SAMPLED)].ravel())
    if few[1:].any():
        guess = np.asarray(pieces == np.argmax(few[1:]) + 1)
        # A piece of more than half of all voxels is the largest, and no other needs to be counted.
        if 2 * np.count_nonzero(guess) > np.count_nonzero(solid):
            return guess
    sizes = np.bincount(pieces[solid])
    return np.asarray(pieces == np.argmax(sizes)) if len(sizes) else np.zeros_like(solid)


def near(mask: BoolArray, distance_mm: float, *, spacing_mm: Sequence[float]) -> BoolArray:
    """Voxels whose centre lies within a distance of a voxel centre of the mask; nothing lies beyond the image.

    The mask is moved over a ball, one run of voxels at a time: much quicker than a map of distances as long as the
    ball is a few voxels wide.

    Args:
        mask: Shape (k, j, i).
        distance_mm: From 0 on.
        spacing_mm: Along k, j, i.
    """
    ball = _ball(distance_mm, spacing_mm)
    half_k, half_j, half_i = (n // 2 for n in ball.shape)
    # Runs along i are symmetrical, so a row of the ball is told by its length; eight voxels then fit into a byte.
    lengths = (np.count_nonzero(ball, axis=2) - 1) // 2
    widened = {0: np.packbits(mask, axis=2)}
    wide = np.array(mask)
    for length in range(1, half_i + 1):
        wide[:, :, length:] |= mask[:, :, :-length]
        wide[:, :, :-length] |= mask[:, :, length:]
        if (lengths == length).any():
            widened[length] = np.packbits(wide, axis=2)
    found = np.zeros_like(widened[0])
    for k in range(-half_k, half_k + 1):
        for j in range(-half_j, half_j + 1):
            length = int(lengths[k + half_k, j + half_j])
            if length >= 0:
                (to_k, from_k), (to_j, from_j) = _shifted(k, mask.shape[0]), _shifted(j, mask.shape[1])
                found[to_k, to_j] |= widened[length][from_k, from_j]
    return np.unpackbits(found, axis=2, count=mask.shape[2]).view(np.bool_)


def _ball(distance_mm: float, spacing_mm: Sequence[float]) -> BoolArray:
    """Offsets within the distance, as a map of distances would have them."""
    half = [int(distance_mm / s) + 1 for s in spacing_mm]
    away = np.ones([2 * n + 1 for n in half], dtype=bool)
    away[tuple(half)] = False
    return np.asarray(edt.edt(away, anisotropy=tuple(float(s) for s in spacing_mm), black_border=False) <= distance_mm)


def _shifted(by: int, size: int) -> tuple[slice, slice]:
    """Where to and where from, for a shift along an axis; both empty where it leaves the array."""
    if abs(by) >= size:
        return slice(0, 0), slice(0, 0)
    return (slice(by, size), slice(0, size - by)) if by >= 0 else (slice(0, size + by), slice(-by, size))
