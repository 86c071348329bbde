"""An earlier examination laid onto a later one, on the liver; each lesion by a rigid motion of its own.

First the liver's outlines are laid onto each other, then large pieces of the liver are looked for and one rigid motion
is fitted through them, then small ones. What the small pieces tell of the motion of each place, with its doubt, is
worked out by :mod:`liverimg.registration.motion_field`; a lesion moves by the rigid motion nearest to that over its
surface. What was treated takes no part: a tumour that was ablated looks different afterwards, and a motion that is
free to fit it would pull the tumour into the ablation zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from liverimg.core.alignment import Alignment, Pieces, PlaceMotion
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.measurement import Point
from liverimg.core.motion import RigidMotion
from liverimg.core.volume import Volume
from liverimg.registration.judgement import JudgementRules, agreeing_trouble, findings_of, start_trouble
from liverimg.registration.liver_view import LiverView, ViewRules, carried, view_of
from liverimg.registration.motion_field import FieldRules, MotionField, fit_field
from liverimg.registration.outline import outline_motion
from liverimg.registration.pieces import FoundPieces, PieceRules, find_pieces
from liverimg.registration.resample import sampled, thinned_onto
from liverimg.registration.rigid import rigid_through
from liverimg.registration.treated_region import comparable, lesion_points

LIVER = "liver"
_FEWEST = 4


@dataclass(frozen=True)
class AlignRules:
    """``registration.toml``."""

    view: ViewRules
    coarse: PieceRules
    fine: PieceRules
    field: FieldRules
    judgement: JudgementRules

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> AlignRules:
        """Reads the table."""
        return cls(
            ViewRules.from_table(table),
            PieceRules.from_table(table["coarse_pieces"]),
            PieceRules.from_table(table["pieces"]),
            FieldRules.from_table(table),
            JudgementRules.from_table(table),
        )


@dataclass(frozen=True, eq=False)
class _Case:
    """Both livers and the points of each lesion's surface in the earlier one."""

    earlier: LiverView
    later: LiverView
    lesions: Mapping[str, FloatArray] = field(repr=False)
    drawn_treated: BoolArray | None
    rules: AlignRules


def align(
    earlier: Volume,
    later: Volume,
    *,
    liver_earlier: BoolArray,
    liver_later: BoolArray,
    lesions: Mapping[str, BoolArray],
    rules: AlignRules,
    treated_later: BoolArray | None = None,
) -> Alignment:
    """Where the liver and each lesion of an earlier examination lie in a later one.

    Args:
        earlier: Image before the treatment.
        later: Image after it, of any contrast phase; edges are compared, not values.
        liver_earlier: The liver with all that lies in it, on the earlier grid.
        liver_later: The same on the later grid; an ablation zone may be missing from it.
        lesions: Tumour masks on the earlier grid by name.
        rules: Constants.
        treated_later: Ablation zones on the later grid, where they are drawn already; others are recognised coarsely.

    Returns:
        Lesions without a motion say why. Nothing is raised for livers that can't be laid onto each other.
    """
    places = {name: lesion_points(mask, earlier.grid) for name, mask in lesions.items()}
    one, other = view_of(earlier, liver_earlier, rules.view), view_of(later, liver_later, rules.view)
    if one is None or other is None:
        which = "earlier" if one is None else "later"
        return _without(places, f"no liver is drawn on the {which} examination")
    drawn = None if treated_later is None else _on_view(treated_later, later.grid, other)
    case = _Case(one, other, places, drawn, rules)
    motion = _whole_motion(case)
    if isinstance(motion, str):
        return _without(places, motion)
    found = _pieces(case, motion, one, rules.fine)
    if len(found.agreement) < rules.judgement.fewest_pieces:
        return _without(places, _too_few(found))
    motions = fit_field(found, rules.field)
    trouble = agreeing_trouble(motions, found, _inside(one, found, rules), rules.judgement)
    if trouble:
        return _without(places, trouble)
    return _alignment(case, motion, found, motions)


def _whole_motion(case: _Case) -> RigidMotion | str:
    """One rigid motion of the liver, or why there is none."""
    motion = outline_motion(case.earlier, case.later)
    trouble = start_trouble(case.earlier, case.later, motion, case.rules.judgement)
    if trouble:
        return trouble
    better = _refined(case, motion)
    if isinstance(better, str):
        return better
    return start_trouble(case.earlier, case.later, better, case.rules.judgement) or better


def _refined(case: _Case, start: RigidMotion) -> RigidMotion | str:
    """One rigid motion through large pieces, on coarse cubes."""
    coarse = case.earlier.coarser
    motion = start
    for _ in range(2):
        found = _pieces(case, motion, coarse, case.rules.coarse)
        if len(found.agreement) < _FEWEST:
            return _too_few(found)
        fields = fit_field(found, case.rules.field, usual=True)
        kept = fields.agrees
        if np.count_nonzero(kept) < _FEWEST:
            return "the pieces of liver that were found again did not move together"
        here = found.places_lps_mm[kept]
        motion = motion.after(rigid_through(here, here + fields.at(here), np.ones(len(here))))
    return motion


