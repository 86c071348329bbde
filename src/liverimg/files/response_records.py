"""``response.json`` and the margins beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.measurement import Measured, Point
from liverimg.core.motion import RigidMotion
from liverimg.core.response import (
    CriterionResponse,
    Fate,
    LesionResponse,
    Part,
    Spot,
    StudyResponse,
    Timepoint,
    Treatment,
)
from liverimg.files.perfusion_records import read_maps, write_maps
from liverimg.files.records import Record
from liverimg.files.result_records import (
    classification_from_record,
    classification_to_record,
    quantity_from_record,
    quantity_to_record,
)

SCHEMA_VERSION = "1.0"
_DECIMALS = 4
_MATRIX_DECIMALS = 9
MARGIN_ARRAYS = (
    "vertices_before_lps_mm",
    "vertices_lps_mm",
    "triangles",
    "margin_mm",
    "nearest_on_zone_lps_mm",
    "zone_vertices_lps_mm",
    "zone_triangles",
)


def response_to_record(
    response: StudyResponse, *, study: Record, baseline: Record, labels: Record, margin_files: Mapping[str, str]
) -> Record:
    """``response.json``.

    Args:
        response: What was found.
        study: Which study and series it is about.
        baseline: Which study it is held against.
        labels: Where labels and zones come from (origin, model, hashes).
        margin_files: File with the margins of each lesion, relative to the folder.
    """
    return {
        "record": "response",
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "baseline": baseline,
        "labels": labels,
        "treatments": [{"date": t.day.isoformat(), "kind": t.kind} for t in response.treatments],
        "timepoint": {
            "days": response.timepoint.days,
            "windows": list(response.timepoint.windows),
            "statement": response.timepoint.statement,
            "bias": response.timepoint.bias,
        },
        "lesions": [_lesion_to_record(found, margin_files.get(found.id)) for found in response.lesions],
        "zones": [_part_to_record(part) for part in response.zones],
        "foci": [_part_to_record(part) for part in response.foci],
        "candidates": [_part_to_record(part) for part in response.candidates],
        "new_lesion": response.new_lesion,
        "criteria": [criterion_to_record(found) for found in response.criteria],
        "not_applied": [asdict(n) for n in response.not_applied],
        "warnings": list(response.warnings),
    }


def response_from_record(record: Mapping[str, Any]) -> StudyResponse:
    """The inverse of :func:`response_to_record`."""
    time = record["timepoint"]
    return StudyResponse(
        treatments=tuple(Treatment(date.fromisoformat(t["date"]), t["kind"]) for t in record["treatments"]),
        timepoint=Timepoint(time["days"], tuple(time["windows"]), time["statement"], time["bias"]),
        lesions=tuple(_lesion_from_record(row) for row in record["lesions"]),
        zones=tuple(_part_from_record(row) for row in record["zones"]),
        foci=tuple(_part_from_record(row) for row in record["foci"]),
        candidates=tuple(_part_from_record(row) for row in record["candidates"]),
        new_lesion=record["new_lesion"],
        criteria=tuple(_criterion_from_record(row) for row in record["criteria"]),
        not_applied=tuple(NotApplied(**row) for row in record["not_applied"]),
        warnings=tuple(record["warnings"]),
    )


def write_margins(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Margins of one lesion as ``.npz``: the arrays of ``MARGIN_ARRAYS``, whole numbers and floats of 32 bits."""
    kept = {
        name: np.asarray(arrays[name], dtype=np.int32 if name.endswith("triangles") else np.float32)
        for name in MARGIN_ARRAYS
    }
    write_maps(path, kept)


def read_margins(path: Path) -> dict[str, NDArray[Any]]:
    """The inverse of :func:`write_margins`.

    Raises:
        RecordInvalidError: Missing or unreadable.
    """
    return read_maps(path)


def _lesion_to_record(found: LesionResponse, margins: str | None) -> Record:
    return {
        "id": found.id,
        "tracking_uid": found.tracking_uid,
        "fate": found.fate.value,
        "statement": found.statement,
        "before_lps_mm": _point(found.before_lps_mm),
        "now_lps_mm": None if found.now_lps_mm is None else _point(found.now_lps_mm),
        "motion": _motion_to_record(found.motion, found.motion_error_mm),
        "zone": found.zone or None,
        "foci": list(found.foci),
        "baseline": [quantity_to_record(q) for q in found.baseline],
        "quantities": [quantity_to_record(q) for q in found.quantities],
        "thinnest": _spot_to_record(found.thinnest),
        "margins": margins,
        "classifications": [classification_to_record(c) for c in found.classifications],
        "not_applied": [asdict(n) for n in found.not_applied],
    }


