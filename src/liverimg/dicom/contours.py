"""Closed planar contours become voxels: even-odd filling at voxel centres, slice by slice.

A voxel belongs to a region when its centre lies inside an odd number of contours of its plane. That reads nested
contours as holes, exclusive-or contours (PS3.3 C.8.8.6.3) as they are meant, and keyholes exactly: the two edges of
a channel cancel each other. Edges are half-open, so two regions that share an edge share no voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import edt
import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.nearest import on_grid

# In voxels. A contour traced along voxel centres must not flicker with its last decimal, and a keyhole narrower than
# this along a row of voxel centres must not leave a slit.
_NOISE: Final = 0.01
# How far, in slices, a contour may lie from a slice and still count as drawn on it.
_ON_THE_SLICE: Final = 0.1
# Contours this far from flat, in millimetres, are no planar contours.
_FLAT_MM: Final = 0.5
_SAME_PLANE_MM: Final = 0.05
# Cosine of about one degree: contours in planes more unlike than this have no common stack.
_PARALLEL: Final = 0.9998
_MOST_VOXELS: Final = 1 << 29
# Slices. Nobody outlines an organ on every sixth slice; two contours so far apart are two lesions.
_WIDEST_BRIDGE: Final = 5


@dataclass(frozen=True, eq=False)
class Filled:
    """A region on a grid.

    Attributes:
        mask: Shape of the grid.
        interpolated: Slices between contours that were filled in.
        open_gaps: Gaps between contours, wider than their distance elsewhere, that were left open.
        holes: Whether one contour lay inside another and was read as a hole.
        crossing: Whether contours of one plane cross each other.
        off_slices: Whether contours lie between the slices or in other planes, and the nearest was taken.
    """

    mask: BoolArray = field(repr=False)
    interpolated: int = 0
    open_gaps: int = 0
    holes: bool = False
    crossing: bool = False
    off_slices: bool = False


def fill_contours(contours: Sequence[FloatArray], grid: Grid) -> Filled:
    """Fills the closed planar contours of one region.

    Args:
        contours: Points of each in LPS mm, shape (n, 3), n >= 3, not repeating the first.
        grid: Where the region is wanted.

    Raises:
        InputRefusedError: The contours are not flat, or lie in planes that are not parallel.
    """
    index = [grid.lps_mm_to_index(points) for points in contours]
    level = np.array([points[:, 0].mean() for points in index])
    bent = max(float(np.ptp(points[:, 0])) for points in index)
    if bent > _ON_THE_SLICE:
        return _other_planes(contours, grid)
    if np.abs(level - np.rint(level)).max() > _ON_THE_SLICE:
        return _other_planes(contours, grid)
    return _on_slices(index, np.rint(level).astype(int), grid)


def _on_slices(index: Sequence[FloatArray], levels: NDArray[np.int64], grid: Grid) -> Filled:
    mask = np.zeros(grid.shape, dtype=bool)
    holes = crossing = False
    for k in np.unique(levels):
        flat = [points[:, 1:] for points, level in zip(index, levels, strict=True) if level == k]
        if 0 <= k < grid.shape[0]:
            mask[k], nested, crossed = _fill_plane(flat, grid.shape[1:])
            holes, crossing = holes or nested, crossing or crossed
    interpolated, open_gaps = _bridge(mask, sorted({int(k) for k in levels}), grid)
    return Filled(mask, interpolated, open_gaps, holes, crossing)


def _fill_plane(contours: Sequence[FloatArray], shape: tuple[int, ...]) -> tuple[BoolArray, bool, bool]:
    """One plane: its region, whether a contour lies inside another, and whether contours cross."""
    region = np.zeros(shape, dtype=bool)
    nested = crossed = False
    for points in contours:
        one = _fill_polygon(points, shape)
        common = np.count_nonzero(region & one)
        if common:
            smaller = min(np.count_nonzero(region), np.count_nonzero(one))
            nested, crossed = nested or bool(common == smaller), crossed or bool(common < smaller)
        region ^= one
    return region, nested, crossed


def _fill_polygon(points_ji: FloatArray, shape: tuple[int, ...]) -> BoolArray:
    """Voxel centres inside a polygon by the even-odd rule; rows, then columns, left edge in and right edge out."""
    rows, columns = shape
    toggles = np.zeros((rows, columns + 1), dtype=np.int32)
    start, end = points_ji, np.roll(points_ji, -1, axis=0)
    upwards = start[:, 0] <= end[:, 0]
    low = np.where(upwards[:, None], start, end)
    high = np.where(upwards[:, None], end, start)
    first = np.clip(np.ceil(low[:, 0] - _NOISE), 0, rows).astype(int)
    last = np.clip(np.ceil(high[:, 0] - _NOISE), 0, rows).astype(int)
    counts = last - first
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    rise = high[edge, 0] - low[edge, 0]
    share = np.clip((row - low[edge, 0]) / np.where(rise > 0, rise, 1.0), 0, 1)
    crossing = low[edge, 1] + share * (high[edge, 1] - low[edge, 1])
    column = np.clip(np.ceil(crossing - _NOISE), 0, columns).astype(int)
    np.add.at(toggles, (row, column), 1)
    return np.asarray(np.cumsum(toggles[:, :-1], axis=1) % 2 == 1)


def _bridge(mask: BoolArray, levels: list[int], grid: Grid) -> tuple[int, int]:
    """Fills slices between contours that were drawn on every n-th slice; wider gaps stay open.

    Between two contours the signed distance to the outline goes over linearly from one to the other.
    """
    gaps = [after - before for before, after in pairwise(levels)]
    regular = min(gaps, default=1)
    regular = regular if regular <= _WIDEST_BRIDGE else 1
    interpolated = 0
    for before, after in pairwise(levels):
        if 1 < after - before == regular and before >= 0 and after < grid.shape[0]:
            ends = [_signed_mm(mask[k], grid) for k in (before, after)]
            for k in range(before + 1, after):
                share = (k - before) / (after - before)
                mask[k] = (1 - share) * ends[0] + share * ends[1] > 0
                interpolated += 1
    return interpolated, sum(gap > regular for gap in gaps)


def _signed_mm(plane: BoolArray, grid: Grid) -> NDArray[np.float32]:
    spacing = tuple(float(s) for s in grid.spacing_mm[1:])
    inside: NDArray[np.float32] = edt.edt(plane, anisotropy=spacing, black_border=False)
    outside: NDArray[np.float32] = edt.edt(~plane, anisotropy=spacing, black_border=False)
    return inside - outside


def _other_planes(contours: Sequence[FloatArray], grid: Grid) -> Filled:
    """Contours in planes of their own: filled on a stack of those planes, then taken to the grid by nearest voxel."""
    normal = _common_normal(contours)
    heights = np.array([float((points @ normal).mean()) for points in contours])
    order = np.sort(heights)
    steps = np.diff(order)
    steps = steps[steps > _SAME_PLANE_MM]
    along = np.abs(normal @ grid.directions.T)
    # A single plane stands for a slab as thick as the grid is along its normal.
    pitch_mm = float(steps.min()) if len(steps) else float(grid.spacing_mm[along.argmax()])
    own = _stack_of(contours, normal, (float(order[0]), float(order[-1])), pitch_mm, float(grid.spacing_mm.min()) / 2)
    index = [own.lps_mm_to_index(points) for points in contours]
    levels = np.rint([points[:, 0].mean() for points in index]).astype(int)
    filled = _on_slices(index, levels, own)
    return Filled(
        mask=on_grid(filled.mask, own, grid),
        interpolated=filled.interpolated,
        open_gaps=filled.open_gaps,
        holes=filled.holes,
        crossing=filled.crossing,
        off_slices=True,
    )


def _common_normal(contours: Sequence[FloatArray]) -> FloatArray:
    """The unit normal that the planes of all contours share."""
    largest = max(contours, key=lambda points: float(np.ptp(points, axis=0).sum()))
    normal = np.linalg.svd(largest - largest.mean(axis=0), full_matrices=False)[2][2]
    for points in contours:
        from_plane_mm = (points - points.mean(axis=0)) @ normal
        reach_mm = float(np.linalg.norm(np.ptp(points, axis=0)))
        if np.abs(from_plane_mm).max() > max(_FLAT_MM, reach_mm * np.sqrt(1 - _PARALLEL**2)):
            raise InputRefusedError(
                "contours of one region lie in planes that are not parallel, or are not flat; expected closed planar "
                "contours in one stack: export the region from one series"
            )
    return np.asarray(normal)


def _stack_of(
    contours: Sequence[FloatArray],
    normal: FloatArray,
    heights_mm: tuple[float, float],
    pitch_mm: float,
    pixel_mm: float,
) -> Grid:
    """A grid whose slices are the contours' planes, just large enough for all of them."""
    helper = np.eye(3)[np.abs(normal).argmin()]
    row = np.cross(normal, helper)
    row /= np.linalg.norm(row)
    column = np.cross(normal, row)
    points = np.concatenate(list(contours))
    flat = np.stack([points @ column, points @ row], axis=1)
    low, high = flat.min(axis=0) - pixel_mm, flat.max(axis=0) + pixel_mm
    size = np.ceil((high - low) / pixel_mm) + 1
    count = round((heights_mm[1] - heights_mm[0]) / pitch_mm) + 1
    if float(size.prod()) * count > _MOST_VOXELS:
        raise InputRefusedError("contours of one region lie too far apart for one volume; export the region anew")
    return Grid.from_axes(
        (count, int(size[0]), int(size[1])),
        spacing_mm=(pitch_mm, pixel_mm, pixel_mm),
        directions=(normal, column, row),
        origin_lps_mm=normal * heights_mm[0] + column * low[0] + row * low[1],
    )
