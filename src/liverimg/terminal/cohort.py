"""What ``liverimg cohort`` shows: one bar for all studies, then how they ended and where the tables lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from liverimg.pipeline.cohort import CohortResult
    from liverimg.pipeline.cohort_ends import Counts


class CohortBar:
    """A bar on standard error: studies that have ended, of all."""

    def __init__(self, dashboard: str) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._dashboard = dashboard
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("Studies"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=2,
        )
        self._task = self._bar.add_task("", total=None, said="")

    def __enter__(self) -> CohortBar:
        """Starts drawing."""
        if self._dashboard:
            self._console.print(Text(f"dashboard: http://{self._dashboard}/status"))
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stops drawing, whatever happened."""
        self._bar.stop()

    def cohort_moved(self, counts: Counts) -> None:
        """Moves the bar."""
        ended = counts.done + counts.refused + counts.failed
        said = [f"{counts.running} on {counts.workers} workers"]
        said += [f"{n} {word}" for n, word in ((counts.refused, "refused"), (counts.failed, "failed")) if n]
        self._bar.update(self._task, total=counts.total, completed=ended, said=", ".join(said))


def show_cohort(result: CohortResult) -> None:
    """How the studies ended, and where the tables and the page lie."""
    console = Console(highlight=False)
    counts = result.counts
    fresh = f" ({counts.fresh} of them up to date already)" if counts.fresh else ""
    console.print(Text(f"{counts.total} studies: {counts.done} done{fresh}"))
    if counts.refused or counts.failed:
        console.print(Text(f"{counts.refused} refused, {counts.failed} failed: see refusals.csv"))
    for path in result.files:
        console.print(Text(f"results: {path}"), soft_wrap=True)