def _lesion_from_record(row: Mapping[str, Any]) -> LesionResponse:
    motion, error_mm = _motion_from_record(row["motion"])
    return LesionResponse(
        id=row["id"],
        tracking_uid=row["tracking_uid"],
        fate=Fate(row["fate"]),
        statement=row["statement"],
        before_lps_mm=tuple(row["before_lps_mm"]),
        now_lps_mm=None if row["now_lps_mm"] is None else tuple(row["now_lps_mm"]),
        motion=motion,
        motion_error_mm=error_mm,
        zone=row["zone"] or "",
        foci=tuple(row["foci"]),
        baseline=_quantities(row["baseline"]),
        quantities=_quantities(row["quantities"]),
        thinnest=_spot_from_record(row["thinnest"]),
        classifications=_classifications(row["classifications"]),
        not_applied=tuple(NotApplied(**n) for n in row["not_applied"]),
    )


def _motion_to_record(motion: RigidMotion | None, error_mm: float | None) -> Record | None:
    if motion is None:
        return None
    return {
        "matrix": np.round(motion.matrix, _MATRIX_DECIMALS).tolist(),
        "shift_mm": np.round(motion.shift_mm, _DECIMALS).tolist(),
        "error_mm": None if error_mm is None else round(error_mm, _DECIMALS),
    }


def _motion_from_record(row: Mapping[str, Any] | None) -> tuple[RigidMotion | None, float | None]:
    if row is None:
        return None, None
    return RigidMotion(np.array(row["matrix"]), np.array(row["shift_mm"])), row["error_mm"]


def _part_to_record(part: Part) -> Record:
    return {
        "id": part.id,
        "tracking_uid": part.tracking_uid,
        "origin": part.origin,
        "centroid_lps_mm": _point(part.centroid_lps_mm),
        "quantities": [quantity_to_record(q) for q in part.quantities],
        "lesions": list(part.lesions),
        "zone": part.zone or None,
        "spot": _spot_to_record(part.spot),
        "local": part.local,
        "notes": list(part.notes),
    }


def _part_from_record(row: Mapping[str, Any]) -> Part:
    return Part(
        id=row["id"],
        tracking_uid=row["tracking_uid"],
        origin=row["origin"],
        centroid_lps_mm=tuple(row["centroid_lps_mm"]),
        quantities=_quantities(row["quantities"]),
        lesions=tuple(row["lesions"]),
        zone=row["zone"] or "",
        spot=_spot_from_record(row["spot"]),
        local=row["local"],
        notes=tuple(row["notes"]),
    )


def _spot_to_record(spot: Spot | None) -> Record | None:
    if spot is None:
        return None
    return {
        "now_lps_mm": _point(spot.now_lps_mm),
        "before_lps_mm": None if spot.before_lps_mm is None else _point(spot.before_lps_mm),
        "direction": spot.direction,
        "segments": list(spot.segments),
        "vessel": spot.vessel or None,
        "vessel_distance": quantity_to_record(spot.vessel_distance),
        "note": spot.note,
    }


def _spot_from_record(row: Mapping[str, Any] | None) -> Spot | None:
    if row is None:
        return None
    return Spot(
        now_lps_mm=tuple(row["now_lps_mm"]),
        before_lps_mm=None if row["before_lps_mm"] is None else tuple(row["before_lps_mm"]),
        direction=row["direction"],
        segments=tuple(row["segments"]),
        vessel=row["vessel"] or "",
        vessel_distance=quantity_from_record(row["vessel_distance"]),
        note=row["note"],
    )


def criterion_to_record(found: CriterionResponse) -> Record:
    """The response by one criterion, with its sums."""
    return {
        "id": found.id,
        "targets": list(found.targets),
        "left_out": dict(found.left_out),
        "baseline": quantity_to_record(found.baseline),
        "nadir": quantity_to_record(found.nadir),
        "current": quantity_to_record(found.current),
        "target": classification_to_record(found.target),
        "overall": classification_to_record(found.overall),
    }


def _criterion_from_record(row: Mapping[str, Any]) -> CriterionResponse:
    return CriterionResponse(
        id=row["id"],
        targets=tuple(row["targets"]),
        left_out=dict(row["left_out"]),
        baseline=quantity_from_record(row["baseline"]),
        nadir=quantity_from_record(row["nadir"]),
        current=quantity_from_record(row["current"]),
        target=classification_from_record(row["target"]),
        overall=classification_from_record(row["overall"]),
    )


def _quantities(rows: list[Record]) -> tuple[Measured, ...]:
    return tuple(quantity_from_record(row) for row in rows)


def _classifications(rows: list[Record]) -> tuple[Classification, ...]:
    return tuple(classification_from_record(row) for row in rows)


def _point(lps_mm: Point) -> list[float]:
    return [round(float(c), _DECIMALS) for c in lps_mm]
