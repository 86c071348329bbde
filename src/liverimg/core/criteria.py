"""Thresholds and rules: values that come from data files, each with its unit and its source."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Threshold:
    """One number with a clinical meaning.

    Attributes:
        value: The number.
        unit: Its unit, as in :class:`liverimg.core.measurement.Measurement`.
        source: Where it comes from.
    """

    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Criterion:
    """One rule that a measurement can meet.

    Attributes:
        id: Such as ``hifu.size``.
        title: For a reader.
        quantity: Name of the measured quantity or clinical item that it judges.
        scope: ``lesion``, ``study`` or ``clinical``.
        operator: ``<=``, ``<``, ``>=``, ``>``, ``within`` (two thresholds, ends included), ``in``,
            ``within_or_gap`` (three: met from the first to the second, not met below the first or above the third,
            no rule between the second and the third) or ``sessions`` (three: smallest and largest volume of a
            session, largest count).
        thresholds: The numbers, in the order that the operator wants.
        allowed: Words that meet the operator ``in``.
        refused: Words that don't meet it; any other word is a mistake in the clinical file.
        plausible: Smallest and largest value that a person may give for it; beyond, it is a mistake or another unit.
        when_met: What it means when met.
        when_not_met: What it means when not met, what to consider instead.
        settled_by: Which scan or datum would settle an undetermined answer.
        source: Where the rule comes from.
        notes: Conflicts between sources and other caveats; printed, never hidden.
    """

    id: str
    title: str
    quantity: str
    scope: str
    operator: str
    thresholds: tuple[Threshold, ...]
    allowed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    plausible: tuple[float, ...] = ()
    when_met: str = ""
    when_not_met: str = ""
    settled_by: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CriteriaSet:
    """A published table of rules, as data.

    Attributes:
        id: Such as ``hifu_suitability``.
        title: For a reader.
        edition: Date or version of the table.
        criteria: The rules.
        conflicts: Contradictions inside or between the sources.
    """

    id: str
    title: str
    edition: str
    criteria: tuple[Criterion, ...]
    conflicts: tuple[str, ...] = field(default_factory=tuple)
