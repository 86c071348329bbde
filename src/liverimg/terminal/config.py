"""What ``liverimg config show`` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_defaults(rows: Sequence[Mapping[str, Any]], file: str | None) -> None:
    """One line an option: its value when the command line does not say, and where that comes from.

    Args:
        rows: ``command``, ``option``, ``value`` and ``from``.
        file: The configuration that was read; None without one.
    """
    console = Console(highlight=False)
    console.print(Text(f"configuration: {file or 'none (--config FILE.toml, or the variable LIVERIMG_CONFIG)'}"))
    if not rows:
        console.print(Text("It sets nothing." if file else "Name a command to see what is built in."))
        return
    shown = Table()
    for heading in ("Command", "Option", "Value", "From"):
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(str(row[key])) for key in ("command", "option")), Text(_said(row)), Text(str(row["from"])))
    console.print(shown)
    console.print(Text("What the command line says goes before all of these."))


def _said(row: Mapping[str, Any]) -> str:
    value = row["value"]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)
