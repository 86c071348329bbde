"""What is published of the labels: one segment a structure, one a lesion, with codes and tracking UIDs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.catalogue import CodedConcept
from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Lesion, MeasurementSet
from liverimg.core.published import Algorithm, Segment
from liverimg.core.tracking import tracking_uid
from liverimg.files.tables import structure_styles
from liverimg.measure.lesions import LesionMask, find_lesions

_SAME_PLACE_MM = 0.01
_LARGEST_VALUE = 255


@dataclass(frozen=True, eq=False)
class Published:
    """Labels ready to be written.

    Attributes:
        array: Number of the segment in each voxel, 0 for none.
        segments: In the order of their numbers, from 1.
        lesions: Voxels of each measured lesion, by its id.
        empty: Structures that were looked for and are not there.
    """

    array: NDArray[np.uint8] = field(repr=False)
    segments: tuple[Segment, ...]
    lesions: Mapping[str, LesionMask]
    empty: tuple[str, ...]


def concepts(table: Mapping[str, Any]) -> dict[Structure, CodedConcept]:
    """The code of each structure with its meaning."""
    styles = structure_styles()
    return {s: CodedConcept("SCT", styles[s].sct, table["structure"][s.value]["meaning"]) for s in styles}


def published(
    labels: LabelMap,
    measured: MeasurementSet,
    quality: LabelQuality,
    *,
    table: Mapping[str, Any],
    study_instance_uid: str,
) -> Published:
    """Numbers what is labelled: structures in the order of the vocabulary, lesions in that of ``measurements.json``.

    Raises:
        InputRefusedError: The measurements are of other lesions than the labels hold.
    """
    found = {lesion.id: lesion for lesion in find_lesions(labels, minimum_volume_ml=0.0)}
    lesions = {lesion.id: _same(lesion, found) for lesion in measured.lesions}
    array = np.zeros(labels.grid.shape, dtype=np.uint8)
    segments: list[Segment] = []
    for structure, target, voxels in _parts(labels, lesions):
        if not voxels.any():
            continue
        if len(segments) == _LARGEST_VALUE:
            raise InputRefusedError(
                f"the labels hold more than {_LARGEST_VALUE} structures and lesions; number fewer apart"
            )
        array[voxels] = len(segments) + 1
        segments.append(_segment(len(segments) + 1, structure, target, quality, table))
    lesion_of = {lesion.id: lesion for lesion in measured.lesions}
    tracked = [_tracked(segment, lesion_of, study_instance_uid) for segment in segments]
    empty = tuple(s.value for s in labels.structures if not labels.has(s))
    return Published(array, tuple(tracked), lesions, empty)


def _same(lesion: Lesion, found: Mapping[str, LesionMask]) -> LesionMask:
    mask = found.get(lesion.id)
    if mask is None or np.abs(np.subtract(mask.centroid_lps_mm, lesion.centroid_lps_mm)).max() > _SAME_PLACE_MM:
        raise InputRefusedError(
            f"measurements.json speaks of a lesion {lesion.id!r} that the labels do not hold at that place; run "
            "'liverimg measure OUT' first, so that numbers and labels belong together"
        )
    return mask


def _parts(labels: LabelMap, lesions: Mapping[str, LesionMask]) -> Iterator[tuple[Structure, str, NDArray[np.bool_]]]:
    """Structure, lesion id or '' and voxels of each part; what of the tumours is no measured lesion comes last."""
    for structure in Structure:
        if structure is not Structure.TUMOUR:
            if structure in labels.structures:
                yield structure, "", labels.mask(structure)
            continue
        rest = labels.mask(Structure.TUMOUR)
        for target, lesion in lesions.items():
            whole = np.zeros(labels.grid.shape, dtype=bool)
            box = tuple(slice(s, s + n) for s, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
            whole[box] = lesion.mask
            rest &= ~whole
            yield structure, target, whole
        yield structure, "", rest


def _segment(
    number: int, structure: Structure, target: str, quality: LabelQuality, table: Mapping[str, Any]
) -> Segment:
    row, style = table["structure"][structure.value], structure_styles()[structure]
    label = f"{row['label']} {target}" if target else str(row["label"])
    if structure is Structure.TUMOUR and not target:
        label = str(table["too_small"]["label"])
    inside = row.get("inside")
    return Segment(
        value=number,
        target=target or structure.value,
        label=label,
        category=CodedConcept(**table["category"][row["category"]]),
        kind=CodedConcept("SCT", style.sct, row["meaning"]),
        region=None if inside is None else concepts(table)[Structure(inside)],
        tracking_uid="",
        colour=style.colour,
        algorithm=_algorithm(quality),
        roi_type=row.get("roi_type", ""),
        is_lesion=bool(target),
        outlined=bool(row.get("outlined", True)),
    )


def _tracked(segment: Segment, lesions: Mapping[str, Lesion], study_uid: str) -> Segment:
    if not segment.is_lesion:
        return replace(segment, tracking_uid=tracking_uid(study_uid, segment.target))
    lesion = lesions[segment.target]
    uid = tracking_uid(study_uid, segment.target, centroid_lps_mm=lesion.centroid_lps_mm)
    return replace(segment, tracking_uid=uid, region=segment.region if lesion.site == "liver" else None)


def _algorithm(quality: LabelQuality) -> Algorithm | None:
    """Who drew: None for a person; a model that a person corrected is named as such."""
    if quality.model is None and quality.origin in ("external", "edited"):
        return None
    model = quality.model or "unknown program"
    name, _, version = model.rpartition(" ")
    known = bool(name) and version[:1].isdigit()
    return Algorithm(name if known else model, version if known else "", quality.origin == "edited")
