"""What a division into sessions means, in words: how many, how far apart, and where the source contradicts itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from liverimg.assess.band import show
from liverimg.core.criteria import Compare, CriteriaSet
from liverimg.core.errors import RecordInvalidError
from liverimg.core.sessions import SessionPlan
from liverimg.core.vocabulary import Threshold


@dataclass(frozen=True)
class SessionRules:
    """What the criteria data say about sessions.

    Attributes:
        smallest: Volume of a session.
        largest: Volume of a session.
        typical: How many sessions are called typical at most.
        days_from: Fewest days between two sessions.
        days_to: Most days between two sessions.
    """

    smallest: Threshold
    largest: Threshold
    typical: Threshold
    days_from: Threshold
    days_to: Threshold


def thresholds_of(criteria: CriteriaSet, criterion_id: str) -> tuple[Threshold, ...]:
    """Thresholds of one of a table's rules.

    Raises:
        RecordInvalidError: The table has no such rule with a single comparison.
    """
    for criterion in criteria.criteria:
        if criterion.id == criterion_id and isinstance(criterion.rule, Compare):
            return criterion.rule.thresholds
    raise RecordInvalidError(f"the table {criteria.id} has no rule {criterion_id} with thresholds; name another one")


def count_range(volume_ml: float, rules: SessionRules) -> tuple[int, int]:
    """Fewest and most sessions for a volume: at the largest and at the smallest volume per session."""
    return (
        max(1, math.ceil(volume_ml / rules.largest.value)),
        max(1, math.ceil(volume_ml / rules.smallest.value)),
    )


def statements(plan: SessionPlan, rules: SessionRules) -> tuple[str, ...]:
    """What a planner must know beside the list of pieces, one sentence each."""
    said = []
    if plan.pieces:
        apart = f", {show(rules.days_from.value)} to {show(rules.days_to.value)} days apart"
        said.append(
            f"{_sessions(len(plan.pieces))} for {show(plan.treatable_ml)} ml of {plan.lesion} with "
            f"{show(plan.margin_mm)} mm of margin{apart if len(plan.pieces) > 1 else ''}; a division of volume by "
            "geometry, not a treatment plan."
        )
    fewest, most = count_range(plan.target_ml, rules)
    alone = count_range(plan.tumour_ml, rules)
    said.append(
        f"By volume alone, at {show(rules.smallest.value)} to {show(rules.largest.value)} ml per session, the tumour "
        f"of {show(plan.tumour_ml)} ml makes {_range(*alone)} and the target of {show(plan.target_ml)} ml makes "
        f"{_range(fewest, most)}."
    )
    if most > rules.typical.value:
        said.append(
            f"Conflict in the source: 2-{show(rules.typical.value)} sessions are called typical, and its own volume "
            f"per session makes {_range(fewest, most)} here; both are printed and neither is corrected."
        )
    if plan.tumour_kept_out_ml > 0:
        said.append(
            f"{show(plan.tumour_kept_out_ml)} ml of the tumour lie within a keep-out or are left over and are in no "
            "piece: by the rule of 1 cm they need another method."
        )
    said += [f"{keep.unknown[:1].upper()}{keep.unknown[1:]}." for keep in plan.keep_outs if keep.unknown]
    said += [
        f"Piece {piece.order} has {show(piece.volume_ml)} ml, outside the volume of a session."
        for piece in plan.pieces
        if not piece.within_range
    ]
    if plan.reason:
        said.append(f"No pieces: {plan.reason}.")
    return tuple(said)


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _range(fewest: int, most: int) -> str:
    return _sessions(most) if fewest == most else f"{fewest} to {most} sessions"
