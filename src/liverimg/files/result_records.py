"""``measurements.json`` and ``assessment.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from liverimg.core.assessment import Assessment, Classification, Finding, NotApplied, Part, Verdict
from liverimg.core.measurement import (
    EvidencePoint,
    Lesion,
    Measured,
    Measurement,
    MeasurementSet,
    NotMeasured,
)
from liverimg.core.sessions import KeepOut, SessionPiece, SessionPlan
from liverimg.core.vocabulary import Threshold
from liverimg.files.records import Record

SCHEMA_VERSION = "1.0"
# Ten thousandths of a millimetre: far below any band, and short enough to read.
_DECIMALS = 4


def measurements_to_record(measured: MeasurementSet, *, study: Record, labels: Record) -> Record:
    """``measurements.json``.

    Args:
        measured: The numbers.
        study: Which study and which series they were measured on.
        labels: Where the labels come from (origin, model).
    """
    return {
        "record": "measurements",
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "labels": labels,
        "lesions": [
            {
                "id": lesion.id,
                "site": lesion.site,
                "centroid_lps_mm": _point(lesion.centroid_lps_mm),
                "quantities": [quantity_to_record(q) for q in lesion.quantities],
            }
            for lesion in measured.lesions
        ],
        "organs": [quantity_to_record(q) for q in measured.organs],
        "warnings": list(measured.warnings),
    }


def measurements_from_record(record: Mapping[str, Any]) -> MeasurementSet:
    """The inverse of :func:`measurements_to_record`."""
    return MeasurementSet(
        lesions=tuple(
            Lesion(
                id=lesion["id"],
                centroid_lps_mm=tuple(lesion["centroid_lps_mm"]),
                quantities=tuple(quantity_from_record(q) for q in lesion["quantities"]),
                site=lesion["site"],
            )
            for lesion in record["lesions"]
        ),
        organs=tuple(quantity_from_record(q) for q in record["organs"]),
        warnings=tuple(record["warnings"]),
    )


def quantity_to_record(quantity: Measured) -> Record:
    """One quantity: a value with its band, or the reason why there is none."""
    if isinstance(quantity, NotMeasured):
        return {"name": quantity.name, "target": quantity.target, "not_measured": quantity.reason}
    record: Record = {
        "name": quantity.name,
        "target": quantity.target,
        "value": round(quantity.value, _DECIMALS),
        "unit": quantity.unit,
        "low": round(quantity.low, _DECIMALS),
        "high": round(quantity.high, _DECIMALS),
        "method": quantity.method,
        "evidence_lps_mm": [_point(e.lps_mm) for e in quantity.evidence],
        "evidence_roles": [e.role for e in quantity.evidence],
        "series_instance_uids": list(quantity.sources),
    }
    if quantity.slices:
        record["sop_instance_uids"] = list(quantity.slices)
    return record


def quantity_from_record(record: Mapping[str, Any]) -> Measured:
    """The inverse of :func:`quantity_to_record`."""
    if "not_measured" in record:
        return NotMeasured(record["name"], record["target"], record["not_measured"])
    return Measurement(
        name=record["name"],
        target=record["target"],
        value=record["value"],
        unit=record["unit"],
        low=record["low"],
        high=record["high"],
        method=record["method"],
        evidence=tuple(
            EvidencePoint(role, tuple(point))
            for role, point in zip(record["evidence_roles"], record["evidence_lps_mm"], strict=True)
        ),
        sources=tuple(record["series_instance_uids"]),
        slices=tuple(record.get("sop_instance_uids", ())),
    )


def assessment_to_record(assessment: Assessment, *, study: Record, criteria: list[Record]) -> Record:
    """``assessment.json``.

    Args:
        assessment: The findings.
        study: Which study they are about.
        criteria: Id, title, edition and sha256 of each table of rules.
    """
    return {
        "record": "assessment",
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "criteria": criteria,
        "findings": [_finding_to_record(f) for f in assessment.findings],
        "classifications": [classification_to_record(c) for c in assessment.classifications],
        "not_applied": [asdict(n) for n in assessment.not_applied],
        "sessions": [_rounded(asdict(plan)) for plan in assessment.sessions],
        "conflicts": list(assessment.conflicts),
    }


def assessment_from_record(record: Mapping[str, Any]) -> Assessment:
    """The inverse of :func:`assessment_to_record`."""
    return Assessment(
        findings=tuple(_finding_from_record(f) for f in record["findings"]),
        conflicts=tuple(record["conflicts"]),
        classifications=tuple(classification_from_record(c) for c in record["classifications"]),
        not_applied=tuple(NotApplied(**n) for n in record["not_applied"]),
        sessions=tuple(_session_plan(plan) for plan in record["sessions"]),
    )


def _finding_to_record(finding: Finding) -> Record:
    return {
        "criterion_id": finding.criterion_id,
        "criteria_set": finding.criteria_set,
        "target": finding.target,
        "title": finding.title,
        "verdict": finding.verdict.value,
        "statement": finding.statement,
        "quantity": _quantity_or_null(finding.quantity),
        "thresholds": [asdict(t) for t in finding.thresholds],
        "source": finding.source,
        "settled_by": finding.settled_by,
        "notes": list(finding.notes),
        "parts": [_part_to_record(p) for p in finding.parts],
        "missing_items": list(finding.missing_items),
    }


def _finding_from_record(record: Mapping[str, Any]) -> Finding:
    return Finding(
        criterion_id=record["criterion_id"],
        criteria_set=record["criteria_set"],
        target=record["target"],
        title=record["title"],
        verdict=Verdict(record["verdict"]),
        statement=record["statement"],
        quantity=_quantity_or_none(record["quantity"]),
        thresholds=_thresholds(record),
        source=record["source"],
        settled_by=record["settled_by"],
        notes=tuple(record["notes"]),
        parts=tuple(_part_from_record(p) for p in record["parts"]),
        missing_items=tuple(record["missing_items"]),
    )


def _session_plan(record: Mapping[str, Any]) -> SessionPlan:
    low_ml, high_ml = record["session_ml"]
    low_days, high_days = record["days_apart"]
    made = {
        "keep_outs": tuple(KeepOut(**k) for k in record["keep_outs"]),
        "pieces": tuple(
            SessionPiece(**{**p, "centroid_lps_mm": tuple(p["centroid_lps_mm"])}) for p in record["pieces"]
        ),
        "session_ml": (low_ml, high_ml),
        "days_apart": (low_days, high_days),
        "notes": tuple(record["notes"]),
    }
    return SessionPlan(**{**record, **made})


def _rounded(value: Any) -> Any:
    """Plain values with every number at the precision of the records."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, _DECIMALS) if isinstance(value, float) else value


