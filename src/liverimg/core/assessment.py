"""What a rule says of a measurement: met, not met, or honestly undetermined."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from liverimg.core.criteria import Threshold
from liverimg.core.measurement import Measured


class Verdict(StrEnum):
    """UNDETERMINED when a number is missing or its band straddles the threshold."""

    MET = "MET"
    NOT_MET = "NOT_MET"
    UNDETERMINED = "UNDETERMINED"


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
        quantity: The number judged, or why there is none; None for clinical items that were not given.
        thresholds: What it was held against.
        source: Where the rule comes from.
        settled_by: Which scan or datum would settle an undetermined answer.
        notes: Conflicts and caveats.
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


@dataclass(frozen=True)
class Assessment:
    """All findings of a study, and the contradictions in the rules that they rest on."""

    findings: tuple[Finding, ...]
    conflicts: tuple[str, ...] = ()
