"""The comparisons: a band against thresholds. MET when all of it keeps the rule, NOT_MET when none of it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from liverimg.assess.band import Band, show, unit_words
from liverimg.assess.logic import three_way
from liverimg.core.assessment import Verdict
from liverimg.core.vocabulary import Threshold

Thresholds = tuple[Threshold, ...]


@dataclass(frozen=True)
class Answer:
    """What a comparison says.

    Attributes:
        verdict: The answer.
        rule: What is asked, in words: ``at most 50 mm``.
        remark: Why it is open, where that is not the band reaching over the threshold.
    """

    verdict: Verdict
    rule: str
    remark: str = ""


def compare(operator: str, band: Band, thresholds: Thresholds) -> Answer:
    """Holds a band against thresholds."""
    return _OPERATORS[operator](band.low, band.high, thresholds)


def _limit(threshold: Threshold) -> str:
    # As the table gives it: no digit more, none less.
    text = f"{threshold.value:,.6f}".rstrip("0").rstrip(".")
    return f"{text}{unit_words(threshold.unit)}"


def _at_most(low: float, high: float, thresholds: Thresholds) -> Answer:
    top = thresholds[0].value
    return Answer(three_way(certain=high <= top, excluded=low > top), f"at most {_limit(thresholds[0])}")


def _below(low: float, high: float, thresholds: Thresholds) -> Answer:
    top = thresholds[0].value
    return Answer(three_way(certain=high < top, excluded=low >= top), f"less than {_limit(thresholds[0])}")


def _at_least(low: float, high: float, thresholds: Thresholds) -> Answer:
    least = thresholds[0].value
    return Answer(three_way(certain=low >= least, excluded=high < least), f"at least {_limit(thresholds[0])}")


def _above(low: float, high: float, thresholds: Thresholds) -> Answer:
    least = thresholds[0].value
    return Answer(three_way(certain=low > least, excluded=high <= least), f"more than {_limit(thresholds[0])}")


def _within(low: float, high: float, thresholds: Thresholds) -> Answer:
    least, top = (t.value for t in thresholds)
    rule = _limit(thresholds[0])
    if least != top:
        rule += f" to {_limit(thresholds[1])}"
    return Answer(three_way(certain=low >= least and high <= top, excluded=high < least or low > top), rule)


def _within_or_gap(low: float, high: float, thresholds: Thresholds) -> Answer:
    """Favourable from the first to the second threshold, unfavourable below the first or above the third."""
    least, top, refused = (t.value for t in thresholds)
    first, second, third = (_limit(t) for t in thresholds)
    rule = f"{first} to {second} and refuses less than {first} and more than {third}"
    verdict = three_way(certain=low >= least and high <= top, excluded=high < least or low > refused)
    remark = ""
    if verdict is Verdict.UNDETERMINED and high > top and low >= least and high <= refused:
        inside = "the band lies" if low > top else "part of the band lies"
        remark = f"{inside} between {second} and {third}, where the source has no rule"
    return Answer(verdict, rule, remark)


def _sessions(low: float, high: float, thresholds: Thresholds) -> Answer:
    """Sessions needed at the largest and at the smallest volume per session, against a largest count."""
    smallest, largest, most = (t.value for t in thresholds)
    fewest, many = (_count(low, largest), _count(high, smallest))
    words = f"{show(fewest)} session(s)" if fewest == many else f"{show(fewest)} to {show(many)} sessions"
    rule = (
        f"up to {show(most)} sessions, called typical; at {_limit(thresholds[0])} to {_limit(thresholds[1])} per "
        f"session this volume makes {words}"
    )
    remark = "the count depends on the volume per session" if fewest <= most < many else ""
    return Answer(three_way(certain=many <= most, excluded=fewest > most), rule, remark)


def _count(volume_ml: float, per_session_ml: float) -> float:
    return max(1.0, math.ceil(volume_ml / per_session_ml)) if math.isfinite(volume_ml) else max(1.0, volume_ml)


_OPERATORS: dict[str, Callable[[float, float, Thresholds], Answer]] = {
    "<=": _at_most,
    "<": _below,
    ">=": _at_least,
    ">": _above,
    "within": _within,
    "within_or_gap": _within_or_gap,
    "sessions": _sessions,
}
