"""The command ``liverimg sample``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli.answer import Answer


def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder to write the studies into.")],
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Another patient than the sample that is built in.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="STUDY", help="One study: pre_ct, post_ct, mr or ceus. All by default."),
    ] = None,
) -> Answer:
    """Write synthetic DICOM studies of an analytic phantom, with the exact answers beside them."""
    from liverimg.pipeline.sample import write_sample
    from liverimg.terminal.progress import TerminalReporter

    with TerminalReporter() as reporter:
        write_sample(folder, seed=seed, only=only, progress=reporter.stage_started("sample"))
    return Answer(lambda: {"folder": str(folder)}, lambda: sys.stdout.write(f"{folder}\n"))
