"""When a study was made, counted from treatment: windows of follow-up, and what is wrong with images of that time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liverimg.core.response import Timepoint


def timepoint_of(days: int | None, table: Mapping[str, Any], *, kind: str | None) -> Timepoint:
    """The windows that a day after treatment lies in, and what is known to be wrong with images of it.

    Args:
        days: Since treatment; None when not known.
        table: ``response.toml``.
        kind: Of treatment; None when not given.
    """
    if days is None:
        words = (
            "When the lesions were treated is not known, so nothing is said that depends on it; give --treated-on DATE."
        )
        return Timepoint(None, (), words)
    oil = kind is not None and bool(table["treatment"][kind].get("oil", False))
    windows = {name: row for name, row in table["timepoint"].items() if row["days"][0] <= days <= row["days"][1]}
    if not oil:
        windows.pop("oil", None)
    named = " and ".join(row["title"] for row in windows.values()) or "outside every window of follow-up"
    treatment = "treatment" if kind is None else table["treatment"][kind]["title"]
    bias = table["bias"]["immediate" if days <= table["timepoint"]["immediate"]["days"][1] else "shrunken"]["text"]
    count = "The day of" if days == 0 else f"{days} day{'' if days == 1 else 's'} after"
    return Timepoint(days, tuple(windows), f"{count} {treatment}: {named}.", str(bias))
