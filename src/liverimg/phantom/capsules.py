"""Trees and chains of tapered capsules: exact distances, and painting them on a grid.

A tapered capsule is the hull of two balls: every ball whose centre slides from ``start`` to ``end`` while its
radius changes linearly. Its signed distance has a closed form, so distances to vessels are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from liverimg.core.grid import Grid

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Box = tuple[slice, slice, slice]
PointMap = Callable[[NDArray[Any]], NDArray[Any]]
"""Takes points (..., 3) in LPS mm to points, or to one value each."""

NO_PARENT = -1


@dataclass(frozen=True, eq=False)
class Capsules:
    """Tapered capsules, one row each; a vessel tree when ``parent`` links them.

    Attributes:
        start_lps_mm: Centre of the proximal ball, shape (n, 3).
        end_lps_mm: Centre of the distal ball, shape (n, 3).
        radius_start_mm: Radius at the start, shape (n,).
        radius_end_mm: Radius at the end, shape (n,).
        parent: Row that each capsule continues, -1 for a root, shape (n,). Parents come before children.
        generation: Number of forks between a capsule and its root, shape (n,).
    """

    start_lps_mm: FloatArray = field(repr=False)
    end_lps_mm: FloatArray = field(repr=False)
    radius_start_mm: FloatArray = field(repr=False)
    radius_end_mm: FloatArray = field(repr=False)
    parent: IntArray = field(repr=False)
    generation: IntArray = field(repr=False)

    def __len__(self) -> int:
        return len(self.parent)

    def select(self, keep: NDArray[np.bool_]) -> Capsules:
        """The capsules where ``keep`` is true. A kept capsule whose parent goes becomes a root."""
        new_row = np.full(len(self) + 1, NO_PARENT)
        new_row[:-1][keep] = np.arange(int(keep.sum()))
        parent = new_row[self.parent[keep]]
        return Capsules(
            self.start_lps_mm[keep],
            self.end_lps_mm[keep],
            self.radius_start_mm[keep],
            self.radius_end_mm[keep],
            parent,
            self.generation[keep],
        )

    def boxes_lps_mm(self, *, margin_mm: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest corner of the box around each capsule, shape (n, 3)."""
        radius = np.maximum(self.radius_start_mm, self.radius_end_mm)[:, None] + margin_mm
        low = np.minimum(self.start_lps_mm, self.end_lps_mm) - radius
        return low, np.maximum(self.start_lps_mm, self.end_lps_mm) + radius

    def distance_of_row(self, row: int, x: Any, y: Any, z: Any) -> NDArray[Any]:
        """Signed distance to one capsule from places whose coordinates broadcast; float32."""
        start = self.start_lps_mm[row].astype(np.float32)
        axis = self.end_lps_mm[row].astype(np.float32) - start
        r1, r2 = np.float32(self.radius_start_mm[row]), np.float32(self.radius_end_mm[row])
        return one_capsule(x - start[0], y - start[1], z - start[2], axis, r1, r2)

    def bounds_lps_mm(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest corner of the box around all capsules."""
        low, high = self.boxes_lps_mm()
        return low.min(axis=0), high.max(axis=0)


def chain(points_lps_mm: ArrayLike, radius_mm: ArrayLike) -> Capsules:
    """Capsules along one polyline, shape (n, 3), with a radius per point or one for all."""
    points = np.asarray(points_lps_mm, dtype=float)
    radius = np.broadcast_to(np.asarray(radius_mm, dtype=float), len(points))
    count = len(points) - 1
    rows = np.arange(count)
    return Capsules(
        points[:-1], points[1:], radius[:-1].copy(), radius[1:].copy(), rows - 1, np.zeros(count, dtype=np.int64)
    )


def joined(*parts: Capsules) -> Capsules:
    """All parts in one table, their links kept."""
    offsets = np.cumsum([0, *[len(p) for p in parts[:-1]]])
    parents = [np.where(p.parent >= 0, p.parent + o, NO_PARENT) for p, o in zip(parts, offsets, strict=True)]
    return Capsules(
        np.concatenate([p.start_lps_mm for p in parts]),
        np.concatenate([p.end_lps_mm for p in parts]),
        np.concatenate([p.radius_start_mm for p in parts]),
        np.concatenate([p.radius_end_mm for p in parts]),
        np.concatenate(parents),
        np.concatenate([p.generation for p in parts]),
    )


def capsule_distance(points: NDArray[Any], start: ArrayLike, end: ArrayLike, r1: Any, r2: Any) -> NDArray[Any]:
    """Signed distance in mm from points to tapered capsules, negative inside; exact outside and on the surface.

    Args:
        points: Shape (..., 3); ``start`` and ``end`` (..., 3), ``r1`` and ``r2`` (...) broadcast against it.
        start: Centre of the first ball.
        end: Centre of the second ball.
        r1: Radius of the first ball.
        r2: Radius of the second ball.
    """
    start, end = np.asarray(start), np.asarray(end)
    away = points - start
    return one_capsule(away[..., 0], away[..., 1], away[..., 2], end - start, r1, r2)


def one_capsule(dx: Any, dy: Any, dz: Any, axis: NDArray[Any], r1: Any, r2: Any) -> NDArray[Any]:
    """As :func:`capsule_distance`, from the components of the way from the first ball's centre to each point.

    Works in the half plane through the axis (Quilez, "round cone"): the nearest part is the start ball, the end
    ball or the cone that touches both. The components may be arrays that broadcast against each other.
    """
    ax, ay, az = axis[..., 0], axis[..., 1], axis[..., 2]
    length2 = np.maximum(ax * ax + ay * ay + az * az, 1e-12)
    shrink = r1 - r2
    slant2 = np.maximum(length2 - shrink * shrink, 0)
    along = dx * ax + dy * ay + dz * az
    along2 = along * along
    across2 = np.maximum((dx * dx + dy * dy + dz * dz) * length2 - along2, 0)  # times length2
    beyond = along - length2
    beyond2 = beyond * beyond
    k = np.sign(shrink) * shrink * shrink * across2
    to_end = np.sqrt((across2 + beyond2) / length2) - r2
    to_start = np.sqrt((across2 + along2) / length2) - r1
    to_cone = (np.sqrt(across2 * slant2) + along * shrink) / length2 - r1
    at_end = np.sign(beyond) * slant2 * beyond2 > k
    at_start = np.sign(along) * slant2 * along2 < k
    near = np.where(at_end, to_end, np.where(at_start, to_start, to_cone))
    # One ball swallows the other: the bigger ball is the whole capsule.
    return np.asarray(np.where(slant2 <= 0, np.minimum(to_end, to_start), near))


def distance(points_lps_mm: ArrayLike, capsules: Capsules, *, block: int = 2_000_000) -> FloatArray:
    """Signed distance in mm to the nearest of all capsules; positive infinity when there are none.

    Args:
        points_lps_mm: Shape (n, 3).
        capsules: The tree or chain.
        block: Most point-capsule pairs held in memory at once.
    """
    points = np.asarray(points_lps_mm, dtype=float).reshape(-1, 3)
    out = np.full(len(points), np.inf)
    if len(capsules) == 0:
        return out
    rows = max(1, block // len(capsules))
    for first in range(0, len(points), rows):
        part = points[first : first + rows, None, :]
        pairs = capsule_distance(
            part, capsules.start_lps_mm, capsules.end_lps_mm, capsules.radius_start_mm, capsules.radius_end_mm
        )
        out[first : first + rows] = pairs.min(axis=1)
    return out


def near_distance(capsules: Capsules, *, neighbours: int = 12) -> PointMap:
    """A fast stand-in for :func:`distance`: looks only at the nearest capsules of each class of thickness.

    Right near the surfaces of trees of short capsules; far away it may be too large by a fraction of a radius.
    """
    middle = 0.5 * (capsules.start_lps_mm + capsules.end_lps_mm)
    size = np.maximum(capsules.radius_start_mm, capsules.radius_end_mm)
    edges = np.quantile(size, (0.6, 0.9)) if len(capsules) else np.zeros(2)
    group = np.digitize(size, edges)
    classes = [np.flatnonzero(group == g) for g in np.unique(group)]
    trees = [cKDTree(middle[rows]) for rows in classes]

    def signed_distance(points: NDArray[Any]) -> NDArray[Any]:
        best = np.full(len(points), np.inf)
        for rows, tree in zip(classes, trees, strict=True):
            _, found = tree.query(points, k=min(neighbours, len(rows)))
            near = rows[found.reshape(len(points), -1)]
            pairs = capsule_distance(
                points[:, None, :],
                capsules.start_lps_mm[near],
                capsules.end_lps_mm[near],
                capsules.radius_start_mm[near],
                capsules.radius_end_mm[near],
            )
            best = np.minimum(best, pairs.min(axis=1))
        return best

    return signed_distance


def index_boxes(
    grid: Grid, low_lps_mm: ArrayLike, high_lps_mm: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last index (k, j, i) of the voxel centres in LPS boxes, shape (n, 3); last < first for none.

    Args:
        grid: Any grid.
        low_lps_mm: Lowest corners, shape (n, 3).
        high_lps_mm: Highest corners, shape (n, 3).
    """
    low, high = np.asarray(low_lps_mm, dtype=float), np.asarray(high_lps_mm, dtype=float)
    reach = ((high - low) / 2) @ np.abs(np.linalg.inv(grid.affine[:3, :3])).T
    centre = grid.lps_mm_to_index((low + high) / 2)
    first = np.maximum(np.ceil(centre - reach - 1e-9), 0).astype(np.int64)
    last = np.minimum(np.floor(centre + reach + 1e-9), np.asarray(grid.shape) - 1).astype(np.int64)
    return first, last


def box_coordinates(grid: Grid, box: Box, *, offset_kji: ArrayLike = (0, 0, 0)) -> tuple[Any, Any, Any]:
    """x, y and z of the voxel centres in a box, shifted by part of a voxel, as float32 arrays that broadcast.

    On an axis-aligned grid each of them varies along one axis only.
    """
    offset = np.asarray(offset_kji, dtype=float)
    parts = []
    for row in range(3):
        value: Any = np.full((1, 1, 1), grid.affine[row, 3])
        for axis in range(3):
            step = grid.affine[row, axis]
            if step != 0:
                shape = [1, 1, 1]
                shape[axis] = -1
                index = np.arange(box[axis].start, box[axis].stop) + offset[axis]
                value = value + (index * step).reshape(shape)
        parts.append(value.astype(np.float32))
    return parts[0], parts[1], parts[2]


def paint(capsules: Capsules, grid: Grid, *, band_mm: float = 3.0) -> NDArray[np.float32]:
    """Signed distance in mm to the nearest capsule on a grid, cut off at ``+band_mm``.

    Only the voxels near each capsule are visited. ``paint(...) <= 0`` is the mask by voxel centres.

    Args:
        capsules: The tree or chain.
        grid: Any grid, oblique or not.
        band_mm: Distances above this are set to it.
    """
    out = np.full(grid.shape, band_mm, dtype=np.float32)
    low, high = capsules.boxes_lps_mm(margin_mm=band_mm)
    first, last = index_boxes(grid, low, high)
    for row in np.flatnonzero((last >= first).all(axis=1)):
        k, j, i = (slice(int(a), int(b) + 1) for a, b in zip(first[row], last[row], strict=True))
        near = capsules.distance_of_row(int(row), *box_coordinates(grid, (k, j, i)))
        np.minimum(out[k, j, i], near, out=out[k, j, i])
    return out
