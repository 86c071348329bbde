"""The triangles of a surface: how far points lie from them, or only whether farther than this.

For each point the triangles whose middles are nearest are looked at, and the nearest of them counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.surface import Surface

_NEIGHBOURS = 16  # triangles whose middles are nearest to a point; the nearest triangle is among them
_AT_ONCE = 2000  # points, so that what is worked out for them stays in the processor's cache
_LEAF = 64  # of a tree that is asked far more often than it is built
_CELLS_MM = (4.0, 1.0)  # points this near to each other are first looked at together
_ROUNDING_MM = 1e-6  # far more than rounding may put a bound off


@dataclass(frozen=True, eq=False)
class Triangles:
    """The triangles of a surface, to be looked up by their middles.

    Attributes:
        corners: Shape (3, 3, m): corner, axis, triangle.
        middles: Shape (m, 3).
        normals: Of length 1, or 0 where a triangle has no area; shape (m, 3).
        radius_mm: How far a corner lies from the middle of its triangle at most, shape (m,).
        tree: Of the middles.
    """

    corners: FloatArray = field(repr=False)
    middles: FloatArray = field(repr=False)
    normals: FloatArray = field(repr=False)
    radius_mm: FloatArray = field(repr=False)
    tree: cKDTree = field(repr=False)

    @classmethod
    def of(cls, surface: Surface) -> Triangles:
        """Those of a surface with at least one."""
        by_axis = np.ascontiguousarray(surface.vertices_lps_mm.T)
        corners = np.stack([by_axis[:, surface.faces[:, corner]] for corner in range(3)])
        a, b, c = corners
        middle = (a + b + c) / 3
        radius = np.maximum.reduce([_length(corner - middle) for corner in corners])
        normal = np.cross(b - a, c - a, axis=0)
        length = _length(normal)
        normals = (normal / np.where(length > 0, length, 1.0)).T
        middles = np.ascontiguousarray(middle.T)
        return cls(corners, middles, np.ascontiguousarray(normals), radius, cKDTree(middles, leafsize=_LEAF))

    @property
    def widest_mm(self) -> float:
        """The largest radius: no point of a triangle is farther from its middle, or from its nearest corner."""
        return float(self.radius_mm.max())

    def nearest(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distances, shape (n,), and nearest points, shape (n, 3)."""
        parts = [self._nearest(points[n : n + _AT_ONCE]) for n in range(0, len(points), _AT_ONCE)]
        if not parts:
            return np.empty(0), np.empty((0, 3))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def compared(self, points: FloatArray, levels_mm: Sequence[float]) -> FloatArray:
        """Numbers that lie on the same side of every level as the distances do, 0 only on the surface; shape (n,).

        The nearest triangle is no farther than its middle and no nearer than that less its radius. Only where a level
        lies between such bounds is the distance itself worked out; bounds of whole cells of points come first.
        """
        widest = self.widest_mm
        found = np.zeros(len(points))
        asked = np.arange(len(points))
        for width_mm in _CELLS_MM:
            middles, member = _cells(points[asked], width_mm)
            # A point lies within half a diagonal of its cell's middle.
            half = width_mm * np.sqrt(3) / 2
            found[asked] = self.tree.query(middles, workers=1)[0][member] + half
            asked = asked[_level_between(found[asked] - 2 * half - widest, found[asked], levels_mm)]
        found[asked], _ = self.tree.query(points[asked], workers=1)
        asked = asked[_level_between(found[asked] - widest, found[asked], levels_mm)]
        found[asked], _ = self.nearest(points[asked])
        return found

    def _nearest(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        count = min(_NEIGHBOURS, len(self.middles))
        away, near = (np.asarray(x).reshape(len(points), count) for x in self.tree.query(points, k=count, workers=1))
        least = self._least_mm(points, away, near)
        rows, places = np.arange(len(points)), np.ascontiguousarray(points.T)
        _, bound = _nearest_on(places, self.corners[..., near[rows, least.argmin(axis=1)]])
        row, column = np.nonzero(least <= bound[:, None] + _ROUNDING_MM)
        found, gaps = _nearest_on(places[:, row], self.corners[..., near[row, column]])
        distance = np.full(near.shape, np.inf)
        distance[row, column] = gaps
        # Of several that are as near, the one whose middle is nearest.
        best = distance.argmin(axis=1)
        index = np.zeros(near.shape, dtype=np.intp)
        index[row, column] = np.arange(len(row))
        return distance[rows, best], found[:, index[rows, best]].T

    def _least_mm(self, points: FloatArray, away_mm: FloatArray, near: NDArray[np.intp]) -> FloatArray:
        """How near each point's triangles may lie: in their plane, within their radius of the middle; (n, count)."""
        offset = points[:, None] - self.middles[near]
        above = np.einsum("nca,nca->nc", offset, self.normals[near])
        beside = np.sqrt(np.maximum(np.square(away_mm) - np.square(above), 0.0)) - self.radius_mm[near]
        return np.asarray(np.hypot(above, np.maximum(beside, 0.0)))


def _cells(points: FloatArray, width_mm: float) -> tuple[FloatArray, NDArray[np.intp]]:
    """Middles of the cubes that hold points, shape (cubes, 3), and the one of each point, shape (n,)."""
    if not len(points):
        return points, np.empty(0, dtype=np.intp)
    index = np.floor(points / width_mm).astype(np.int64)
    first = index.min(axis=0)
    shape = tuple(int(n) for n in index.max(axis=0) - first + 1)
    held, member = np.unique(np.ravel_multi_index(tuple((index - first).T), shape), return_inverse=True)
    return (np.stack(np.unravel_index(held, shape), axis=1) + first + 0.5) * width_mm, member


def _level_between(low_mm: FloatArray, high_mm: FloatArray, levels_mm: Sequence[float]) -> BoolArray:
    between = np.zeros(len(low_mm), dtype=bool)
    for level in levels_mm:
        between |= (low_mm - _ROUNDING_MM <= level) & (level <= high_mm + _ROUNDING_MM)
    return between


def _nearest_on(points: FloatArray, corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The nearest point of triangle n to point n, shape (3, n), and how far it is, shape (n,).

    It is the foot of the perpendicular, or the nearest point of an edge.

    Args:
        points: Shape (3, n): axis by axis, because short rows take numpy several times as long.
        corners: Shape (3, 3, n): corner, axis, triangle.
    """
    a, b, c = corners
    along, across, offset = b - a, c - a, points - a
    aa, ab, bb = _dot(along, along), _dot(along, across), _dot(across, across)
    pa, pb = _dot(offset, along), _dot(offset, across)
    scale = aa * bb - ab * ab
    safe = np.where(scale > 0, scale, 1.0)
    u, v = (bb * pa - ab * pb) / safe, (aa * pb - ab * pa) / safe
    best = a + u * along + v * across
    outside = np.flatnonzero((u < 0) | (v < 0) | (u + v > 1) | (scale <= 0))
    best[:, outside] = _nearest_on_edges(points[:, outside], corners[..., outside])
    return best, _length(best - points)


def _nearest_on_edges(points: FloatArray, corners: FloatArray) -> FloatArray:
    best = np.zeros_like(points)
    least = np.full(points.shape[1], np.inf)
    for first in range(3):
        start, edge = corners[first], corners[(first + 1) % 3] - corners[first]
        length2 = _dot(edge, edge)
        share = np.clip(_dot(points - start, edge) / np.where(length2 > 0, length2, 1.0), 0, 1)
        found = start + share * edge
        gaps = _length(found - points)
        best = np.where(gaps < least, found, best)
        least = np.minimum(gaps, least)
    return best


def _dot(one: FloatArray, other: FloatArray) -> FloatArray:
    x, y, z = one * other
    return np.asarray(x + z + y)


def _length(one: FloatArray) -> FloatArray:
    x, y, z = np.square(one)
    return np.asarray(np.sqrt(x + y + z))
