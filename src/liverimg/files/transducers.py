"""Transducers for focused ultrasound out of their table: the one that comes with the program, or a reader's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from liverimg.core.errors import RecordInvalidError
from liverimg.core.window import Transducer
from liverimg.files.tables import read_table, read_toml

_TABLE = "transducers"
_PAIRS = ("azimuth_deg", "elevation_deg")
_WORDS = ("title", "source")


def read_transducers(own: Path | Mapping[str, Any] | None = None) -> dict[str, Transducer]:
    """All transducers of a table, in its order.

    Args:
        own: A TOML file of the form of ``transducers.toml``, or what was read from one; None takes that one.

    Raises:
        RecordInvalidError: A row lacks a field, has one too many or one that can't be.
    """
    name = own.name if isinstance(own, Path) else f"{_TABLE}.toml" if own is None else "the table of transducers"
    table = own if isinstance(own, Mapping) else read_table(_TABLE) if own is None else read_toml(own)
    if not table:
        raise RecordInvalidError(f"{name} describes no transducer; expected at least one table such as [my_device]")
    return {key: _transducer(key, row, name) for key, row in table.items()}


def choose_transducer(name: str | None, own: Path | Mapping[str, Any] | None = None) -> Transducer:
    """The transducer of that name, the table's first without one.

    Raises:
        RecordInvalidError: There is none of that name, or the table is wrong.
    """
    found = read_transducers(own)
    if name is None:
        return next(iter(found.values()))
    if name not in found:
        raise RecordInvalidError(
            f"there is no transducer called {name!r}; the table has: {', '.join(found)}; name one of them or add it "
            "(liverimg transducers lists them)"
        )
    return found[name]


def _transducer(key: str, row: Any, file_name: str) -> Transducer:
    wanted = {f.name for f in fields(Transducer)} - {"id"}
    if not isinstance(row, Mapping) or set(row) != wanted:
        raise RecordInvalidError(
            f"{file_name} does not describe {key!r} fully; expected [{key}] with these and no others: "
            f"{', '.join(sorted(wanted))}"
        )
    try:
        values = {name: _value(name, row[name]) for name in wanted}
        return Transducer(id=key, **values)
    except (TypeError, ValueError) as error:
        raise RecordInvalidError(f"{file_name}, transducer {key!r}: {error}; correct the table") from error


def _value(name: str, given: Any) -> Any:
    if name in _WORDS:
        if not isinstance(given, str) or not given.strip():
            raise ValueError(f"{name} is a text that is not empty")
        return given
    if name in _PAIRS:
        low, high = given
        return _number(name, low), _number(name, high)
    return _number(name, given)


def _number(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(f"{name} is a number, not {given!r}")
    return float(given)
