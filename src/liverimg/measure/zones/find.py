"""Ablation zones and residual foci by rule, on CT and MR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import BoolArray, LabelMap
from liverimg.core.nearest import on_grid
from liverimg.core.orientation import Orientation
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.measure.phases import PhaseImage
from liverimg.measure.scene import Box
from liverimg.measure.zones.border import Border, Patch, find_border, signed_mm, tidied
from liverimg.measure.zones.finding import Search, pieces, search
from liverimg.measure.zones.foci import Found, find_foci
from liverimg.measure.zones.necks import cut_at_necks
from liverimg.measure.zones.notes import SURFACE_SHARE, at_surface, notes_on, notes_on_shape, oil_in_the_way
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Site, Treated
from liverimg.measure.zones.sorting import FIRST_FOCUS, Group, grouped, owners_of

RULE = "rule"
_NOT_DRAWN = (
    "no region without enhancement could be drawn at its place, or no liver beside it tells where one would end"
)
_ROOM_MM = 14.0  # around a zone, so that the liver next to it is seen


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One zone as drawn, not yet numbered."""

    lesions: tuple[str, ...]
    box: Box
    mask: BoolArray = field(repr=False)
    volume_ml: float
    error_mm: float
    notes: tuple[str, ...]
    foci: tuple[Found, ...]
    foci_unknown: str


def find_zones(
    image: Volume,
    labels: LabelMap,
    phases: Mapping[Phase, PhaseImage],
    treated: Sequence[Treated],
    rules: ZoneRules,
) -> ZoneMap:
    """Draws the zone of each treated lesion, and what still enhances at its border.

    Args:
        image: The later study's reference.
        labels: On its grid: the liver, and whatever else is known.
        phases: The later study's images by contrast phase, the reference among them.
        treated: The earlier study's lesions.
        rules: Constants.
    """
    site = Site.of(image, labels, phases, treated, rules)
    if site is None:
        return _nothing(labels, treated, "no liver is drawn in the later study, so there is nothing to look for it in")
    found = search(site)
    if isinstance(found, str):
        return _nothing(labels, treated, found)
    parts = pieces(found, least_ml=rules.finding.least_ml, least_depth_mm=rules.finding.least_depth_mm)
    owners, absent = owners_of(parts, found.grid, treated, rules)
    # A region that no lesion's place explains is shown only while a lesion's place is unknown.
    groups = grouped(parts, owners, keep_others=any(lesion.motion is None for lesion in treated))
    drawn = [zone for zone in (_drawn(site, found, group, treated) for group in groups) if zone is not None]
    drawn.sort(key=lambda zone: -zone.volume_ml)
    turn = Orientation.of(labels.grid)
    array = np.zeros(site.scene.grid.shape, dtype=np.uint8)
    zones = []
    for value, one in enumerate(drawn, start=1):
        array[one.box][one.mask] = value
        zones.append(Zone(f"Z{value}", value, one.lesions, RULE, one.error_mm, one.notes))
    foci, unknown = _numbered(array, drawn, zones)
    has = {lesion for zone in zones for lesion in zone.lesions}
    for one_treated in treated:
        if one_treated.id not in has:
            absent.setdefault(one_treated.id, _NOT_DRAWN)
    return ZoneMap(
        array=np.ascontiguousarray(turn.turn_back(array)),
        grid=labels.grid,
        zones=tuple(zones),
        foci=foci,
        absent={name: why for name, why in absent.items() if name not in has},
        foci_unknown=unknown,
        smallest_focus_mm=rules.focus.smallest_mm if zones else None,
    )


