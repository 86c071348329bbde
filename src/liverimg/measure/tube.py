"""The whole pieces of a tube on both sides of a lesion that touches it.

From the place of contact the tube is followed both ways, a section every millimetre, until sections lie clear of the
lesion. Where the lesion cuts the tube through, its second piece is looked for in line with the first one, beyond the
lesion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.calibre import Calibre
from liverimg.measure.contact import Neighbourhood, VesselVoxels
from liverimg.measure.parts import numbered_parts

STEP_MM = 1.0
_WHOLE_STATIONS = 7  # sections of a whole piece that are asked
_LEAST_STATIONS = 3
_MOST_STATIONS = 120
_WIDER = 1.2  # a section may be so much wider than the one before it: a notch ends gradually
_ROOM = 0.75  # of the width: what lies farther from the axis is another vessel
_SIDE_WEIGHT = 0.5  # of the new direction when the axis bends
_GAP_MOST = 1.5  # of the lesion's width along the way: how far a tube is looked for beyond a gap
_IN_LINE = 0.8  # of the tube's radius: how far its second piece may lie off the first one's line
_IN_LINE_SLOPE = 0.12  # of the way: by how much farther, because a short piece tells its direction so well
_WHOLE_SHARE = 0.85  # of the area of whole sections: a section with less has a notch
_ALIKE = 0.6  # the two pieces' radii may differ by this factor, and their directions by this cosine


@dataclass(frozen=True, eq=False)
class Tube:
    """The voxels of a tube around a lesion.

    Attributes:
        voxels: Their places, slice by slice.
        points: Their places.
        clear: Whether the lesion lies clear of each.
        cut: Whether the region ends there.
        part: Which connected part of the tube each belongs to.
        grid: Of the region.
    """

    voxels: VesselVoxels
    points: FloatArray
    clear: BoolArray
    cut: BoolArray
    part: NDArray[np.integer]
    grid: Grid

    @classmethod
    def of(cls, near: Neighbourhood) -> Tube:
        """The tube in the surroundings of a lesion."""
        voxels = near.voxels
        index, at = voxels.index, tuple(voxels.index.T)
        return cls(
            voxels=voxels,
            points=voxels.points_lps_mm,
            clear=near.to_lesion[at] > float(near.grid.spacing_mm.max()),
            cut=((index == 0) | (index == np.array(near.vessel.shape) - 1)).any(axis=1),
            part=numbered_parts(near.vessel)[at],
            grid=near.grid,
        )


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a tube that the lesion does not touch.

    Attributes:
        middles: Of its sections, from the lesion outward, shape (n, 3).
        points: Places of its voxels.
        radius_mm: Of a circle as large as its sections.
        least_area_mm2: Of the smallest section on the way to it from the contact; 0 across a gap.
        part: Which connected part of the tube it belongs to.
    """

    middles: FloatArray
    points: FloatArray
    radius_mm: float
    least_area_mm2: float
    part: int


def whole_pieces(near: Neighbourhood, start: Calibre) -> list[Piece]:
    """The whole pieces of the tube on either side of the contact: two, one or none."""
    tube = Tube.of(near)
    found = [
        piece
        for sign in (1.0, -1.0)
        if (piece := _walked(tube, start.centre_lps_mm, sign * start.along, start.diameter_mm))
    ]
    if len(found) == 2 and _outward(found[0]) @ _outward(found[1]) > -_ALIKE:
        # Both ran the same way, as from a blunt end: the straighter one followed the tube.
        found = [max(found, key=lambda piece: float(np.linalg.norm(piece.middles[-1] - piece.middles[0])))]
    if len(found) == 1:
        beyond = _beyond_gap(near, tube, found[0])
        found += [beyond] if beyond else []
    return found


