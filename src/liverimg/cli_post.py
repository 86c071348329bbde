"""``liverimg post`` and ``timeline``: a study after ablation held against the one before, and all of them in order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from liverimg import cli_options as read
from liverimg.cli_options import OutOption, PhaseOption, StudyArgument, UseOption
from liverimg.core.errors import UsageError


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
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="PATH", help="Labels of this study drawn elsewhere, used instead of a model."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME|PATH", help="Model instead of the recipe's, as in liverimg pre."),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="FILE", help="Recipe: a TOML file, or the name of one that is built in."),
    ] = "post_ablation",
    phase: PhaseOption = None,
    use: UseOption = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.")] = "auto",
    redo: Annotated[
        str | None,
        typer.Option("--redo", metavar="STAGE", help="Run a stage again; discards corrections made to its outputs."),
    ] = None,
) -> None:
    """Assess a study after ablation against the one before: zones, margins, what is left, response."""
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.pipeline.runner import run
    from liverimg.stages.baseline import check_finished
    from liverimg.terminal import TerminalReporter
    from liverimg.terminal_post import show_response

    read.check_drawing(model=model, labels=labels, device=device)
    read.keep_apart(study, out)
    if baseline.resolve() == out.resolve():
        raise UsageError("--baseline and --out are the same folder; give each study a folder of its own")
    check_finished(baseline)
    steps = (
        load_recipe(recipe)
        .with_settings("ingest", study=study, phases=read.phases(phase), use=read.roles(use), labels=labels)
        .with_settings("segment", labels=labels, model=read.model(model), device=device)
    )
    for stage in ("register", "zones", "response", "response_report"):
        steps = steps.with_settings(stage, baseline=baseline)
    steps = steps.with_settings("response", treatments=treatments(treated_on))
    with TerminalReporter() as reporter:
        outcomes = run(steps, out, redo=redo, reporter=reporter, remember=False)
    show_response(outcomes, out)
    sys.stdout.flush()


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
) -> None:
    """Put the results of several studies of one patient in order: sizes, margins and response over time."""
    from liverimg.stages.timeline import course_of
    from liverimg.stages.timeline_files import files_of, write_course
    from liverimg.terminal_post import show_course

    files = files_of(out)
    course = course_of(folders)
    write_course(course, files)
    show_course(course, files)


def treatments(given: list[str] | None) -> list[dict[str, Any]] | None:
    """``DATE[=KIND]`` options as settings of the stage; None without any.

    Raises:
        UsageError: A kind is empty. What is no date or no known kind is refused by the stage.
    """
    rows = []
    for option in given or []:
        day, equals, kind = option.partition("=")
        if equals and not kind:
            raise UsageError(f"--treated-on {option!r}: expected DATE or DATE=KIND, such as 2026-01-31=hifu")
        rows.append({"date": day, "kind": kind or None})
    return rows or None
