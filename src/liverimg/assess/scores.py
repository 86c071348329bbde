"""Scores: numbers computed from clinical items, a range where an item is missing."""

from __future__ import annotations

import math

from liverimg.assess.band import Band, show
from liverimg.assess.clinical import Clinical
from liverimg.assess.operators import compare
from liverimg.core.assessment import Verdict
from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.vocabulary import Points, Score, ScorePart, Vocabulary

STUDY = "study"
GIVEN = "given in the clinical file"
# A computed score is rounded here, far below any digit that its thresholds have.
_DIGITS = 9


def score_band(score: Score, clinical: Clinical, vocabulary: Vocabulary) -> Band:
    """The score, or the range that it can still lie in when items are missing.

    Steps have points for the least and for the most, so a Child-Pugh score with one item missing lies between two
    numbers, and rules may be decided all the same. A score that is given itself goes first; it has to agree with what
    is computed.

    Raises:
        RecordInvalidError: A given score that the given items contradict.
    """
    missing = [part.item for part in score.parts if not _is_given(part, clinical)]
    ranges = [_range(part, clinical) for part in score.parts]
    low, high = (float(f"{sum(r[end] for r in ranges):.{_DIGITS}g}") for end in (0, 1))
    if score.name in clinical.numbers:
        given = clinical.numbers[score.name]
        if not low <= given <= high:
            raise RecordInvalidError(
                f"the clinical item {score.name} is {show(given)}, but the items given beside it make "
                f"{show(low)}{'' if low == high else f' to {show(high)}'}; correct one of them"
            )
        return Band.of(Measurement(score.name, STUDY, given, score.unit, given, given, GIVEN), score.unit)
    if not missing:
        method = f"computed: {score.source}"
        return Band.of(Measurement(score.name, STUDY, low, score.unit, low, high, method), score.unit)
    settled_by = "; ".join(_how(item, vocabulary) for item in missing)
    if len(missing) == len(score.parts):
        alone = f"{score.name} was not given" if score.name in vocabulary.items else ""
        items = ", ".join(missing)
        reason = f"{alone}, nor {items}" if alone else f"{items} were not given"
        absent = NotMeasured(score.name, STUDY, reason)
        return Band.of(absent, score.unit, settled_by=settled_by, missing_items=tuple(missing))
    reason = f"{', '.join(missing)} {'was' if len(missing) == 1 else 'were'} not given"
    return Band(low, high, score.unit, NotMeasured(score.name, STUDY, reason), settled_by, tuple(missing))


def _how(item: str, vocabulary: Vocabulary) -> str:
    return f"{item}: {vocabulary.items[item].settled_by}"


def _is_given(part: ScorePart, clinical: Clinical) -> bool:
    return part.item in clinical.numbers or part.item in clinical.words


def _range(part: ScorePart, clinical: Clinical) -> tuple[float, float]:
    if part.steps:
        if _is_given(part, clinical):
            points = next(step.points for step in part.steps if _fits(step, part.item, clinical))
            return points, points
        possible = [step.points for step in part.steps]
        return min(possible), max(possible)
    if not _is_given(part, clinical):
        return -math.inf, math.inf
    value = clinical.numbers[part.item]
    value = part.times * (math.log10(value) if part.log10 else value)
    return value, value


def _fits(step: Points, item: str, clinical: Clinical) -> bool:
    if step.words:
        return clinical.words[item] in step.words
    if step.threshold is None:
        return True
    value = clinical.numbers[item]
    given = Band.of(Measurement(item, STUDY, value, step.threshold.unit, value, value, GIVEN), step.threshold.unit)
    return compare(step.operator, given, (step.threshold,)).verdict is Verdict.MET
