"""The commands that look at a study or pass it on: ``liverimg inspect`` and ``liverimg deidentify``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from liverimg import cli_options as read
from liverimg.cli_options import PhaseOption, StudyArgument, UseOption
from liverimg.core.errors import ExitCode


def inspect(
    study: StudyArgument,
    phase: PhaseOption = None,
    use: UseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with pictures too; this reads the pixels."),
    ] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Also what each phase rests on, and the series' UIDs.")
    ] = False,
) -> None:
    """Show what a study folder holds: each series, its phase, and what is not used and why. Reads headers only."""
    from liverimg.stages.inspection import inspect_study, page_of, record_of, rows_of, words
    from liverimg.terminal import TerminalReporter
    from liverimg.terminal_study import show_inspection

    if html is not None:
        read.keep_apart(study, html)
        read.writable_file(html, option="--html")
    with TerminalReporter() as reporter:
        progress = reporter.stage_started("inspect") if html is not None else None
        found = inspect_study(
            study,
            phases=read.phases(phase) or {},
            use=read.roles(use),
            with_pictures=html is not None,
            progress=progress,
        )
    rows = rows_of(found)
    if html is not None:
        html.write_text(page_of(found), encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(record_of(found), indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    else:
        show_inspection(rows, words(), with_evidence=evidence)
        if html is not None:
            sys.stdout.write(f"page: {html}\n")
    if not rows.is_usable:
        raise typer.Exit(ExitCode.INPUT_REFUSED)


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
) -> None:
    """Copy a study without identity (DICOM PS3.15 Annex E), ultrasound masked outside its pictures."""
    from liverimg.stages.deidentification import Request, deidentify
    from liverimg.terminal import TerminalReporter
    from liverimg.terminal_study import show_deidentified

    read.keep_apart(study, out)
    request = Request(study, out, keep_dates, keep_uids, salt_file, patient_id, mapping, accept_burned_in)
    with TerminalReporter() as reporter:
        manifest = deidentify(request, progress=reporter.stage_started("deidentify"))
    show_deidentified(manifest, out)
