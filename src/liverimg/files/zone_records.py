"""``zones.json``: names of the zones and foci in ``zones.nii.gz``, written by us and corrected by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, any_of
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.files.records import Record

SCHEMA_VERSION = "0.1"
_DRAWN = "drawn"
_DECIMALS = 3


def zones_to_record(zones: ZoneMap) -> Record:
    """``zones.json``, with a fingerprint of each part's voxels."""
    parts: tuple[Zone | Focus, ...] = (*zones.zones, *zones.foci)
    return {
        "record": "zones",
        "schema_version": SCHEMA_VERSION,
        "zones": [_zone_row(zone) for zone in zones.zones],
        "foci": [_focus_row(focus) for focus in zones.foci],
        "lesions": sorted({lesion for zone in zones.zones for lesion in zone.lesions} | set(zones.absent)),
        "absent": dict(zones.absent),
        "foci_unknown": dict(zones.foci_unknown),
        "smallest_focus_mm": zones.smallest_focus_mm,
        **({"model": zones.model} if zones.model else {}),
        "drawn_sha256": {str(part.value): _fingerprint(zones.array, part.value) for part in parts},
    }


def zones_from_record(record: Mapping[str, Any], array: NDArray[np.uint8], grid: Grid) -> ZoneMap:
    """The inverse of :func:`zones_to_record`, with what a person changed since.

    A part whose voxels differ from those that were written is that person's: its origin becomes ``drawn``, and it
    carries no error of its own, like labels drawn by hand. Voxels without a row belong to nothing; a row without
    voxels is gone, and the lesions of a zone that is gone are absent.

    Args:
        record: As it lies there now, checked against its schema.
        array: Values as they lie there now, shape ``grid.shape``.
        grid: The grid of the later study's reference series.

    Raises:
        RecordInvalidError: Two parts share a value or a name, or a focus lies at a zone that is not there.
    """
    zones = tuple(_zone(row) for row in record["zones"])
    foci = tuple(_focus(row) for row in record["foci"])
    _check_names(zones, foci)
    drawn_now = LabelMap(array, grid, {})
    left = tuple(zone for zone in zones if zone.value in drawn_now.boxes)
    ids = {zone.id for zone in left}
    foci = tuple(focus for focus in foci if focus.value in drawn_now.boxes and focus.zone in ids)
    parts: tuple[Zone | Focus, ...] = (*left, *foci)
    nameless = set(drawn_now.boxes) - {part.value for part in parts}
    if nameless:
        array = np.where(any_of(array, sorted(nameless)), np.uint8(0), array)
    drawn = record.get("drawn_sha256", {})
    changed = {p.value for p in parts if drawn.get(str(p.value)) != _fingerprint(array, p.value)}
    return ZoneMap(
        array=array,
        grid=grid,
        zones=tuple(_by_hand(zone) if zone.value in changed else zone for zone in left),
        foci=tuple(replace(f, origin=_DRAWN) if f.value in changed else f for f in foci),
        absent=_absent(record, zones, ids),
        foci_unknown={zone: why for zone, why in record.get("foci_unknown", {}).items() if zone in ids},
        smallest_focus_mm=record.get("smallest_focus_mm"),
        model=record.get("model", ""),
    )


def _by_hand(zone: Zone) -> Zone:
    """Whoever drew it knows that it is a zone, and where it ends."""
    return replace(zone, origin=_DRAWN, error_mm=0.0, perhaps_older=False)


def _zone_row(zone: Zone) -> Record:
    return {
        "id": zone.id,
        "value": zone.value,
        "lesions": list(zone.lesions),
        "origin": zone.origin,
        "error_mm": round(zone.error_mm, _DECIMALS),
        "notes": list(zone.notes),
        "perhaps_older": zone.perhaps_older,
    }


def _focus_row(focus: Focus) -> Record:
    return {
        "id": focus.id,
        "value": focus.value,
        "zone": focus.zone,
        "lesions": list(focus.lesions),
        "origin": focus.origin,
        "phases": list(focus.phases),
        "notes": list(focus.notes),
    }


def _zone(row: Mapping[str, Any]) -> Zone:
    return Zone(
        id=row["id"],
        value=int(row["value"]),
        lesions=tuple(row["lesions"]),
        origin=row.get("origin", _DRAWN),
        error_mm=float(row.get("error_mm", 0.0)),
        notes=tuple(row.get("notes", ())),
        perhaps_older=bool(row.get("perhaps_older", False)),
    )


def _focus(row: Mapping[str, Any]) -> Focus:
    return Focus(
        id=row["id"],
        value=int(row["value"]),
        zone=row["zone"],
        lesions=tuple(row.get("lesions", ())),
        origin=row.get("origin", _DRAWN),
        phases=tuple(row.get("phases", ())),
        notes=tuple(row.get("notes", ())),
    )


def _check_names(zones: tuple[Zone, ...], foci: tuple[Focus, ...]) -> None:
    parts: tuple[Zone | Focus, ...] = (*zones, *foci)
    for what, all_of in (("value", [str(p.value) for p in parts]), ("id", [p.id for p in parts])):
        twice = sorted({one for one in all_of if all_of.count(one) > 1})
        if twice:
            raise RecordInvalidError(f"zones.json gives the {what} {twice[0]} to two rows, expected one; change one")
    lesions = [lesion for zone in zones for lesion in zone.lesions]
    twice = sorted({lesion for lesion in lesions if lesions.count(lesion) > 1})
    if twice:
        raise RecordInvalidError(
            f"zones.json gives the lesion {twice[0]} to two zones, expected one; draw both pieces with one value"
        )
    ids = {zone.id for zone in zones}
    stray = next((focus for focus in foci if focus.zone not in ids), None)
    if stray is not None:
        raise RecordInvalidError(
            f"zones.json has a focus {stray.id} at the zone {stray.zone}, which is not among its zones; remove the "
            "focus too, or name the zone that it lies at"
        )


def _absent(record: Mapping[str, Any], zones: tuple[Zone, ...], ids: set[str]) -> dict[str, str]:
    """Lesions without a zone: those that were looked for in vain, and those whose zone a person took away."""
    found = {lesion for zone in zones if zone.id in ids for lesion in zone.lesions}
    removed = {lesion: f"its zone {zone.id} was removed by hand" for zone in zones for lesion in zone.lesions}
    nameless = dict.fromkeys(record.get("lesions", ()), "no zone is assigned to it in zones.json")
    said = {**nameless, **removed, **record.get("absent", {})}
    return {lesion: why for lesion, why in said.items() if lesion not in found}


def _fingerprint(array: NDArray[np.uint8], value: int) -> str:
    return sha256(np.packbits(array == value).tobytes()).hexdigest()
