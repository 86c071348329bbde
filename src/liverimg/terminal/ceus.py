"""What ``liverimg ceus`` shows at its end: one line a plane, then what a reader must know first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from liverimg.pipeline.runner import Outcome

_COLUMNS = (
    ("Non-enhancing area", "ceus_non_enhancing_area"),
    ("Long", "ceus_long_diameter"),
    ("Short", "ceus_short_diameter"),
)
_UNITS = {"mm2": "mm²", "px2": "px²"}


def show_perfusion(outcomes: Sequence[Outcome], out: Path) -> None:
    """Says what was found and where it lies."""
    console = Console(highlight=False)
    fresh = [o.stage for o in outcomes if o.state == "fresh"]
    if fresh:
        console.print(Text(f"up to date already: {', '.join(fresh)}"))
    record = json.loads((out / "perfusion.json").read_text(encoding="utf-8"))
    table = Table(title="Planes", title_justify="left")
    for heading in ("", *(title for title, _ in _COLUMNS), "Foci", "Frames used"):
        table.add_column(heading, justify="left" if not heading else "right")
    for plane in record["planes"]:
        by_name = {q["name"]: q for q in plane["quantities"] if q["target"] == plane["id"]}
        frames = plane["frames"]
        foci = "not looked for" if plane["foci"] is None else str(len(plane["foci"]))
        used = f"{frames['total'] - len(frames['rejected'])} of {frames['total']}"
        table.add_row(Text(plane["id"]), *(_number(by_name, name) for _, name in _COLUMNS), foci, used)
    console.print(table)
    for quantity in record["quantities"]:
        if "value" in quantity:
            console.print(Text(f"{_title(quantity['name'])}: {_said(quantity)}"))
    for warning in record["warnings"]:
        console.print(Text(f"note: {warning}"))
    console.print(Text(f"results: {out / 'perfusion.html'}"))


def _number(by_name: Mapping[str, Mapping[str, Any]], name: str) -> str:
    quantity = by_name.get(name, {})
    return _said(quantity) if "value" in quantity else "not measured"


def _title(name: str) -> str:
    from liverimg.core.catalogue import row_of
    from liverimg.files.catalogue import quantity_rows

    row = row_of(name, quantity_rows())
    return row.title if row is not None else name


def _said(quantity: Mapping[str, Any]) -> str:
    unit = _UNITS.get(quantity["unit"], quantity["unit"])
    return f"{quantity['value']:.1f} {unit} ({quantity['low']:.1f} to {quantity['high']:.1f})"
