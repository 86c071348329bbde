"""Where a place lies, as one would tell a colleague: direction, segment, nearest vessel, coordinates."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray
from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.core.motion import RigidMotion
from liverimg.core.response import Spot
from liverimg.measure.band import banded, direction, evidence, point, quadrature, surface_error_mm
from liverimg.measure.lattice import Lattice
from liverimg.measure.segments import ROMAN
from liverimg.measure.treatment.before import Before

NEAREST_VESSEL = "nearest_vessel_distance"
# A direction is named by each axis that takes at least this share of it (the cosine): 67.5 degrees, half-way between
# "along the axis" and "half-way to the next one".
_NAMED_FROM = 0.3827
_TOWARDS = (("left", "right"), ("back", "front"), ("head", "feet"))
_FIRST_REACH_MM = 40.0


def direction_words(start_lps_mm: FloatArray, end_lps_mm: FloatArray) -> str:
    """The way from one place to another, in the patient's own directions; the strongest first.

    ``to the head and the right``; empty when both are one place.
    """
    along = np.asarray(end_lps_mm, dtype=float) - np.asarray(start_lps_mm, dtype=float)
    length = float(np.linalg.norm(along))
    if length == 0:
        return ""
    shares = along / length
    named = [a for a in np.argsort(-np.abs(shares), kind="stable") if abs(shares[a]) >= _NAMED_FROM]
    words = [f"the {_TOWARDS[a][0] if shares[a] > 0 else _TOWARDS[a][1]}" for a in named]
    return "to " + " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def spot_of(
    now_lps_mm: FloatArray,
    centre_now_lps_mm: FloatArray,
    *,
    motion: RigidMotion | None,
    target: str,
    before: Before,
    error_mm: float = 0.0,
) -> Spot:
    """A place of the later study in words; segment and vessel are those of the baseline, where they can be seen.

    Args:
        now_lps_mm: The place.
        centre_now_lps_mm: Of the lesion or zone that its direction is told from.
        motion: From the baseline into the later study; None when not known.
        target: What the numbers are about.
        before: The baseline.
        error_mm: 95 % bound of how far the place in the baseline may lie off.
    """
    words = direction_words(centre_now_lps_mm, now_lps_mm)
    if motion is None:
        reason = "where this place lay in the baseline is not known, and vessels and segments are told there"
        return Spot(point(now_lps_mm), None, words, (), "", NotMeasured(NEAREST_VESSEL, target, reason), reason)
    place = motion.inverse().apply(np.asarray(now_lps_mm, dtype=float))
    segments, note = segments_at(place, before)
    vessel, distance = nearest_vessel(place, target, before, error_mm=error_mm)
    return Spot(point(now_lps_mm), point(place), words, segments, vessel, distance, note)


def segments_at(place_lps_mm: FloatArray, before: Before) -> tuple[tuple[int, ...], str]:
    """Segments that a place of the baseline may lie in, the likeliest first, and what could not be told."""
    segments = before.segments
    if isinstance(segments, str):
        return (), f"Its segment can't be told: {segments}."
    levels = segments.levels(np.asarray(place_lps_mm, dtype=float)[None])[0]
    order = [int(n) for n in np.argsort(-levels, kind="stable")]
    likely = tuple(n + 1 for n in order if levels[n] + segments.doubt >= levels[order[0]])
    if len(likely) == 1:
        return likely, ""
    names = " or ".join(ROMAN[n - 1] for n in likely)
    return likely, f"It lies in segment {names}, the likeliest first."


def nearest_vessel(
    place_lps_mm: FloatArray, target: str, before: Before, *, error_mm: float = 0.0
) -> tuple[str, Measured]:
    """The vein or portal branch nearest to a place of the baseline, with its distance; not the hepatic artery."""
    place = np.asarray(place_lps_mm, dtype=float)
    found = before.vessels_near(place, reach_mm=_FIRST_REACH_MM)
    if not found:
        return "", NotMeasured(NEAREST_VESSEL, target, "no vessels were looked for, or none could be seen")
    best: tuple[float, Structure, FloatArray] | None = None
    for structure, points in found.items():
        if not len(points):
            continue
        gap, which = cKDTree(points).query(place)
        if best is None or gap < best[0]:
            best = (float(gap), structure, points[int(which)])
    if best is None:
        reason = f"no vessel is drawn within {_FIRST_REACH_MM:g} mm"
        return "", NotMeasured(NEAREST_VESSEL, target, reason)
    gap, structure, end = best
    name = _name_at(structure, end, before)
    body = before.body
    lattice = Lattice.of(body.scene.grid, body.scene.grid.spacing_mm)
    grid_mm = lattice.half_mm(body.settings.bands.distance, direction(place, end))
    half = quadrature(grid_mm, surface_error_mm(body.quality, structure), error_mm)
    row = banded(
        NEAREST_VESSEL,
        target,
        gap,
        "mm",
        half=half,
        method=f"from the place to the surface of the {name.replace('_', ' ')}, in the baseline",
        points=(evidence("place_before", place), evidence("on_vessel_before", end)),
        sources=body.sources,
    )
    return name, row


def _name_at(structure: Structure, place_lps_mm: FloatArray, before: Before) -> str:
    tree = before.trees.get(structure)
    if tree is None:
        return structure.value
    names = tree.names_at(int(np.argmin(np.linalg.norm(tree.cells.points_lps_mm - place_lps_mm, axis=1))))
    return names[0].value if len(names) == 1 else structure.value
