"""The command ``liverimg publish``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli.answer import Answer


def publish(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Output folder of a finished 'liverimg pre', 'post' or 'ceus'.")
    ],
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
) -> Answer:
    """Write DICOM SEG, SR, RTSTRUCT and PDF for an archive, and STL and GLB surfaces for planners."""
    from liverimg import api
    from liverimg.terminal.as_json import result_record
    from liverimg.terminal.progress import TerminalReporter
    from liverimg.terminal.publish import show_published

    with TerminalReporter() as reporter:
        result = api.publish(out, study=study, label_map=label_map, pdf=pdf, redo=redo, reporter=reporter)
    return Answer(lambda: result_record(result), lambda: show_published(out))
