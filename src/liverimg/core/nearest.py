"""A mask on another grid of the same space: each voxel takes the nearest one, nothing is invented in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray

# In voxels: what rounding in a file format leaves between two descriptions of one place.
_SAME_PLACE = 0.02


def lattice_offset(source: Grid, target: Grid) -> NDArray[np.int64] | None:
    """Where the source's first voxel lies on the target's lattice, when both are cut out of one lattice.

    Returns:
        Index (k, j, i) in the target, possibly outside of it; None when axes, spacings or centres differ.
    """
    first = target.lps_mm_to_index(source.index_to_lps_mm((0, 0, 0)))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in source.shape], indexing="ij")).reshape(3, 8).T
    astray = target.lps_mm_to_index(source.index_to_lps_mm(corners)) - (np.rint(first) + corners)
    if np.abs(astray).max() > _SAME_PLACE:
        return None
    return np.rint(first).astype(np.int64)


def on_grid(mask: BoolArray, source: Grid, target: Grid) -> BoolArray:
    """Takes a mask to another grid, nearest voxel by nearest voxel; outside of the source there is none.

    Args:
        mask: Shape ``source.shape``.
        source: Where it lies.
        target: Where it should lie; whether both are one patient space is the caller's to know.
    """
    if mask.shape != source.shape:
        raise GridMismatchError(f"the mask has shape {mask.shape}, its grid {source.shape}")
    # Target index to source index: affine, so one matrix does for all voxels.
    start = source.lps_mm_to_index(target.index_to_lps_mm((0, 0, 0)))
    steps = np.stack([source.lps_mm_to_index(target.index_to_lps_mm(unit)) - start for unit in np.eye(3)])
    axis_of = np.abs(steps).argmax(axis=1)
    main = np.abs(steps[np.arange(3), axis_of])
    rest = np.abs(steps).sum(axis=1) - main
    if len(set(axis_of.tolist())) == 3 and (rest * np.asarray(target.shape)).max() < _SAME_PLACE:
        return _along_axes(mask, target.shape, start, steps, axis_of)
    out = np.zeros(target.shape, dtype=bool)
    j, i = np.indices(target.shape[1:])
    for k in range(target.shape[0]):
        index = np.floor(start + k * steps[0] + j[..., None] * steps[1] + i[..., None] * steps[2] + 0.5).astype(int)
        inside = ((index >= 0) & (index < source.shape)).all(axis=-1)
        found = index[inside]
        out[k][inside] = mask[found[:, 0], found[:, 1], found[:, 2]]
    return out


def _along_axes(
    mask: BoolArray, shape: tuple[int, int, int], start: FloatArray, steps: FloatArray, axis_of: NDArray[np.intp]
) -> BoolArray:
    """The same for grids whose axes run along each other: one list of indices an axis."""
    lists, insides = [], []
    for axis in range(3):
        along = axis_of[axis]
        index = np.floor(start[along] + np.arange(shape[axis]) * steps[axis, along] + 0.5).astype(int)
        inside = (index >= 0) & (index < mask.shape[along])
        lists.append(index[inside])
        insides.append(np.flatnonzero(inside))
    turned = np.transpose(mask, axis_of)
    out = np.zeros(shape, dtype=bool)
    out[np.ix_(*insides)] = turned[np.ix_(*lists)]
    return out
