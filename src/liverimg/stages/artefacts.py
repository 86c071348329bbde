"""Core objects out of the workspace and into a draft: the plumbing that several stages share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, LabelMap, LabelQuality, Structure
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
from liverimg.measure.lesions import LesionMask, find_lesions
from liverimg.workspace import Artefact, Draft, Workspace

SEGMENT = "segment"
_UNTOUCHED = (
    "Tumours were corrected by hand, but not {lesions}: no voxel there was changed, so the bands are still those of "
    "whoever drew them first."
)
_DRAWN_WITH = {Structure.LIVER: LIVER_CONTENTS}


def read_study(workspace: Workspace) -> Study:
    """The study as it was ingested."""
    return study_from_record(workspace.record(Artefact.STUDY, "study"))


def _reference_row(workspace: Workspace) -> tuple[records.Record, int]:
    record = workspace.record(Artefact.STUDY, "study")
    if record["reference_volume"] is None:
        raise InputRefusedError("the study holds no CT or MR volume, only ultrasound; this needs one of them")
    files = [v["file"] for v in record["volumes"]]
    index = files.index(record["reference_volume"])
    return record["volumes"][index], index


def reference_index(workspace: Workspace) -> int:
    """Which of the study's series labels and measurements refer to."""
    return _reference_row(workspace)[1]


def read_reference(workspace: Workspace) -> tuple[Series, Volume]:
    """The series that labels and measurements refer to, with its voxels on the grid of ``study.json``; kept."""
    row, index = _reference_row(workspace)
    files = workspace.folder / row["file"], workspace.path(Artefact.STUDY)
    return workspace.kept.get("reference", files, lambda: read_series(workspace, index))


def read_series(workspace: Workspace, index: int) -> tuple[Series, Volume]:
    """One of the study's series, with its voxels on the grid of ``study.json``."""
    row = workspace.record(Artefact.STUDY, "study")["volumes"][index]
    series = read_study(workspace).series[index]
    stored = nifti.read_volume(workspace.folder / row["file"], Quantity(row["quantity"]))
    return series, Volume(stored.array, series.grid, stored.quantity)


def frame_of_reference(workspace: Workspace) -> str | None:
    """Frame of reference of the measured series; None when unknown."""
    uid: str | None = _reference_row(workspace)[0]["grid"]["frame_of_reference_uid"]
    return uid


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


def put_labels(
    draft: Draft, labels: LabelMap, quality: LabelQuality, *, confidence: NDArray[np.uint8] | None = None
) -> None:
    """Writes labels, their names and their quality, with a fingerprint of each structure as it was drawn.

    Args:
        draft: Of the stage.
        labels: Complete.
        quality: How far they can be trusted.
        confidence: Probability of each voxel's label in percent, when a model gave one.
    """
    if confidence is not None:
        nifti.write_percent(draft.path(Artefact.CONFIDENCE), confidence, labels.grid)
    nifti.write_labels(draft.path(Artefact.LABELS), labels)
    draft.put_record(Artefact.LABEL_NAMES, "labels", label_names_to_record(labels))
    record = quality_to_record(quality) | {
        "drawn_sha256": _fingerprints(labels),
        "drawn_lesions_sha256": {lesion.id: _fingerprint(lesion) for lesion in _lesions(labels)},
    }
    draft.put_record(Artefact.LABEL_QUALITY, "label_quality", record)


def _fingerprints(labels: LabelMap) -> dict[str, str]:
    """Hash of each structure's voxels. The liver counts with what lies in it: a tumour drawn larger moves no border."""
    return {
        structure.value: sha256(_packed(labels, *_DRAWN_WITH.get(structure, (structure,)))).hexdigest()
        for structure in labels.structures
    }


