"""The ablation margin: how far beyond every point of a tumour's surface the ablated tissue reaches.

The tumour was drawn before treatment and the zone after it, each on its own grid. Neither mask is resampled: both
get a sub-voxel surface where they were drawn, and the tumour's surface is carried into the later examination by a
rigid motion. From each of its vertices the exact distance to the nearest triangle of the zone's surface is taken,
positive inside the zone. Shares are weighted by area, so a finer mesh in one place doesn't count for more.

Definition: minimal ablative margin, the smallest distance between the tumour's and the zone's edge, signed. Voxel
centres in place of surfaces make it too small by half a voxel and more (``benchmarks/margin_truth.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.motion import RigidMotion
from liverimg.measure.surface import Surface

_NEIGHBOURS = 16  # triangles whose middles are nearest to a point; the nearest triangle is among them
_SAMPLES = 12_000  # about how many points stand for a volume


@dataclass(frozen=True, eq=False)
class MarginMap:
    """The margin at every point of one tumour's surface.

    Attributes:
        points_lps_mm: Vertices of the tumour's surface in the later examination, shape (n, 3).
        before_lps_mm: The same in the earlier examination.
        faces: Triangles between them, shape (m, 3).
        margin_mm: Signed distance to the zone's surface, positive where the zone covers the point, shape (n,).
        weight: Share of the surface's area that each vertex stands for, shape (n,); sums to 1.
        nearest_lps_mm: Nearest point of the zone's surface, in the later examination, shape (n, 3).
    """

    points_lps_mm: FloatArray = field(repr=False)
    before_lps_mm: FloatArray = field(repr=False)
    faces: NDArray[np.int32] = field(repr=False)
    margin_mm: FloatArray = field(repr=False)
    weight: FloatArray = field(repr=False)
    nearest_lps_mm: FloatArray = field(repr=False)

    def share(self, low_mm: float, high_mm: float, *, among: BoolArray | None = None, shift_mm: float = 0.0) -> float:
        """Share of the area with ``low_mm <= margin + shift_mm < high_mm``, among some vertices or all."""
        weight = self.weight if among is None else self.weight * among
        margin = self.margin_mm + shift_mm
        total = float(weight.sum())
        return float((weight * ((margin >= low_mm) & (margin < high_mm))).sum() / total) if total > 0 else float("nan")

    def percentile(self, percent: float) -> float:
        """The margin below which this part of the area lies, in mm."""
        order = np.argsort(self.margin_mm, kind="stable")
        below = np.cumsum(self.weight[order])
        return float(self.margin_mm[order[min(int(np.searchsorted(below, percent / 100)), len(order) - 1)]])


def margin_map(tumour: Surface, zone: Surface, *, motion: RigidMotion) -> MarginMap:
    """Margins of a tumour drawn before treatment and a zone drawn after it.

    Args:
        tumour: In the earlier examination.
        zone: In the later one.
        motion: From the earlier examination into the later one.
    """
    points = motion.apply(tumour.vertices_lps_mm)
    margin, nearest = margin_at(points, zone)
    return MarginMap(
        points_lps_mm=points,
        before_lps_mm=tumour.vertices_lps_mm,
        faces=tumour.faces,
        margin_mm=margin,
        weight=vertex_weights(tumour.vertices_lps_mm, tumour.faces),
        nearest_lps_mm=nearest,
    )


def margin_at(points_lps_mm: FloatArray, zone: Surface) -> tuple[FloatArray, FloatArray]:
    """Signed distance in mm from points to a zone's surface, positive inside, and the nearest points of it."""
    distance, nearest = distance_to_surface(points_lps_mm, zone)
    return np.where(level_at(zone, points_lps_mm) > 0, distance, -distance), nearest


def distance_to_surface(points_lps_mm: FloatArray, surface: Surface) -> tuple[FloatArray, FloatArray]:
    """Distance in mm from each point to a surface's triangles, shape (n,), and the nearest points, shape (n, 3)."""
    corners = surface.vertices_lps_mm[surface.faces]
    count = min(_NEIGHBOURS, len(corners))
    _, near = cKDTree(corners.mean(axis=1)).query(points_lps_mm, k=count, workers=1)
    near = np.asarray(near).reshape(len(points_lps_mm), count)
    best = np.full(len(points_lps_mm), np.inf)
    where = np.zeros_like(points_lps_mm)
    for column in range(count):
        found = _nearest_on_triangle(points_lps_mm, corners[near[:, column]])
        distance = np.linalg.norm(found - points_lps_mm, axis=1)
        closer = distance < best
        best[closer], where[closer] = distance[closer], found[closer]
    return best, where


