"""What a rule says of a measurement: met, not met, or honestly undetermined."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from liverimg.core.measurement import Measured
from liverimg.core.sessions import SessionPlan
from liverimg.core.vocabulary import Threshold


class Verdict(StrEnum):
    """UNDETERMINED when a number is missing or its band straddles the threshold."""

    MET = "MET"
    NOT_MET = "NOT_MET"
    UNDETERMINED = "UNDETERMINED"


@dataclass(frozen=True)
class Part:
    """One comparison inside a rule that has several.

    Attributes:
        statement: One sentence with the number and its band.
        verdict: The answer of this part by itself.
        decides: Whether the whole answer rests on it.
        branch: Title of the group that it stands in; empty at the top.
        quantity: The number judged, or why there is none; None for words.
        thresholds: What it was held against.
        settled_by: What would settle it when it is open.
        missing_items: Clinical items that it wanted and nobody gave.
    """

    statement: str
    verdict: Verdict
    decides: bool
    branch: str
    quantity: Measured | None
    thresholds: tuple[Threshold, ...]
    settled_by: str = ""
    missing_items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One rule applied to one target.

    Attributes:
        criterion_id: Which rule.
        criteria_set: Which table the rule belongs to.
        target: Lesion id, or ``study``.
        title: The rule's title for a reader.
        verdict: The answer.
        statement: One sentence with the number, its band and what follows.
        quantity: The number judged, or why there is none; None for words, and for rules with several parts.
        thresholds: What it was held against.
        source: Where the rule comes from.
        settled_by: Which scan or datum would settle an undetermined answer.
        notes: Conflicts and caveats.
        parts: The comparisons of a rule that has several, in the rule's order.
        missing_items: Clinical items that would help to settle an open answer and that nobody gave.
    """

    criterion_id: str
    criteria_set: str
    target: str
    title: str
    verdict: Verdict
    statement: str
    quantity: Measured | None
    thresholds: tuple[Threshold, ...]
    source: str
    settled_by: str = ""
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    missing_items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Classification:
    """A stage, type or class proposed for one target.

    Attributes:
        category_id: Which category.
        criteria_set: Which table it belongs to.
        target: Lesion id, or ``study``.
        title: For a reader.
        answer: Name of the one choice that holds; empty while several are possible or none is.
        possible: Names of the choices that are not excluded, in the category's order.
        statement: One sentence.
        source: Where it comes from.
        settled_by: What would settle it; empty when it is settled.
        notes: Caveats.
        parts: The comparisons behind it.
        missing_items: Clinical items that would help to settle an open answer and that nobody gave.
    """

    category_id: str
    criteria_set: str
    target: str
    title: str
    answer: str
    possible: tuple[str, ...]
    statement: str
    source: str
    settled_by: str = ""
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    missing_items: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotApplied:
    """A table, or a rule that is named somewhere, that was not asked of a target, and why."""

    criteria_set: str
    title: str
    target: str
    reason: str


@dataclass(frozen=True)
class Assessment:
    """All findings of a study, the contradictions in the rules that they rest on, and how targets divide."""

    findings: tuple[Finding, ...]
    conflicts: tuple[str, ...] = ()
    classifications: tuple[Classification, ...] = ()
    not_applied: tuple[NotApplied, ...] = ()
    sessions: tuple[SessionPlan, ...] = ()
