"""A number's band against the thresholds that it is held against."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.measurement import Measurement
from liverimg.core.vocabulary import Threshold


@dataclass(frozen=True)
class BandBar:
    """A number's band against thresholds, each as a share 0 to 100 of the bar's length."""

    low: float
    high: float
    value: float
    thresholds: tuple[tuple[float, str], ...]


def band_bar(quantity: Measurement, thresholds: tuple[Threshold, ...]) -> BandBar | None:
    """Where the band lies against the thresholds; None when their units differ."""
    if any(t.unit != quantity.unit for t in thresholds):
        return None
    places = [quantity.low, quantity.high, *(t.value for t in thresholds)]
    lower, upper = min(0.0, *places), max(places)
    span = (upper - lower) * 1.12 or 1.0

    def share(value: float) -> float:
        return float(round(100 * (value - lower) / span, 2))

    marks = tuple((share(t.value), f"{t.value:g}") for t in thresholds)
    return BandBar(share(quantity.low), share(quantity.high), share(quantity.value), marks)
