"""How wide a vessel is at a place on its wall.

Two voxel borders across a thin vessel say little, so its width is not read off one cross-section. The voxels of a
short piece around the place are counted: their volume over the piece's length is the mean area of its sections, and
a count of voxels is unbiased however coarse and oblique the grid. The diameter is that of a circle of the area.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.parts import numbered_parts
from liverimg.measure.proximity import MaskSource, box_around
from liverimg.measure.surface import pitch_mm

_REACHES_MM = (11.0, 24.0)
_STEP = 0.25  # of the finest spacing
_SLOPE_VOXELS = 6  # two for the places that are asked, four for the smoothing
_SMOOTHED = 0.8  # of each spacing: for the direction of the wall
_LEAST_PIECE_MM = 3.0
_PIECE_PER_WIDTH = 1.2
_BALL_PER_WIDTH = 1.3
_BALL_PER_PITCH = 2.0
_ROOM_PER_WIDTH = 1.6  # reach needed around a vessel so wide: the piece and a rim
_BEFORE_WALL = 1.5  # of the widest spacing: where the way across starts, outside the vessel
_LEAST_REACH = 0.75  # of the widest spacing: a thinner ball would miss voxel centres
_AXIS_PIECE = 1.5  # of the piece's half length: the longer piece that gives the axis
_WIDE = 0.95  # of the chord's length: farther from the axis lies another vessel
_LONGER = 1.2  # than wide, for the piece's longest axis to be the vessel's
_MANY = 4000  # voxels; of more, every other one is enough


@dataclass(frozen=True, eq=False)
class Calibre:
    """A vessel's width at one place.

    Attributes:
        diameter_mm: Of a circle as large as the mean cross-section.
        centre_lps_mm: On the axis.
        along: Unit vector of the axis.
        pitch_mm: Mean pitch of the voxels across it.
    """

    diameter_mm: float
    centre_lps_mm: FloatArray = field(repr=False)
    along: FloatArray = field(repr=False)
    pitch_mm: float


def calibre_at(source: MaskSource, wall_lps_mm: FloatArray, grid: Grid) -> Calibre | None:
    """The width of the vessel whose wall runs through a place; None where nothing is drawn around it.

    Args:
        source: The vessel's label.
        wall_lps_mm: A point on its surface, shape (3,).
        grid: Grid of the whole scene.
    """
    for reach_mm in _REACHES_MM:
        region = box_around(wall_lps_mm, reach_mm, grid)
        mask = source(region)
        if not mask.any():
            return None
        local = grid.cropped([b.start for b in region], (mask.shape[0], mask.shape[1], mask.shape[2]))
        chord = _chord(mask, local, wall_lps_mm)
        if chord is None:
            return None
        centre, width_mm = chord
        if _ROOM_PER_WIDTH * width_mm <= reach_mm:
            break
    return _counted(mask, local, centre, width_mm)


def _chord(mask: BoolArray, grid: Grid, wall: FloatArray) -> tuple[FloatArray, float] | None:
    """Middle and length of the way across the vessel, at right angles to its wall."""
    spacing = grid.spacing_mm
    at = grid.lps_mm_to_index(wall)
    # Only what the filter sees from the voxels around the place.
    low, high = np.maximum(np.floor(at) - _SLOPE_VOXELS, 0), np.maximum(np.ceil(at) + _SLOPE_VOXELS + 1, 0)
    near = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    soft = np.zeros(mask.shape, dtype=np.float32)
    soft[near] = gaussian_filter(mask[near].astype(np.float32), _SMOOTHED)
    ahead, behind = (_sampled(soft, at + sign * 0.5 * np.eye(3)) for sign in (1, -1))
    slope = ahead - behind
    inward = (slope / spacing) @ grid.directions
    length = float(np.linalg.norm(inward))
    if length == 0:
        return None
    inward /= length
    t = np.arange(-_BEFORE_WALL * spacing.max(), 2 * max(_REACHES_MM), _STEP * spacing.min())
    inside = _sampled(mask.astype(np.float32), grid.lps_mm_to_index(wall + t[:, None] * inward)) >= 0.5
    if not inside.any():
        return None
    # The stretch inside that begins nearest to the wall.
    edges = np.diff(np.concatenate([[0], inside.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    which = int(np.argmin(np.abs(t[starts])))
    low, high = t[starts[which]], t[stops[which] - 1]
    return np.asarray(wall + 0.5 * (low + high) * inward), float(max(high - low, spacing.min()))


def _sampled(array: NDArray[np.float32], index: FloatArray) -> FloatArray:
    return np.asarray(map_coordinates(array, index.T, order=1, mode="constant", cval=0.0, prefilter=False))


def _counted(mask: BoolArray, grid: Grid, centre: FloatArray, width_mm: float) -> Calibre | None:
    spacing = grid.spacing_mm
    index = np.argwhere(mask)
    each = 1.0
    if len(index) > _MANY:
        index, each = index[index[:, 1:].sum(axis=1) % 2 == 0], 2.0
    points = grid.index_to_lps_mm(index)
    ball_mm = max(_BALL_PER_WIDTH * width_mm, _LEAST_PIECE_MM, _BALL_PER_PITCH * float(spacing.max()))
    near = np.linalg.norm(points - centre, axis=1) <= ball_mm
    near[near] = _joined(mask, index[near], points[near], centre)
    if near.sum() < 2:
        return None
    along = _axis(points[near])
    for _ in range(2):
        off = points - centre
        s = off @ along
        away = np.linalg.norm(off - s[:, None] * along, axis=1)
        limit_mm = max(_WIDE * width_mm, _LEAST_REACH * float(spacing.max()))
        half_mm = 0.5 * max(_PIECE_PER_WIDTH * width_mm, _LEAST_PIECE_MM, 2 * pitch_mm(grid, spacing, along))
        pitch = pitch_mm(grid, spacing, along)
        # A voxel at the end of the piece counts by how much of it lies within.
        share = np.clip((half_mm + pitch / 2 - np.abs(s)) / pitch, 0.0, 1.0) * (away <= limit_mm)
        if not share.any():
            return None
        middle = (points * share[:, None]).sum(axis=0) / share.sum()
        centre = middle - ((middle - centre) @ along) * along
        long_piece = (np.abs(s) <= _AXIS_PIECE * half_mm) & (away <= limit_mm)
        if long_piece.sum() >= 3:
            along = _axis(points[long_piece]) if _elongated(points[long_piece]) else along
    area_mm2 = float(share.sum()) * each * grid.voxel_ml * 1000 / (2 * half_mm)
    return Calibre(2 * float(np.sqrt(area_mm2 / np.pi)), centre, along, pitch_across_mm(grid, spacing, along))


def pitch_across_mm(grid: Grid, spacing_mm: FloatArray, along: FloatArray) -> float:
    """Mean pitch of voxels across an axis.

    Args:
        grid: Whose directions count.
        spacing_mm: Its spacings, or those that bands follow.
        along: Unit vector of the axis, LPS.
    """
    across = np.linalg.svd(along[None])[2][1:]
    return float(np.mean([pitch_mm(grid, spacing_mm, a) for a in across]))


def _joined(mask: BoolArray, index: NDArray[np.intp], points: FloatArray, centre: FloatArray) -> BoolArray:
    """Which of these voxels hang together, in their box, with the one nearest to the centre."""
    low, high = index.min(axis=0), index.max(axis=0) + 1
    parts = numbered_parts(mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
    mine = parts[tuple((index - low).T)]
    return np.asarray(mine == mine[int(np.argmin(np.linalg.norm(points - centre, axis=1)))])


def _axis(points: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.eigh(np.cov(points.T))[1][:, -1])


def _elongated(points: FloatArray) -> bool:
    variance = np.linalg.eigvalsh(np.cov(points.T))
    return bool(variance[2] > _LONGER**2 * variance[1])
