"""Diameters in an axial plane, as a reader draws them, on the sub-voxel contour."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from liverimg.core.grid import FloatArray, Grid
from liverimg.measure.surface import Surface, contours

_CHORDS_PER_PIXEL = 4
_ROWS = 512  # of the table of distances at a time, to keep it small
_NEARLY_MM = 1e-6
_AS_LONG_PIXELS = 0.12  # about one standard deviation of a long diameter: what falls short by less may be the longest
_SECTORS = 30  # of half a turn: one of all lines that run in the same is looked at
_PLACES = 96  # where the outline is crossed at right angles to such a line
_FLAT = 1e-12  # points lie in one plane when their least variance is this small a share of the largest


@dataclass(frozen=True, eq=False)
class AxialDiameters:
    """Long and short diameter in one axial plane; end points in LPS mm, shape (2, 3).

    ``between_slices_mm`` says how much longer they may be between the acquired slices. ``short_range_mm`` are the least
    and the largest short diameter of all lines, in any slice, that may as well be the longest: which one it is decides
    about the line at right angles to it.
    """

    long_mm: float
    long_ends: FloatArray
    short_mm: float
    short_ends: FloatArray
    plane_centre: FloatArray
    between_slices_mm: float
    short_range_mm: tuple[float, float]


def axial_diameters(surface: Surface) -> AxialDiameters:
    """Long and short axial diameter of a surface.

    Axial planes are those of the array's first axis (the one nearest to Superior). Where slices are stacked
    along it, only the acquired slices count, as a reader would measure; otherwise each plane of the refined grid.
    """
    step = surface.steps[0]
    planes = range(0, surface.level.shape[0], step)
    best: tuple[float, int, FloatArray, FloatArray] | None = None
    lengths, outlines = np.zeros(surface.level.shape[0]), {}
    for k in planes:
        contour = _contour_lps(surface, k)
        if len(contour) < 3:
            continue
        outlines[k] = contour
        ends = farthest(contour)
        lengths[k] = float(np.linalg.norm(ends[1] - ends[0]))
        if best is None or lengths[k] > best[0] + 1e-9:
            best = (lengths[k], k, ends, contour)
    if best is None:
        raise ValueError("the surface has no contour in any axial plane")
    long_mm, k, ends, contour = best
    short_ends = _longest_across(surface, k, contour, ends)
    short_mm = float(np.linalg.norm(short_ends[1] - short_ends[0]))
    least_mm = long_mm - _AS_LONG_PIXELS * float(np.sqrt(np.prod(surface.spacing_mm[1:])))
    others = [_short_of_longest(surface, n, outlines[n], least_mm) for n in outlines if lengths[n] >= least_mm]
    shorts = np.concatenate([[short_mm], *others])
    return AxialDiameters(
        long_mm=long_mm,
        long_ends=ends,
        short_mm=short_mm,
        short_ends=short_ends,
        plane_centre=contour.mean(axis=0),
        between_slices_mm=_gain_between_slices(lengths, k, step, float(surface.spacing_mm[0])),
        short_range_mm=(float(shorts.min()), float(shorts.max())),
    )


def _contour_lps(surface: Surface, k: int) -> FloatArray:
    plane = surface.level[k]
    if plane.max() <= 0:
        return np.empty((0, 3))
    lines = contours(plane)
    if not lines:
        return np.empty((0, 3))
    in_plane = np.concatenate(lines)
    index = np.column_stack([np.full(len(in_plane), float(k)), in_plane])
    return surface.grid.index_to_lps_mm(index)


def _flattened(points: FloatArray, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Points of one plane in two perpendicular coordinates, and the basis (2, 3)."""
    along_i = grid.directions[2]
    along_j = grid.directions[1] - (grid.directions[1] @ along_i) * along_i
    basis = np.stack([along_i, along_j / np.linalg.norm(along_j)])
    return points @ basis.T, basis


def farthest(points: FloatArray) -> FloatArray:
    """The two points farthest apart, shape (2, 3), found on the convex hull; ordered by place."""
    spread = points - points.mean(axis=0)
    radii = np.linalg.norm(spread, axis=1)
    from_top = np.linalg.norm(spread - spread[int(radii.argmax())], axis=1)
    across = float(np.linalg.norm(spread - spread[int(from_top.argmax())], axis=1).max())
    # A point nearer to the middle than this has no partner as far away as those two are from each other.
    rows = np.flatnonzero(radii >= across - radii.max() - _NEARLY_MM)
    if len(rows) > _ROWS:
        rows = rows[_hull(spread[rows])]
    outer = spread[rows]
    squares = (outer * outer).sum(axis=1)
    best = (-1.0, 0, 0)
    for row in range(0, len(rows), _ROWS):
        block = squares[row : row + _ROWS, None] + squares - 2 * (outer[row : row + _ROWS] @ outer.T)
        first, second = np.unravel_index(int(np.argmax(block)), block.shape)
        # Rounded, so that ties fall the same way whatever the array's order was.
        length = round(math.sqrt(float(block[first, second])), 9)
        if length > best[0]:
            best = (length, row + int(first), int(second))
    return _ordered(points[rows[[best[1], best[2]]]])


