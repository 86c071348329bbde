"""Wrapping a body around a real liver: the body's liver is made to fit, and everything else follows.

Demons on clipped signed distances (Thirion 1998, diffusion-like smoothing of the whole displacement).
"""

from __future__ import annotations

from collections.abc import Sequence

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

_CLIP_MM = 40.0


def signed_distance(mask: BoolArray, spacing_mm: NDArray[np.float64]) -> FloatArray:
    """Distance in mm to the mask's border, negative inside, half a voxel off at most."""
    step = tuple(float(s) for s in spacing_mm)
    outside = edt.edt(~mask, anisotropy=step, black_border=False, parallel=1)
    inside = edt.edt(mask, anisotropy=step, black_border=False, parallel=1)
    return np.asarray(outside - inside, dtype=np.float32)


def box_of(mask: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one-past-last index of the mask along each axis."""
    low, high = [], []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low.append(hit[0])
        high.append(hit[-1] + 1)
    return np.array(low), np.array(high)


def demons(fixed: FloatArray, moving: FloatArray, *, rounds: int, sigma: float) -> FloatArray:
    """Displacement in voxels, shape (3, k, j, i), with ``moving(x + u(x))`` near ``fixed(x)``.

    Args:
        fixed: Signed distance of the target, clipped, in voxels.
        moving: Signed distance of what is warped, on the same grid, in voxels.
        rounds: Iterations.
        sigma: Smoothing of the whole displacement after each round, in voxels.
    """
    return demons_of_parts([fixed], [moving], known=[None], rounds=rounds, sigma=sigma)


def demons_of_parts(
    fixed: Sequence[FloatArray],
    moving: Sequence[FloatArray],
    *,
    known: Sequence[BoolArray | None],
    rounds: int,
    sigma: float,
) -> FloatArray:
    """Displacement in voxels that brings several parts together at once, each with a force of its own.

    Args:
        fixed: Signed distances of the targets, clipped, in voxels.
        moving: Signed distances of the parts that are warped, on the same grid, in voxels.
        known: Where each target is known; elsewhere its part has no force. None for everywhere.
        rounds: Iterations.
        sigma: Smoothing of the whole displacement after each round, in voxels.
    """
    grid = np.indices(fixed[0].shape, dtype=np.float32)
    slopes = [np.stack([np.gradient(part, axis=axis) for axis in range(3)]) for part in fixed]
    squares = [(slope**2).sum(axis=0) for slope in slopes]
    shift = np.zeros_like(grid)
    for _ in range(rounds):
        total = np.zeros_like(shift)
        for target, part, slope, slope2, seen in zip(fixed, moving, slopes, squares, known, strict=True):
            warped = ndimage.map_coordinates(part, grid + shift, order=1, mode="nearest")
            gap = target - warped if seen is None else np.where(seen, target - warped, np.float32(0))
            step = gap / (slope2 + 0.25 * gap**2 + 1e-3)
            total += np.clip(step, -1.5, 1.5) * slope
        shift += total
        for axis in range(3):
            shift[axis] = ndimage.gaussian_filter(shift[axis], sigma, mode="nearest")
    return shift


def fit_body(
    body_liver: BoolArray, liver: BoolArray, *, spacing_mm: float, margin_mm: float, coarse: int = 3
) -> tuple[FloatArray, tuple[slice, slice, slice]]:
    """Where each voxel around a real liver comes from in the body.

    A scaling per axis and a shift bring the boxes together, then demons bend the rest; outside the boxes
    the displacement fades out smoothly.

    Args:
        body_liver: The body's own liver on the body's grid.
        liver: The real liver on a grid of the same spacing, shape (k, j, i).
        spacing_mm: Of both grids.
        margin_mm: Demons see this much around the real liver.
        coarse: Demons run on every ``coarse``-th voxel.

    Returns:
        Body indices (3, k', j', i') on every ``coarse``-th voxel of the padded liver grid, and the slices
        that the real liver's grid has in the padded grid.
    """
    low, high = box_of(liver)
    body_low, body_high = box_of(body_liver)
    scale = np.clip((body_high - body_low) / (high - low), 0.7, 1.4)
    pad = round(margin_mm / spacing_mm)
    padded = np.pad(liver, pad)
    target = np.indices(tuple(n // coarse for n in padded.shape), dtype=np.float32) * coarse
    middle, body_middle = (low + high - 1) / 2 + pad, (body_low + body_high - 1) / 2
    source = np.stack([(target[a] - middle[a]) * scale[a] + body_middle[a] for a in range(3)])
    step = np.full(3, spacing_mm)
    clip = _CLIP_MM / (spacing_mm * coarse)
    body_distance = signed_distance(body_liver, step) / (spacing_mm * coarse)
    moving = ndimage.map_coordinates(body_distance, source, order=1, mode="nearest")
    fixed = signed_distance(padded, step)[::coarse, ::coarse, ::coarse] / (spacing_mm * coarse)
    fixed = fixed[tuple(slice(0, n) for n in moving.shape)]
    fixed, moving = np.clip(fixed, -clip, clip), np.clip(moving, -clip, clip)
    shift = demons(fixed, moving, rounds=60, sigma=1.6)
    place = target / coarse + shift
    source = np.stack([(place[a] * coarse - middle[a]) * scale[a] + body_middle[a] for a in range(3)])
    inner = tuple(slice(pad, pad + n) for n in liver.shape)
    return source.astype(np.float32), (inner[0], inner[1], inner[2])
