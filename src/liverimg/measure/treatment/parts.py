"""Zones and foci as bodies that can be measured, with the numbers of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import fill_voids
import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import BoolArray, LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.measure.axial import axial_diameters
from liverimg.measure.band import banded, evidence
from liverimg.measure.form import measure_form
from liverimg.measure.lesions import LesionMask, split_by_size
from liverimg.measure.proximity import Target
from liverimg.measure.scene import Scene
from liverimg.measure.size import measure_size
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import blob_surface

NON_ENHANCING = "non_enhancing_volume"
_NO_NUMBER = 0


@dataclass(frozen=True, eq=False)
class Drawn:
    """One zone or focus of a study.

    Attributes:
        part: What is known of it.
        subject: Its voxels and surface in standard order. A zone's holes are closed, unless a focus lies in them.
        hollow_ml: Volume of the holes that were closed.
    """

    part: Zone | Focus
    subject: Subject
    hollow_ml: float

    @property
    def zone_id(self) -> str:
        """The zone itself, or the one that a focus lies at."""
        return self.part.id if isinstance(self.part, Zone) else self.part.zone


def drawn_parts(zones: ZoneMap, errors_mm: Mapping[str, float] | None = None) -> dict[str, Drawn]:
    """Zones and foci by id; one that has no voxel in the map is left out.

    Args:
        zones: The map.
        errors_mm: Outline error of foci by id, where known; those of zones are their own.
    """
    known: dict[str, Zone | Focus] = {zone.id: zone for zone in zones.zones}
    known |= {focus.id: focus for focus in zones.foci}
    closed, hollow_ml = _closed(zones)
    scene = Scene.of(LabelMap(closed, zones.grid, {}, {part.id: part.value for part in known.values()}))
    masks, _ = split_by_size(scene.labels, scene.boxes, minimum_volume_ml=_NO_NUMBER)
    found = {}
    for mask in masks:
        part = known[mask.id]
        if isinstance(part, Zone):
            error_mm = part.error_mm
        else:
            home = next((zone.error_mm for zone in zones.zones if zone.id == part.zone), 0.0)
            error_mm = (errors_mm or {}).get(part.id, home)
        quality = LabelQuality(part.origin, {Structure.TUMOUR: error_mm})
        found[mask.id] = Drawn(part, subject_of(mask, quality), hollow_ml.get(mask.id, 0.0))
    return {name: found[name] for name in known if name in found}


def subject_of(mask: LesionMask, quality: LabelQuality, *, outside: bool = False) -> Subject:
    """A body of voxels with its surface, ready to be measured like a lesion."""
    surface = blob_surface(mask.mask, mask.grid)
    axial = axial_diameters(surface)
    target = Target.of(surface, mask, between_slices_mm=axial.between_slices_mm)
    return Subject(mask, surface, axial, target, outside, quality)


def measure_part(drawn: Drawn, body: Body) -> tuple[Measured, ...]:
    """Diameters, volume and form of a zone or focus; of a zone also the volume without what enhances inside it.

    Args:
        drawn: The zone or focus.
        body: The study after treatment: constants and sources.
    """
    size = measure_size(drawn.subject, body)
    volume = next(q for q in size if q.name == "volume")
    own = (_non_enhancing(volume, drawn.hollow_ml),) if isinstance(drawn.part, Zone) else ()
    return (*size, *own, *measure_form(drawn.subject, body))


def _closed(zones: ZoneMap) -> tuple[np.ndarray, dict[str, float]]:
    """The map with the holes of each zone filled that no focus lies in, and their volumes by zone."""
    array, hollow_ml = np.array(zones.array), dict[str, float]()
    drawn = _box(array)
    if drawn is None:
        return array, hollow_ml
    part = array[drawn]
    free = part == 0
    for zone in zones.zones:
        mask = zones.array[drawn] == zone.value
        box = _box(mask)
        if box is None:
            continue
        filled: BoolArray = np.asarray(fill_voids.fill(mask[box]))
        holes = filled & ~mask[box] & free[box]
        part[box][holes] = zone.value
        hollow_ml[zone.id] = float(np.count_nonzero(holes)) * zones.grid.voxel_ml
    return array, hollow_ml


def _box(array: NDArray[np.uint8] | BoolArray) -> tuple[slice, slice, slice] | None:
    """The box around all that is not zero; None where nothing is."""
    along = np.flatnonzero(np.any(array, axis=(1, 2)))
    if not len(along):
        return None
    k = slice(int(along[0]), int(along[-1]) + 1)
    plane = np.any(array[k], axis=0)
    j, i = (np.flatnonzero(np.any(plane, axis=axis)) for axis in (1, 0))
    return k, slice(int(j[0]), int(j[-1]) + 1), slice(int(i[0]), int(i[-1]) + 1)


def _non_enhancing(volume: Measured, hollow_ml: float) -> Measured:
    if isinstance(volume, NotMeasured):
        return replace(volume, name=NON_ENHANCING)
    centre = next(p for p in volume.evidence if p.role == "centroid")
    value = volume.value - hollow_ml
    return banded(
        NON_ENHANCING,
        volume.target,
        value,
        "ml",
        half=0.0,
        method="voxels of the zone without what lies inside it and is not marked as zone",
        points=(evidence("centroid", centre.lps_mm),),
        sources=volume.sources,
        at_least=volume.low - hollow_ml,
        at_most=volume.high - hollow_ml,
    )
