"""Iodised oil that stayed in a lesion after chemoembolisation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.study import Phase
from liverimg.measure.band import surface_error_mm
from liverimg.measure.reading import Parts, Scale
from liverimg.measure.region import Region
from liverimg.measure.rules import EnhancementRules
from liverimg.measure.states import state
from liverimg.measure.subject import Body, Subject

SHARE = "iodised_oil_share"
RETENTION = "iodised_oil_retention"
_ABSENT, _POOR, _MODERATE, _COMPLETE = 0, 1, 2, 3


def measure_oil(subject: Subject, body: Body, region: Region) -> list[Measured]:
    """Share of the lesion that holds oil on the unenhanced CT, and its class; nothing on MR.

    Oil is certain from the upper threshold on and excluded below the lower one; the value counts from half-way
    between them, the band spans both, and the outline's error.
    """
    if body.hounsfield is None:
        return []
    lesion, rules = subject.lesion.id, body.settings.enhancement
    image = region.images.get(Phase.UNENHANCED)
    if image is None or image.why_not:
        reason = "oil is told from contrast without contrast only: the study has no series known to be unenhanced"
        reason = image.why_not if image is not None else reason
        return [NotMeasured(name, lesion, reason) for name in (SHARE, RETENTION)]
    values = region.values[Phase.UNENHANCED]
    if not np.isfinite(values[region.lesion]).all():
        reason = "the unenhanced series does not show all of the lesion"
        return [NotMeasured(name, lesion, reason) for name in (SHARE, RETENTION)]
    doubt_mm = max(image.doubt_mm, surface_error_mm(subject.quality, Structure.TUMOUR))
    middle = (rules.oil_least_hu + rules.oil_sure_hu) / 2
    value = _share(region, values, middle, 0.0)
    others = [
        _share(region, values, threshold, grown_mm)
        for threshold in (rules.oil_least_hu, rules.oil_sure_hu)
        for grown_mm in (-doubt_mm, 0.0, doubt_mm)
    ]
    low, high = min([value, *others]), max([value, *others])
    method = (
        f"share of voxels above {rules.oil_least_hu:g} to {rules.oil_sure_hu:g} HU on the unenhanced CT; the band "
        "spans both thresholds and where the outline may lie"
    )
    sources = (image.source,) if image.source else body.sources
    words = (
        f"from {rules.oil_moderate_share:.0%} moderate, above {rules.oil_complete_share:.0%} complete, which also "
        "wants a look for defects at the edge"
    )
    classes = [_class(share, rules) for share in (low, value, high)]
    return [
        Measurement(SHARE, lesion, value, "1", low, high, method, (), sources),
        state(RETENTION, lesion, classes[1], classes, method=words, sources=sources),
    ]


def oil_in_the_way(region: Region, parts: Mapping[Phase, Parts], scale: Scale, rules: EnhancementRules) -> str:
    """Why enhancement can't be read on CT: dense oil hides it. Empty where it can."""
    if scale.unit != "HU" or Phase.UNENHANCED not in parts:
        return ""
    share = _share(region, region.values[Phase.UNENHANCED], rules.oil_least_hu, 0.0)
    if share < rules.oil_present_share:
        return ""
    return (
        f"{share:.0%} of the lesion is denser than {rules.oil_least_hu:g} HU without contrast, as iodised oil is; "
        "enhancement can't be read on CT there: use MR with subtraction"
    )


def _share(region: Region, values: np.ndarray, threshold: float, grown_mm: float) -> float:
    """Share above a threshold in the lesion drawn larger or smaller by a distance."""
    within = region.depth_mm >= min(-grown_mm, region.deepest_mm) if grown_mm else region.lesion
    found = values[within & np.isfinite(values)]
    return float((found >= threshold).mean()) if len(found) else 0.0


def _class(share: float, rules: EnhancementRules) -> int:
    if share < rules.oil_present_share:
        return _ABSENT
    if share < rules.oil_moderate_share:
        return _POOR
    return _COMPLETE if share > rules.oil_complete_share else _MODERATE
