"""The numbers that rules judge: one lesion's, the study's, a person's, or several lesions' together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from liverimg.assess.band import Band, show, unit_words
from liverimg.assess.clinical import Clinical
from liverimg.assess.scores import GIVEN, STUDY, score_band
from liverimg.core.catalogue import row_of
from liverimg.core.criteria import Kind, Number, Over, Sum
from liverimg.core.labels import Structure
from liverimg.core.measurement import Lesion, Measured, Measurement, MeasurementSet, NotMeasured, find
from liverimg.core.vocabulary import Vocabulary

_COUNT = "tumour_count"
_OVER_WORDS = {Over.MAX: "largest", Over.MIN: "smallest", Over.SUM: "sum"}
NO_LESION = "no lesion is drawn, so there is nothing to judge"


@dataclass(frozen=True)
class Facts:
    """All that a rule may be asked about.

    Attributes:
        measurements: What was measured.
        clinical: What a person gave.
        vocabulary: What the names mean.
        lesions: The lesions that the table judges.
        lesion: The one at hand, for rules of scope ``lesion``.
    """

    measurements: MeasurementSet
    clinical: Clinical
    vocabulary: Vocabulary
    lesions: tuple[Lesion, ...]
    lesion: Lesion | None = None

    def at(self, lesion: Lesion) -> Facts:
        """The same facts with one lesion at hand."""
        return replace(self, lesion=lesion)


def number_band(number: Number, facts: Facts) -> Band:
    """What is known of a number."""
    if number.over is not Over.EACH:
        return _over_lesions(number, facts).divided(number.per)
    if number.kind is Kind.LESION:
        found: Measured = NotMeasured(number.name, STUDY, NO_LESION)
        if facts.lesion is not None:
            found = facts.lesion.quantity(number.name)
        return Band.of(found, number.unit).divided(number.per)
    if number.kind is Kind.STUDY:
        missing = (number.name,) if number.name in facts.vocabulary.items else ()
        found = study_number(number.name, facts)
        band = Band.of(found, number.unit, settled_by=_how(number, facts), missing_items=missing)
        return band.divided(number.per)
    if number.kind is Kind.SCORE:
        return score_band(facts.vocabulary.scores[number.name], facts.clinical, facts.vocabulary).divided(number.per)
    return _given(number, facts).divided(number.per)


def sum_band(total: Sum, facts: Facts) -> Band:
    """The sum, from the sum of the lower ends to the sum of the upper ends.

    Half widths add up and are not taken in quadrature: the numbers of one study share their outlines' error.
    """
    bands = [number_band(term, facts) for term in total.terms]
    low, high = sum(b.low for b in bands), sum(b.high for b in bands)
    known = [b.quantity for b in bands if isinstance(b.quantity, Measurement)]
    settled_by = "; ".join(dict.fromkeys(b.settled_by for b in bands if b.settled_by))
    if len(known) < len(bands):
        reasons = [b.quantity.reason for b in bands if isinstance(b.quantity, NotMeasured)]
        missing = tuple(dict.fromkeys(item for b in bands for item in b.missing_items))
        absent = NotMeasured(total.title, STUDY, "; ".join(dict.fromkeys(reasons)))
        return Band(low, high, total.unit, absent, settled_by, missing)
    value = sum(q.value for q in known)
    method = f"sum of {', '.join(q.name for q in known)}; its band is the sum of theirs"
    quantity = Measurement(total.title, STUDY, value, total.unit, low, high, method)
    return Band(low, high, total.unit, quantity, settled_by)


def study_number(name: str, facts: Facts) -> Measured:
    """A number of the whole study; what a person gave goes before what the images show."""
    measured = find(facts.measurements.organs, name, target=STUDY)
    if isinstance(measured, Measurement) and measured.target == Structure.TUMOUR and not measured.value:
        measured = NotMeasured(name, STUDY, NO_LESION)
    if name == _COUNT and isinstance(measured, Measurement) and len(facts.lesions) < len(facts.measurements.lesions):
        count = float(len(facts.lesions))
        measured = replace(measured, value=count, low=count, high=count, method="lesions drawn where this table looks")
    if name not in facts.clinical.numbers:
        return measured
    value, unit = facts.clinical.numbers[name], facts.vocabulary.items[name].unit
    method = GIVEN
    if isinstance(measured, Measurement):
        method += f"; on the images it was {show(measured.value)}{unit_words(measured.unit)}"
    return Measurement(name, STUDY, value, unit, value, value, method)


def why_incomplete(facts: Facts) -> str:
    """Why the lesions drawn may not be all that there are; empty when they are all."""
    count = study_number(_COUNT, facts)
    drawn = len(facts.lesions)
    if isinstance(count, NotMeasured):
        return count.reason
    if count.value != drawn:
        return f"{show(count.value)} tumours were counted and {drawn} are outlined here"
    return ""


def _over_lesions(number: Number, facts: Facts) -> Band:
    """Largest, smallest or sum over the lesions; open towards what a lesion that is not outlined could change."""
    found = [lesion.quantity(number.name) for lesion in facts.lesions]
    known = [q for q in found if isinstance(q, Measurement)]
    if not found:
        return Band.of(NotMeasured(number.name, STUDY, NO_LESION), number.unit)
    reasons = [f"{q.target} has none: {q.reason}" for q in found if isinstance(q, NotMeasured)]
    incomplete = why_incomplete(facts)
    reasons += [incomplete] if incomplete else []
    low, high = _ends(number, known, facts, whole=not reasons)
    settled_by = _count_settled_by(facts) if incomplete else ""
    missing = (_COUNT,) if incomplete and _COUNT not in facts.clinical.numbers else ()
    words = f"{_OVER_WORDS[number.over]} over {', '.join(lesion.id for lesion in facts.lesions)}"
    if reasons:
        return Band(low, high, number.unit, NotMeasured(number.name, words, "; ".join(reasons)), settled_by, missing)
    values = [q.value for q in known]
    value = {Over.MAX: max(values), Over.MIN: min(values), Over.SUM: sum(values)}[number.over]
    quantity = Measurement(number.name, STUDY, value, known[0].unit, low, high, words, sources=known[0].sources)
    return Band(low, high, number.unit, quantity, settled_by)


def _ends(number: Number, known: list[Measurement], facts: Facts, *, whole: bool) -> tuple[float, float]:
    if not known:
        return -math.inf, math.inf
    lows, highs = [q.low for q in known], [q.high for q in known]
    if number.over is Over.MAX:
        return max(lows), max(highs) if whole else math.inf
    if number.over is Over.MIN:
        return min(lows) if whole else -math.inf, min(highs)
    row = row_of(number.name, facts.vocabulary.quantities)
    # What is missing can only add to a sum, unless the quantity may be negative.
    least = sum(lows) if whole or (row is not None and not row.signed) else -math.inf
    return least, sum(highs) if whole else math.inf


def _count_settled_by(facts: Facts) -> str:
    item = facts.vocabulary.items.get(_COUNT)
    return item.settled_by if item is not None else ""


def _given(number: Number, facts: Facts) -> Band:
    item = facts.vocabulary.items[number.name]
    value = facts.clinical.numbers.get(number.name)
    if value is None:
        absent = NotMeasured(number.name, STUDY, f"{number.name} was not given")
        return Band.of(absent, number.unit, settled_by=item.settled_by, missing_items=(number.name,))
    return Band.of(Measurement(number.name, STUDY, value, item.unit, value, value, GIVEN), number.unit)


def _how(number: Number, facts: Facts) -> str:
    item = facts.vocabulary.items.get(number.name)
    return item.settled_by if item is not None else ""


def title_of(number: Number, vocabulary: Vocabulary) -> str:
    """What a number is called for a reader."""
    if number.kind is Kind.SCORE:
        return vocabulary.scores[number.name].title
    row = row_of(number.name, vocabulary.quantities)
    title = row.title if row is not None else vocabulary.items[number.name].title
    if number.over is Over.EACH:
        return title
    return f"{title}, {_OVER_WORDS[number.over]} over the lesions"
