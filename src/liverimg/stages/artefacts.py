"""Core objects out of the workspace and into a draft: the plumbing that several stages share."""

from __future__ import annotations

from dataclasses import replace

from liverimg.core.labels import LabelMap, LabelQuality
from liverimg.core.study import Series, Study
from liverimg.core.volume import Quantity, Volume
from liverimg.files import nifti, records
from liverimg.files.study_records import (
    label_names_from_record,
    label_names_to_record,
    quality_from_record,
    quality_to_record,
    study_from_record,
)
from liverimg.workspace import Artefact, Draft, Workspace

SEGMENT = "segment"


def read_study(workspace: Workspace) -> Study:
    """The study as it was ingested."""
    return study_from_record(workspace.record(Artefact.STUDY, "study"))


def _reference_row(workspace: Workspace) -> tuple[records.Record, int]:
    record = workspace.record(Artefact.STUDY, "study")
    files = [v["file"] for v in record["volumes"]]
    index = files.index(record["reference_volume"])
    return record["volumes"][index], index


def read_reference(workspace: Workspace) -> tuple[Series, Volume]:
    """The series that labels and measurements refer to, with its voxels on the grid of ``study.json``."""
    row, index = _reference_row(workspace)
    series = read_study(workspace).series[index]
    stored = nifti.read_volume(workspace.folder / row["file"], Quantity(row["quantity"]))
    return series, Volume(stored.array, series.grid, stored.quantity)


def reference_record(workspace: Workspace) -> records.Record:
    """Which study and series the results refer to, as results carry it."""
    study = workspace.record(Artefact.STUDY, "study")
    row, _ = _reference_row(workspace)
    return {
        "study_instance_uid": study["study_instance_uid"],
        "study_date": study["study_date"],
        "reference_series_instance_uid": row["series_instance_uid"],
        "reference_volume": row["file"],
        "modality": row["modality"],
        "phase": row["phase"],
        "spacing_kji_mm": row["grid"]["spacing_kji_mm"],
    }


def put_labels(draft: Draft, labels: LabelMap, quality: LabelQuality) -> None:
    """Writes labels, their names and their quality."""
    nifti.write_labels(draft.path(Artefact.LABELS), labels)
    draft.put_record(Artefact.LABEL_NAMES, "labels", label_names_to_record(labels))
    draft.put_record(Artefact.LABEL_QUALITY, "label_quality", quality_to_record(quality))


def read_labels(workspace: Workspace) -> LabelMap:
    """The labels as they lie there now, corrected by hand or not, on the reference series' grid."""
    row, _ = _reference_row(workspace)
    structures, lesions = label_names_from_record(workspace.record(Artefact.LABEL_NAMES, "labels"))
    grid = records.grid_from_record(row["grid"])
    return nifti.read_labels(workspace.path(Artefact.LABELS), structures, lesions=lesions, on=grid)


def labels_were_edited(workspace: Workspace) -> bool:
    """Whether somebody corrected the labels or their names by hand."""
    return any(workspace.is_edited(a, by=SEGMENT) for a in (Artefact.LABELS, Artefact.LABEL_NAMES))


def read_quality(workspace: Workspace, labels: LabelMap) -> LabelQuality:
    """How far the labels can be trusted.

    Labels corrected by hand keep the bands of what drew them first, because nothing says how much of them was
    looked at; but a structure that a person drew is visible, whatever the model said.
    """
    quality = quality_from_record(workspace.record(Artefact.LABEL_QUALITY, "label_quality"))
    if not labels_were_edited(workspace):
        return quality
    still_hidden = {s: reason for s, reason in quality.not_visible.items() if not labels.has(s)}
    return replace(quality, origin="edited", not_visible=still_hidden)
