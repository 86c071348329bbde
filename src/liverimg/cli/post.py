"""``liverimg post`` and ``timeline``: a study after ablation held against the one before, and all of them in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli import complete as offer
from liverimg.cli.answer import Answer
from liverimg.cli.options import (
    DeviceOption,
    ModelOption,
    OutOption,
    PhaseOption,
    RecipeOption,
    RedoOption,
    StudyArgument,
    UseOption,
)


def post(
    study: StudyArgument,
    out: OutOption,
    baseline: Annotated[
        Path, typer.Option("--baseline", metavar="PRE_OUT", help="Output folder of the study before the ablation.")
    ],
    treated_on: Annotated[
        list[str] | None,
        typer.Option(
            "--treated-on",
            metavar="DATE[=KIND]",
            help="Day of a treatment (2026-01-31) and its kind (hifu, mwa, tace, ...); may be given several times.",
            autocompletion=offer.treatments,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="PATH", help="Labels of this study drawn elsewhere, used instead of a model."),
    ] = None,
    zones_by: Annotated[
        str | None,
        typer.Option(
            "--zones-by",
            metavar="rule|model",
            help="Draw the ablation zones by rule or by a model, even where the labels hold some. Without it labels "
            "win, and the rule draws where they hold none.",
            autocompletion=offer.zone_methods,
        ),
    ] = None,
    model: ModelOption = None,
    recipe: RecipeOption = "post_ablation",
    phase: PhaseOption = None,
    use: UseOption = None,
    device: DeviceOption = "auto",
    redo: RedoOption = None,
) -> Answer:
    """Assess a study after ablation against the one before: zones, margins, what is left, response."""
    from liverimg import api
    from liverimg.terminal.as_json import result_record
    from liverimg.terminal.post import show_response
    from liverimg.terminal.progress import TerminalReporter

    with TerminalReporter() as reporter:
        result = api.run(
            study,
            out=out,
            recipe=recipe,
            baseline=baseline,
            treated_on=treated_on,
            labels=labels,
            zones_by=zones_by,
            model=model,
            device=device,
            phase=phase,
            use=use,
            redo=redo,
            reporter=reporter,
        )
    return Answer(lambda: result_record(result), lambda: show_response(result.outcomes, out))


def timeline(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="OUT...", help="Output folders of pre, post and ceus of one patient, in any order."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE|DIR",
            help="Folder for timeline.json and timeline.html, or one file that ends in .json or .html.",
        ),
    ] = None,
) -> Answer:
    """Put the results of several studies of one patient in order: sizes, margins and response over time."""
    from liverimg import api
    from liverimg.files.timeline_records import timeline_to_record
    from liverimg.stages.timeline_files import files_of
    from liverimg.terminal.post import show_course

    course = api.timeline(folders, out=out)
    return Answer(lambda: timeline_to_record(course), lambda: show_course(course, files_of(out)))
