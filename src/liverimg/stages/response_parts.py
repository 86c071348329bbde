"""Zones, foci and tumours that may be new, as results name them."""

from __future__ import annotations

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.motion import RigidMotion
from liverimg.core.response import Part
from liverimg.core.tracking import tracking_uid
from liverimg.core.zones import Focus, Zone
from liverimg.measure.band import banded, surface_error_mm
from liverimg.measure.form import measure_form
from liverimg.measure.lesions import LesionMask
from liverimg.measure.size import measure_size
from liverimg.measure.treatment.parts import Drawn, measure_part, subject_of
from liverimg.measure.treatment.where import spot_of
from liverimg.stages.response_inputs import Inputs

TO_ZONE = "distance_to_ablation_zone"
_DECIMALS = 4  # of places in records


def zone_parts(given: Inputs) -> tuple[Part, ...]:
    """The zones with their numbers."""
    return tuple(
        Part(
            id=zone.id,
            tracking_uid=_tracking_uid(zone.id, given.parts[zone.id].subject.lesion, given),
            origin=zone.origin,
            centroid_lps_mm=given.parts[zone.id].subject.lesion.centroid_lps_mm,
            quantities=measure_part(given.parts[zone.id], given.later),
            lesions=zone.lesions,
            notes=zone.notes,
        )
        for zone in given.zones.zones
        if zone.id in given.parts
    )


def focus_parts(given: Inputs) -> tuple[Part, ...]:
    """The residual foci with their numbers and places."""
    return tuple(_focus(given.parts[f.id], f, given) for f in given.zones.foci if f.id in given.parts)


def candidate_parts(given: Inputs) -> tuple[Part, ...]:
    """Tumours that belong to no lesion of the baseline and to no zone."""
    return tuple(_candidate(mask, given) for mask in given.matched.elsewhere)


def _focus(drawn: Drawn, focus: Focus, given: Inputs) -> Part:
    lesion = drawn.subject.lesion
    motion, error_mm = _motion(focus.lesions, given)
    home = given.parts.get(focus.zone)
    centre = np.array((home or drawn).subject.lesion.centroid_lps_mm)
    spot = spot_of(
        np.array(lesion.centroid_lps_mm), centre, motion=motion, target=focus.id, before=given.before, error_mm=error_mm
    )
    phases = f"Enhances in: {', '.join(p.replace('_', ' ') for p in focus.phases)}." if focus.phases else ""
    return Part(
        id=focus.id,
        tracking_uid=_tracking_uid(focus.id, lesion, given),
        origin=focus.origin,
        centroid_lps_mm=lesion.centroid_lps_mm,
        quantities=measure_part(drawn, given.later),
        lesions=focus.lesions,
        zone=focus.zone,
        spot=spot,
        notes=(*focus.notes, *((phases,) if phases else ()), *_by_whom(focus.origin)),
    )


def _candidate(mask: LesionMask, given: Inputs) -> Part:
    subject = subject_of(mask, given.quality)
    motion, error_mm = given.alignment.liver.motion, given.alignment.liver.error_mm or 0.0
    near = given.matched.zone_near.get(mask.id)
    centre = mask.centroid_lps_mm
    if near is not None:
        centre = given.parts[near[0]].subject.lesion.centroid_lps_mm
    spot = spot_of(
        np.array(mask.centroid_lps_mm),
        np.array(centre),
        motion=motion,
        target=mask.id,
        before=given.before,
        error_mm=error_mm,
    )
    origin = "drawn" if given.by_person else "model"
    to_zone = _to_zone(mask, given)
    return Part(
        id=mask.id,
        tracking_uid=_tracking_uid(mask.id, mask, given),
        origin=origin,
        centroid_lps_mm=mask.centroid_lps_mm,
        quantities=(*measure_size(subject, given.later), *measure_form(subject, given.later), to_zone),
        lesions=given.matched.unplaced,
        zone="" if near is None else near[0],
        spot=spot,
        local=isinstance(to_zone, Measurement) and to_zone.low <= given.table["local_reach"]["value"],
        notes=_by_whom(origin),
    )


def _to_zone(mask: LesionMask, given: Inputs) -> Measured:
    near = given.matched.zone_near.get(mask.id)
    if near is None:
        return NotMeasured(TO_ZONE, mask.id, "no ablation zone was found in this study")
    name, gap_mm = near
    zone = given.parts[name].part
    error = zone.error_mm if isinstance(zone, Zone) else 0.0
    pitch = float(given.later.scene.grid.spacing_mm.max())
    half = (pitch**2 + error**2 + surface_error_mm(given.quality, Structure.TUMOUR) ** 2) ** 0.5
    return banded(
        TO_ZONE, mask.id, gap_mm, "mm", half=half, method=f"from its nearest voxel to the surface of {name}",
        sources=given.sources,
    )  # fmt: skip


def _motion(lesions: tuple[str, ...], given: Inputs) -> tuple[RigidMotion | None, float]:
    for name in lesions:
        carried = given.carried.get(name)
        if carried is not None:
            return carried.motion, carried.error_mm
    return given.alignment.liver.motion, given.alignment.liver.error_mm or 0.0


def _tracking_uid(name: str, mask: LesionMask, given: Inputs) -> str:
    """Of what this study shows first, worked out from the centre as the record has it."""
    x, y, z = (round(float(c), _DECIMALS) for c in mask.centroid_lps_mm)
    return tracking_uid(given.study.study_instance_uid, name, centroid_lps_mm=(x, y, z))


def _by_whom(origin: str) -> tuple[str, ...]:
    return () if origin == "drawn" else ("A candidate for a reader: no person drew it.",)
