"""How deep a lesion and a tube that touch lie in each other: what a signed distance tells below zero.

The depth is that of the lesion's deepest point inside the tube, from the tube's wall to its axis at most: the least
signed distance of the lesion's points to the tube's surface, negative inside, as signed distance maps give it (Maurer,
IEEE PAMI 2003;25:265). Labels exclude each other, so one of two outlines has to be led on over the other:

* *Replaced.* Where the lesion was drawn over the tube, the tube has a notch or a gap: sections with less area than
  whole ones, or two parts in line that nothing else joins. Its course is led through from the whole pieces on both
  sides: a line through the middles of their sections, bent where they clearly bend, with the shape of these sections.
  The lesion's points inside it are seen to lie where the tube ran: growth into it, or a thrombus.
* *Enclosed.* Where the tube is drawn whole and the lesion lies around part of it, the lesion's outline is led on
  from one edge of the contact to the other, as round as the lesion. That the outlines overlap does not prove that the
  wall is breached: a lesion may have grown around a tube. The band reaches up to 0.
* *Ending.* Where the tube is drawn on one side only, it may end there or run on inside: the band says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from liverimg.core.grid import FloatArray
from liverimg.measure.band import quadrature
from liverimg.measure.calibre import Calibre
from liverimg.measure.contact import Contact, Neighbourhood
from liverimg.measure.tube import STEP_MM, Piece, across_gap, is_whole, whole_pieces

_DECIMALS = 6
_NEAR = 2.0  # radii from the axis
_SECTOR_RAD = np.pi / 3
_REPLACED_SHARE = 0.15  # of the radius: voxels of the lesion that lie deeper than this are in the tube
_REPLACED_MM = 0.3
_NOTCH_MOST_DEG = 270.0
_LOOKS = 21  # places along a course
_BENT_MM, _BENT = 0.3, 2.0  # a bend is believed when a straight line misses by so much and so many times as much
_WALL_PITCHES = 0.3  # of the pitch across: how well counting in sectors tells where a wall is


# Gives way along the tube, distance from its axis and angle around it of places.
_Seen = Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]


@dataclass(frozen=True)
class Overlap:
    """How deep two outlines lie in each other, in mm.

    Attributes:
        depth_mm: Best estimate; 0 where nothing tells of any.
        least_mm: It may be as little.
        most_mm: It may be as much.
        words: What was seen.
    """

    depth_mm: float
    least_mm: float
    most_mm: float
    words: str

    def as_distance(self, half_mm: float) -> tuple[float, float, float]:
        """The signed distance, its low and its high end.

        Outlines that touch may belong to surfaces that don't: where the depth is none, or within the error of a
        distance between the two outlines (``half_mm``), the band reaches that far above 0.
        """
        apart_mm = half_mm if min(self.least_mm, self.depth_mm) <= 0 and self.depth_mm <= half_mm else 0.0
        low = -max(self.most_mm, self.depth_mm)
        high = apart_mm - max(0.0, min(self.least_mm, self.depth_mm))
        return 0.0 - round(self.depth_mm, _DECIMALS), 0.0 + round(low, _DECIMALS), 0.0 + round(high, _DECIMALS)


def overlap_with(
    near: Neighbourhood,
    vertices_lps_mm: FloatArray,
    start: Calibre,
    contact: Contact,
    *,
    half_mm: float,
    shape_share: float,
) -> Overlap:
    """How deep a lesion lies in the tube that it touches.

    Args:
        near: The surroundings of the lesion.
        vertices_lps_mm: Points of the lesion's sub-voxel surface, shape (n, 3).
        start: The tube where the two touch.
        contact: How far they touch.
        half_mm: Half width of the band of a distance between the two outlines.
        shape_share: Half width of a radius's band as a share of it: tubes are not quite round and even.
    """
    pieces = whole_pieces(near, start)
    # Where the lesion took a notch out of the tube, the other side of the tube is free of it; a narrow stretch with
    # the lesion all around it may as well be a thin branch.
    if len(pieces) == 2 and not is_whole(*pieces) and (across_gap(*pieces) or contact.angle_deg < _NOTCH_MOST_DEG):
        replaced = _replaced(near, vertices_lps_mm, pieces)
        if replaced is not None and replaced[0] > 0:
            depth, spread, radius = replaced
            half = quadrature(half_mm, spread, shape_share * radius, _WALL_PITCHES * start.pitch_mm)
            share = depth / (2 * radius)
            words = f"the lesion lies where the tube ran, led through from both sides, {share:.0%} of its width deep"
            return Overlap(depth, max(0.0, depth - half), depth + half, words)
    around = _enclosed(near, start, contact, quadrature(half_mm, shape_share * start.diameter_mm / 2))
    if len(pieces) == 1 and pieces[0].radius_mm > around.depth_mm:
        words = f"{around.words}; it leaves the lesion on one side only as drawn, and may run on inside"
        return Overlap(around.depth_mm, 0.0, max(around.most_mm, pieces[0].radius_mm), words)
    return around


def _enclosed(near: Neighbourhood, start: Calibre, contact: Contact, half_mm: float) -> Overlap:
    """The lesion's outline led on over the tube, from edge to edge of the contact."""
    lesion_mm = float(np.cbrt(3 * np.count_nonzero(near.lesion) * near.grid.voxel_ml * 1000 / (4 * np.pi)))
    # No contact angle bounds the depth from below: the lesion may lie around the tube without reaching into it.
    depth, high = (
        _sunk_mm(np.radians(deg), start.diameter_mm / 2, lesion_mm) for deg in (contact.angle_deg, contact.high_deg)
    )
    words = "the two touch"
    if depth > 0:
        words += (
            "; the tube is drawn whole and lies so deep in the lesion's outline, led on over it: whether its wall is "
            "breached can't be told"
        )
    return Overlap(depth, 0.0, max(high, depth) + half_mm, words)


