"""Distances between voxel centres and the border of a mask, for a whole box in one go."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box, box_of
from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray


def to_outside_mm(mask: BoolArray, spacing_mm: FloatArray) -> NDArray[np.float32]:
    """From each voxel of a mask to the nearest voxel centre outside it, 0 outside; the array's edge is no border.

    Args:
        mask: Any shape in three dimensions; infinite distances where all of it is True.
        spacing_mm: Of the voxels.
    """
    return np.asarray(edt.edt(np.ascontiguousarray(mask), anisotropy=tuple(float(s) for s in spacing_mm)))


def to_mask_mm(mask: BoolArray, spacing_mm: FloatArray) -> NDArray[np.float32]:
    """From each voxel to the nearest voxel centre of a mask, 0 inside it; infinite where the mask is empty."""
    return to_outside_mm(~mask, spacing_mm)


def near_mask(mask: BoolArray, spacing_mm: FloatArray, reach_mm: float) -> tuple[Box, NDArray[np.float32]]:
    """Distances as of :func:`to_mask_mm`, taken only where they can be within reach.

    Args:
        mask: At least one voxel.
        spacing_mm: Of the voxels.
        reach_mm: How far distances are asked for.

    Returns:
        A box of the array, and the distances in it. Whatever lies outside the box is farther from the mask.
    """
    steps = np.ceil(reach_mm / spacing_mm).astype(int) + 1
    k, j, i = (
        slice(max(0, held.start - step), min(size, held.stop + step))
        for held, step, size in zip(extent(mask), steps.tolist(), mask.shape, strict=True)
    )
    return (k, j, i), to_mask_mm(mask[k, j, i], spacing_mm)


def extent(mask: BoolArray) -> Box:
    """The box around the voxels of a mask that has some."""
    box = box_of(mask)
    assert box is not None
    return box


def to_other_side_mm(mask: BoolArray, spacing_mm: FloatArray) -> NDArray[np.float32]:
    """From each voxel to the nearest voxel centre on the other side of a mask's border, positive inside.

    Inside and outside are two labels of one transform, which takes each voxel to the nearest of another label: bit for
    bit the difference of the two distances on either side, in half the time.

    Args:
        mask: Any shape in three dimensions; the array's edge is no border, distances are infinite without one.
        spacing_mm: Of the voxels.
    """
    sides = np.add(mask, np.uint8(1), dtype=np.uint8, order="C")
    found: NDArray[np.float32] = edt.edt(sides, anisotropy=tuple(float(s) for s in spacing_mm))
    return np.negative(found, out=found, where=~mask)
