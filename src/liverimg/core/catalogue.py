"""What each measured quantity is called, what it means and which code it has: one row a quantity, from data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_FAMILY = "*"


@dataclass(frozen=True)
class CodedConcept:
    """A code of a public scheme (SCT, DCM, IBSI), or of this program's own (99LIVERIMG)."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class QuantityRow:
    """One quantity, or a family of them.

    Attributes:
        name: As in the record; ends in ``*`` for a family.
        scope: ``lesion`` or ``study`` (``measurements.json``), ``treatment`` (``response.json``) or ``ultrasound``
            (``perfusion.json``).
        unit: Its unit.
        title: For a reader.
        meaning: One sentence.
        page: Page under ``docs/`` that says how it is measured.
        code: Its code, or None.
        states: Words for the values 0, 1, 2, ... of a quantity that is a state.
        signed: Whether it may be negative.
    """

    name: str
    scope: str
    unit: str
    title: str
    meaning: str
    page: str
    code: CodedConcept | None = None
    states: tuple[str, ...] = ()
    signed: bool = False


def row_of(name: str, rows: Mapping[str, QuantityRow]) -> QuantityRow | None:
    """The row of that name: its own, or its family's with the rest of the name put into the texts; None if neither."""
    if name in rows:
        return rows[name]
    families = [key for key in rows if key.endswith(_FAMILY) and name.startswith(key[:-1]) and len(name) >= len(key)]
    if not families:
        return None
    family = max(families, key=len)
    row, rest = rows[family], name[len(family) - 1 :].replace("_", " ")
    return QuantityRow(
        name=name,
        scope=row.scope,
        unit=row.unit,
        title=row.title.replace("{}", rest),
        meaning=row.meaning.replace("{}", rest),
        page=row.page,
        code=row.code,
        states=row.states,
        signed=row.signed,
    )
