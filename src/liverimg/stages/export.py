"""Export: the numbers and verdicts of a finished study, before or after treatment, as CSV or an Excel workbook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liverimg.core.errors import UsageError
from liverimg.core.measurement import MeasurementSet
from liverimg.files.response_records import response_from_record
from liverimg.files.response_tables import response_rows, response_sheets
from liverimg.files.result_records import assessment_from_record, measurements_from_record
from liverimg.files.result_tables import Results, Sheet, all_sheets, tidy
from liverimg.files.spreadsheet import csv_bytes, write_workbook
from liverimg.workspace import Artefact, Workspace


def export(out: Path, *, csv: Path | None = None, xlsx: Path | None = None) -> list[Path]:
    """Writes the tables of one study; a file that is there is replaced whole or not at all.

    Args:
        out: The output folder of a finished run.
        csv: One row per lesion and quantity, as CSV.
        xlsx: All tables, as an Excel workbook.

    Raises:
        UsageError: Nothing to write to, nothing to write, or a place that can't be written.
    """
    if csv is None and xlsx is None:
        raise UsageError("give --csv FILE or --xlsx FILE, or both: where the tables are to be written")
    long, sheets = _tables(out)
    written = []
    if csv is not None:
        _replace(csv, ".csv", lambda path: path.write_bytes(csv_bytes(long)))
        written.append(csv)
    if xlsx is not None:
        _replace(xlsx, ".xlsx", lambda path: write_workbook(sheets, path))
        written.append(xlsx)
    return written


def _tables(out: Path) -> tuple[Sheet, tuple[Sheet, ...]]:
    """The long table, and all of them; those of a study after treatment where the folder holds one."""
    workspace = Workspace(out)
    if not workspace.path(Artefact.RESPONSE).is_file():
        results = read_results(out)
        return tidy(results), all_sheets(results)
    record = workspace.record(Artefact.RESPONSE, "response")
    labels = {name: record["labels"][name] for name in ("origin", "model", "sha256")}
    found = response_from_record(record)
    warnings = MeasurementSet((), (), found.warnings)
    results = Results(workspace.record(Artefact.STUDY, "study"), record["study"], labels, warnings)
    return response_rows(found, results), response_sheets(found, results)


def read_results(out: Path) -> Results:
    """What a finished run left in its folder.

    Raises:
        UsageError: The folder holds no measurements.
        RecordInvalidError: A record does not keep its schema.
    """
    workspace = Workspace(out)
    if not workspace.path(Artefact.MEASUREMENTS).is_file():
        raise UsageError(f"{out} holds no measurements to export; run 'liverimg pre STUDY --out {out}' or 'post' first")
    measured = workspace.record(Artefact.MEASUREMENTS, "measurements")
    assessment, criteria = None, ()
    if workspace.path(Artefact.ASSESSMENT).is_file():
        record = workspace.record(Artefact.ASSESSMENT, "assessment")
        assessment, criteria = assessment_from_record(record), tuple(record["criteria"])
    return Results(
        study=workspace.record(Artefact.STUDY, "study"),
        measured_on=measured["study"],
        labels=measured["labels"],
        measurements=measurements_from_record(measured),
        assessment=assessment,
        criteria=criteria,
    )


def _replace(path: Path, suffix: str, write: Callable[[Path], object]) -> None:
    if path.suffix.lower() != suffix:
        raise UsageError(f"{path.name} does not end in {suffix}; give the file that name so that it opens as one")
    if not path.parent.is_dir():
        raise UsageError(f"the folder of {path} does not exist; make it first")
    draft = path.with_name(f".{path.name}.part")
    try:
        write(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
