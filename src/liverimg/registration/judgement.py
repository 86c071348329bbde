"""Whether an alignment may be believed, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from liverimg.core.boxes import box_of
from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.core.motion import RigidMotion
from liverimg.core.rows import filled
from liverimg.registration.liver_view import LiverView, carried
from liverimg.registration.motion_field import MotionField
from liverimg.registration.pieces import FoundPieces


@dataclass(frozen=True)
class JudgementRules:
    """The part ``judgement`` of ``registration.toml``; its entries say what each is and where it comes from."""

    rim_mm: float
    dark_hu: float
    dark_reach_mm: float
    error_factor: float
    floor_mm: float
    least_error_mm: float
    most_error_mm: float
    most_turn_deg: float
    least_agreeing: float
    least_agreeing_inside: float
    fewest_pieces: float
    least_overlap: float
    least_seen: float
    much_bend_mm: float
    much_volume_change: float
    near_mm: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> JudgementRules:
        """Reads the table."""
        return filled(cls, table["judgement"], "registration judgement")

    def bound_mm(self, variance_mm2: FloatArray) -> FloatArray:
        """95 % bound of an error from what the pieces expect of its square, with what they can't know of."""
        expected = np.sqrt(np.asarray(variance_mm2, dtype=float) + self.floor_mm**2)
        return np.asarray(np.maximum(self.error_factor * expected, self.least_error_mm))


def turn_deg(motion: RigidMotion) -> float:
    """Angle of a motion's rotation."""
    return float(np.degrees(np.arccos(np.clip((np.trace(motion.matrix) - 1) / 2, -1, 1))))


def start_trouble(earlier: LiverView, later: LiverView, motion: RigidMotion, rules: JudgementRules) -> str:
    """Why a rigid motion of the liver can't be right; empty when nothing speaks against it."""
    degrees = turn_deg(motion)
    if degrees > rules.most_turn_deg:
        return (
            f"the livers fit onto each other only when turned by {degrees:.0f} degrees; two examinations of one "
            f"patient differ by {rules.most_turn_deg:.0f} at most, so check that both lie the right way round"
        )
    box = box_of(earlier.liver) or (slice(None),) * 3
    liver = earlier.liver[box]
    onto = carried(earlier.grid.cropped([s.start or 0 for s in box], liver.shape), motion)
    seen = later.seen_at(onto)[liver].mean()
    if seen < rules.least_seen:
        return f"the later examination shows only {seen:.0%} of the liver that the earlier one shows"
    common = np.count_nonzero(later.liver_at(onto) & liver)
    least = min(np.count_nonzero(liver), np.count_nonzero(later.liver))
    if common < rules.least_overlap * least:
        return (
            f"the livers of the two examinations don't lie onto each other: they have {common / least:.0%} of the "
            f"smaller one in common at best, {rules.least_overlap:.0%} are asked for"
        )
    return ""


def agreeing_trouble(motions: MotionField, found: FoundPieces, inside: BoolArray, rules: JudgementRules) -> str:
    """Why the pieces don't tell of one motion; empty when they do.

    Args:
        motions: Fitted to the pieces.
        found: The pieces.
        inside: Which of them lie inside the liver, away from its border: livers of two patients have borders alike, but
            no two have the same vessels.
        rules: Limits.
    """
    if inside.sum() >= rules.fewest_pieces / 2 and motions.agrees[inside].mean() < rules.least_agreeing_inside:
        return (
            f"inside the liver only {int(motions.agrees[inside].sum())} of {int(inside.sum())} pieces of the liver "
            "moved with those around them: the examinations may be of different patients, or show too little inside "
            "the liver"
        )
    count = int(motions.agrees.sum())
    share = count / found.tried
    if count < rules.fewest_pieces or share < rules.least_agreeing:
        return (
            f"only {count} of {found.tried} pieces of the liver moved together with those around them: the "
            "examinations may be of different patients, or the liver has changed too much"
        )
    return ""


def findings_of(earlier: LiverView, later: LiverView, bend_mm: float, rules: JudgementRules) -> tuple[str, ...]:
    """What a reader must know, one sentence each."""
    found = []
    if bend_mm > rules.much_bend_mm:
        found.append(
            f"The liver bent by {bend_mm:.1f} mm beyond what a rigid motion explains, which is much; each lesion was "
            "moved with the tissue around it."
        )
    before, after = (np.count_nonzero(v.liver) * v.grid.voxel_ml for v in (earlier, later))
    change = after / before - 1
    if abs(change) > rules.much_volume_change:
        found.append(
            f"The liver's volume was {before:.0f} ml before and {after:.0f} ml after ({change:+.0%}): part of it may "
            "be resected or cut off, or an outline is wrong."
        )
    return tuple(found)