def _packed(labels: LabelMap, *structures: Structure) -> bytes:
    """The voxels of structures, eight to a byte."""
    box = labels.box(*structures)
    if box is None:
        return bytes(-(-labels.array.size // 8))
    slices, (_, rows, columns) = box[0], labels.grid.shape
    if rows * columns % 8:
        return np.packbits(labels.mask(*structures)).tobytes()
    # Slices of whole bytes: those without a voxel need not be looked at.
    empty = [bytes(count * (rows * columns // 8)) for count in (slices.start, labels.grid.shape[0] - slices.stop)]
    whole = slices, slice(None), slice(None)
    return np.packbits(labels.mask_in(whole, *structures)).tobytes().join(empty)


def _lesions(labels: LabelMap) -> tuple[LesionMask, ...]:
    """Every lesion under the name that measurements give it, those that are too small for one among them."""
    return find_lesions(labels, minimum_volume_ml=0.0)


def _fingerprint(lesion: LesionMask) -> str:
    """Hash of a lesion's voxels and where they lie."""
    place = f"{lesion.start_kji} {lesion.mask.shape} "
    return sha256(place.encode("ascii") + np.packbits(lesion.mask).tobytes()).hexdigest()


def read_labels(workspace: Workspace) -> LabelMap:
    """The labels as they lie there now, corrected by hand or not, on the reference series' grid; kept."""
    row, _ = _reference_row(workspace)
    structures, lesions = label_names_from_record(workspace.record(Artefact.LABEL_NAMES, "labels"))
    path, grid = workspace.path(Artefact.LABELS), records.grid_from_record(row["grid"])
    files = path, workspace.path(Artefact.LABEL_NAMES), workspace.path(Artefact.STUDY)
    read = partial(nifti.read_labels, path, structures, lesions=lesions, on=grid)
    return workspace.kept.get("labels", files, read)


def read_segment_map(workspace: Workspace, grid: Grid) -> NDArray[np.uint8] | None:
    """Couinaud segments that came with the labels, 1 to 8 on their grid; None when there are none."""
    path = workspace.path(Artefact.SEGMENTS)
    return nifti.read_label_values(path, on=grid) if path.is_file() else None


def labels_were_edited(workspace: Workspace) -> bool:
    """Whether somebody corrected the labels or their names by hand."""
    return any(workspace.is_edited(a, by=SEGMENT) for a in (Artefact.LABELS, Artefact.LABEL_NAMES))


def read_quality(workspace: Workspace, labels: LabelMap) -> LabelQuality:
    """How far the labels can be trusted.

    A structure that a person corrected is that person's: visible, and taken as drawn, like labels from outside. The
    others keep what was said of whoever drew them first, and so does each tumour of which no voxel was changed: whoever
    corrects one has said nothing of the others.
    """
    record = workspace.record(Artefact.LABEL_QUALITY, "label_quality")
    quality = quality_from_record(record)
    if not labels_were_edited(workspace):
        return quality
    drawn = record["drawn_sha256"]
    corrected = {Structure(s) for s, now in _fingerprints(labels).items() if now != drawn.get(s)}
    of_lesions, notes = dict(quality.lesion_error_mm), quality.notes
    if Structure.TUMOUR in corrected:
        of_lesions = _errors_after(labels, quality, record.get("drawn_lesions_sha256", {}))
        untouched = sorted(name for name, mm in of_lesions.items() if mm > 0)
        if untouched:
            notes = (*notes, _UNTOUCHED.format(lesions=", ".join(untouched)))
    kept = {Structure.TUMOUR} if any(of_lesions.values()) else set()
    return replace(
        quality,
        origin="edited",
        corrected=frozenset(labels.structures) if quality.by_person() else frozenset(corrected),
        surface_error_mm={s: mm for s, mm in quality.surface_error_mm.items() if s not in corrected - kept},
        lesion_error_mm=of_lesions,
        notes=notes,
        findings=tuple(f for f in quality.findings if f.structure not in corrected),
        not_visible={s: why for s, why in quality.not_visible.items() if s not in corrected},
        incomplete={s: why for s, why in quality.incomplete.items() if s not in corrected},
    )


def _errors_after(labels: LabelMap, quality: LabelQuality, drawn: Mapping[str, str]) -> dict[str, float]:
    """Error of each tumour after a correction: its own where no voxel of it was changed, none where it is a person's.

    Args:
        labels: As they are now.
        quality: As it was said of the labels as they were drawn.
        drawn: Fingerprint of each lesion as it was drawn; names follow the size, so that a lesion may have another now.

    Returns:
        By the name that a lesion has now; empty when a person drew all of them, or nobody stated an error.
    """
    names = {fingerprint: name for name, fingerprint in drawn.items()}
    at_large = quality.surface_error_mm.get(Structure.TUMOUR, 0.0)
    errors = {}
    for lesion in _lesions(labels):
        before = names.get(_fingerprint(lesion))
        errors[lesion.id] = 0.0 if before is None else quality.lesion_error_mm.get(before, at_large)
    return errors if any(errors.values()) else {}
