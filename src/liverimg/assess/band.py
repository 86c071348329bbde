"""A number as rules see it: the range that it may lie in, open at an end where nothing is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.vocabulary import Threshold

_DECIMALS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Band:
    """What is known of a number.

    Attributes:
        low: It is at least this; minus infinity when nothing says so.
        high: It is at most this; infinity when nothing says so.
        unit: Of both.
        quantity: The number as it is reported, or why there is none.
        settled_by: What would settle it, where the number itself knows.
        missing_items: Clinical items that it wants and nobody gave.
    """

    low: float
    high: float
    unit: str
    quantity: Measured
    settled_by: str = ""
    missing_items: tuple[str, ...] = ()

    @classmethod
    def of(cls, quantity: Measured, unit: str, *, settled_by: str = "", missing_items: tuple[str, ...] = ()) -> Band:
        """A measurement's own band; all numbers when it was not measured."""
        if isinstance(quantity, NotMeasured):
            return cls(-math.inf, math.inf, unit, quantity, settled_by, missing_items)
        return cls(quantity.low, quantity.high, quantity.unit, quantity, settled_by)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing at all is known."""
        return math.isinf(self.low) and math.isinf(self.high)

    def divided(self, per: float) -> Band:
        """The number of times that ``per`` fits in."""
        if per == 1:
            return self
        quantity = self.quantity
        if isinstance(quantity, Measurement):
            quantity = Measurement(
                quantity.name,
                quantity.target,
                quantity.value / per,
                "1",
                quantity.low / per,
                quantity.high / per,
                quantity.method,
                quantity.evidence,
                quantity.sources,
            )
        return Band(self.low / per, self.high / per, "1", quantity, self.settled_by, self.missing_items)


def numbers(band: Band, thresholds: tuple[Threshold, ...] = ()) -> str:
    """The value and its band, with as many decimals as it takes to tell them from the thresholds."""
    ends = [end for end in (band.low, band.high) if math.isfinite(end)]
    value = band.quantity.value if isinstance(band.quantity, Measurement) else None
    shown = ends if value is None else [value, *ends]
    decimals = next((d for d in _DECIMALS if _can_tell(shown, [t.value for t in thresholds], d)), _DECIMALS[-1])
    unit = unit_words(band.unit)
    low, high = (show(end, decimals) for end in (band.low, band.high))
    if value is not None:
        best = show(value, decimals)
        return f"{best}{unit}" if band.low == band.high else f"{best}{unit} (95 % band {low} to {high}{unit})"
    if math.isfinite(band.low) and math.isfinite(band.high):
        return f"{low} to {high}{unit}"
    if math.isfinite(band.low):
        return f"at least {low}{unit}"
    return f"at most {high}{unit}" if math.isfinite(band.high) else "unknown"


def _can_tell(shown: list[float], limits: list[float], decimals: int) -> bool:
    """Whether that many decimals tell the numbers from the thresholds, and from nothing at all."""
    texts = [(n, f"{n:.{decimals}f}") for n in shown]
    apart = all(n == x or text != f"{x:.{decimals}f}" for n, text in texts for x in limits)
    # A share such as 0.12 would lose its band with one decimal.
    enough = decimals > 1 or not any(0 < abs(n) < 1 for n in shown)
    return apart and enough and all(n == 0 or float(text) != 0 for n, text in texts)


def show(value: float, decimals: int = 1) -> str:
    """A number with thousands apart and without idle zeros."""
    if math.isinf(value):
        return "unknown"
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def unit_words(unit: str) -> str:
    """A unit with the blank before it; nothing for plain numbers."""
    return "" if unit in ("1", "") else f" {unit}"
