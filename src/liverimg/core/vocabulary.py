"""What rules may speak of: thresholds, clinical items and scores, each with its unit and its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from liverimg.core.catalogue import QuantityRow


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


# ---- numbers that a rule judges ----


@dataclass(frozen=True)
class ClinicalItem:
    """Something that images can't show and that a person may give.

    Attributes:
        key: Its name in the clinical file.
        title: For a reader.
        kind: ``number``, ``word``, ``date`` or ``days`` (a number, or the days between two dates).
        meaning: One sentence.
        unit: Of a number.
        plausible: Smallest and largest value; beyond, it is a mistake or another unit.
        words: What a word may be.
        also: Other keys for the same number, each with the factor into this unit.
        between: For ``days``: the keys of the two dates, the later one last; ``study_date`` is the scan's.
        settled_by: How it is obtained.
    """

    key: str
    title: str
    kind: str
    meaning: str
    unit: str = ""
    plausible: tuple[float, float] | None = None
    words: tuple[str, ...] = ()
    also: Mapping[str, float] = field(default_factory=dict)
    between: tuple[str, str] | None = None
    settled_by: str = ""


@dataclass(frozen=True)
class Points:
    """Points of a score where a number keeps a comparison, or a word is one of these; the first that fits counts."""

    points: float
    operator: str = ""
    threshold: Threshold | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScorePart:
    """What one item adds to a score: points by steps, or the number times a factor, its decimal logarithm first."""

    item: str
    steps: tuple[Points, ...] = ()
    times: float = 0.0
    log10: bool = False


@dataclass(frozen=True)
class Score:
    """A number computed from clinical items: the sum of its parts."""

    name: str
    title: str
    parts: tuple[ScorePart, ...]
    source: str
    unit: str = "1"


@dataclass(frozen=True)
class Vocabulary:
    """Everything that a rule may name."""

    quantities: Mapping[str, QuantityRow]
    items: Mapping[str, ClinicalItem]
    scores: Mapping[str, Score]