def _nearest_on_triangle(points: FloatArray, corners: FloatArray) -> FloatArray:
    """The nearest point of triangle n to point n: the foot of the perpendicular, or the nearest point of an edge."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    along, across, offset = b - a, c - a, points - a
    aa, ab, bb = _dot(along, along), _dot(along, across), _dot(across, across)
    pa, pb = _dot(offset, along), _dot(offset, across)
    scale = aa * bb - ab * ab
    safe = np.where(scale > 0, scale, 1.0)
    u, v = (bb * pa - ab * pb) / safe, (aa * pb - ab * pa) / safe
    best = a + u[:, None] * along + v[:, None] * across
    outside = (u < 0) | (v < 0) | (u + v > 1) | (scale <= 0)
    if outside.any():
        best[outside] = _nearest_on_edges(points[outside], corners[outside])
    return np.asarray(best)


def _nearest_on_edges(points: FloatArray, corners: FloatArray) -> FloatArray:
    found = []
    for first in range(3):
        start, edge = corners[:, first], corners[:, (first + 1) % 3] - corners[:, first]
        length2 = _dot(edge, edge)
        share = np.clip(_dot(points - start, edge) / np.where(length2 > 0, length2, 1.0), 0, 1)
        found.append(start + share[:, None] * edge)
    gaps = np.stack([np.linalg.norm(f - points, axis=1) for f in found])
    return np.asarray(np.stack(found)[gaps.argmin(axis=0), np.arange(len(points))])


def _dot(one: FloatArray, other: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", one, other))


def vertex_weights(points: FloatArray, faces: NDArray[np.int32]) -> FloatArray:
    """Share of the area that belongs to each vertex: a third of each triangle at it; sums to 1."""
    a, b, c = (points[faces[:, n]] for n in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    weight = np.zeros(len(points))
    for n in range(3):
        weight += np.bincount(faces[:, n], weights=area, minlength=len(points))
    return np.asarray(weight / weight.sum())


def level_at(surface: Surface, points_lps_mm: FloatArray) -> FloatArray:
    """A surface's level function at points: positive inside, negative outside and beyond its grid; shape (n,)."""
    index = surface.grid.lps_mm_to_index(points_lps_mm)
    outside = -abs(float(surface.level.min())) - 1.0
    return np.asarray(map_coordinates(surface.level, index.T, order=1, mode="constant", cval=outside))


def inside_points(surface: Surface) -> FloatArray:
    """Points spread evenly through the volume within a surface, LPS mm; each stands for the same volume."""
    grid, spacing = surface.grid, surface.grid.spacing_mm
    k, j, i = np.nonzero(surface.level > 0)
    low, high = (np.array([fold(axis) for axis in (k, j, i)]) for fold in (np.min, np.max))
    volume = float(np.prod((high - low + 3) * spacing))
    step = (volume / _SAMPLES) ** (1 / 3)
    axes = [np.arange(a - 1, b + 1, min(1.0, step / s)) for a, b, s in zip(low, high, spacing, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = grid.index_to_lps_mm(index)
    return np.asarray(points[level_at(surface, points) > 0])


def shell_points(tumour: Surface, *, width_mm: float, liver: BoolArray, liver_grid: Grid) -> FloatArray:
    """Points spread evenly through the shell around a tumour, as far as it lies in the liver; LPS mm, shape (n, 3).

    Args:
        tumour: The surface.
        width_mm: Of the shell.
        liver: Liver of the same examination, tumours included.
        liver_grid: Its grid.
    """
    reach = width_mm + float(tumour.spacing_mm.max())
    low, high = tumour.vertices_lps_mm.min(axis=0) - reach, tumour.vertices_lps_mm.max(axis=0) + reach
    step = (float(np.prod(high - low)) / _SAMPLES) ** (1 / 3)
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = points[level_at(tumour, points) <= 0]
    points = points[_in_mask(liver, liver_grid, points)]
    near, _ = cKDTree(tumour.vertices_lps_mm).query(points, distance_upper_bound=reach, workers=1)
    points = points[np.isfinite(near)]
    return np.asarray(points[distance_to_surface(points, tumour)[0] <= width_mm]) if len(points) else points


def _in_mask(mask: BoolArray, grid: Grid, points_lps_mm: FloatArray) -> BoolArray:
    index = np.rint(grid.lps_mm_to_index(points_lps_mm)).astype(int)
    inside = np.asarray(((index >= 0) & (index < mask.shape)).all(axis=1))
    inside[inside] = mask[tuple(index[inside].T)]
    return np.asarray(inside)
