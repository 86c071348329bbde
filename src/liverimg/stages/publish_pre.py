"""Results from before treatment (``measurements.json``, ``assessment.json``) as they are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from liverimg.core.assessment import Assessment
from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Lesion, Measured, MeasurementSet
from liverimg.core.published import Group, Layer, SegmentName
from liverimg.core.tracking import tracking_uid
from liverimg.files.result_records import assessment_from_record, measurements_from_record
from liverimg.files.tables import Table, structure_styles
from liverimg.measure.lesions import LesionMask, find_lesions
from liverimg.measure.mesh import lesion_mesh
from liverimg.stages.artefacts import read_labels, read_quality, read_study
from liverimg.stages.publish_content import SEG, Content, Results, Surface, concepts, is_abnormal, reference_source
from liverimg.stages.publish_meshes import structure_surfaces, whole_surfaces
from liverimg.stages.publish_segments import Piece, algorithm_of, layer_of, whole_mask
from liverimg.workspace import Artefact, Workspace

_SAME_PLACE_MM: Final = 0.01
_STUDY: Final = "study"


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Labels, and the voxels of each measured lesion by its id."""

    labels: LabelMap
    quality: LabelQuality
    lesions: Mapping[str, LesionMask]
    measured: MeasurementSet
    study_uid: str
    table: Table


def read_content(workspace: Workspace, study: Path, table: Table) -> Content:
    """What there is to publish of a study before treatment.

    Raises:
        InputRefusedError: The study folder is another one, or the measurements are of other lesions than the labels.
    """
    source = reference_source(workspace, study)
    labels = read_labels(workspace)
    measured = measurements_from_record(workspace.record(Artefact.MEASUREMENTS, "measurements"))
    found = {lesion.id: lesion for lesion in find_lesions(labels, minimum_volume_ml=0.0)}
    lesions = {lesion.id: _same(lesion, found) for lesion in measured.lesions}
    quality = read_quality(workspace, labels)
    drawn = _Drawn(labels, quality, lesions, measured, read_study(workspace).study_instance_uid, table)
    layer = layer_of(_pieces(drawn), labels.grid, table)
    assessment = assessment_from_record(workspace.record(Artefact.ASSESSMENT, "assessment"))
    notes = (str(table["equipment"]["disclaimer"]), *measured.warnings)
    return Content(
        scan=source,
        groups=measured_groups(measured, assessment, notes=notes, study_uid=drawn.study_uid, table=table),
        source=source,
        layers={SEG: layer},
        surfaces=_surfaces(drawn, layer),
        not_labelled=tuple(s.value for s in labels.structures if not labels.has(s)),
    )


def measured_groups(
    measured: MeasurementSet, assessment: Assessment | None, *, notes: Sequence[str], study_uid: str, table: Table
) -> tuple[Group, ...]:
    """Each lesion, each organ that something was measured of, and the study as a whole.

    Args:
        measured: All measurements.
        assessment: What the criteria say of them; None when nobody asked them.
        notes: What a reader must know first.
        study_uid: StudyInstanceUID.
        table: ``dicom_objects.toml``.
    """
    known = concepts(table)
    by_target: dict[str, list[Measured]] = {_STUDY: []}
    for quantity in measured.organs:
        by_target.setdefault(quantity.target, []).append(quantity)
    lesions = [
        Group(
            target=lesion.id,
            tracking_uid=tracking_uid(study_uid, lesion.id, centroid_lps_mm=lesion.centroid_lps_mm),
            quantities=lesion.quantities,
            kind=known[Structure.TUMOUR],
            site=known[Structure.LIVER] if lesion.site == "liver" else None,
            segment=SegmentName(SEG, lesion.id),
            lesion_codes=True,
            **_judged(assessment, lesion.id),
        )
        for lesion in measured.lesions
    ]
    codes = {s.value: (known[s], is_abnormal(s, table)) for s in known}
    wholes = []
    for target, quantities in by_target.items():
        code, abnormal = codes.get(target, (None, False))
        wholes.append(
            Group(
                target=target,
                tracking_uid=tracking_uid(study_uid, target),
                quantities=tuple(quantities),
                kind=code if abnormal else None,
                site=None if abnormal else code,
                notes=tuple(notes) if target == _STUDY else (),
                **_judged(assessment, target),
            )
        )
    return (*lesions, *wholes)


def _judged(assessment: Assessment | None, target: str) -> dict[str, Any]:
    if assessment is None:
        return {}
    return {
        "findings": tuple(f for f in assessment.findings if f.target == target),
        "classifications": tuple(c for c in assessment.classifications if c.target == target),
    }


def _same(lesion: Lesion, found: Mapping[str, LesionMask]) -> LesionMask:
    mask = found.get(lesion.id)
    if mask is None or np.abs(np.subtract(mask.centroid_lps_mm, lesion.centroid_lps_mm)).max() > _SAME_PLACE_MM:
        raise InputRefusedError(
            f"measurements.json speaks of a lesion {lesion.id!r} that the labels do not hold at that place; run "
            "'liverimg measure OUT' first, so that numbers and labels belong together"
        )
    return mask


def _pieces(drawn: _Drawn) -> Iterator[Piece]:
    """Structures in the order of the vocabulary, lesions in that of ``measurements.json``; then what of the tumours
    is no measured lesion."""
    labels, by = drawn.labels, algorithm_of(drawn.quality)
    for structure in Structure:
        row = drawn.table["structure"][structure.value]
        uid = tracking_uid(drawn.study_uid, structure.value)
        if structure is not Structure.TUMOUR:
            if structure in labels.structures:
                yield Piece(structure, labels.mask(structure), structure.value, str(row["label"]), uid, by)
            continue
        rest = labels.mask(structure)
        for lesion in drawn.measured.lesions:
            voxels = whole_mask(drawn.lesions[lesion.id], labels.grid)
            rest &= ~voxels
            own = tracking_uid(drawn.study_uid, lesion.id, centroid_lps_mm=lesion.centroid_lps_mm)
            label, in_liver = f"{row['label']} {lesion.id}", lesion.site == "liver"
            yield Piece(structure, voxels, lesion.id, label, own, by, in_organ=in_liver, is_lesion=True)
        yield Piece(structure, rest, structure.value, str(drawn.table["too_small"]["label"]), uid, by)


def _surfaces(drawn: _Drawn, layer: Layer) -> Iterator[Surface]:
    style, row = structure_styles()[Structure.TUMOUR], drawn.table["structure"]["tumour"]
    for number, (target, lesion) in enumerate(drawn.lesions.items(), start=1):
        segment = layer.of(target)
        uid = None if segment is None else segment.tracking_uid
        # A reader's own name of a lesion never becomes the name of a file.
        mesh = lesion_mesh(lesion.mask, lesion.grid)
        yield Surface(f"tumour_{number}", target, f"{row['label']} {target}", mesh, style.colour, 1.0, uid)
    outside = {lesion.id for lesion in drawn.measured.lesions if lesion.site != "liver"}
    apart = tuple(lesion for name, lesion in drawn.lesions.items() if name in outside)
    yield from whole_surfaces(drawn.labels, drawn.table, study_uid=drawn.study_uid, apart=apart)
    yield from structure_surfaces(drawn.labels, drawn.table, study_uid=drawn.study_uid, without=(Structure.TUMOUR,))


PRE = Results(
    name="pre",
    record=Artefact.MEASUREMENTS,
    page=Artefact.REPORT,
    made_by=("measure", "assess", "report"),
    again="liverimg measure OUT",
    read=read_content,
)
