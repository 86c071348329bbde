"""How far a lesion reaches around a vessel, and how far along it.

Along the vessel's axis, a section is taken about every millimetre. In each of them rays run from the axis through the
wall; a ray is in contact where the lesion begins right behind the wall. The largest angle of all sections and the
length of axis with any contact are what surgeons call abutment and encasement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from liverimg.core.boxes import Box
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.calibre import Calibre
from liverimg.measure.distances import extent, to_other_side_mm
from liverimg.measure.lesions import LesionMask

_RAYS = 72
_STEP_MM = 1.0
_PAD_MM = 12.0
_FARTHEST_RAY = 0.9  # of the diameter: a wall farther away belongs to a fork
_FULL_TURN_DEG = 360.0
_WALL_PER_WIDTH = 0.6  # of the width: nearer to the axis lies most of the wall
_RAY_STEP = 0.2  # of the finest spacing
_SECTION_PER_WIDTH = 0.75  # of the width: farther from the axis lies another vessel
_MOST_STATIONS = 150
_LOST_AFTER = 4  # stations without contact
_LED_BACK = 0.25  # of the pitch: what a wedge thinner than a voxel leaves out, on average
_SIDE_WEIGHT = 0.6  # of the new direction when the axis bends


@dataclass(frozen=True)
class Contact:
    """A lesion's contact with a vessel.

    Attributes:
        angle_deg: The largest share of a section's wall that touches the lesion, 0 to 360.
        low_deg: The same where the lesion begins a little farther from the wall than it seems to.
        high_deg: The same where it begins a little nearer.
        length_mm: Of the axis along which they touch.
    """

    angle_deg: float
    low_deg: float
    high_deg: float
    length_mm: float


@dataclass(frozen=True)
class Doubt:
    """How well the place of two surfaces is known.

    Attributes:
        reach_mm: The lesion begins behind the wall when it begins within this distance, or half a voxel.
        pitches: By how much of the pitch across the wall the lesion may begin elsewhere.
        error_mm: By how much more, because outlines have errors.
    """

    reach_mm: float
    pitches: float
    error_mm: float


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Signed distances to a lesion and to a vessel in the lesion's surroundings, negative inside, mm.

    Attributes:
        to_lesion: Shape of the region.
        to_vessel: Likewise; where no voxel near is the vessel's, just as far as the region is wide.
        vessel: The vessel's voxels.
        lesion: The lesion's voxels.
        grid: Grid of the region.
    """

    to_lesion: FloatArray
    to_vessel: FloatArray
    vessel: BoolArray
    lesion: BoolArray
    grid: Grid

    @classmethod
    def of(cls, around: LesionAround, source: Callable[[Box], BoolArray], *, pad_mm: float) -> Neighbourhood:
        """Prepares the surroundings of a lesion, as far as they were looked at."""
        box = _grown(around.lesion, around.grid, pad_mm)
        here = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(around.box, box, strict=True))
        vessel, grid = source(box), around.grid
        k, j, i = vessel.shape
        local = grid.cropped([b.start for b in box], (k, j, i))
        return cls(around.to_lesion[here], _to_wall_mm(vessel, grid.spacing_mm), vessel, around.inside[here], local)

    @cached_property
    def voxels(self) -> VesselVoxels:
        """The vessel's voxels as places."""
        return VesselVoxels.of(self.vessel, self.grid)


@dataclass(frozen=True, eq=False)
class VesselVoxels:
    """The voxels of a vessel as places, slice by slice.

    Attributes:
        index: Shape (n, 3).
        points_lps_mm: Likewise.
        grid: Of the region.
        starts: Which voxel is the first of each slice, and their number.
    """

    index: NDArray[np.intp]
    points_lps_mm: FloatArray
    grid: Grid
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, vessel: BoolArray, grid: Grid) -> VesselVoxels:
        """Lists a vessel's voxels."""
        index = np.argwhere(vessel)
        starts = np.searchsorted(index[:, 0], np.arange(len(vessel) + 1))
        return cls(index, grid.index_to_lps_mm(index), grid, starts)

    def slices_near(self, place_lps_mm: FloatArray, reach_mm: float) -> slice:
        """The voxels of all slices that come within a distance of a place: no other voxel does."""
        at = float(self.grid.lps_mm_to_index(place_lps_mm)[0])
        slices = reach_mm * self.grid.indices_per_mm[0]
        low, high = (int(np.clip(end, 0, len(self.starts) - 1)) for end in (at - slices, at + slices + 1))
        return slice(int(self.starts[low]), int(self.starts[high]))


