"""What ``liverimg pre``, ``ingest`` and ``measure`` show at their end: the stages, one line a lesion, where it lies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from liverimg.pipeline.runner import Outcome


def show_outcomes(outcomes: Sequence[Outcome], out: Path) -> None:
    """Says what became of each stage and where the results lie."""
    console = Console(highlight=False)
    for outcome in outcomes:
        if outcome.note:
            console.print(Text(f"{outcome.stage}: {outcome.note}"))
    fresh = [o.stage for o in outcomes if o.state == "fresh"]
    if fresh:
        console.print(Text(f"up to date already: {', '.join(fresh)}"))
    measurements, assessment = out / "measurements.json", out / "assessment.json"
    if measurements.is_file() and assessment.is_file():
        _show_lesions(console, _read(measurements), _read(assessment))
    report = out / "report.html"
    console.print(Text(f"results: {report if report.is_file() else out}"))


def _read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _show_lesions(console: Console, measured: Mapping[str, Any], assessed: Mapping[str, Any]) -> None:
    """One line per lesion: its size, its depth, what the rules say; then what a reader must know first."""
    table = Table(title="Lesions", title_justify="left")
    for heading in ("", "Axial mm", "Volume ml", "Depth mm", "Met", "Not met", "Undetermined"):
        table.add_column(heading, justify="left" if not heading else "right")
    for lesion in measured["lesions"]:
        by_name = {q["name"]: q for q in lesion["quantities"]}
        verdicts = Counter(f["verdict"] for f in assessed["findings"] if f["target"] == lesion["id"])
        table.add_row(
            Text(lesion["id"]),
            f"{_number(by_name, 'axial_long_diameter')} x {_number(by_name, 'axial_short_diameter')}",
            _number(by_name, "volume"),
            _number(by_name, "depth_from_skin_near"),
            *(str(verdicts[verdict]) for verdict in ("MET", "NOT_MET", "UNDETERMINED")),
        )
    console.print(table if measured["lesions"] else Text("no lesion was outlined"))
    if measured["labels"]["origin"] == "edited":
        console.print(Text("the labels were corrected by hand"))
    for warning in measured["warnings"]:
        console.print(Text(f"note: {warning}"))


def _number(by_name: Mapping[str, Mapping[str, Any]], name: str) -> str:
    quantity = by_name.get(name, {})
    return f"{quantity['value']:.1f}" if "value" in quantity else "not measured"
