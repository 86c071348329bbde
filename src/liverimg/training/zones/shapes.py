"""Signed distances of simple bodies on the voxels of a crop, negative inside, in mm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Vector = NDArray[np.float64]

_TINY = np.float32(1e-6)


def places(size: int, spacing_mm: float) -> FloatArray:
    """Places of all voxels of a cube around its middle, shape (3, size, size, size), axes (k, j, i), mm."""
    axis = ((np.arange(size) - (size - 1) / 2) * spacing_mm).astype(np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))


def ball(at: FloatArray, centre: Vector, radius_mm: float) -> FloatArray:
    """Exact."""
    away = at - centre.astype(np.float32)[:, None, None, None]
    return np.asarray(np.sqrt((away**2).sum(axis=0)) - np.float32(radius_mm))


def ellipsoid(at: FloatArray, centre: Vector, radii_mm: Vector, turn: Vector) -> FloatArray:
    """Level over gradient, exact at the surface.

    Args:
        at: Places.
        centre: Its middle.
        radii_mm: Half axes.
        turn: Rows are the directions of the axes.
    """
    away = at - centre.astype(np.float32)[:, None, None, None]
    local = np.tensordot(turn.astype(np.float32), away, axes=1)
    radii = radii_mm.astype(np.float32)[:, None, None, None]
    level = np.sqrt(((local / radii) ** 2).sum(axis=0))
    steep = np.sqrt(((local / radii**2) ** 2).sum(axis=0))
    return np.asarray((level - 1) * level / np.maximum(steep, _TINY))


def tube(at: FloatArray, line: Vector, radius_mm: Vector) -> FloatArray:
    """A chain of straight pieces whose radius changes from point to point.

    Args:
        at: Places.
        line: Points, shape (n, 3).
        radius_mm: At each of them.
    """
    out = np.full(at.shape[1:], np.inf, dtype=np.float32)
    for one, other, first, last in zip(line[:-1], line[1:], radius_mm[:-1], radius_mm[1:], strict=True):
        way = (other - one).astype(np.float32)
        away = at - one.astype(np.float32)[:, None, None, None]
        share = np.clip(np.tensordot(way, away, axes=1) / max(float(way @ way), 1e-6), 0, 1)
        away -= way[:, None, None, None] * share
        gap = np.sqrt((away**2).sum(axis=0)) - (np.float32(first) + np.float32(last - first) * share)
        np.minimum(out, gap, out=out)
    return out


def share_of(distance_mm: FloatArray, spacing_mm: float) -> FloatArray:
    """How much of each voxel lies inside."""
    return np.asarray(np.clip(0.5 - distance_mm / np.float32(spacing_mm), 0, 1), dtype=np.float32)


def heading(rng: np.random.Generator) -> Vector:
    """A direction by chance."""
    way = rng.normal(size=3)
    return np.asarray(way / np.linalg.norm(way))


def turn(rng: np.random.Generator) -> Vector:
    """Three directions at right angles by chance."""
    return np.asarray(np.linalg.qr(rng.normal(size=(3, 3)))[0])