def _walked(tube: Tube, centre: FloatArray, along: FloatArray, width_mm: float) -> Piece | None:
    """Sections in one direction, as far as the first ones that the lesion is clear of."""
    points = tube.points
    slab_mm = max(STEP_MM, float(tube.grid.spacing_mm.max()) / 2)
    voxel_mm3 = tube.grid.voxel_ml * 1000
    middles: list[FloatArray] = []
    areas: list[float] = []
    on_the_way: list[float] = []
    held = np.zeros(len(points), dtype=bool)
    for _ in range(_MOST_STATIONS):
        ahead = centre + STEP_MM * along
        aside_mm = _ROOM * width_mm + slab_mm / 2
        near = tube.voxels.slices_near(ahead, slab_mm + aside_mm)
        off = points[near] - ahead
        s = off @ along
        thin = np.abs(s) <= slab_mm
        away = np.linalg.norm(off[thin] - s[thin, None] * along, axis=1)
        mine = near.start + np.flatnonzero(thin)[away <= aside_mm]
        if len(mine) == 0 or (tube.cut[mine].any() and len(middles) >= _LEAST_STATIONS):
            break
        area_mm2 = len(mine) * voxel_mm3 / (2 * slab_mm)
        on_the_way.append(area_mm2)
        width_mm = float(min(_WIDER * width_mm, max(width_mm, 2 * np.sqrt(area_mm2 / np.pi))))
        middle = points[mine].mean(axis=0)
        middle = middle - ((middle - ahead) @ along) * along
        turned = (middle - centre) / np.linalg.norm(middle - centre)
        turned = (1 - _SIDE_WEIGHT) * along + _SIDE_WEIGHT * turned
        along, centre = turned / np.linalg.norm(turned), middle
        if tube.clear[mine].all() and not tube.cut[mine].any():
            middles.append(middle)
            areas.append(area_mm2)
            held[mine] = True
        elif middles:
            middles, areas, held = [], [], np.zeros(len(points), dtype=bool)
        if len(middles) == _WHOLE_STATIONS:
            break
    if len(middles) < _LEAST_STATIONS:
        return None
    # One section may be off by its voxels; the middle one of three neighbours is not.
    smooth = [float(np.median(on_the_way[max(0, n - 1) : n + 2])) for n in range(len(on_the_way))]
    return Piece(
        np.array(middles), points[held], float(np.sqrt(np.median(areas) / np.pi)), min(smooth), int(tube.part[held][0])
    )


def _outward(piece: Piece) -> FloatArray:
    """Unit vector along a piece, away from the lesion."""
    along = piece.middles[-1] - piece.middles[0]
    return np.asarray(along / np.linalg.norm(along))


def _beyond_gap(near: Neighbourhood, tube: Tube, piece: Piece) -> Piece | None:
    """The tube's other piece, in line with the first, beyond the lesion that lies between."""
    along = -_outward(piece)
    lesion = near.grid.index_to_lps_mm(np.argwhere(near.lesion)) - piece.middles[0]
    s_lesion, lesion_away = _along_and_off(lesion, along)
    in_the_way = s_lesion[lesion_away <= piece.radius_mm]
    if not len(in_the_way):
        return None
    s, away = _along_and_off(tube.points - piece.middles[0], along)
    in_line = (s > np.median(in_the_way)) & (s <= _GAP_MOST * float(s_lesion.max()))
    # What hangs together with the first piece by another way is no second piece across a gap.
    in_line &= tube.clear & (tube.part != piece.part) & (away <= _IN_LINE * piece.radius_mm + _IN_LINE_SLOPE * s)
    if not in_line.any():
        return None
    first = float(s[in_line].min())
    around = tube.points[in_line & (s <= first + 2 * piece.radius_mm)].mean(axis=0)
    place = around + (first - STEP_MM - (around - piece.middles[0]) @ along) * along
    found = _walked(tube, place, along, 2 * piece.radius_mm)
    if found is None or _outward(found) @ along < _ALIKE:
        return None
    if not _ALIKE <= found.radius_mm / piece.radius_mm <= 1 / _ALIKE:
        return None
    return replace(found, least_area_mm2=0.0)


def _along_and_off(points: FloatArray, along: FloatArray) -> tuple[FloatArray, FloatArray]:
    s = points @ along
    return s, np.asarray(np.linalg.norm(points - s[:, None] * along, axis=1))


def is_whole(one: Piece, other: Piece) -> bool:
    """Whether the tube between two pieces has lost nothing that its sections would show."""
    whole_mm2 = np.pi * min(one.radius_mm, other.radius_mm) ** 2
    return min(one.least_area_mm2, other.least_area_mm2) >= _WHOLE_SHARE * whole_mm2


def across_gap(one: Piece, other: Piece) -> bool:
    """Whether nothing of the tube joins two pieces."""
    return one.part != other.part
