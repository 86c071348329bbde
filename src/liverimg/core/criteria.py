"""Thresholds and rules: values that come from data files, each with its unit and its source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from liverimg.core.vocabulary import ClinicalItem, Threshold


class Kind(StrEnum):
    """Where a number comes from."""

    LESION = "lesion"
    STUDY = "study"
    ITEM = "item"
    SCORE = "score"


class Over(StrEnum):
    """How the numbers of several lesions become one."""

    EACH = ""
    MAX = "max"
    MIN = "min"
    SUM = "sum"


@dataclass(frozen=True)
class Number:
    """A measured quantity, a clinical item or a score, by name.

    Attributes:
        name: The quantity's, the item's or the score's.
        kind: Which of these it is.
        unit: Of the number as it is judged.
        over: Largest, smallest or sum over the lesions; of the lesion at hand when EACH.
        per: What it is divided by first: 10 mm turn millimetres into a plain count of centimetres.
    """

    name: str
    kind: Kind
    unit: str
    over: Over = Over.EACH
    per: float = 1.0


@dataclass(frozen=True)
class Sum:
    """Several numbers of one unit added; its band reaches from the sum of the lower to the sum of the upper ends."""

    terms: tuple[Number, ...]
    unit: str
    title: str


@dataclass(frozen=True)
class Count:
    """How many lesions keep a rule."""

    rule: Rule
    title: str
    unit: str = "1"


Term = Number | Sum | Count

# ---- rules ----


@dataclass(frozen=True)
class Compare:
    """A number held against thresholds.

    Attributes:
        term: The number.
        operator: ``<=``, ``<``, ``>=``, ``>``, ``within`` (two thresholds, ends included), ``within_or_gap`` (three:
            met from the first to the second, not met below the first or above the third, no rule between the second
            and the third) or ``sessions`` (three: smallest and largest volume of a session, largest count).
        thresholds: The numbers, in the order that the operator wants.
        settled_by: What would settle it when it is open; empty takes the criterion's.
    """

    term: Term
    operator: str
    thresholds: tuple[Threshold, ...]
    settled_by: str = ""


@dataclass(frozen=True)
class WordIs:
    """A clinical item whose word is one of those that meet the rule."""

    item: str
    allowed: tuple[str, ...]
    settled_by: str = ""


@dataclass(frozen=True)
class AllOf:
    """Met when every part is met; not met as soon as one is not."""

    rules: tuple[Rule, ...]
    title: str = ""


@dataclass(frozen=True)
class AnyOf:
    """Met as soon as one part is met; not met when none is."""

    rules: tuple[Rule, ...]
    title: str = ""


@dataclass(frozen=True)
class Not:
    """Met when the part is not; what is open stays open."""

    rule: Rule


Rule = Compare | WordIs | AllOf | AnyOf | Not


@dataclass(frozen=True)
class Criterion:
    """One rule that measurements and clinical items can meet.

    Attributes:
        id: Such as ``hifu.size``.
        title: For a reader.
        scope: ``lesion`` (asked of each lesion) or ``study``.
        rule: What is asked.
        when_met: What it means when met.
        when_not_met: What it means when not met, what to consider instead.
        settled_by: Which scan or datum would settle an undetermined answer.
        source: Where the rule comes from.
        notes: Conflicts between sources and other caveats; printed, never hidden.
        only_with: Clinical items; the rule is asked only when one of them is given. Empty: always.
    """

    id: str
    title: str
    scope: str
    rule: Rule
    when_met: str = ""
    when_not_met: str = ""
    settled_by: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
    only_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """One answer of a category: it holds when its rule is met and no earlier choice holds."""

    name: str
    title: str
    rule: Rule


@dataclass(frozen=True)
class Category:
    """A stage, a type or a class: the first choice whose rule is met.

    Attributes:
        id: Such as ``bclc.stage``.
        title: For a reader.
        scope: ``lesion`` or ``study``.
        choices: In the order that they are tried.
        settled_by: Which scan or datum would settle an open answer.
        source: Where it comes from.
        notes: Caveats.
    """

    id: str
    title: str
    scope: str
    choices: tuple[Choice, ...]
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
        categories: Stages, types and classes.
        sites: Where a lesion must lie to be judged by this table; empty for anywhere.
        unsupported: Rules that are named somewhere and that this table can't judge, with the reason.
        items: Clinical items of this table's own.
        sha256: Hash of the table's file.
    """

    id: str
    title: str
    edition: str
    criteria: tuple[Criterion, ...]
    conflicts: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    sites: tuple[str, ...] = ()
    unsupported: tuple[tuple[str, str], ...] = ()
    items: tuple[ClinicalItem, ...] = ()
    sha256: str = ""
