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
    from liverimg.training.learning.steps import Moment

_VERBS = {
    "ingest": "Reading the study",
    "inspect": "Looking at the study",
    "segment": "Delineating",
    "measure": "Measuring",
    "assess": "Holding against criteria",
    "report": "Writing the report",
    "publish": "Writing DICOM objects",
    "register": "Laying the studies on each other",
    "zones": "Looking for ablation zones",
    "response": "Measuring margins",
    "response_report": "Writing the report",
    "deidentify": "Removing identity",
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


class TrainingWatcher:
    """Bars and lines on standard error for training and scoring."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}"),
            console=self._console,
        )

    def __enter__(self) -> TrainingWatcher:
        """Starts drawing."""
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stops drawing, whatever happened."""
        self._bars.stop()

    def stage(self, title: str) -> Callable[[float], None]:
        """Adds a bar, and returns what moves it."""
        task = self._bars.add_task(title, total=1.0, said="")
        return lambda fraction: self._bars.update(task, completed=fraction)

    def moment(self, title: str) -> Callable[[Moment], None]:
        """Adds a bar for a network that learns, with its loss."""
        task = self._bars.add_task(f"Training the {title} pass", total=1.0, said="")
        smooth: list[float] = []

        def show(now: Moment) -> None:
            smooth.append(now.loss if not smooth else 0.98 * smooth[-1] + 0.02 * now.loss)
            said = f"step {now.step}  loss {smooth[-1]:.3f}  {now.seconds / now.step:.2f} s a step"
            self._bars.update(task, completed=now.fraction, said=said)

        return show

    def note(self, sentence: str) -> None:
        """Prints a sentence above the bars."""
        self._console.print(Text(sentence))


def show_trained(scores: Mapping[str, Any] | None, out: Path) -> None:
    """The scores on the validation cases, and where the model lies."""
    console = Console(highlight=False)
    if scores is not None:
        _show_model(console, "Validation cases", scores)
    console.print(Text(f"model: {out}"))


def show_scores(record: Mapping[str, Any]) -> None:
    """Scores of each model, and the comparison where there is one."""
    console = Console(highlight=False)
    for model in record["models"]:
        _show_model(console, f"{model['name']} {model['version']} on {record['on']}", model["summary"])
    gate = record["gate"]
    if gate is None:
        return
    table = Table(title="Compared with the other model", title_justify="left")
    for heading in ("", "Cases", "Other", "New", "At worst", "Allowed", ""):
        table.add_column(heading, justify="left" if not heading else "right", overflow="fold")
    for check in gate["checks"]:
        worst = "" if check["bound"] is None else f"{check['bound']:+.2f}"
        row = (_figure(check["old"]), _figure(check["new"]), worst, f"{check['limit']:g}", check["verdict"])
        table.add_row(Text(check["what"]), str(check["cases"]), *row)
    console.print(table)
    for reason in gate["reasons"]:
        console.print(Text(f"not fit to take its place: {reason}"))


def _show_model(console: Console, title: str, summary: Mapping[str, Any]) -> None:
    table = Table(title=f"{title}: {summary['cases']} cases", title_justify="left")
    for heading in ("", "Dice", "Surf.\n1 mm", "Dice\n2 mm", "HD95\nmm", "ASSD\nmm", "Vol.\n%", "cl\nDice"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=not heading)
    keys = ("dice", "surface_dice_2mm", "hd95_mm", "assd_mm", "volume_error_percent")
    dice, near, far, mean, volume = (_figure(summary[f"liver_with_contents_{key}"]) for key in keys)
    table.add_row("liver with contents", dice, "", near, far, mean, volume, "")
    for name, one in summary["structures"].items():
        columns = ("dice", "surface_dice_1mm", *keys[1:], "centreline_dice")
        table.add_row(Text(name.replace("_", " ")), *(_figure(one[key]) for key in columns))
    console.print(table)
    for size, row in summary.get("lesions", {}).get("by_size", {}).items():
        if row["present"] or row["calls"]:
            said = f"{row['found']} of {row['present']} found, {row['false_calls']} of {row['calls']} calls false"
            console.print(Text(f"lesions of {size}: {said}"))
    for name, one in summary["measurement_errors"].items():
        said = f"median {_figure(one['median'])}, 95 % below {_figure(one['p95'])} {one['unit']}"
        count = f"{one['measured']} of {one['lesions']} lesions"
        console.print(Text(f"error of {name.replace('_', ' ')} in {count}{f': {said}' if one['measured'] else ''}"))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
