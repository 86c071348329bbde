"""What coils, gradients and reconstruction do to an image: slices, blur, shading, ghosts and folding."""

from __future__ import annotations

import numpy as np
import torch

from liverimg.training.synthesis.warp import FloatArray, Shape


def slice_matrix(count: int, *, thick: float, pitch: float, start: float) -> FloatArray:
    """What slices make of a line of voxels, interpolated back to them; shape (count, count), rows sum to 1.

    Args:
        count: Voxels in the line.
        thick: Thickness of a slice in voxels.
        pitch: From slice to slice, in voxels.
        start: Where the first slice lies, as a share of the pitch.
    """
    centres = np.arange((start - 1) * pitch, count + pitch, pitch)
    edges = np.arange(count + 1) - 0.5
    low, high = centres[:, None] - thick / 2, centres[:, None] + thick / 2
    cover = np.clip(np.minimum(edges[None, 1:], high) - np.maximum(edges[None, :-1], low), 0, None)
    # Slices that lie wholly beside the line repeat its end.
    beside = cover.sum(axis=1) == 0
    cover[beside & (centres < count / 2), 0] = 1.0
    cover[beside & (centres >= count / 2), -1] = 1.0
    cover /= cover.sum(axis=1, keepdims=True)
    back = np.maximum(0, 1 - np.abs(np.arange(count)[:, None] - centres[None, :]) / pitch)
    back /= back.sum(axis=1, keepdims=True)
    return np.asarray(back @ cover, dtype=np.float32)


def gaussian_matrix(count: int, sigma: float) -> FloatArray:
    """Matrix that blurs a line by a Gaussian; rows sum to 1."""
    gap = np.arange(count)[:, None] - np.arange(count)[None, :]
    matrix = np.exp(-0.5 * (gap / sigma) ** 2)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def shift_matrix(count: int, shift: float) -> FloatArray:
    """Matrix that moves a line by a fraction of a voxel or more, by linear interpolation."""
    where = np.clip(np.arange(count) - shift, 0, count - 1)
    weight = np.maximum(0, 1 - np.abs(where[:, None] - np.arange(count)[None, :]))
    return np.asarray(weight, dtype=np.float32)


def along_axes(image: FloatArray, matrices: list[FloatArray]) -> FloatArray:
    """One matrix applied along each axis of an image (k, j, i)."""
    out = image @ matrices[2].T
    out = matrices[1] @ out
    return np.asarray(np.tensordot(matrices[0], out, axes=(1, 0)), dtype=np.float32)


def coil_field(shape: Shape, *, spacing_mm: float, factor: float, rng: np.random.Generator) -> FloatArray:
    """A smooth, positive field of mean 1 whose brightest place has about ``factor`` times the darkest's value.

    A few coils in front of and behind the patient, each seeing its neighbourhood; at times a dark place in the
    middle, as waves of 3 T make it; and a gentle random rest.
    """
    axes = [(np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(spacing_mm) for n in shape]
    half = [float(a[-1]) for a in axes]
    field = np.full(shape, 0.02, dtype=np.float32)
    for number in range(int(rng.integers(2, 7))):
        front = -1 if number % 2 == 0 else 1
        centre = (
            rng.uniform(-1, 1) * half[0],
            front * rng.uniform(0.6, 1.0) * half[1],
            rng.uniform(-0.8, 0.8) * half[2],
        )
        field += _bump(axes, centre, rng.uniform(70, 200)) * np.float32(rng.uniform(0.5, 1.0))
    rest = torch.from_numpy(rng.normal(0, 0.25, size=(1, 1, 4, 4, 4)).astype(np.float32))
    log = np.log(field) + torch.nn.functional.interpolate(rest, size=shape, mode="trilinear")[0, 0].numpy()
    if rng.random() < 0.25:
        centre = (rng.uniform(-0.5, 0.5) * half[0], rng.uniform(-0.5, 0.2) * half[1], rng.uniform(-0.3, 0.3) * half[2])
        log -= rng.uniform(0.3, 1.0) * _bump(axes, centre, rng.uniform(50, 100))
    log -= log.mean()
    # The corners of the patch are mostly air: the 5th to 95th percentile is what a body shows.
    low, high = np.percentile(log[::4, ::4, ::4], (5, 95))
    return np.asarray(np.exp(log * np.float32(np.log(max(factor, 1.001)) / max(high - low, 1e-3))), dtype=np.float32)


def _bump(axes: list[FloatArray], centre: tuple[float, float, float], sigma_mm: float) -> FloatArray:
    k, j, i = (np.exp(-0.5 * ((a - c) / sigma_mm) ** 2).astype(np.float32) for a, c in zip(axes, centre, strict=True))
    return np.asarray(k[:, None, None] * j[None, :, None] * i[None, None, :])


def ghosted(image: FloatArray, axis: int, rng: np.random.Generator) -> FloatArray:
    """Copies of what is bright, shifted along the phase direction, as breathing or pulsation make them."""
    count = image.shape[axis]
    shift = int(rng.integers(max(2, count // 8), max(3, count // 2)))
    strength, turn = rng.uniform(0.02, 0.15), rng.uniform(-1, 1)
    # Bright things ghost most: a magnitude image shows little else of them.
    source = image * np.clip(image / max(float(image.max()), 1e-6), 0, 1) ** 0.5
    ghosts = np.roll(source, shift, axis) + turn * np.roll(source, -shift, axis)
    return np.asarray(np.abs(image + strength * ghosts), dtype=np.float32)


def folded(image: FloatArray, axis: int, first: int, last: int) -> FloatArray:
    """What lies outside ``first`` to ``last`` along an axis, added at the other side of the view."""
    moved = np.moveaxis(image, axis, 0).copy()
    wide = last - first
    for outside in (*range(max(0, first - wide), first), *range(last, min(len(moved), last + wide))):
        moved[first + (outside - first) % wide] += moved[outside]
    return np.moveaxis(moved, 0, axis)