@dataclass(frozen=True, eq=False)
class LesionAround:
    """A lesion in its surroundings, the same for all vessels there.

    Attributes:
        lesion: Which one.
        grid: Of the whole scene.
        pad_mm: How far the surroundings reach.
        box: Of the surroundings.
        inside: The lesion's voxels in the box.
        to_lesion: Signed distance to the lesion, negative inside, mm; likewise.
    """

    lesion: LesionMask
    grid: Grid
    pad_mm: float
    box: Box
    inside: BoolArray
    to_lesion: FloatArray

    @classmethod
    def of(cls, lesion: LesionMask, grid: Grid, *, pad_mm: float) -> LesionAround:
        """Takes the distances; each is that of a wider box too, because all of the lesion lies in either."""
        box = _grown(lesion, grid, pad_mm)
        inside = np.zeros([b.stop - b.start for b in box], dtype=bool)
        first = [s - b.start for s, b in zip(lesion.start_kji, box, strict=True)]
        inside[tuple(slice(a, a + n) for a, n in zip(first, lesion.mask.shape, strict=True))] = lesion.mask
        return cls(lesion, grid, pad_mm, box, inside, _outward_mm(inside, grid.spacing_mm))


def _grown(lesion: LesionMask, grid: Grid, pad_mm: float) -> Box:
    steps = np.ceil(pad_mm / grid.spacing_mm).astype(int)
    low = np.maximum(np.array(lesion.start_kji) - steps, 0)
    high = np.minimum(np.array(lesion.start_kji) + lesion.mask.shape + steps, grid.shape)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _to_wall_mm(vessel: BoolArray, spacing: FloatArray) -> FloatArray:
    """Signed distance to a vessel, taken in the box around it: beyond, there is no wall to be found between voxels."""
    if not vessel.any():
        return np.full(vessel.shape, np.inf)
    k, j, i = (slice(max(0, held.start - 1), held.stop + 1) for held in extent(vessel))
    found = np.full(vessel.shape, float(np.linalg.norm(spacing * vessel.shape)))
    found[k, j, i] = _outward_mm(vessel[k, j, i], spacing)
    return found


def _outward_mm(mask: BoolArray, spacing: FloatArray) -> FloatArray:
    return np.negative(to_other_side_mm(mask, spacing), dtype=np.float64)


def contact_with(near: Neighbourhood, start: Calibre, doubt: Doubt) -> Contact:
    """Angle and length of the contact between a lesion and a vessel.

    Args:
        near: The surroundings of the lesion.
        start: The vessel at the place where the two touch.
        doubt: How well the place of the surfaces is known.
    """
    here = _station(near, start.centre_lps_mm, start.along, start.diameter_mm, doubt)
    ways = [_followed(near, start, sign * start.along, doubt) for sign in (1.0, -1.0)]
    angles = np.array([*ways[1][::-1], here, *ways[0]])
    # One section may be off; the middle one of three neighbours is not.
    smooth = np.array([np.median(angles[max(0, n - 1) : n + 2], axis=0) for n in range(len(angles))])
    best, high = smooth[int(np.argmax(smooth[:, 0]))]
    # Where two round surfaces meet, the squared angle grows with the depth of the overlap: as far down as up.
    low = np.sqrt(max(0.0, 2 * best**2 - high**2))
    length_mm = np.count_nonzero(angles[:, 0] > _FULL_TURN_DEG / _RAYS) * _STEP_MM
    return Contact(float(best), float(low), float(smooth[:, 1].max()), length_mm)


