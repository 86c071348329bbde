"""How a zone covers the tumour that it was made for: margins, the covered share, the thinnest place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.motion import RigidMotion
from liverimg.core.response import Spot
from liverimg.measure.ablation_margin import Ablated, MarginSettings, measure_ablation_margin
from liverimg.measure.band import quadrature, surface_error_mm
from liverimg.measure.margin import MarginMap
from liverimg.measure.surface import Surface
from liverimg.measure.treatment.before import Before
from liverimg.measure.treatment.where import spot_of

MINIMUM = "minimal_ablation_margin"
NPV_RATIO = "npv_ratio"
VOLUME_RATIO = "zone_to_tumour_volume_ratio"
_UNCOVERED = "uncovered_tumour_volume"
_PERCENT = 100.0


@dataclass(frozen=True, eq=False)
class Cover:
    """What is known of one lesion's coverage.

    Attributes:
        quantities: Margins, shares, shells, covered share.
        margins: The margin at every point, for pictures; None when it could not be measured.
        zone: Surface of the zone that it was measured against; None with ``margins``.
        thinnest: Where the margin is smallest; None with ``margins``.
    """

    quantities: tuple[Measured, ...]
    margins: MarginMap | None = None
    zone: Surface | None = None
    thinnest: Spot | None = None


@dataclass(frozen=True, eq=False)
class Carried:
    """How a lesion came from the baseline into the later study: the motion, and the 95 % bound of its error."""

    motion: RigidMotion
    error_mm: float


def measure_cover(
    lesion_id: str,
    before: Before,
    *,
    zone: Surface,
    zone_error_mm: float,
    zone_ml: Measured,
    carried: Carried,
    settings: MarginSettings,
    sources: tuple[str, ...] = (),
) -> Cover:
    """Margins of one lesion, with every error in their bands: voxels, motion and both outlines.

    Args:
        lesion_id: The lesion in the baseline.
        before: The baseline.
        zone: Surface of the zone in the later study.
        zone_error_mm: How far its outline may be off, 95 %.
        zone_ml: Its non-enhancing volume.
        carried: The lesion's motion.
        settings: Of margins.
        sources: Series UIDs of the later study.
    """
    subject = before.subjects[lesion_id]
    tumour, body = subject.surface, before.body
    tumour_error_mm = surface_error_mm(subject.quality, Structure.TUMOUR)
    inside = body.liver is not None and not subject.outside
    case = Ablated(
        lesion_id=lesion_id,
        tumour=tumour,
        zone=zone,
        motion=carried.motion,
        motion_error_mm=carried.error_mm,
        outline_error_mm=quadrature(tumour_error_mm, zone_error_mm),
        tumour_ml=subject.lesion.volume_ml,
        liver=body.liver.mask if body.liver is not None and inside else None,
        liver_grid=body.liver.grid if body.liver is not None and inside else None,
        vessels_lps_mm=before.cooling_near(tumour.vertices_lps_mm, reach_mm=settings.perivascular_mm),
        sources=(*body.sources, *sources),
    )
    measured, margins = measure_ablation_margin(case, settings)
    least = next(q for q in measured if q.name == MINIMUM)
    uncovered = next(q for q in measured if q.name == _UNCOVERED)
    covered = _covered(uncovered, subject.lesion.volume_ml)
    ratio = _ratio(zone_ml, subject.lesion.volume_ml, lesion_id)
    thinnest = None
    if isinstance(least, Measurement):
        place = next(p for p in least.evidence if p.role == "on_tumour")
        centre = carried.motion.apply(tumour.vertices_lps_mm.mean(axis=0))
        thinnest = spot_of(np.array(place.lps_mm), centre, motion=carried.motion, target=lesion_id, before=before)
    return Cover((*measured, covered, ratio), margins, zone, thinnest)


def _covered(uncovered: Measured, tumour_ml: float) -> Measured:
    """NPV ratio: the share of the tumour that lies in what does not enhance."""
    if isinstance(uncovered, NotMeasured):
        return NotMeasured(NPV_RATIO, uncovered.target, uncovered.reason)
    value, low, high = (
        _PERCENT * (1 - min(part / tumour_ml, 1.0)) for part in (uncovered.value, uncovered.high, uncovered.low)
    )
    words = "share of the tumour's volume that lies in the zone without enhancement (NPV and target over target)"
    return Measurement(NPV_RATIO, uncovered.target, value, "%", low, high, words, (), uncovered.sources)


def _ratio(zone_ml: Measured, tumour_ml: float, lesion_id: str) -> Measured:
    """The zone's volume over the tumour's; the tumour's own error is in neither end."""
    if isinstance(zone_ml, NotMeasured):
        return NotMeasured(VOLUME_RATIO, lesion_id, zone_ml.reason)
    value, low, high = (part / tumour_ml for part in (zone_ml.value, zone_ml.low, zone_ml.high))
    words = "volume without enhancement over the tumour's volume before; it says nothing of where the zone lies"
    return Measurement(VOLUME_RATIO, lesion_id, value, "1", low, high, words, (), zone_ml.sources)