def _hull(points: FloatArray) -> NDArray[np.intp]:
    """Rows of the points on the convex hull, in rising order; the points may lie in one plane."""
    spread = points - points.mean(axis=0)
    sizes, axes = np.linalg.eigh(spread.T @ spread)
    flat = spread @ axes[:, 1 if sizes[0] < _FLAT * sizes[-1] else 0 :]
    return np.sort(ConvexHull(flat).vertices)


def _ordered(ends: FloatArray) -> FloatArray:
    return ends if tuple(np.round(ends[0], 6)) <= tuple(np.round(ends[1], 6)) else ends[::-1]


def _longest_across(surface: Surface, k: int, contour: FloatArray, long_ends: FloatArray) -> FloatArray:
    """End points of the longest line perpendicular to the long diameter, outer edge to outer edge."""
    origin = long_ends[0]
    flat, basis = _flattened(contour - origin, surface.grid)
    along = (long_ends[1] - long_ends[0]) @ basis.T
    length = float(np.linalg.norm(along))
    along = along / length
    across = np.array([-along[1], along[0]])
    segments = _segments(surface, k, origin, basis)
    u, v = segments @ along, segments @ across
    low, high = float((flat @ along).min()), float((flat @ along).max())
    pixel = float(surface.spacing_mm[1:].min())
    places = np.linspace(low, high, max(8, int((high - low) / pixel * _CHORDS_PER_PIXEL)))[1:-1]
    best = (-1.0, 0.0, 0.0, 0.0)
    for place in places:
        crosses = (u[:, 0] - place) * (u[:, 1] - place) <= 0
        run = u[crosses, 1] - u[crosses, 0]
        share = np.divide(place - u[crosses, 0], run, out=np.zeros_like(run), where=run != 0)
        heights = v[crosses, 0] + share * (v[crosses, 1] - v[crosses, 0])
        if len(heights) >= 2 and heights.max() - heights.min() > best[0] + 1e-9:
            best = (float(heights.max() - heights.min()), float(place), float(heights.min()), float(heights.max()))
    _, place, bottom, top = best
    flat_ends = np.stack([place * along + bottom * across, place * along + top * across])
    return _ordered(origin + flat_ends @ basis)


def _short_of_longest(surface: Surface, k: int, contour: FloatArray, least_mm: float) -> FloatArray:
    """Short diameters that belong to the lines of one plane that are at least so long, one for each direction."""
    origin = contour[0]
    flat, basis = _flattened(contour - origin, surface.grid)
    outer = flat[_hull(flat)] if len(flat) > 3 else flat
    ways = outer[None] - outer[:, None]
    lengths = np.linalg.norm(ways, axis=2)
    first, second = np.nonzero(np.triu(lengths >= least_mm))
    turns = np.arctan2(ways[first, second, 1], ways[first, second, 0]) % np.pi
    order = np.argsort(-lengths[first, second], kind="stable")
    _, chosen = np.unique((turns[order] * (_SECTORS / np.pi)).astype(int) % _SECTORS, return_index=True)
    segments = _segments(surface, k, origin, basis)
    return np.array([_widest(segments, turn) for turn in turns[order][chosen]])


def _widest(segments: FloatArray, turn: float) -> float:
    """Longest line across a direction, outer edge to outer edge, in mm."""
    along = np.array([math.cos(turn), math.sin(turn)])
    u, v = segments @ along, segments @ np.array([-along[1], along[0]])
    places = np.linspace(u.min(), u.max(), _PLACES)[1:-1, None]
    run = u[:, 1] - u[:, 0]
    crosses = (u[:, 0] - places) * (u[:, 1] - places) <= 0
    share = (places - u[:, 0]) / np.where(run == 0, 1.0, run)
    heights = v[:, 0] + share * (v[:, 1] - v[:, 0])
    top = np.where(crosses, heights, -np.inf).max(axis=1)
    bottom = np.where(crosses, heights, np.inf).min(axis=1)
    return max(0.0, float((top - bottom).max()))


def _segments(surface: Surface, k: int, origin: FloatArray, basis: FloatArray) -> FloatArray:
    """Contour pieces of a plane in the flat coordinates, shape (n, 2 ends, 2)."""
    pieces = []
    for line in contours(surface.level[k]):
        index = np.column_stack([np.full(len(line), float(k)), line])
        flat = (surface.grid.index_to_lps_mm(index) - origin) @ basis.T
        pieces.append(np.stack([flat[:-1], flat[1:]], axis=1))
    return np.concatenate(pieces)


def _gain_between_slices(lengths: FloatArray, k: int, step: int, spacing_mm: float) -> float:
    """How much longer the long diameter may be between slices.

    The squared diameters of an ellipsoid's slices lie on a parabola, whose top three slices tell. With an empty
    slice beside the longest one, the lesion's middle may lie up to half a slice away: as a ball it would have the
    diameter ``sqrt(length**2 + spacing**2)``.
    """
    here = float(lengths[k])
    if step == 1:
        return 0.0
    before, after = (float(lengths[n]) if 0 <= n < len(lengths) else 0.0 for n in (k - step, k + step))
    if before == 0 or after == 0:
        return math.hypot(here, spacing_mm) - here
    bend = before**2 - 2 * here**2 + after**2
    if bend >= 0:
        return 0.0
    return max(0.0, math.sqrt(here**2 - (after**2 - before**2) ** 2 / (8 * bend)) - here)
