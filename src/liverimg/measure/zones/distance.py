"""Distances to the border of a mask, and smoothing within one, worked out only where the mask can matter.

A distance transform is exact in any box that holds the mask and a voxel around it, and a Gaussian with a cut kernel is
exact in any box beyond which its sums reach nothing but zeros. Both are done in such boxes, and give to the last bit
what whole arrays give.
"""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from liverimg.core.boxes import Box, box_of
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray

FloatArray = NDArray[np.float32]

_TRUNCATE = 3.0  # of a Gaussian, in standard deviations
_LEAST_WEIGHT = 1e-3


def grown(box: Box, beyond_mm: float, grid: Grid, shape: tuple[int, ...]) -> Box:
    """A box with all that lies so near to it, at least one voxel more on every side, as far as the array goes.

    Args:
        box: In an array.
        beyond_mm: How much wider on every side.
        grid: Spacings.
        shape: Of the array.
    """
    steps = np.maximum(1, np.ceil(beyond_mm / grid.spacing_mm)).astype(int)
    k, j, i = (
        slice(max(0, b.start - int(s)), min(n, b.stop + int(s))) for b, s, n in zip(box, steps, shape, strict=True)
    )
    return k, j, i


def depth_mm(mask: BoolArray, grid: Grid, *, ends_at_edge: bool) -> FloatArray:
    """Distance of each voxel of a mask to the nearest voxel outside of it; 0 outside.

    Args:
        mask: On voxels of the grid.
        grid: Spacings.
        ends_at_edge: Whether the mask ends where the array ends.
    """
    out = np.zeros(mask.shape, dtype=np.float32)
    box = box_of(mask)
    if box is not None:
        box = grown(box, 0.0, grid, mask.shape)
        part = np.pad(mask[box], 1) if ends_at_edge else np.ascontiguousarray(mask[box])
        inside = edt.edt(part, anisotropy=_spacing(grid))
        out[box] = inside[1:-1, 1:-1, 1:-1] if ends_at_edge else inside
    return out


def deeper(mask: BoolArray, grid: Grid, than_mm: float) -> BoolArray:
    """Voxels of a mask that lie deeper in it than this; the mask ends where the array ends."""
    out = np.array(mask)
    # All voxels so near belong to the mask: those along the axes first, which leaves little to be worked out.
    for axis, spacing in enumerate(grid.spacing_mm):
        steps = int(than_mm / float(spacing))
        for sign in (-1, 1) if steps else ():
            out &= _shifted(mask, sign * steps, axis)
    box = box_of(out)
    if box is not None:
        box = grown(box, than_mm, grid, mask.shape)
        out[box] &= depth_mm(mask[box], grid, ends_at_edge=False) > than_mm
    return out


def away_mm(mask: BoolArray, grid: Grid) -> FloatArray:
    """Distance of each voxel to the nearest voxel of a mask; 0 in it, without end where the mask is empty."""
    return np.asarray(edt.edt(np.ascontiguousarray(~mask), anisotropy=_spacing(grid)))


def signed_mm(mask: BoolArray, grid: Grid, *, within_mm: float = np.inf) -> FloatArray:
    """Distance to the border of a mask, positive inside.

    Args:
        mask: On voxels of the grid.
        grid: Spacings.
        within_mm: What lies farther outside need not be known, and may be minus infinity.
    """
    half = 0.5 * float(grid.spacing_mm.min())
    out = np.full(mask.shape, -np.inf, dtype=np.float32)
    box = box_of(mask)
    if box is None:
        return out
    k, j, i = (slice(0, n) for n in mask.shape)
    wide = (k, j, i) if np.isinf(within_mm) else grown(box, within_mm + half, grid, mask.shape)
    out[wide] = half - away_mm(mask[wide], grid)
    box = grown(box, 0.0, grid, mask.shape)
    here = mask[box]
    out[box][here] = edt.edt(np.ascontiguousarray(here), anisotropy=_spacing(grid))[here] - half
    return out


