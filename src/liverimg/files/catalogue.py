"""The tables of names: measured quantities, clinical items and the scores computed from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from liverimg.core.catalogue import CodedConcept, QuantityRow
from liverimg.core.errors import RecordInvalidError
from liverimg.core.vocabulary import ClinicalItem, Points, Score, ScorePart, Threshold, Vocabulary
from liverimg.files.tables import Table, read_table

_ITEM_KINDS = ("number", "word", "date", "days")
_ITEM_FIELDS = {"kind", "title", "meaning", "unit", "plausible", "words", "also", "between", "settled_by"}
# Known of the scan itself, so nobody has to give it.
STUDY_DATE = "study_date"


@cache
def vocabulary() -> Vocabulary:
    """Everything that a rule may name: quantities, clinical items and scores that come with the program."""
    table = read_table("clinical_items")
    items = {key: clinical_item(key, row) for key, row in table["item"].items()}
    scores = (_score(row) for row in table["score"])
    asked_of = {name: row for name, row in quantity_rows().items() if row.scope in ("lesion", "study")}
    return Vocabulary(asked_of, items, {score.name: score for score in scores})


@cache
def quantity_rows() -> Mapping[str, QuantityRow]:
    """Every quantity and family of quantities, in the order of the table."""
    table = read_table("quantities")
    rows = {}
    for name, row in table["quantity"].items():
        code = CodedConcept(**row["code"]) if "code" in row else None
        rows[name] = QuantityRow(**{**row, "name": name, "code": code, "states": tuple(row.get("states", ()))})
    return rows


@cache
def unit_codes() -> Mapping[str, str]:
    """UCUM code of each unit."""
    return {name: str(row["ucum"]) for name, row in read_table("quantities")["unit"].items()}


@cache
def clip_units() -> frozenset[str]:
    """Units that mean something else in each clip: their numbers can't be put together over studies."""
    return frozenset(name for name, row in read_table("quantities")["unit"].items() if row.get("of_its_clip", False))


def item_titles() -> dict[str, str]:
    """Name for readers of everything that a person may give in the clinical file, by its key."""
    return {key: str(row["title"]) for key, row in read_table("clinical_items")["item"].items()}


@cache
def lesion_sites() -> tuple[str, ...]:
    """What ``[lesion_site]`` of the clinical file may say of a lesion."""
    return tuple(read_table("clinical_items")["sites"])


def clinical_item(key: str, row: Table, *, file_name: str = "clinical_items.toml") -> ClinicalItem:
    """One row ``[item.KEY]``.

    Raises:
        RecordInvalidError: A field is missing, unknown or of the wrong kind.
    """
    where = f"{file_name}: the item {key}"
    kind = row.get("kind") if isinstance(row, Mapping) else None
    if kind not in _ITEM_KINDS:
        raise RecordInvalidError(f"{where} has the kind {kind!r}; expected one of {', '.join(_ITEM_KINDS)}")
    unknown = sorted(set(row) - _ITEM_FIELDS)
    if unknown:
        raise RecordInvalidError(f"{where} has a field {unknown[0]!r}; expected {', '.join(sorted(_ITEM_FIELDS))}")
    words = tuple(str(w).lower() for w in row.get("words", ()))
    if kind == "word" and not words:
        raise RecordInvalidError(f"{where} lists no words; expected words = [...]")
    if kind in ("number", "days") and not row.get("unit"):
        raise RecordInvalidError(f'{where} has no unit; expected one, such as unit = "mm"')
    plausible = row.get("plausible")
    return ClinicalItem(
        key=key,
        title=str(row.get("title", key)),
        kind=kind,
        meaning=str(row.get("meaning", "")),
        unit=str(row.get("unit", "")),
        plausible=None if plausible is None else _pair(plausible, f"{where} (plausible)"),
        words=words,
        also={str(k): number(v, f"{where} (also)") for k, v in row.get("also", {}).items()},
        between=None if "between" not in row else (str(row["between"][0]), str(row["between"][1])),
        settled_by=str(row.get("settled_by", "")),
    )


def number(value: Any, where: str) -> float:
    """A finite number, or one sentence of refusal."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(_as_float(value)):
        raise RecordInvalidError(f"{where} holds {value!r}; expected a number")
    return float(value)


def _as_float(value: float) -> float:
    # A whole number of TOML may be larger than any float.
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _pair(value: Any, where: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise RecordInvalidError(f"{where} holds {value!r}; expected the smallest and the largest value")
    low, high = (number(v, where) for v in value)
    if low > high:
        raise RecordInvalidError(f"{where} holds {value!r}; expected the smaller value first")
    return low, high


def _score(row: Table) -> Score:
    source = str(row["source"])
    return Score(
        name=str(row["name"]),
        title=str(row["title"]),
        parts=tuple(_part(part, source) for part in row["part"]),
        source=source,
    )


def _part(row: Table, source: str) -> ScorePart:
    return ScorePart(
        item=str(row["item"]),
        steps=tuple(_points(step, source) for step in row.get("steps", ())),
        times=float(row.get("times", 0.0)),
        log10=bool(row.get("log10", False)),
    )


def _points(row: Table, source: str) -> Points:
    threshold = Threshold(float(row["value"]), str(row["unit"]), source) if "value" in row else None
    return Points(float(row["points"]), str(row.get("operator", "")), threshold, tuple(row.get("words", ())))
