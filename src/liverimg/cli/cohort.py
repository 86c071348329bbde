"""Many studies at once: ``liverimg cohort``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liverimg.cli.answer import Answer
from liverimg.cli.options import DeviceOption, RecipeOption
from liverimg.core.errors import ExitCode

if TYPE_CHECKING:
    from liverimg.pipeline.cohort import CohortResult


def cohort(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST|FOLDER", help="CSV or TSV with a column study, or a folder whose subfolders are studies."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT", help="Folder for all results; a second start goes on.")],
    recipe: RecipeOption = "pre_ablation",
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=0, help="Worker processes here; 0: in this process, one by one."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that runs already.")
    ] = None,
    slurm: Annotated[
        Path | None, typer.Option("--slurm", metavar="FILE.toml", help="Workers as SLURM jobs with these options.")
    ] = None,
    device: DeviceOption = "auto",
    tries: Annotated[
        int, typer.Option("--tries", metavar="N", min=1, help="Of a study that fails or kills its worker.")
    ] = 3,
    hours: Annotated[float, typer.Option("--hours", metavar="H", help="A study that takes longer is ended.")] = 6.0,
    memory_gb: Annotated[
        float, typer.Option("--memory-gb", metavar="GB", min=0.0, help="Only workers with so much get a study.")
    ] = 0.0,
    dashboard: Annotated[
        str, typer.Option("--dashboard", metavar="ADDRESS|off", help="Where Dask's pages are served.")
    ] = "127.0.0.1:8787",
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Subfolders' names as ids; only where they name no patient.")
    ] = False,
) -> Answer:
    """Take many studies through a recipe on many workers; one table of all measurements, one of all refusals."""
    from liverimg.pipeline.cohort import CohortRequest, Workers, run_cohort
    from liverimg.pipeline.cohort_manifest import Defaults
    from liverimg.terminal.cohort import CohortBar, show_cohort

    pages = "" if dashboard == "off" else dashboard
    request = CohortRequest(
        source,
        out,
        Defaults(recipe, device, memory_gb, keep_names),
        Workers(workers, scheduler, slurm, pages),
        tries,
        hours,
    )
    with CohortBar(pages if workers != 0 and scheduler is None else "") as bar:
        result = run_cohort(request, bar)
    counts = result.counts
    return Answer(
        record=lambda: _record(result),
        show=lambda: show_cohort(result),
        exit_code=ExitCode.NEEDS_A_PERSON if counts.refused or counts.failed else ExitCode.DONE,
    )


def _record(result: CohortResult) -> dict[str, object]:
    """How the studies ended, and where the tables lie."""
    counts = result.counts
    return {
        "studies": counts.total,
        "done": counts.done,
        "fresh": counts.fresh,
        "refused": counts.refused,
        "failed": counts.failed,
        "files": [str(path) for path in result.files],
    }
