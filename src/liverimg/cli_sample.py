"""The command ``liverimg sample``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli_answer import Answer


def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder to write the studies into.")],
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Another patient than the sample that is built in.")
    ] = None,
) -> Answer:
    """Write synthetic DICOM studies of an analytic phantom, with the exact answers beside them."""
    from liverimg.pipeline.sample import write_sample
    from liverimg.terminal import TerminalReporter

    with TerminalReporter() as reporter:
        write_sample(folder, seed=seed, progress=reporter.stage_started("sample"))
    return Answer(lambda: {"folder": str(folder)}, lambda: sys.stdout.write(f"{folder}\n"))
