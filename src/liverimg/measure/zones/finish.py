"""From a zone's border to the zone: rests at it, what hangs on it, notes, error, numbers; whoever found the border."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap
from liverimg.core.orientation import Orientation
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.measure.zones.around import Place
from liverimg.measure.zones.border import Patch, tidied
from liverimg.measure.zones.foci import Found, find_foci
from liverimg.measure.zones.necks import cut_at_necks
from liverimg.measure.zones.notes import notes_on, notes_on_shape, oil_in_the_way, perhaps_older
from liverimg.measure.zones.site import Site, Treated
from liverimg.measure.zones.sorting import FIRST_FOCUS, Group

RULE = "rule"
_NOT_DRAWN = (
    "no region without enhancement could be drawn at its place, or no liver beside it tells where one would end"
)
_ROOM_MM = 14.0  # around a zone, so that the liver next to it is seen


@dataclass(frozen=True, eq=False)
class Drawn:
    """One zone as drawn, not yet numbered."""

    lesions: tuple[str, ...]
    box: Box
    mask: BoolArray = field(repr=False)
    volume_ml: float
    error_mm: float
    notes: tuple[str, ...]
    foci: tuple[Found, ...]
    foci_unknown: str
    perhaps_older: bool


def finished(
    site: Site,
    patch: Patch,
    border: BoolArray,
    group: Group,
    treated: Sequence[Treated],
    *,
    error_mm: Callable[[BoolArray], float],
) -> Drawn | None:
    """One zone from its border; None where too little is left of it.

    Args:
        site: The later study.
        patch: Around the zone.
        border: Its voxels as its border was found.
        group: The lesions that it was made for.
        treated: All lesions.
        error_mm: Distance within which the border of the finished zone lies from the true one, rests left aside.
    """
    mine = [lesion for lesion in treated if lesion.id in group.lesions and lesion.motion is not None]
    places = [Place.of(lesion, patch.grid) for lesion in mine]
    foci, unknown = _foci(site, patch, border, places)
    alive = np.logical_or.reduce([focus.mask for focus in foci]) if foci else np.zeros(border.shape, dtype=bool)
    mask = tidied(border, patch, opening_mm=site.rules.border.opening_mm, keep=alive)
    cut = cut_at_necks(mask, _home(places, patch), patch.grid, site.rules.neck)
    mask = cut.mask
    volume_ml = float(np.count_nonzero(mask)) * patch.grid.voxel_ml
    if volume_ml < site.rules.finding.least_ml:
        return None
    older = perhaps_older(patch, mask, places)
    notes = (
        *notes_on(patch, mask, site.rules, is_ct=site.is_ct),
        *((older,) if older else ()),
        *notes_on_shape(mask, cut, places, site.rules),
    )
    unknown = (oil_in_the_way(patch, mask, site.rules) if site.is_ct else "") or unknown
    rules = site.rules.error
    rests_mm = rules.of_rest_mm if foci else rules.of_untold_mm if unknown else 0.0
    error = float(np.hypot(error_mm(mask), rests_mm))
    return Drawn(group.lesions, patch.box, mask, volume_ml, error, notes, tuple(foci), unknown, bool(older))


def as_map(
    site: Site,
    labels: LabelMap,
    drawn: Sequence[Drawn],
    treated: Sequence[Treated],
    absent: Mapping[str, str],
    *,
    origin: str,
    model: str = "",
) -> ZoneMap:
    """Zones numbered by falling volume, on the labels' grid, and why lesions have none.

    Args:
        site: The later study.
        labels: Of it.
        drawn: Its zones.
        treated: All lesions.
        absent: What is known already of lesions without a zone.
        origin: Who drew the zones; foci are always told by the rule.
        model: Name and version of the model that drew them, if one did.
    """
    ordered = sorted(drawn, key=lambda zone: -zone.volume_ml)
    array = np.zeros(site.scene.grid.shape, dtype=np.uint8)
    zones = []
    for value, one in enumerate(ordered, start=1):
        array[one.box][one.mask] = value
        zones.append(Zone(f"Z{value}", value, one.lesions, origin, one.error_mm, one.notes, one.perhaps_older))
    foci, unknown = _numbered(array, ordered, zones)
    has = {lesion for zone in zones for lesion in zone.lesions}
    why = {**{one.id: _NOT_DRAWN for one in treated}, **absent}
    return ZoneMap(
        array=np.ascontiguousarray(Orientation.of(labels.grid).turn_back(array)),
        grid=labels.grid,
        zones=tuple(zones),
        foci=foci,
        absent={name: reason for name, reason in why.items() if name not in has},
        foci_unknown=unknown,
        smallest_focus_mm=site.rules.focus.smallest_mm if zones else None,
        model=model,
    )


def nothing(labels: LabelMap, treated: Sequence[Treated], why: str) -> ZoneMap:
    """No zone at all, for one reason."""
    empty = np.zeros(labels.grid.shape, dtype=np.uint8)
    return ZoneMap(empty, labels.grid, (), absent={one.id: why for one in treated})


def box_around(mask: BoolArray, grid: Grid, site: Site) -> Box:
    """The part of the scene around a mask, with room for the liver next to it.

    Args:
        mask: On voxels of ``grid``.
        grid: In the space of the scene.
        site: The later study.
    """
    hits = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    ends = np.array([[h[0] - 0.5 for h in hits], [h[-1] + 0.5 for h in hits]])
    index = site.scene.grid.lps_mm_to_index(grid.index_to_lps_mm(ends))
    room = _ROOM_MM / site.scene.grid.spacing_mm
    low = np.maximum(0, np.floor(index.min(axis=0) - room)).astype(int)
    high = np.minimum(site.scene.grid.shape, np.ceil(index.max(axis=0) + room) + 1).astype(int)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _numbered(
    array: NDArray[np.uint8], drawn: Sequence[Drawn], zones: Sequence[Zone]
) -> tuple[tuple[Focus, ...], dict[str, str]]:
    """Writes the foci into the map; which they are, and zones whose border could not be judged."""
    foci = list[Focus]()
    for one, zone in zip(drawn, zones, strict=True):
        for found in one.foci:
            value = FIRST_FOCUS + len(foci)
            free = found.mask & (array[one.box] == 0)
            if free.any():
                array[one.box][free] = value
                phases = tuple(phase.value for phase in found.phases)
                foci.append(Focus(f"R{len(foci) + 1}", value, zone.id, zone.lesions, RULE, phases))
    unknown = {zone.id: one.foci_unknown for one, zone in zip(drawn, zones, strict=True) if one.foci_unknown}
    return tuple(foci), unknown


def _foci(site: Site, patch: Patch, zone: BoolArray, places: Sequence[Place]) -> tuple[list[Found], str]:
    """Living rests at a zone, and why its border could not be judged, if so."""
    if not places or not zone.any():
        return [], "where the lesion lay is not known, so a rest of it can't be told from other tissue"
    return find_foci(patch, zone, places, site.rules, is_ct=site.is_ct)


def _home(places: Sequence[Place], patch: Patch) -> BoolArray:
    """Where the lesions of a zone may have been; nowhere where nobody knows."""
    near = np.zeros(patch.grid.shape, dtype=bool)
    for place in places:
        near |= place.away_mm <= place.lesion.error_mm
    return near
