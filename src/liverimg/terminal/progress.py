"""Progress bars of a run, one per stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverimg.pipeline.runner import Outcome

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
    "ceus": "Measuring the planes",
    "ceus_report": "Writing the report",
    "deidentify": "Removing identity",
    "sample": "Writing the sample studies",
}

_NEARLY = 0.99


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
        # A full bar stops its clock: until the stage is through there is always a little left.
        return lambda fraction: self._bars.update(task, completed=min(fraction, _NEARLY))

    def stage_ended(self, outcome: Outcome) -> None:
        """Fills the stage's bar."""
        if outcome.stage in self._tasks:
            self._bars.update(self._tasks[outcome.stage], completed=1.0)
