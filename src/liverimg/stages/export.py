"""Export: the numbers and verdicts of a finished study as CSV, as an Excel workbook or as a FHIR Bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liverimg.core.errors import UsageError
from liverimg.core.measurement import MeasurementSet
from liverimg.core.response import StudyResponse
from liverimg.files import records
from liverimg.files.perfusion_tables import perfusion_results, perfusion_rows, perfusion_sheets
from liverimg.files.records import Record
from liverimg.files.response_records import response_from_record
from liverimg.files.response_tables import response_rows, response_sheets
from liverimg.files.result_records import assessment_from_record, measurements_from_record
from liverimg.files.result_tables import Results, Sheet, all_sheets, tidy
from liverimg.files.spreadsheet import csv_bytes, write_workbook
from liverimg.stages.export_fhir import fhir_bundle
from liverimg.workspace import Artefact, Workspace


def export(
    out: Path,
    *,
    csv: Path | None = None,
    xlsx: Path | None = None,
    fhir: Path | None = None,
    decimal_comma: bool = False,
    patient_reference: str | None = None,
) -> list[Path]:
    """Writes the tables of one study; a file that is there is replaced whole or not at all.

    Args:
        out: The output folder of a finished run.
        csv: One row per lesion and quantity, as CSV.
        xlsx: All tables, as an Excel workbook.
        fhir: A FHIR R4 Bundle, as JSON.
        decimal_comma: The CSV with decimal commas, and semicolons between its cells.
        patient_reference: Whom the FHIR resources are about; None names nobody.

    Raises:
        UsageError: Nothing to write to, nothing to write, or a place that can't be written.
    """
    if csv is None and xlsx is None and fhir is None:
        raise UsageError("give --csv FILE, --xlsx FILE or --fhir FILE, or several: where the results are to be written")
    if patient_reference is not None and fhir is None:
        raise UsageError("--patient-reference is for FHIR; give --fhir FILE too")
    if decimal_comma and csv is None:
        raise UsageError("--decimal-comma is for CSV; give --csv FILE too (a workbook needs no such thing)")
    bundle = None if fhir is None else fhir_bundle(out, patient_reference=patient_reference)
    long, sheets = _tables(out) if csv is not None or xlsx is not None else (None, ())
    written = []
    if csv is not None and long is not None:
        _replace(csv, ".csv", lambda path: path.write_bytes(csv_bytes(long, decimal_comma=decimal_comma)))
        written.append(csv)
    if xlsx is not None:
        _replace(xlsx, ".xlsx", lambda path: write_workbook(sheets, path))
        written.append(xlsx)
    if fhir is not None and bundle is not None:
        _replace(fhir, ".json", lambda path: path.write_text(records.dump(bundle), encoding="utf-8"))
        written.append(fhir)
    return written


def long_table(out: Path) -> tuple[Results, Sheet]:
    """The results of one study without verdicts, and one row per lesion and quantity, before or after treatment, or one
    row per quantity of contrast ultrasound.

    Raises:
        UsageError: The folder holds no measurements.
        RecordInvalidError: A record does not keep its schema.
    """
    perfusion = _perfusion(Workspace(out))
    if perfusion is not None:
        return perfusion[1], perfusion_rows(*perfusion)
    response, results = _read(out, with_assessment=False)
    return results, (tidy(results) if response is None else response_rows(response, results))


def _tables(out: Path) -> tuple[Sheet, tuple[Sheet, ...]]:
    """The long table, and all of them, of what the folder holds: before or after treatment, or contrast ultrasound."""
    perfusion = _perfusion(Workspace(out))
    if perfusion is not None:
        return perfusion_rows(*perfusion), perfusion_sheets(*perfusion)
    response, results = _read(out)
    if response is None:
        return tidy(results), all_sheets(results)
    return response_rows(response, results), response_sheets(response, results)


def _perfusion(workspace: Workspace) -> tuple[Record, Results] | None:
    """The record of contrast ultrasound, where the folder holds one and no volumes' results."""
    others = (Artefact.MEASUREMENTS, Artefact.RESPONSE)
    if any(workspace.path(one).is_file() for one in others) or not workspace.path(Artefact.PERFUSION).is_file():
        return None
    record = workspace.record(Artefact.PERFUSION, "perfusion")
    return record, perfusion_results(record, workspace.record(Artefact.STUDY, "study"))


def _read(out: Path, *, with_assessment: bool = True) -> tuple[StudyResponse | None, Results]:
    workspace = Workspace(out)
    if not workspace.path(Artefact.RESPONSE).is_file():
        return None, read_results(out, with_assessment=with_assessment)
    record = workspace.record(Artefact.RESPONSE, "response")
    labels = {name: record["labels"][name] for name in ("origin", "model", "sha256")}
    found = response_from_record(record)
    warnings = MeasurementSet((), (), found.warnings)
    return found, Results(workspace.record(Artefact.STUDY, "study"), record["study"], labels, warnings)


def read_results(out: Path, *, with_assessment: bool = True) -> Results:
    """What a finished run left in its folder; the verdicts of rules only where they are wanted.

    Raises:
        UsageError: The folder holds no measurements.
        RecordInvalidError: A record does not keep its schema.
    """
    workspace = Workspace(out)
    if not workspace.path(Artefact.MEASUREMENTS).is_file():
        raise UsageError(
            f"{out} holds no measurements to export; run 'liverimg pre STUDY --out {out}', 'post' or 'ceus' first"
        )
    measured = workspace.record(Artefact.MEASUREMENTS, "measurements")
    assessment, criteria = None, ()
    if with_assessment and workspace.path(Artefact.ASSESSMENT).is_file():
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
