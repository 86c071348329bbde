"""What the command line shows: progress bars, tables, the last word. Nothing else prints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverimg.pipeline.runner import Outcome

_VERBS = {
    "ingest": "Reading the study",
    "segment": "Delineating",
    "measure": "Measuring",
    "assess": "Holding against criteria",
    "report": "Writing the report",
    "sample": "Writing the sample studies",
}


class TerminalReporter:
    """Progress bars on standard error, one per stage that has work to do."""

    def __init__(self) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalReporter:
        """Starts drawing."""
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stops drawing, whatever happened."""
        self._bars.stop()

    def stage_started(self, stage: str) -> Callable[[float], None]:
        """Adds a bar, and returns what moves it."""
        task = self._bars.add_task(f"{_VERBS.get(stage, stage):<26}", total=1.0)
        self._tasks[stage] = task
        return lambda fraction: self._bars.update(task, completed=fraction)

    def stage_ended(self, outcome: Outcome) -> None:
        """Fills the stage's bar."""
        if outcome.stage in self._tasks:
            self._bars.update(self._tasks[outcome.stage], completed=1.0)


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


def show_inspection(record: Mapping[str, Any]) -> None:
    """The series table: what is here, which phase, used or not and why."""
    console = Console(highlight=False)
    table = Table(show_lines=True, title=f"Study of {record['study_date'] or 'unknown date'}", title_justify="left")
    for heading in ("", "Series", "Phase and why"):
        table.add_column(heading, overflow="fold")
    for row in record["volumes"]:
        k, j, i = row["grid"]["shape_kji"]
        along_k, along_j, along_i = row["grid"]["spacing_kji_mm"]
        why = [f"{e['source']}: {e['detail']}" for e in row["phase_evidence"]]
        flags = [f"flag: {flag}" for flag in row["flags"]]
        table.add_row(
            "reference" if row["is_reference"] else "used",
            Text(
                f"{row['modality']} {row['description'] or '(no description)'}\n{i} x {j} x {k} voxels\n"
                f"{along_i:.2f} x {along_j:.2f} x {along_k:.2f} mm\n{row['series_instance_uid']}"
            ),
            Text.assemble((row["phase"], "bold"), *(f"\n{line}" for line in why + flags)),
        )
    if record["volumes"]:
        console.print(table)
    if record["rejected"]:
        refused = Table(title="Not used", title_justify="left")
        for heading in ("What", "Code", "Why"):
            refused.add_column(heading, overflow="fold")
        for row in record["rejected"]:
            refused.add_row(Text(row["what"]), row["code"], Text(row["reason"]))
        console.print(refused)
