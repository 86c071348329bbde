"""Couinaud segments, from the liver's shape and from its veins where these are drawn and can be named.

*Shape.* A place's coordinates, taken from the liver's centre in units of the liver's own spread along the patient's
axes, go into a quadratic function of each segment; the largest one wins. The functions were fitted to livers in which
people drew the segments (multinomial logistic regression, ``liverimg.training.anatomy.segment_prior``).
*Veins.* Couinaud's planes run through the middle hepatic vein (left from right) and the right one (anterior from
posterior; Couinaud, Le foie, 1957; Strasberg, Terminology of liver anatomy, HPB 2000;2:333). Where they are named,
the border between the two sides is bent, by the smallest linear change, to run through the vein.
*Doubt.* How far a border may lie from there is known from livers that were not fitted to: the function of a segment
may be larger or smaller by ``doubt``. What that changes is the band; a place that it takes into another segment is
not certain to lie in either. ``benchmarks/segment_truth.py`` measures how often all of this is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.band import banded, evidence
from liverimg.measure.branches import MARK_OF, Branch, NamedTree
from liverimg.measure.lesions import LesionMask
from liverimg.measure.segment_map import AnySegments, drawn_segments
from liverimg.measure.subject import Body, Subject

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SEGMENTS = (1, 2, 3, 4, 5, 6, 7, 8)
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
MAIN_SEGMENT = "couinaud_segment"
_LEFT, _RIGHT = (2, 3, 4), (5, 6, 7, 8)
_ANTERIOR, _POSTERIOR = (5, 8), (6, 7)
# Which sides each vein parts.
_PARTED: Mapping[Branch, tuple[tuple[int, ...], tuple[int, ...]]] = {
    Branch.MIDDLE_HEPATIC: (_LEFT, _RIGHT),
    Branch.RIGHT_HEPATIC: (_ANTERIOR, _POSTERIOR),
}
_STEM_POWER = 4.0
_MOST_PLACES = 25_000  # of the liver that are asked which segment they lie in
_MOST_LESION_PLACES = 4_000


@dataclass(frozen=True, eq=False)
class Segments:
    """Which segment each place of a liver lies in.

    Attributes:
        centre_lps_mm: Of the liver.
        spread_lps_mm: Standard deviation of its places along the patient's axes.
        weights: Of the quadratic functions, shape (10, 8), with what the veins changed.
        doubt: By how much a function may be larger or smaller.
        veins: Which veins were used.
        places_lps_mm: Evenly spread over the liver.
        place_ml: Volume that each of them stands for.
    """

    centre_lps_mm: FloatArray
    spread_lps_mm: FloatArray
    weights: FloatArray
    doubt: float
    veins: tuple[Branch, ...]
    places_lps_mm: FloatArray = field(repr=False)
    place_ml: float

    def levels(self, points_lps_mm: FloatArray) -> FloatArray:
        """The function of each segment at places, shape (n, 8)."""
        places = standardised(points_lps_mm, self.centre_lps_mm, self.spread_lps_mm)
        return np.asarray(quadratic(places) @ self.weights)

    @property
    def method(self) -> str:
        """How they were told apart, in words."""
        words = " and ".join(f"the {vein.replace('_', ' ')}" for vein in self.veins)
        return f"borders from the liver's shape, bent to run through {words}" if words else "from the liver's shape"


def standardised(points_lps_mm: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    """Places from the liver's centre in units of its spread, shape (n, 3)."""
    return np.asarray((points_lps_mm - centre) / spread)


def quadratic(places: FloatArray) -> FloatArray:
    """1, x, y, z, their squares and products, shape (n, 10)."""
    x, y, z = places.T
    return np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)


