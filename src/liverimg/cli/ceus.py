"""The command ``liverimg ceus``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli.answer import Answer
from liverimg.cli.options import (
    ContrastStartOption,
    OutOption,
    PaneOption,
    RecipeOption,
    RedoOption,
    StudyArgument,
)


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
    recipe: RecipeOption = "ceus_response",
    redo: RedoOption = None,
) -> Answer:
    """Assess contrast ultrasound after an ablation: curves, non-enhancing area, residual foci, and a report."""
    from liverimg import api
    from liverimg.terminal.as_json import result_record
    from liverimg.terminal.ceus import show_perfusion
    from liverimg.terminal.progress import TerminalReporter

    with TerminalReporter() as reporter:
        result = api.run(
            study,
            out=out,
            recipe=recipe,
            baseline=baseline,
            target=target,
            contrast_start=contrast_start,
            pane=pane,
            plane=plane,
            dynamic_range=dynamic_range,
            redo=redo,
            reporter=reporter,
        )
    return Answer(lambda: result_record(result), lambda: show_perfusion(result.outcomes, out))
