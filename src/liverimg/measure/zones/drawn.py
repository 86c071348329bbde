"""Zones and foci that labels from elsewhere hold already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liverimg.core.labels import BoolArray, LabelMap, LabelQuality, Structure
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.measure.band import surface_error_mm
from liverimg.measure.parts import counted_parts
from liverimg.measure.zones.distance import signed_mm
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Treated
from liverimg.measure.zones.sorting import FIRST_FOCUS, Part, grouped, owners_of


def zones_as_drawn(labels: LabelMap, quality: LabelQuality, treated: Sequence[Treated], rules: ZoneRules) -> ZoneMap:
    """Zones as the labels have them, told apart by the lesions whose places they lie at.

    Tumour that the labels show at a zone's border is a residual focus; tumour elsewhere is none of ours.

    Args:
        labels: Of the later study, with ablation zones in them.
        quality: How far they can be trusted.
        treated: The earlier study's lesions.
        rules: Constants.
    """
    parts = _parts(labels, labels.mask(Structure.ABLATION_ZONE))
    owners, absent = owners_of(parts, labels.grid, treated, rules)
    zones, array = [], np.zeros(labels.grid.shape, dtype=np.uint8)
    for value, group in enumerate(grouped(parts, owners, keep_others=True), start=1):
        array[group.mask] = value
        error = surface_error_mm(quality, Structure.ABLATION_ZONE)
        zones.append(Zone(f"Z{value}", value, group.lesions, _who(quality, Structure.ABLATION_ZONE), error))
    foci, array = _foci(labels, array, zones, _who(quality, Structure.TUMOUR), rules)
    has = {lesion for zone in zones for lesion in zone.lesions}
    unknown = "the labels were drawn without looking for tumour"
    return ZoneMap(
        array=array,
        grid=labels.grid,
        zones=tuple(zones),
        foci=tuple(foci),
        absent={name: why for name, why in absent.items() if name not in has},
        foci_unknown={} if labels.knows(Structure.TUMOUR) else {zone.id: unknown for zone in zones},
    )


def _who(quality: LabelQuality, structure: Structure) -> str:
    return "drawn" if quality.by_person(structure) else "model"


def _foci(
    labels: LabelMap, array: np.ndarray, zones: Sequence[Zone], origin: str, rules: ZoneRules
) -> tuple[list[Focus], np.ndarray]:
    foci = list[Focus]()
    by_value = {zone.value: zone for zone in zones}
    if not zones or not labels.has(Structure.TUMOUR):
        return foci, array
    out = array.copy()
    to_zone = {zone.value: -signed_mm(array == zone.value, labels.grid) for zone in zones}
    for part in _parts(labels, labels.mask(Structure.TUMOUR)):
        away = {value: float(distance[part.mask].min()) for value, distance in to_zone.items()}
        nearest = min(away, key=lambda value: away[value])
        if away[nearest] > rules.focus.reach_mm:
            continue
        zone, value = by_value[nearest], FIRST_FOCUS + len(foci)
        out[part.mask] = value
        foci.append(Focus(f"R{len(foci) + 1}", value, zone.id, zone.lesions, origin))
    return foci, out


def _parts(labels: LabelMap, mask: BoolArray) -> list[Part]:
    """Connected parts, the largest first."""
    found, _ = counted_parts(mask)
    sizes = np.bincount(found.ravel())
    sizes[0] = 0
    order = [int(n) for n in np.argsort(-sizes, kind="stable") if sizes[n]]
    return [Part(n, float(sizes[n]) * labels.grid.voxel_ml, np.asarray(found == n)) for n in order]