def deepest_mm(mask: BoolArray, grid: Grid) -> float:
    """How deep the deepest voxel of a mask lies, by :func:`signed_mm`; 0 of an empty one."""
    return float(signed_mm(mask, grid, within_mm=0.0).max()) if mask.any() else 0.0


def near(mask: BoolArray, grid: Grid, within_mm: float) -> BoolArray:
    """Voxels in a mask and so near to its border, by :func:`signed_mm`."""
    box = box_of(mask)
    out = np.zeros(mask.shape, dtype=bool)
    if box is not None:
        box = grown(box, within_mm + 0.5 * float(grid.spacing_mm.min()), grid, mask.shape)
        out[box] = -signed_mm(mask[box], grid) <= within_mm
    return out


def most_in(values: FloatArray, parts: NDArray[np.unsignedinteger], count: int) -> FloatArray:
    """The largest value in each numbered part; 0 for number 0 and where no value is positive."""
    found = np.zeros(count + 1, dtype=np.float32)
    inside = parts > 0
    np.maximum.at(found, parts[inside], values[inside])
    return found


def level_of(image: FloatArray, within: BoolArray, sigma: NDArray[np.float64]) -> FloatArray:
    """An image smoothed with what lies within only; NaN too far from it.

    Args:
        image: Values.
        within: What counts.
        sigma: Standard deviation of the Gaussian along each axis, voxels.
    """
    out = np.full(image.shape, np.nan, dtype=np.float32)
    box = box_of(within)
    if box is not None:
        k, j, i = (
            slice(max(0, b.start - r), min(n, b.stop + r))
            for b, r, n in zip(box, _reach(sigma), image.shape, strict=True)
        )
        out[k, j, i] = level_in((k, j, i), image, within, sigma)
    return out


def level_in(wanted: Box, image: FloatArray, within: BoolArray, sigma: NDArray[np.float64]) -> FloatArray:
    """The same in a box of the image, shape of the box."""
    support = box_of(within)
    if support is None:
        return np.full([w.stop - w.start for w in wanted], np.nan, dtype=np.float32)
    window, modes = [], []
    for w, s, r, n in zip(wanted, support, _reach(sigma), image.shape, strict=True):
        # At the array's ends the filter sees the image mirrored; elsewhere it sees zeros where nothing counts.
        mirrored = s.start < r or s.stop > n - r
        window.append(slice(0, n) if mirrored else slice(min(w.start, s.start), max(w.stop, s.stop)))
        modes.append("reflect" if mirrored else "constant")
    k, j, i = window
    inside = within[k, j, i]
    weight = gaussian_filter(inside.astype(np.float32), sigma, mode=modes, truncate=_TRUNCATE)
    total = gaussian_filter(np.where(inside, image[k, j, i], np.float32(0)), sigma, mode=modes, truncate=_TRUNCATE)
    own = tuple(slice(w.start - c.start, w.stop - c.start) for w, c in zip(wanted, window, strict=True))
    weight, total = weight[own], total[own]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(weight > _LEAST_WEIGHT, total / weight, np.nan), dtype=np.float32)


def _shifted(mask: BoolArray, steps: int, axis: int) -> BoolArray:
    """What lies so many voxels farther along an axis; nothing beyond the end."""
    out = np.zeros_like(mask)
    target, source = [slice(None)] * 3, [slice(None)] * 3
    target[axis] = slice(max(0, -steps), max(0, mask.shape[axis] - max(0, steps)))
    source[axis] = slice(max(0, steps), max(0, mask.shape[axis] + min(0, steps)))
    out[tuple(target)] = mask[tuple(source)]
    return out


def _reach(sigma: NDArray[np.float64]) -> list[int]:
    """Voxels that the kernel reaches to each side."""
    return [int(_TRUNCATE * float(s) + 0.5) for s in sigma]


def _spacing(grid: Grid) -> tuple[float, ...]:
    return tuple(float(s) for s in grid.spacing_mm)
