"""What ``liverimg train`` and ``evaluate`` show: bars while networks learn, then the scores of each model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverimg.training.learning.steps import Moment


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
