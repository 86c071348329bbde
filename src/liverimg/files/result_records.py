"""``measurements.json`` and ``assessment.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liverimg.core.assessment import Assessment, Finding, Verdict
from liverimg.core.criteria import Threshold
from liverimg.core.measurement import (
    EvidencePoint,
    Lesion,
    Measured,
    Measurement,
    MeasurementSet,
    NotMeasured,
)
from liverimg.files.records import Record

SCHEMA_VERSION = "0.1"
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
    return {
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
        "conflicts": list(assessment.conflicts),
    }


def assessment_from_record(record: Mapping[str, Any]) -> Assessment:
    """The inverse of :func:`assessment_to_record`."""
    return Assessment(
        findings=tuple(_finding_from_record(f) for f in record["findings"]),
        conflicts=tuple(record["conflicts"]),
    )


def _finding_to_record(finding: Finding) -> Record:
    return {
        "criterion_id": finding.criterion_id,
        "criteria_set": finding.criteria_set,
        "target": finding.target,
        "title": finding.title,
        "verdict": finding.verdict.value,
        "statement": finding.statement,
        "quantity": quantity_to_record(finding.quantity) if finding.quantity is not None else None,
        "thresholds": [{"value": t.value, "unit": t.unit, "source": t.source} for t in finding.thresholds],
        "source": finding.source,
        "settled_by": finding.settled_by,
        "notes": list(finding.notes),
    }


def _finding_from_record(record: Mapping[str, Any]) -> Finding:
    quantity = record["quantity"]
    return Finding(
        criterion_id=record["criterion_id"],
        criteria_set=record["criteria_set"],
        target=record["target"],
        title=record["title"],
        verdict=Verdict(record["verdict"]),
        statement=record["statement"],
        quantity=quantity_from_record(quantity) if quantity is not None else None,
        thresholds=tuple(Threshold(t["value"], t["unit"], t["source"]) for t in record["thresholds"]),
        source=record["source"],
        settled_by=record["settled_by"],
        notes=tuple(record["notes"]),
    )


def _point(lps_mm: tuple[float, float, float]) -> list[float]:
    return [round(float(c), _DECIMALS) for c in lps_mm]