def _sunk_mm(angle_rad: float, tube_mm: float, lesion_mm: float) -> float:
    """Depth of a round outline that cuts a circle's wall over an angle; the circle's radius at most."""
    half_chord = tube_mm * np.sin(min(angle_rad, np.pi) / 2)
    rise = lesion_mm - np.sqrt(max(0.0, lesion_mm**2 - half_chord**2))
    return float(min(tube_mm, tube_mm - max(0.0, tube_mm * np.cos(angle_rad / 2) - rise)) if angle_rad > 0 else 0.0)


def _replaced(near: Neighbourhood, vertices: FloatArray, pieces: list[Piece]) -> tuple[float, float, float] | None:
    """Depth of the lesion in the tube that joins two pieces, how unsure that is, and the tube's radius there."""
    one, other = (piece.middles.mean(axis=0) for piece in pieces)
    along = other - one
    length = float(np.linalg.norm(along))
    if length < STEP_MM:
        return None
    along /= length
    across = np.linalg.svd(along[None])[2][1:]
    middles = np.concatenate([piece.middles for piece in pieces])
    s_middles = (middles - one) @ along
    curve, bow_mm = _course(s_middles / length, (middles - one) @ across.T)

    def seen(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        s = (points - one) @ along
        off = (points - one) @ across.T - np.polynomial.polynomial.polyval(s / length, curve).T
        return s, np.linalg.norm(off, axis=-1), np.arctan2(off[..., 1], off[..., 0])

    ends = [float(((piece.middles - one) @ along).mean()) for piece in pieces]
    mean_mm = (pieces[0].radius_mm + pieces[1].radius_mm) / 2
    spread = abs(pieces[0].radius_mm - pieces[1].radius_mm) / 2

    def depths(points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Depth in the tube and its doubt, of the points between the pieces and near the tube."""
        s, away, turn = seen(points)
        between = (s > ends[0]) & (s < ends[1]) & (away <= _NEAR * mean_mm)
        s, away, turn = s[between], away[between], turn[between]
        walls = [_wall_mm(seen, piece, turn, near.grid.voxel_ml * 1000) for piece in pieces]
        share = (s - ends[0]) / (ends[1] - ends[0])
        return (1 - share) * walls[0] + share * walls[1] - away, np.abs(walls[0] - walls[1]) / 2

    # Centres of the lesion's voxels lie in the tube only where it was drawn over the tube, however coarse the grid.
    drawn, _ = depths(near.grid.index_to_lps_mm(np.argwhere(near.lesion)))
    if not len(drawn) or float(drawn.max()) < max(_REPLACED_MM, _REPLACED_SHARE * mean_mm, bow_mm):
        return None
    axis = np.linspace(ends[0], ends[1], max(2, int(length / (STEP_MM / 2))))
    places = one + axis[:, None] * along + np.polynomial.polynomial.polyval(axis / length, curve).T @ across
    if float(_sampled(near.to_lesion, near.grid.lps_mm_to_index(places)).min()) < -bow_mm:
        return mean_mm, spread, mean_mm
    depth, doubt = depths(vertices)
    if not len(depth):
        return None
    best = int(np.argmax(depth))
    return float(min(depth[best], mean_mm)), float(np.hypot(doubt[best], bow_mm)), mean_mm


def _course(way: FloatArray, aside: FloatArray) -> tuple[FloatArray, float]:
    """The tube's course by its middles, straight unless they clearly bend, and how unsure a bend is in between, mm.

    Args:
        way: Of each middle, 0 to 1 from piece to piece.
        aside: Its two coordinates across, shape (n, 2).
    """
    straight, bent = (np.polynomial.polynomial.polyfit(way, aside, degree) for degree in (1, 2))
    straight = np.vstack([straight, np.zeros((1, 2))])
    off, less = (
        float(np.sqrt(np.mean((np.polynomial.polynomial.polyval(way, curve).T - aside) ** 2)))
        for curve in (straight, bent)
    )
    if off < _BENT_MM or off < _BENT * less:
        return np.asarray(straight, dtype=float), 0.0
    between = np.linspace(0, 1, _LOOKS)
    apart = np.polynomial.polynomial.polyval(between, bent) - np.polynomial.polynomial.polyval(between, straight)
    return np.asarray(bent, dtype=float), float(np.linalg.norm(apart, axis=0).max()) / 2


def _wall_mm(seen: _Seen, piece: Piece, turn: FloatArray, voxel_mm3: float) -> FloatArray:
    """Distance from axis to wall in directions around the axis, from the voxels counted in a sector around each."""
    s, _, angles = seen(piece.points)
    ends = seen(piece.middles)[0]
    low, high = float(ends.min()) - STEP_MM / 2, float(ends.max()) + STEP_MM / 2
    angles = angles[(s >= low) & (s <= high)]
    off = np.abs((turn[:, None] - angles[None, :] + np.pi) % (2 * np.pi) - np.pi)
    area_mm2 = np.count_nonzero(off <= _SECTOR_RAD / 2, axis=1) * voxel_mm3 / (high - low)
    return np.asarray(np.sqrt(2 * area_mm2 / _SECTOR_RAD))


def _sampled(field: FloatArray, index: FloatArray) -> FloatArray:
    return np.asarray(map_coordinates(field, index.T, order=1, mode="nearest", prefilter=False))
