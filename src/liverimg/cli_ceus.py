"""The command ``liverimg ceus``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from liverimg import cli_options as read
from liverimg.cli_options import ContrastStartOption, OutOption, PaneOption, StudyArgument
from liverimg.core.errors import UsageError


def ceus(
    study: StudyArgument,
    out: OutOption,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="PRE_OUT", help="Output folder of the study before the ablation."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="LESION", help="The baseline's lesion that was treated, such as L1."),
    ] = None,
    contrast_start: ContrastStartOption = None,
    pane: PaneOption = None,
    plane: Annotated[
        list[str] | None,
        typer.Option(
            "--plane", metavar="SERIES_UID=NAME", help="Plane that a clip shows: clips of one name are joined in time."
        ),
    ] = None,
    dynamic_range: Annotated[
        float | None,
        typer.Option(
            "--dynamic-range", metavar="DB", help="Dynamic range of the display in dB, as the scanner had it."
        ),
    ] = None,
    redo: Annotated[str | None, typer.Option("--redo", metavar="STAGE", help="Run a stage again.")] = None,
) -> None:
    """Assess contrast ultrasound after an ablation: curves, non-enhancing area, residual foci, and a report."""
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.pipeline.runner import run
    from liverimg.terminal import TerminalReporter
    from liverimg.terminal_ceus import show_perfusion

    read.keep_apart(study, out)
    if target is not None and baseline is None:
        raise UsageError("--target names a lesion of the baseline; give --baseline too")
    if baseline is not None and baseline.resolve() == out.resolve():
        raise UsageError("--baseline and --out are the same folder; give each study a folder of its own")
    steps = (
        load_recipe("ceus_response")
        .with_settings(
            "ingest", study=study, contrast_starts=read.contrast_starts(contrast_start), panes=read.panes(pane)
        )
        .with_settings("ceus", baseline=baseline, target=target, planes=planes(plane), dynamic_range_db=dynamic_range)
    )
    with TerminalReporter() as reporter:
        outcomes = run(steps, out, redo=redo, reporter=reporter, remember=False)
    show_perfusion(outcomes, out)
    sys.stdout.flush()


def planes(given: list[str] | None) -> dict[str, str] | None:
    """``SERIES_UID=NAME`` options as plane names by series; None without any.

    Raises:
        UsageError: No series or no name.
    """
    named: dict[str, str] = {}
    for option in given or []:
        uid, _, name = option.partition("=")
        if not uid or not name:
            raise UsageError(f"--plane {option!r}: expected SERIES_UID=NAME, the same name for clips of one plane")
        named[uid] = name
    return named or None