def _numbered(
    array: NDArray[np.uint8], drawn: Sequence[_Drawn], zones: Sequence[Zone]
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


def _nothing(labels: LabelMap, treated: Sequence[Treated], why: str) -> ZoneMap:
    empty = np.zeros(labels.grid.shape, dtype=np.uint8)
    return ZoneMap(empty, labels.grid, (), absent={one.id: why for one in treated})


def _drawn(site: Site, found: Search, group: Group, treated: Sequence[Treated]) -> _Drawn | None:
    box = _box_around(group.mask, found, site)
    patch = Patch.of(site, box)
    start = on_grid(group.mask, found.grid, patch.grid)
    border = find_border(patch, start, site.rules.border, is_ct=site.is_ct)
    if not border.phases:
        return None  # too little liver beside it to say where it ends
    foci, unknown = _foci(site, patch, border.mask, [one for one in treated if one.id in group.lesions])
    alive = np.logical_or.reduce([focus.mask for focus in foci]) if foci else np.zeros(start.shape, dtype=bool)
    mask = tidied(border.mask, patch, opening_mm=site.rules.border.opening_mm, keep=alive)
    mine = [lesion for lesion in treated if lesion.id in group.lesions]
    cut = cut_at_necks(mask, _home(mine, patch), patch.grid, site.rules.neck)
    mask = cut.mask
    volume_ml = float(np.count_nonzero(mask)) * patch.grid.voxel_ml
    if volume_ml < site.rules.finding.least_ml:
        return None
    error_mm = _error_mm(site, patch, border, mask)
    notes = (
        *notes_on(patch, mask, mine, site.rules, is_ct=site.is_ct),
        *notes_on_shape(patch, mask, cut, mine, site.rules),
    )
    oil = oil_in_the_way(patch, mask, site.rules) if site.is_ct else ""
    return _Drawn(group.lesions, box, mask, volume_ml, error_mm, notes, tuple(foci), oil or unknown)


def _foci(site: Site, patch: Patch, zone: BoolArray, treated: Sequence[Treated]) -> tuple[list[Found], str]:
    """Living rests at a zone, and why its border could not be judged, if so."""
    known = [lesion for lesion in treated if lesion.motion is not None]
    if not known or not zone.any():
        return [], "where the lesion lay is not known, so a rest of it can't be told from other tissue"
    place = np.logical_or.reduce([lesion.on(patch.grid) for lesion in known])
    error_mm = max(lesion.error_mm for lesion in known)
    return find_foci(patch, zone, place, known[0].contrast, site.rules, error_mm=error_mm, is_ct=site.is_ct)


def _home(treated: Sequence[Treated], patch: Patch) -> BoolArray:
    """Where the lesions of a zone may have been; nowhere where nobody knows."""
    near = np.zeros(patch.grid.shape, dtype=bool)
    for lesion in (one for one in treated if one.motion is not None):
        near |= -signed_mm(lesion.on(patch.grid), patch.grid) <= lesion.error_mm
    return near


def _box_around(mask: BoolArray, found: Search, site: Site) -> Box:
    hits = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    ends = np.array([[h[0] - 0.5 for h in hits], [h[-1] + 0.5 for h in hits]])
    index = site.scene.grid.lps_mm_to_index(found.grid.index_to_lps_mm(ends))
    room = _ROOM_MM / site.scene.grid.spacing_mm
    low = np.maximum(0, np.floor(index.min(axis=0) - room)).astype(int)
    high = np.minimum(site.scene.grid.shape, np.ceil(index.max(axis=0) + room) + 1).astype(int)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _error_mm(site: Site, patch: Patch, border: Border, mask: BoolArray) -> float:
    rules = site.rules.error
    doubt = max((patch.images[p].doubt_mm for p in border.phases if not patch.images[p].is_reference), default=0.0)
    parts = (
        rules.least_mm,
        rules.of_noise_mm * border.noise_mm,
        rules.of_slice * float(patch.grid.spacing_mm.max()),
        rules.of_doubt * doubt,
        rules.of_surface_mm if at_surface(patch, mask) >= SURFACE_SHARE else 0.0,
        0.0 if Phase.UNENHANCED in patch.values else rules.of_darkness_mm,
    )
    return float(np.sqrt(sum(part**2 for part in parts)))
