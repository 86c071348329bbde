"""Words and numbers for readers: strings from the table, values with unit and band."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import Measured, Measurement

Strings = Mapping[str, Any]

_NARROW_SPACE = "\u202f"
_MINUS = "\u2212"


@dataclass(frozen=True)
class QuantityRow:
    """One line of a table of numbers.

    Attributes:
        title: What was measured.
        measured: Whether there is a number.
        value: The number with its unit; empty when not measured.
        band: The 95 % band, ``low to high unit``; empty when not measured.
        detail: The method, or the reason why there is no number.
    """

    title: str
    measured: bool
    value: str
    band: str
    detail: str


def say(strings: Strings, key: str, **values: object) -> str:
    """The string behind a dotted key, its placeholders filled.

    Raises:
        RecordInvalidError: The table has no such string.
    """
    found: Any = strings
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise RecordInvalidError(f"report_strings has no text '{key}'; add it to the table")
        found = found[part]
    return str(found).format(**values) if values else str(found)


def number(value: float, unit: str, strings: Strings) -> str:
    """A number at the precision of its unit, without the unit."""
    return _fixed(value, int(strings["unit"].get(unit, {}).get("decimals", 2)))


def _fixed(value: float, decimals: int) -> str:
    text = f"{abs(value):.{decimals}f}"
    negative = value < 0 and float(text) != 0
    return (_MINUS if negative else "") + text


def unit_label(unit: str, strings: Strings) -> str:
    """How a unit is printed, with the space before it; empty for plain ratios."""
    label = str(strings["unit"].get(unit, {}).get("label", unit))
    return f"{_NARROW_SPACE}{label}" if label else ""


def _printed(quantity: Measurement, strings: Strings) -> tuple[str, str, str, str]:
    """Value, low, high and unit; a quantity's own way of printing overrules its unit's."""
    own = strings["quantity"].get(quantity.name, {})
    decimals = int(own.get("decimals", strings["unit"].get(quantity.unit, {}).get("decimals", 2)))
    scale = float(own.get("scale", 1))
    value, low, high = (_fixed(v * scale, decimals) for v in (quantity.value, quantity.low, quantity.high))
    label = f"{_NARROW_SPACE}{own['label']}" if "label" in own else unit_label(quantity.unit, strings)
    return value, low, high, label


def _state(quantity: Measurement, value: float, strings: Strings) -> str:
    """The word for a state; empty for a quantity that is none."""
    states = strings["quantity"].get(quantity.name, {}).get("states", ())
    return str(states[int(value)]) if value == int(value) and 0 <= value < len(states) else ""


def value_text(quantity: Measurement, strings: Strings) -> str:
    """``42.3 mm``, never broken over two lines; a state in words, with a doubt where more than one is possible."""
    if state := _state(quantity, quantity.value, strings):
        return state if quantity.low == quantity.high else say(strings, "numbers.unsure_state", state=state)
    value, _, _, label = _printed(quantity, strings)
    return value + label


def band_text(quantity: Measurement, strings: Strings) -> str:
    """``40.1 to 44.5 mm``; ``none to rim`` for states, nothing where a state is certain."""
    if first := _state(quantity, quantity.low, strings):
        last = _state(quantity, quantity.high, strings)
        return "" if first == last else say(strings, "numbers.band", low=first, high=last, unit="")
    _, low, high, label = _printed(quantity, strings)
    return say(strings, "numbers.band", low=low, high=high, unit=label)


def quantity_title(name: str, strings: Strings) -> str:
    """A quantity's name for readers; its own words when the table does not know it."""
    known = strings["quantity"].get(name, {}).get("title")
    if known:
        return str(known)
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def short_title(name: str, strings: Strings) -> str:
    """The few letters that stand beside a line in a picture."""
    return str(strings["quantity"].get(name, {}).get("short", quantity_title(name, strings)))


def item_title(key: str, strings: Strings) -> str:
    """What a person may give in the clinical file, by its name for readers."""
    return str(strings.get("item", {}).get(key, key.replace("_", " ")))


def named(sentence: str, strings: Strings) -> str:
    """A sentence of the rules with the clinical items by their names, in quotation marks, instead of their keys."""
    keys = strings.get("item", {})
    if not keys:
        return sentence
    return re.sub(rf"\b(?:{'|'.join(keys)})\b", lambda found: f"“{keys[found[0]]}”", sentence)


def quantity_rows(quantities: tuple[Measured, ...], strings: Strings) -> tuple[QuantityRow, ...]:
    """One row per quantity, the table's known ones first and in its order; none is left out."""
    order = {name: place for place, name in enumerate(strings["quantity"])}
    ordered = sorted(quantities, key=lambda q: order.get(q.name, len(order)))
    return tuple(_row(q, strings) for q in ordered)


def _row(quantity: Measured, strings: Strings) -> QuantityRow:
    title = quantity_title(quantity.name, strings)
    if isinstance(quantity, Measurement):
        return QuantityRow(title, True, value_text(quantity, strings), band_text(quantity, strings), quantity.method)
    return QuantityRow(title, False, "", "", named(quantity.reason, strings))


def date_text(dicom_date: str | None, strings: Strings) -> str:
    """``2026-11-21`` from DICOM's ``20261121``."""
    if dicom_date is None or len(dicom_date) < 8 or not dicom_date[:8].isdigit():
        return say(strings, "header.no_date")
    return f"{dicom_date[:4]}-{dicom_date[4:6]}-{dicom_date[6:8]}"