def find_segments(body: Body, trees: Mapping[Structure, NamedTree]) -> AnySegments | str:
    """The segments of a study's liver, as drawn where they are, else by its shape; or why they can't be told.

    Args:
        body: What was drawn.
        trees: Its vessels by name.
    """
    liver, rules = body.liver, body.settings.segments
    if liver is None:
        return "no liver is drawn"
    drawn = drawn_segments(body)
    if drawn is not None:
        return drawn
    if liver.touches_image_edge:
        return "the liver touches the edge of the image, and segments are told by its whole shape"
    held = np.flatnonzero(liver.mask)
    volume_ml = len(held) * liver.grid.voxel_ml
    if not rules.least_liver_ml <= volume_ml <= rules.most_liver_ml:
        return (
            f"a liver of {volume_ml:.0f} ml is outside {rules.least_liver_ml:g} to {rules.most_liver_ml:g} ml: its "
            "shape says nothing of its segments"
        )
    index = np.unravel_index(held[:: max(1, len(held) // _MOST_PLACES)], liver.mask.shape)
    places = liver.grid.index_to_lps_mm(np.column_stack(index))
    centre, spread = places.mean(axis=0), places.std(axis=0)
    weights, veins = rules.matrix, []
    hepatic = trees.get(Structure.HEPATIC_VEIN)
    for vein, (one, other) in _PARTED.items():
        if hepatic is None:
            break
        line, thick = _course(hepatic, vein)
        if len(line) >= rules.least_vein_cells:
            line = standardised(line, centre, spread)
            weights = bent(weights, line, thick, one, other, stiffness=rules.stiffness)
            veins.append(vein)
    doubt = rules.doubt_with_veins if len(veins) == len(_PARTED) else rules.doubt
    return Segments(centre, spread, weights, doubt, tuple(veins), places, volume_ml / len(places))


def bent(
    weights: FloatArray,
    line: FloatArray,
    counts: FloatArray,
    one: tuple[int, ...],
    other: tuple[int, ...],
    *,
    stiffness: float,
) -> FloatArray:
    """The functions with the border between two sides bent to run through a line.

    Args:
        weights: Of the functions.
        line: Standardised places on the vein, shape (n, 3).
        counts: How much each of them counts.
        one: Segments on one side.
        other: Segments on the other.
        stiffness: How much the linear change costs against missing the line.
    """
    features = quadratic(line)
    levels = features @ weights
    gap = _together(levels, one) - _together(levels, other)
    linear = features[:, :4]
    weighted = linear.T * (counts / counts.sum())
    change = -np.linalg.solve(weighted @ linear + stiffness * np.eye(4), weighted @ gap)
    found = np.array(weights)
    found[:4, _columns(one)] += change[:, None] / 2
    found[:4, _columns(other)] -= change[:, None] / 2
    return found


def _together(levels: FloatArray, segments: tuple[int, ...]) -> FloatArray:
    return np.asarray(np.logaddexp.reduce(levels[:, _columns(segments)], axis=1))


def _columns(segments: tuple[int, ...]) -> list[int]:
    return [s - 1 for s in segments]


def _course(tree: NamedTree, vein: Branch) -> tuple[FloatArray, FloatArray]:
    """Places of a vein that carry its name alone, and how much each counts: a common trunk parts nothing.

    The stem lies on the border, its branches drain the two sides: the thicker, the more a place counts.
    """
    own = tree.marks == MARK_OF[tree.structure][vein]
    return tree.cells.points_lps_mm[own], tree.cells.radius_mm[own] ** _STEM_POWER


def share_of(levels: FloatArray, segments: tuple[int, ...], *, raised: float = 0.0) -> float:
    """Share of places whose largest function is one of the segments', theirs being raised by an amount."""
    moved = np.array(levels)
    moved[:, _columns(segments)] += raised
    return float(np.isin(moved.argmax(axis=1), _columns(segments)).mean())


def sampling_error(share: float, places: int) -> float:
    """Half width of the band of a share that so many places tell: two standard deviations of a random sample."""
    return 2 * float(np.sqrt(max(0.0, share * (1 - share)) / places))


def measure_segments(body: Body, segments: AnySegments | str) -> list[Measured]:
    """Volume of each segment."""
    names = [f"segment_volume_{n}" for n in SEGMENTS]
    if isinstance(segments, str):
        return [NotMeasured(name, "liver", segments) for name in names]
    levels = segments.levels(segments.places_lps_mm)
    total_ml = len(levels) * segments.place_ml
    own = levels.argmax(axis=1)
    found: list[Measured] = []
    for number, name in zip(SEGMENTS, names, strict=True):
        low, value, high = (
            share_of(levels, (number,), raised=raised) * total_ml for raised in (-segments.doubt, 0.0, segments.doubt)
        )
        inside = segments.places_lps_mm[own == number - 1]
        where = (evidence("centroid", inside.mean(axis=0)),) if len(inside) else ()
        found.append(
            banded(
                name,
                "liver",
                value,
                "ml",
                half=sampling_error(value / total_ml, len(levels)) * total_ml,
                method=f"segment {ROMAN[number - 1]}, {segments.method}",
                points=where,
                sources=body.sources,
                at_least=low,
                at_most=high,
            )
        )
    return found


def measure_lesion_segments(subject: Subject, body: Body, segments: AnySegments | str) -> list[Measured]:
    """The segment of a lesion's centre, and the share of it in each segment that it may lie in."""
    lesion = subject.lesion
    if subject.outside:
        return [NotMeasured(MAIN_SEGMENT, lesion.id, "the lesion lies outside the liver")]
    if isinstance(segments, str):
        return [NotMeasured(MAIN_SEGMENT, lesion.id, segments)]
    levels = segments.levels(_places(lesion))
    shares: list[Measured] = []
    for number in SEGMENTS:
        low, value, high = (
            share_of(levels, (number,), raised=raised) for raised in (-segments.doubt, 0.0, segments.doubt)
        )
        if high > 0:
            shares.append(
                Measurement(
                    f"share_in_segment_{number}",
                    lesion.id,
                    value,
                    "1",
                    low,
                    high,
                    f"share of the lesion in segment {ROMAN[number - 1]}, {segments.method}",
                    (),
                    body.sources,
                )
            )
    at_centre = segments.levels(np.array([lesion.centroid_lps_mm]))[0]
    order = np.argsort(-at_centre, kind="stable")
    likely = int(order[0])
    others = [int(n) for n in order[1:] if at_centre[n] + segments.doubt >= at_centre[likely]]
    if others:
        names = " or ".join(ROMAN[n] for n in (likely, *others))
        reason = (
            f"the lesion's centre lies in segment {names}, the likeliest first; look at the veins ({segments.method})"
        )
        return [NotMeasured(MAIN_SEGMENT, lesion.id, reason), *shares]
    main = Measurement(
        MAIN_SEGMENT,
        lesion.id,
        float(likely + 1),
        "1",
        float(likely + 1),
        float(likely + 1),
        f"segment {ROMAN[likely]} at the lesion's centre, {segments.method}",
        (evidence("centroid", lesion.centroid_lps_mm),),
        body.sources,
    )
    return [main, *shares]


def _places(lesion: LesionMask) -> FloatArray:
    index = np.argwhere(lesion.mask)
    return lesion.grid.index_to_lps_mm(index[:: max(1, len(index) // _MOST_LESION_PLACES)])


def segment_numbers(segments: AnySegments, mask: BoolArray, points_lps_mm: FloatArray) -> IntArray:
    """A map of segment numbers, 0 outside a mask; ``points_lps_mm`` are the places of its voxels in order."""
    out = np.zeros(mask.shape, dtype=np.int64)
    out[mask] = segments.levels(points_lps_mm).argmax(axis=1) + 1
    return out
