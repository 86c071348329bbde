"""The command ``liverimg publish``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from liverimg import cli_options as read
from liverimg.core.errors import UsageError


def publish(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of a finished 'liverimg pre'.")],
    study: Annotated[
        Path,
        typer.Option(
            "--study",
            metavar="STUDY",
            help="The study folder that the results were made from: patient and study are taken from there.",
        ),
    ],
    label_map: Annotated[
        bool,
        typer.Option("--label-map", help="Write the SEG as a label map: small, but few viewers read it yet."),
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="Print the report (wants Chromium) and wrap it.")] = True,
    redo: Annotated[bool, typer.Option("--redo", help="Write the objects again although nothing has changed.")] = False,
) -> None:
    """Write DICOM SEG, SR, RTSTRUCT and PDF for an archive, and STL and GLB surfaces for planners."""
    from liverimg.pipeline.recipe import Recipe, Step, stage_named
    from liverimg.pipeline.runner import run
    from liverimg.terminal import TerminalReporter
    from liverimg.terminal_publish import show_published

    if not (out / "measurements.json").is_file():
        raise UsageError(f"{out} holds no results to publish; run 'liverimg pre STUDY --out {out}' first")
    read.keep_apart(study, out)
    step = Step(stage_named("publish"), {"study": study, "label_map": label_map, "pdf": pdf})
    with TerminalReporter() as reporter:
        run(
            Recipe("publish", "Objects for an archive", (step,)),
            out,
            redo="publish" if redo else None,
            reporter=reporter,
            remember=False,
        )
    show_published(out)
    sys.stdout.flush()