def _pieces(case: _Case, motion: RigidMotion, on: LiverView, rules: PieceRules) -> FoundPieces:
    later = case.later if on is case.earlier else case.later.coarser
    grid = carried(on.grid, motion)
    laid = later.at(grid)
    region = comparable(on, case.lesions, laid, rules=case.rules.judgement)
    if case.drawn_treated is not None:
        zone, _ = sampled(case.drawn_treated.astype(np.float32), case.later.grid, grid)
        region &= ~ndimage.binary_dilation(zone > 0, iterations=1)
    return find_pieces(on.image, laid, on.grid, region=region, rules=rules)


def _inside(view: LiverView, found: FoundPieces, rules: AlignRules) -> BoolArray:
    """Which pieces hold nothing of the liver's border."""
    depth = ndimage.distance_transform_edt(view.liver, view.grid.spacing_mm)
    at = ndimage.map_coordinates(depth, view.grid.lps_mm_to_index(found.places_lps_mm).T, order=1)
    return np.asarray(at > rules.fine.radius_mm)


def _too_few(found: FoundPieces) -> str:
    return f"only {len(found.agreement)} of {found.tried} pieces of the liver were found again in the later examination"


def _without(places: Mapping[str, FloatArray], reason: str) -> Alignment:
    lesions = tuple(
        PlaceMotion(name, _point(points.mean(axis=0)), None, None, reason) for name, points in places.items()
    )
    return Alignment(PlaceMotion(LIVER, (0.0, 0.0, 0.0), None, None, reason), lesions)


def _point(place: FloatArray) -> Point:
    x, y, z = (float(v) for v in place)
    return x, y, z


def _alignment(case: _Case, motion: RigidMotion, found: FoundPieces, motions: MotionField) -> Alignment:
    judgement = case.rules.judgement
    kept = motions.agrees
    here = found.places_lps_mm
    moved = here + motions.at(here)
    whole = rigid_through(here[kept], moved[kept], np.ones(int(kept.sum())))
    rest = np.linalg.norm(whole.apply(here[kept]) - moved[kept], axis=1)
    bend_mm = float(np.sqrt(np.square(rest).mean()))
    variance = motions.variance_mm2(here)
    middle = here[kept].mean(axis=0)
    liver = PlaceMotion(
        LIVER,
        _point(middle),
        motion.after(whole),
        float(np.percentile(np.hypot(rest, np.sqrt(variance[kept])), 95)),
        pieces=int(kept.sum()),
        pieces_tried=found.tried,
    )
    pieces = Pieces(
        here,
        motion.apply(moved),
        motion.apply(here + found.shifts_mm),
        np.asarray(kept, dtype=bool),
        judgement.bound_mm(variance),
    )
    lesions = tuple(_lesion(name, points, case, motion, found, motions) for name, points in case.lesions.items())
    findings = findings_of(case.earlier, case.later, bend_mm, judgement)
    return Alignment(liver, lesions, findings, None, pieces, bend_mm)


def _lesion(
    name: str, points: FloatArray, case: _Case, motion: RigidMotion, found: FoundPieces, motions: MotionField
) -> PlaceMotion:
    """The rigid motion nearest to that of the tissue over the lesion's surface."""
    judgement = case.rules.judgement
    place = points.mean(axis=0)
    moved = points + motions.at(points)
    own = rigid_through(points, moved, np.ones(len(points)))
    rest2 = np.square(own.apply(points) - moved).sum(axis=1)
    error_mm = float(judgement.bound_mm(np.asarray((motions.variance_mm2(points) + rest2).mean())))
    near = np.linalg.norm(found.places_lps_mm - place, axis=1) < judgement.near_mm
    support = int(np.count_nonzero(near & motions.agrees))
    tried = int(np.count_nonzero(near))
    if error_mm > judgement.most_error_mm:
        reason = (
            f"the liver around it moved in a way that is known only to within {error_mm:.1f} mm "
            f"({support} of {tried} pieces near it agree)"
        )
        return PlaceMotion(name, _point(place), None, None, reason, support, tried)
    return PlaceMotion(name, _point(place), motion.after(own), error_mm, "", support, tried)


def _on_view(mask: BoolArray, grid: Grid, view: LiverView) -> BoolArray:
    """A mask of an examination on the cubes of its view; touched cubes count."""
    return np.asarray(thinned_onto(mask, grid, view.grid, spacing_mm=float(view.grid.spacing_mm[0]))[0] > 0)
