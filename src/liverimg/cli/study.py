"""The commands that look at a study or pass it on: ``liverimg inspect`` and ``liverimg deidentify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli.answer import Answer
from liverimg.cli.options import PhaseOption, StudyArgument, UseOption
from liverimg.core.errors import ExitCode
from liverimg.pipeline.options import keep_apart


def inspect(
    study: StudyArgument,
    phase: PhaseOption = None,
    use: UseOption = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with pictures too; this reads the pixels."),
    ] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Also what each phase rests on, and the series' UIDs.")
    ] = False,
) -> Answer:
    """Show what a study folder holds: each series, its phase, and what is not used and why. Reads headers only."""
    from liverimg import api
    from liverimg.stages.inspection import record_of, rows_of, words
    from liverimg.terminal.progress import TerminalReporter
    from liverimg.terminal.study import show_inspection

    with TerminalReporter() as reporter:
        found = api.inspect(study, phase=phase, use=use, html=html, reporter=reporter)
    rows = rows_of(found)

    def show() -> None:
        show_inspection(rows, words(), with_evidence=evidence)
        if html is not None:
            sys.stdout.write(f"page: {html}\n")

    return Answer(lambda: record_of(found), show, ExitCode.DONE if rows.is_usable else ExitCode.INPUT_REFUSED)


def deidentify(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New or empty folder for the cleaned files.")],
    keep_dates: Annotated[
        str, typer.Option("--keep-dates", metavar="shifted|removed", help="What becomes of dates and times.")
    ] = "shifted",
    keep_uids: Annotated[
        str,
        typer.Option("--keep-uids", metavar="mapped|replaced", help="The same UIDs in every run of one salt, or new."),
    ] = "mapped",
    salt_file: Annotated[
        Path | None,
        typer.Option("--salt-file", metavar="FILE", help="Secret that pseudonyms come from; made when absent."),
    ] = None,
    patient_id: Annotated[str | None, typer.Option("--patient-id", metavar="NEW", help="New patient ID.")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="FILE", help="Write old names beside new ones; readable by you only."),
    ] = None,
    accept_burned_in: Annotated[
        bool, typer.Option("--accept-burned-in", help="Pass on pictures that may show writing. Look at them first.")
    ] = False,
) -> Answer:
    """Copy a study without identity (DICOM PS3.15 Annex E), ultrasound masked outside its pictures."""
    from liverimg.stages.deidentification import Request, deidentify
    from liverimg.terminal.progress import TerminalReporter
    from liverimg.terminal.study import show_deidentified

    keep_apart(study, out)
    request = Request(study, out, keep_dates, keep_uids, salt_file, patient_id, mapping, accept_burned_in)
    with TerminalReporter() as reporter:
        manifest = deidentify(request, progress=reporter.stage_started("deidentify"))
    return Answer(lambda: {"out": str(out), **manifest}, lambda: show_deidentified(manifest, out))