def _followed(near: Neighbourhood, start: Calibre, along: FloatArray, doubt: Doubt) -> list[FloatArray]:
    """Angles of the sections in one direction, until the contact ends or the vessel does."""
    found: list[FloatArray] = []
    centre, lost = start.centre_lps_mm, 0
    width = start.diameter_mm
    slab_mm = max(_STEP_MM, float(near.grid.spacing_mm.max()))
    aside_mm = _SECTION_PER_WIDTH * width + 0.5 * slab_mm
    while lost < _LOST_AFTER and len(found) < _MOST_STATIONS:
        ahead = centre + _STEP_MM * along
        points = near.voxels.points_lps_mm[near.voxels.slices_near(ahead, slab_mm + aside_mm)]
        off = points - ahead
        s = off @ along
        mine = np.flatnonzero(np.abs(s) <= slab_mm)
        away = np.linalg.norm(off[mine] - s[mine, None] * along, axis=1)
        mine = mine[away <= aside_mm]
        if not len(mine):
            break
        middle = points[mine].mean(axis=0)
        middle -= ((middle - ahead) @ along) * along
        turned = middle - centre
        turned = (1 - _SIDE_WEIGHT) * along + _SIDE_WEIGHT * turned / np.linalg.norm(turned)
        along = turned / np.linalg.norm(turned)
        centre = middle
        station = _station(near, centre, along, width, doubt)
        found.append(station)
        lost = 0 if station[0] > 0 else lost + 1
    return found


def _station(near: Neighbourhood, centre: FloatArray, along: FloatArray, width_mm: float, doubt: Doubt) -> FloatArray:
    """Angle of contact in one section, and what it would be with the lesion a little nearer."""
    across = np.linalg.svd(along[None])[2][1:]
    turn = 2 * np.pi * np.arange(_RAYS) / _RAYS
    rays = np.cos(turn)[:, None] * across[0] + np.sin(turn)[:, None] * across[1]
    step = _RAY_STEP * float(near.grid.spacing_mm.min())
    t = np.arange(0, _FARTHEST_RAY * width_mm + 2 * float(near.grid.spacing_mm.min()), step)
    wall = _wall(near, centre, rays, t, first=int(_WALL_PER_WIDTH * width_mm / step))
    held = wall >= 0
    if not held.any():
        return np.zeros(2)
    # Across thick slices the lesion's first voxel centre lies farther behind the wall.
    pitch = np.linalg.norm((rays @ near.grid.directions.T) * near.grid.spacing_mm, axis=1)
    behind = t[np.maximum(wall, 0)] + np.maximum(doubt.reach_mm, 0.5 * pitch)

    # Near the end of a contact the lesion is a thin wedge: its distance behind the wall is led back to the wall.
    ahead = behind - t[np.maximum(wall, 0)]
    away = np.stack([behind, behind + ahead / 2, behind - ahead / 2])[..., None] * rays
    here, further, nearer = _sampled(near.to_lesion, near.grid.lps_mm_to_index(centre + away))
    led_back = here - ahead * (further - nearer) / ahead - _LED_BACK * pitch
    slack = doubt.pitches * pitch + doubt.error_mm
    best = (here <= 0) | (led_back <= 0)
    high = best | (led_back <= slack)
    return np.array([_FULL_TURN_DEG * float((held & touching).mean()) for touching in (best, high)])


def _wall(near: Neighbourhood, centre: FloatArray, rays: FloatArray, t: FloatArray, *, first: int) -> NDArray[np.intp]:
    """The first step of each ray that lies outside the vessel, -1 where none does; most do within the first steps."""
    wall, left = np.full(len(rays), -1, dtype=np.intp), np.arange(len(rays))
    for start, stop in ((0, first), (first, len(t))):
        places = centre + t[None, start:stop, None] * rays[left, None, :]
        outside = _sampled(near.to_vessel, near.grid.lps_mm_to_index(places)) >= 0
        met = outside.any(axis=1)
        wall[left[met]] = start + np.argmax(outside[met], axis=1)
        left = left[~met]
    return wall


def _sampled(field: FloatArray, index: NDArray[np.float64]) -> FloatArray:
    flat = index.reshape(-1, 3).T
    values = map_coordinates(field, flat, order=1, mode="nearest", prefilter=False)
    return np.asarray(values).reshape(index.shape[:-1])
