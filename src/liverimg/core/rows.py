"""Tables of numbers with a unit and a source, turned into frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from liverimg.core.errors import RecordInvalidError

Filled = TypeVar("Filled")


def filled(kind: type[Filled], table: Mapping[str, Any], where: str, **given: Any) -> Filled:
    """A frozen dataclass from a table that has a row ``{value, unit, source}`` for each of its fields.

    A field of type ``float``, ``int``, ``str`` or ``bool`` takes the row's value, one of type ``tuple[float, ...]`` its
    list of values. A field that is a dataclass itself takes the part of the table of that name, by its own
    ``from_table`` where it has one.

    Args:
        kind: The dataclass.
        table: The parsed table, or a part of it.
        where: What the table is called, for the sentence of refusal.
        given: Fields that don't come from the table.

    Raises:
        RecordInvalidError: A row is missing or holds something else.
    """
    values = dict(given)
    for name, expected in _expected(kind).items():
        if name in given:
            continue
        if isinstance(expected, type) and is_dataclass(expected):
            row = table.get(name)
            part = row if isinstance(row, Mapping) else {}
            own = getattr(expected, "from_table", None)
            values[name] = own(part) if own else filled(expected, part, f"{where} {name}")
        else:
            values[name] = _value(table.get(name), expected, name, where)
    return kind(**values)


def _expected(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _value(row: Any, expected: Any, name: str, where: str) -> Any:
    value: Any = row.get("value") if isinstance(row, Mapping) else None
    if expected is float and _is_number(value):
        return float(value)
    if expected is int and _is_number(value) and value == int(value):
        return int(value)
    if expected in (str, bool) and isinstance(value, expected):
        return value
    if expected == tuple[float, ...] and isinstance(value, list) and all(_is_number(v) for v in value):
        return tuple(float(v) for v in value)
    kinds = {float: "number", int: "whole number", str: "word", bool: "true or false", tuple[float, ...]: "numbers"}
    raise RecordInvalidError(
        f"the table {where} has no {kinds.get(expected, 'value')} for {name}; expected [{name}] with value, unit and "
        "source"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
