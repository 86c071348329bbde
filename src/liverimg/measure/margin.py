"""The ablation margin: how far beyond every point of a tumour's surface the ablated tissue reaches.

The tumour was drawn before treatment and the zone after it, each on its own grid. Neither mask is resampled: both
get a sub-voxel surface where they were drawn, and the tumour's surface is carried into the later examination by a
rigid motion. From each of its vertices the exact distance to the nearest triangle of the zone's surface is taken,
positive inside the zone. Shares are weighted by area, so a finer mesh in one place doesn't count for more.

Definition: minimal ablative margin, the smallest distance between the tumour's and the zone's edge, signed. Voxel
centres in place of surfaces make it too small by half a voxel and more (``benchmarks/margin_truth.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.motion import RigidMotion
from liverimg.measure.surface import Surface
from liverimg.measure.triangles import Triangles

_ON_SURFACE = 1e-4  # of the level function's top: points beyond it are not on the surface
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


def margin_map(tumour: Surface, zone: Surface, *, motion: RigidMotion, triangles: Triangles | None = None) -> MarginMap:
    """Margins of a tumour drawn before treatment and a zone drawn after it.

    Args:
        tumour: In the earlier examination.
        zone: In the later one.
        motion: From the earlier examination into the later one.
        triangles: The zone's, when they are at hand.
    """
    points = motion.apply(tumour.vertices_lps_mm)
    margin, nearest = margin_at(points, zone, triangles)
    return MarginMap(
        points_lps_mm=points,
        before_lps_mm=tumour.vertices_lps_mm,
        faces=tumour.faces,
        margin_mm=margin,
        weight=vertex_weights(tumour.vertices_lps_mm, tumour.faces),
        nearest_lps_mm=nearest,
    )


def margin_at(
    points_lps_mm: FloatArray, zone: Surface, triangles: Triangles | None = None
) -> tuple[FloatArray, FloatArray]:
    """Signed distance in mm from points to a zone's surface, positive inside, and the nearest points of it."""
    distance, nearest = (triangles or Triangles.of(zone)).nearest(points_lps_mm)
    return np.where(level_at(zone, points_lps_mm) > 0, distance, -distance), nearest


def margin_at_least(
    points_lps_mm: FloatArray, zone: Surface, levels_mm: Sequence[float], triangles: Triangles | None = None
) -> BoolArray:
    """Whether the margin at each point is at least each level, shape (levels, n): as :func:`margin_at` would say.

    Args:
        points_lps_mm: Shape (n, 3).
        zone: The surface.
        levels_mm: Of any sign.
        triangles: The zone's, when they are at hand.
    """
    triangles = triangles or Triangles.of(zone)
    level = level_at(zone, points_lps_mm)
    inside = level > 0
    distance = np.zeros(len(points_lps_mm))
    # Inside, the margin is above every level that is not positive; outside it is below all others.
    for side, levels in ((inside, [v for v in levels_mm if v > 0]), (~inside, [-v for v in levels_mm if v < 0])):
        distance[side] = triangles.compared(points_lps_mm[side], levels)
    # A point that lies on the surface is covered, on whichever side rounding puts it.
    on_surface = ~inside & (level > -_ON_SURFACE * float(zone.level.max()))
    distance[on_surface], _ = triangles.nearest(points_lps_mm[on_surface])
    margin = np.where(inside, distance, -distance)
    return np.stack([margin >= level for level in levels_mm])


def distance_to_surface(points_lps_mm: FloatArray, surface: Surface) -> tuple[FloatArray, FloatArray]:
    """Distance in mm from each point to a surface's triangles, shape (n,), and the nearest points, shape (n, 3)."""
    return Triangles.of(surface).nearest(points_lps_mm)


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


def shell_points(
    tumour: Surface, *, width_mm: float, liver: BoolArray, liver_grid: Grid, triangles: Triangles | None = None
) -> FloatArray:
    """Points spread evenly through the shell around a tumour, as far as it lies in the liver; LPS mm, shape (n, 3).

    Args:
        tumour: The surface.
        width_mm: Of the shell.
        liver: Liver of the same examination, tumours included.
        liver_grid: Its grid.
        triangles: The tumour's, when they are at hand.
    """
    reach = width_mm + float(tumour.spacing_mm.max())
    low, high = tumour.vertices_lps_mm.min(axis=0) - reach, tumour.vertices_lps_mm.max(axis=0) + reach
    step = (float(np.prod(high - low)) / _SAMPLES) ** (1 / 3)
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = points[level_at(tumour, points) <= 0]
    points = points[_in_mask(liver, liver_grid, points)]
    triangles = triangles or Triangles.of(tumour)
    points = points[triangles.compared(points, [width_mm]) <= width_mm]
    if triangles.widest_mm <= reach - width_mm:
        return points
    near, _ = cKDTree(tumour.vertices_lps_mm).query(points, distance_upper_bound=reach, workers=1)
    return np.asarray(points[np.isfinite(near)])


def _in_mask(mask: BoolArray, grid: Grid, points_lps_mm: FloatArray) -> BoolArray:
    index = np.rint(grid.lps_mm_to_index(points_lps_mm)).astype(int)
    inside = np.asarray(((index >= 0) & (index < mask.shape)).all(axis=1))
    inside[inside] = mask[tuple(index[inside].T)]
    return np.asarray(inside)
