"""A look at a study folder as a JSON record; nothing reads it back."""

from __future__ import annotations

from liverimg.core.inspection import AcquiredSlices, Inspection, ListedSeries
from liverimg.core.study import Modality, Role
from liverimg.core.volume import Quantity
from liverimg.files.cine_records import clip_row
from liverimg.files.records import Record
from liverimg.files.study_records import study_to_record

SCHEMA_VERSION = "0.1"


def inspection_to_record(inspection: Inspection) -> Record:
    """What ``inspect --json`` prints: ``study.json`` as far as it is known, and every series of the folder.

    There are no files yet, so none is named, and the slices' UIDs are left out.
    """
    study = inspection.study
    cines = [
        clip_row(clip, file="", calibration=scale.detail, spacing_mm=scale.spacing_mm)
        for clip, scale in zip(study.clips, inspection.scales, strict=True)
    ]
    quantities = [Quantity.HU if s.modality is Modality.CT else Quantity.MR_SIGNAL for s in study.series]
    record = study_to_record(study, files=[""] * len(study.series), quantities=quantities, reference=None, cines=cines)
    chosen = {choice.series for choice in study.roles if choice.role is Role.REFERENCE}
    for place, (row, slices) in enumerate(zip(record["volumes"], inspection.slices, strict=True)):
        row["is_reference"] = place in chosen
        row["acquired"] = _slices_to_record(slices)
        for left_out in ("file", "sop_instance_uids"):
            del row[left_out]
    for row in (*record["cines"], *record["roles"]):
        del row["file"]
    # What only the results of a run need: which file, and whose.
    for left_out in ("reference_volume", "patient_check"):
        record.pop(left_out, None)
    return record | {
        "record": "inspection",
        "schema_version": SCHEMA_VERSION,
        "pixels_read": inspection.pixels_read,
        "series": [_listed_to_record(one) for one in inspection.listing],
    }


def _slices_to_record(slices: AcquiredSlices) -> Record:
    return {
        "slices": slices.count,
        "matrix_ji": list(slices.matrix),
        "thickness_mm": slices.thickness_mm,
        "least_gap_mm": round(slices.least_gap_mm, 4),
        "most_gap_mm": round(slices.most_gap_mm, 4),
        "after_injection_s": None if slices.after_injection_s is None else round(slices.after_injection_s, 2),
    }


def _listed_to_record(one: ListedSeries) -> Record:
    return {
        "series_instance_uid": one.series_instance_uid,
        "number": one.number,
        "modality": one.modality,
        "description": one.description,
        "images": one.images,
        "acquired_at": one.acquired_at,
    }
