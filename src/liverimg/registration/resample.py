"""Images at the voxel centres of another grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid

FloatArray = NDArray[np.float32]
Millimetres = tuple[float, float, float]

UNMOVED: Millimetres = (0.0, 0.0, 0.0)
_RIM = 2  # voxels around a window, so that interpolation and averaging at its border see what lies beyond
_PER_BLOCK = 2  # voxels of each block that are averaged, along each axis: enough to quiet noise, quick to read


def sampled(
    array: NDArray[Any],
    grid: Grid,
    onto: Grid,
    *,
    shift_lps_mm: Millimetres = UNMOVED,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """An image at the voxel centres of another grid, by linear interpolation, and where it reaches them; 0 elsewhere.

    Only the part of the image that is needed is read.

    Args:
        array: Shape ``grid.shape``.
        grid: Where it lies; any affine.
        onto: Where it is wanted.
        shift_lps_mm: Added to each place of ``onto`` before the image is looked up there.
    """
    window = window_of(onto, grid, shift_lps_mm=shift_lps_mm)
    if window is None:
        return np.zeros(onto.shape, dtype=np.float32), np.zeros(onto.shape, dtype=bool)
    part = array[window]
    grid = grid.cropped([w.start for w in window], (part.shape[0], part.shape[1], part.shape[2]))
    inverse = np.linalg.inv(grid.affine[:3, :3])
    matrix = inverse @ onto.affine[:3, :3]
    first = grid.lps_mm_to_index(onto.origin_lps_mm + np.asarray(shift_lps_mm))
    # Rounding would put the last plane just outside.
    matrix, first = np.round(matrix, 9), np.round(first, 6)
    straight = np.count_nonzero(matrix) == 3 and (np.diag(matrix) != 0).all()
    found = ndimage.affine_transform(
        part.astype(np.float32, copy=False),
        np.diag(matrix) if straight else matrix,
        offset=first,
        output_shape=onto.shape,
        order=1,
        mode="constant",
        cval=np.nan,
    )
    seen = np.isfinite(found)
    found[~seen] = 0
    return found, seen


def window_of(onto: Grid, grid: Grid, *, shift_lps_mm: Millimetres = UNMOVED) -> Box | None:
    """The part of ``grid`` that the voxels of another grid fall into, with a small rim; None where they do not meet."""
    ends = [(0, n - 1) for n in onto.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)
    index = np.round(grid.lps_mm_to_index(onto.index_to_lps_mm(corners) + np.asarray(shift_lps_mm)), 6)
    low = np.maximum(0, np.floor(index.min(axis=0)) - _RIM).astype(int)
    high = np.minimum(grid.shape, np.ceil(index.max(axis=0)) + _RIM + 1).astype(int)
    if (low >= high).any():
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def thinned(array: NDArray[Any], grid: Grid, *, spacing_mm: float) -> tuple[FloatArray, Grid]:
    """An image on blocks of voxels about ``spacing_mm`` wide, each the mean of a few voxels spread over it.

    Quick because most voxels are never read; voxels at the far edges that fill no block are left out.

    Args:
        array: Shape ``grid.shape``.
        grid: Where it lies.
        spacing_mm: Wanted; an axis that is coarser stays as it is.
    """
    steps = _steps(grid, spacing_mm)
    counts = np.maximum(1, np.array(grid.shape) // steps)
    steps = np.minimum(steps, grid.shape)
    offsets = [sorted({(2 * n + 1) * int(s) // (2 * _PER_BLOCK) for n in range(_PER_BLOCK)}) for s in steps]
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    total = np.zeros(shape, dtype=np.float32)
    for a in offsets[0]:
        for b in offsets[1]:
            for c in offsets[2]:
                part = array[a :: steps[0], b :: steps[1], c :: steps[2]]
                total += part[: shape[0], : shape[1], : shape[2]]
    taken = [len(o) for o in offsets]
    affine = np.array(grid.affine)
    affine[:3, :3] = grid.affine[:3, :3] * steps
    affine[:3, 3] = grid.index_to_lps_mm([float(np.mean(o)) for o in offsets])
    return total / np.float32(np.prod(taken)), Grid(shape, affine, grid.frame_of_reference_uid)


def thinned_onto(
    array: NDArray[Any], grid: Grid, onto: Grid, *, spacing_mm: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """An image thinned and then sampled on another grid; blocks that this does not need are not read.

    Args:
        array: Shape ``grid.shape``.
        grid: Where it lies.
        onto: Where it is wanted.
        spacing_mm: Of the blocks.

    Returns:
        As :func:`sampled`.
    """
    window = window_of(onto, grid)
    if window is None:
        return np.zeros(onto.shape, dtype=np.float32), np.zeros(onto.shape, dtype=bool)
    steps = [int(n) for n in np.minimum(_steps(grid, spacing_mm), grid.shape)]
    # Blocks begin where they would in the whole image; some more of them are what sampling sees around its window.
    low = [max(0, w.start // n - _RIM - 1) * n for w, n in zip(window, steps, strict=True)]
    high = [
        min(-(-w.stop // n) + _RIM + 1, size // n) * n for w, n, size in zip(window, steps, grid.shape, strict=True)
    ]
    part = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    small, small_grid = thinned(part, grid.cropped(low, part.shape), spacing_mm=spacing_mm)
    return sampled(small, small_grid, onto)


def _steps(grid: Grid, spacing_mm: float) -> NDArray[np.int_]:
    """How many voxels a block has along each axis."""
    return np.maximum(1, np.floor(spacing_mm / grid.spacing_mm + 1e-6)).astype(int)