def _part_to_record(part: Part) -> Record:
    return {
        "statement": part.statement,
        "verdict": part.verdict.value,
        "decides": part.decides,
        "branch": part.branch,
        "quantity": _quantity_or_null(part.quantity),
        "thresholds": [asdict(t) for t in part.thresholds],
        "settled_by": part.settled_by,
        "missing_items": list(part.missing_items),
    }


def _part_from_record(record: Mapping[str, Any]) -> Part:
    return Part(
        statement=record["statement"],
        verdict=Verdict(record["verdict"]),
        decides=record["decides"],
        branch=record["branch"],
        quantity=_quantity_or_none(record["quantity"]),
        thresholds=_thresholds(record),
        settled_by=record["settled_by"],
        missing_items=tuple(record["missing_items"]),
    )


def classification_to_record(found: Classification) -> Record:
    """One classification: the answer, or all that are possible."""
    return {
        "category_id": found.category_id,
        "criteria_set": found.criteria_set,
        "target": found.target,
        "title": found.title,
        "answer": found.answer or None,
        "possible": list(found.possible),
        "statement": found.statement,
        "source": found.source,
        "settled_by": found.settled_by,
        "notes": list(found.notes),
        "parts": [_part_to_record(p) for p in found.parts],
        "missing_items": list(found.missing_items),
    }


def classification_from_record(record: Mapping[str, Any]) -> Classification:
    """The inverse of :func:`classification_to_record`."""
    return Classification(
        category_id=record["category_id"],
        criteria_set=record["criteria_set"],
        target=record["target"],
        title=record["title"],
        answer=record["answer"] or "",
        possible=tuple(record["possible"]),
        statement=record["statement"],
        source=record["source"],
        settled_by=record["settled_by"],
        notes=tuple(record["notes"]),
        parts=tuple(_part_from_record(p) for p in record["parts"]),
        missing_items=tuple(record["missing_items"]),
    )


def _quantity_or_null(quantity: Measured | None) -> Record | None:
    return quantity_to_record(quantity) if quantity is not None else None


def _quantity_or_none(record: Mapping[str, Any] | None) -> Measured | None:
    return quantity_from_record(record) if record is not None else None


def _thresholds(record: Mapping[str, Any]) -> tuple[Threshold, ...]:
    return tuple(Threshold(t["value"], t["unit"], t["source"]) for t in record["thresholds"])


def _point(lps_mm: tuple[float, float, float]) -> list[float]:
    return [round(float(c), _DECIMALS) for c in lps_mm]
