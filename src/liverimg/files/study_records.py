"""``study.json``, ``labels.json`` and ``label_quality.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liverimg.core.labels import LabelMap, LabelQuality, QualityCode, QualityFinding, Structure
from liverimg.core.study import (
    Confidence,
    ImageKind,
    Modality,
    Phase,
    PhaseEvidence,
    Rejected,
    Role,
    RoleChoice,
    Series,
    Study,
)
from liverimg.core.volume import Quantity
from liverimg.files.records import Record, grid_from_record, grid_to_record

SCHEMA_VERSION = "0.1"


def study_to_record(
    study: Study,
    *,
    files: Sequence[str],
    quantities: Sequence[Quantity],
    reference: int | None,
    cines: Sequence[Record] = (),
) -> Record:
    """A study as ``study.json``.

    Args:
        study: What was ingested.
        files: Path of each series' volume, relative to the workspace.
        quantities: What a voxel of each volume means.
        reference: Which series labels and measurements refer to.
        cines: One row per ultrasound clip, from :func:`liverimg.files.cine_records.clip_row`.
    """
    return {
        "record": "study",
        "schema_version": SCHEMA_VERSION,
        "study_instance_uid": study.study_instance_uid,
        "study_date": study.study_date,
        "reference_volume": files[reference] if reference is not None else None,
        "volumes": [
            _series_to_record(series, file, quantity)
            for series, file, quantity in zip(study.series, files, quantities, strict=True)
        ],
        "cines": list(cines),
        "roles": [role_to_record(choice, study, files) for choice in study.roles],
        "warnings": list(study.warnings),
        "patient_check": study.patient_check,
        "rejected": [{"what": r.what, "code": r.code, "reason": r.reason} for r in study.rejected],
    }


def study_from_record(record: Mapping[str, Any]) -> Study:
    """The inverse of :func:`study_to_record`, without its file names and its ultrasound clips."""
    return Study(
        study_instance_uid=record["study_instance_uid"],
        study_date=record["study_date"],
        series=tuple(_series_from_record(v) for v in record["volumes"]),
        rejected=tuple(Rejected(r["what"], r["code"], r["reason"]) for r in record["rejected"]),
        roles=tuple(role_from_record(row, record["volumes"]) for row in record.get("roles", ())),
        warnings=tuple(record.get("warnings", ())),
        patient_check=record.get("patient_check"),
    )


def role_to_record(choice: RoleChoice, study: Study, files: Sequence[str]) -> Record:
    """Which volume serves a role, as a row."""
    return {
        "role": choice.role.value,
        "file": files[choice.series],
        "volume_number": study.series[choice.series].number,
        "chosen_by": "person" if choice.by_person else "rules",
        "reason": choice.reason,
    }


def role_from_record(row: Mapping[str, Any], volumes: Sequence[Mapping[str, Any]]) -> RoleChoice:
    """The inverse of :func:`role_to_record`."""
    index = [volume["number"] for volume in volumes].index(row["volume_number"])
    return RoleChoice(Role(row["role"]), index, row["chosen_by"] == "person", row["reason"])


def evidence_to_record(evidence: Sequence[PhaseEvidence]) -> list[Record]:
    """Observations about a phase, as rows."""
    return [
        {"source": e.source, "says": e.says.value, "allows": [p.value for p in e.allows], "detail": e.detail}
        for e in evidence
    ]


def evidence_from_record(row: Mapping[str, Any]) -> PhaseEvidence:
    """The inverse of one row of :func:`evidence_to_record`."""
    return PhaseEvidence(
        row["source"], Phase(row["says"]), row["detail"], tuple(Phase(p) for p in row.get("allows", ()))
    )


def _series_to_record(series: Series, file: str, quantity: Quantity) -> Record:
    return {
        "file": file,
        "number": series.number,
        "series_number": series.series_number,
        "series_instance_uid": series.series_instance_uid,
        "modality": series.modality.value,
        "quantity": quantity.value,
        "phase": series.phase.value,
        "phase_confidence": series.phase_confidence.value,
        "phase_evidence": evidence_to_record(series.phase_evidence),
        "kind": series.kind.value,
        "kind_confidence": series.kind_confidence.value,
        "kind_evidence": list(series.kind_evidence),
        "description": series.description,
        "flags": list(series.flags),
        "acquired_at": series.acquired_at,
        "time_s": None if series.time_s is None else round(series.time_s, 2),
        "grid": grid_to_record(series.grid),
        "sop_instance_uids": list(series.sop_instance_uids),
        "slice_thickness_mm": None if series.slice_thickness_mm is None else round(series.slice_thickness_mm, 4),
        "widest_gap_mm": None if series.widest_gap_mm is None else round(series.widest_gap_mm, 4),
    }


def _series_from_record(record: Mapping[str, Any]) -> Series:
    return Series(
        series_instance_uid=record["series_instance_uid"],
        modality=Modality(record["modality"]),
        phase=Phase(record["phase"]),
        phase_evidence=tuple(evidence_from_record(row) for row in record["phase_evidence"]),
        grid=grid_from_record(record["grid"]),
        description=record["description"],
        flags=tuple(record["flags"]),
        sop_instance_uids=tuple(record["sop_instance_uids"]),
        acquired_at=record["acquired_at"],
        phase_confidence=Confidence(record.get("phase_confidence", "none")),
        kind=ImageKind(record.get("kind", "unknown")),
        kind_evidence=tuple(record.get("kind_evidence", ())),
        kind_confidence=Confidence(record.get("kind_confidence", "none")),
        time_s=record.get("time_s"),
        number=int(record.get("number", 0)),
        series_number=record.get("series_number"),
        slice_thickness_mm=record.get("slice_thickness_mm"),
        widest_gap_mm=record.get("widest_gap_mm"),
    )


def label_names_to_record(labels: LabelMap) -> dict[str, int]:
    """``labels.json``: structure or ``tumour_<lesion name>`` to value."""
    names = {structure.value: value for structure, value in labels.structures.items()}
    return names | {f"{Structure.TUMOUR}_{name}": value for name, value in labels.lesions.items()}


def label_names_from_record(record: Mapping[str, int]) -> tuple[dict[Structure, int], dict[str, int]]:
    """Structures and separately numbered lesions of a ``labels.json``.

    Raises:
        ValueError: A name is no structure of ours.
    """
    prefix = f"{Structure.TUMOUR}_"
    lesions = {n.removeprefix(prefix): int(v) for n, v in record.items() if n.startswith(prefix)}
    structures = {Structure(n): int(v) for n, v in record.items() if not n.startswith(prefix)}
    return structures, lesions


def quality_to_record(quality: LabelQuality) -> Record:
    """``label_quality.json``."""
    return {
        "record": "label_quality",
        "schema_version": SCHEMA_VERSION,
        "origin": quality.origin,
        "surface_error_mm": {s.value: round(float(v), 3) for s, v in quality.surface_error_mm.items()},
        "not_visible": {s.value: reason for s, reason in quality.not_visible.items()},
        "incomplete": {s.value: reason for s, reason in quality.incomplete.items()},
        "notes": list(quality.notes),
        "model": quality.model,
        "surface_error_assumed": quality.surface_error_assumed,
        "lesion_error_mm": {lesion: round(float(v), 3) for lesion, v in quality.lesion_error_mm.items()},
        "findings": [
            {"code": f.code.value, "sentence": f.sentence, "structure": f.structure.value if f.structure else None}
            for f in quality.findings
        ],
    }


def quality_from_record(record: Mapping[str, Any]) -> LabelQuality:
    """The inverse of :func:`quality_to_record`."""
    return LabelQuality(
        origin=record["origin"],
        surface_error_mm={Structure(s): float(v) for s, v in record["surface_error_mm"].items()},
        not_visible={Structure(s): str(r) for s, r in record["not_visible"].items()},
        incomplete={Structure(s): str(r) for s, r in record["incomplete"].items()},
        notes=tuple(str(n) for n in record["notes"]),
        model=record["model"],
        lesion_error_mm={str(name): float(v) for name, v in record.get("lesion_error_mm", {}).items()},
        findings=tuple(_finding_from_record(f) for f in record.get("findings", ())),
        surface_error_assumed=bool(record.get("surface_error_assumed", False)),
    )


def _finding_from_record(record: Mapping[str, Any]) -> QualityFinding:
    structure = record.get("structure")
    return QualityFinding(
        QualityCode(record["code"]), str(record["sentence"]), Structure(structure) if structure is not None else None
    )
