"""FHIR: the results of a finished run, before treatment, after it or by contrast ultrasound, as an R4 Bundle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import liverimg
from liverimg.core.errors import UsageError
from liverimg.core.published import Group
from liverimg.files import records
from liverimg.files.fhir import ImagedStudy, Maker, Told, results_to_fhir
from liverimg.files.fhir_elements import Wording
from liverimg.files.records import Record
from liverimg.files.response_records import response_from_record
from liverimg.files.result_records import assessment_from_record, measurements_from_record
from liverimg.files.tables import Table, read_table
from liverimg.stages.publish_ceus import perfusion_groups
from liverimg.stages.publish_content import sr_names
from liverimg.stages.publish_post_groups import response_groups
from liverimg.stages.publish_pre import measured_groups
from liverimg.workspace import Artefact, Workspace

_TABLE = "dicom_objects"
# R4 references: a relative one with a legal id, an absolute one, or a name that is unique by itself.
_REFERENCE = re.compile(r"Patient/[A-Za-z0-9\-.]{1,64}|https?://\S+/Patient/[A-Za-z0-9\-.]{1,64}|urn:(?:uuid|oid):\S+")


def fhir_bundle(out: Path, *, patient_reference: str | None = None) -> Record:
    """The results of a folder as a FHIR R4 Bundle, held against its schema.

    Args:
        out: The output folder of a finished run.
        patient_reference: Whom the results are about, such as ``Patient/123``; None names nobody.

    Raises:
        UsageError: No results, or no reference to a patient.
        RecordInvalidError: A record does not keep its schema.
    """
    if patient_reference is not None and _REFERENCE.fullmatch(patient_reference) is None:
        raise UsageError(
            f"--patient-reference {patient_reference!r}: expected Patient/ID, the URL of a Patient, or a urn:uuid"
        )
    workspace, table = Workspace(out), read_table(_TABLE)
    groups, baseline = _groups(workspace, table)
    told = Told(_study(workspace), baseline, groups, _maker(workspace, table), patient_reference)
    bundle = results_to_fhir(told, Wording(sr_names(table), read_table("fhir")))
    records.check(bundle, "fhir", "the FHIR bundle")
    return bundle


def _groups(workspace: Workspace, table: Table) -> tuple[Sequence[Group], ImagedStudy | None]:
    """What there is to tell, and the study that it is held against."""
    disclaimer = str(table["equipment"]["disclaimer"])
    if workspace.path(Artefact.RESPONSE).is_file():
        record = workspace.record(Artefact.RESPONSE, "response")
        response = response_from_record(record)
        uid = record["study"]["study_instance_uid"]
        notes = (disclaimer, *response.warnings)
        # Whether a part lies in the liver is only known from voxels; none is taken for outside of it here.
        groups = response_groups(response, notes=notes, in_liver={}, study_uid=uid, table=table)
        return groups, _earlier(record["baseline"])
    if workspace.path(Artefact.MEASUREMENTS).is_file():
        record = workspace.record(Artefact.MEASUREMENTS, "measurements")
        measured, assessment = measurements_from_record(record), None
        if workspace.path(Artefact.ASSESSMENT).is_file():
            assessment = assessment_from_record(workspace.record(Artefact.ASSESSMENT, "assessment"))
        uid, notes = record["study"]["study_instance_uid"], (disclaimer, *measured.warnings)
        return measured_groups(measured, assessment, notes=notes, study_uid=uid, table=table), None
    if workspace.path(Artefact.PERFUSION).is_file():
        record = workspace.record(Artefact.PERFUSION, "perfusion")
        uid = workspace.record(Artefact.STUDY, "study")["study_instance_uid"]
        before = record["baseline"]
        return tuple(perfusion_groups(record, [], study_uid=uid, table=table)), _earlier(before) if before else None
    raise UsageError(
        f"{workspace.folder} holds no results to export; run 'liverimg pre STUDY --out {workspace.folder}', 'post' or "
        "'ceus' first"
    )


def _study(workspace: Workspace) -> ImagedStudy:
    record = workspace.record(Artefact.STUDY, "study")
    series = {row["series_instance_uid"]: row["modality"] for row in record["volumes"]}
    series |= {row["series_instance_uid"]: "US" for row in record.get("cines", ())}
    return ImagedStudy(
        record["study_instance_uid"],
        _date(record["study_date"]),
        tuple((uid, modality) for uid, modality in sorted(series.items()) if uid),
    )


def _earlier(row: Record) -> ImagedStudy:
    return ImagedStudy(row["study_instance_uid"], _date(row["study_date"]))


def _date(text: str | None) -> str | None:
    """A study's date as FHIR writes it; None when it has none that can be read."""
    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError:
        return None


def _maker(workspace: Workspace, table: Table) -> Maker:
    """The program, and what drew: a model with its hash, or labels from elsewhere with theirs."""
    row = table["equipment"]
    parts = [("liverimg", liverimg.__version__)]
    for artefact, kind in ((Artefact.RESPONSE, "response"), (Artefact.MEASUREMENTS, "measurements")):
        if workspace.path(artefact).is_file():
            labels = workspace.record(artefact, kind)["labels"]
            parts += [("labels by", labels["model"] or labels["origin"]), ("labels sha256", labels["sha256"])]
            break
    drawn = workspace.provenance("segment")
    if drawn is not None and "model" in drawn.depends_on:
        parts.append(("model sha256", drawn.depends_on["model"]))
    return Maker(row["model"], row["manufacturer"], tuple(parts), row["disclaimer"])
