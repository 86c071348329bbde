"""How near a lesion lies to vessels and their branches, ducts, organs, diaphragm and the liver's surface."""

from __future__ import annotations

from collections.abc import Sequence

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.band import banded, evidence
from liverimg.measure.heat_sink import measure_heat_sink
from liverimg.measure.proximity import image_edge_mm
from liverimg.measure.reach import Around, Nowhere, Place, half_width_mm, places
from liverimg.measure.subject import Body, Subject
from liverimg.measure.vessels import Walls, measure_calibres, measure_contacts

_DUCTS = ("bile_duct", "extrahepatic_bile_duct", "intrahepatic_bile_duct")


def measure_nearness(subject: Subject, body: Body, around: Around | None = None) -> list[Measured]:
    """Distance from the lesion's surface to each thing with a name; the vessels' width, and contact with them.

    The distance is signed: 0 where the two touch, negative by the depth of the lesion's deepest point inside a vessel
    or duct (``overlap``) or beyond the capsule (``bulge``). In other organs labels that exclude each other tell of no
    depth: the distance is 0, and its band reaches below. Angle and length of the contact say how far the lesion
    surrounds a vessel. A structure
    that was not looked for, or that could not be seen, is at an unknown distance, never a far one; so is a branch
    whose name can't be told.

    Args:
        subject: The lesion.
        body: What lies around it.
        around: Branches and dome, when they are at hand; they are the same for all lesions of a study.
    """
    around = around or Around.of(body)
    found = places(subject, body, around)
    walls = Walls(subject, body, around)
    return [
        *(_row(place, found, walls) for place in found),
        *measure_calibres(found, walls),
        *measure_heat_sink(found, walls),
        *measure_contacts(found, walls),
    ]


def _row(place: Place | Nowhere, found: Sequence[Place | Nowhere], walls: Walls) -> Measured:
    name = f"distance_to_{place.name}"
    if isinstance(place, Nowhere):
        return NotMeasured(name, walls.subject.lesion.id, place.reason + _instead(place, found))
    if place.found.touching:
        return _touching(name, place, walls)
    return _distance(name, place, walls.subject, walls.body)


def _touching(name: str, place: Place, walls: Walls) -> Measurement:
    """The distance to what the lesion touches: 0, or the depth below it."""
    body, quality, overlap = walls.body, walls.subject.quality, walls.overlap(place)
    value, low, high = overlap.as_distance(half_width_mm(place, walls.subject, body))
    method = f"signed distance between the sub-voxel surfaces; {overlap.words}"
    if place.branches:
        method += f"; there it is the {' or '.join(b.replace('_', ' ') for b in place.branches)}"
    if place.structure in quality.incomplete and place.name not in ("liver_capsule", "diaphragm"):
        method += f"; {quality.incomplete[place.structure]}"
    return Measurement(
        name=name,
        target=walls.subject.lesion.id,
        value=value,
        unit="mm",
        low=low,
        high=high,
        method=method,
        evidence=(evidence("on_tumour", place.found.on_lesion), evidence(f"on_{place.name}", place.found.on_structure)),
        sources=body.sources,
    )


def _instead(place: Nowhere, found: Sequence[Place | Nowhere]) -> str:
    """What is known of ducts that can't be seen: they run with the portal branches."""
    if place.name not in _DUCTS:
        return ""
    portal = next((p for p in found if isinstance(p, Place) and p.name == Structure.PORTAL_VEIN), None)
    if portal is None:
        return ""
    gap_mm = max(0.0, portal.found.distance_mm)
    return (
        f"; ducts run beside the portal branches, of which the nearest that is drawn lies {gap_mm:.1f} mm away: "
        "expect one there"
    )


def _distance(name: str, place: Place, subject: Subject, body: Body) -> Measurement:
    """One distance with its band; ``at_least`` says how near the thing may be for other reasons than the voxels."""
    found, lesion, target, quality = place.found, subject.lesion, subject.target, subject.quality
    half = half_width_mm(place, subject, body)
    value, method = found.distance_mm, "shortest line between the sub-voxel surfaces"
    # Between slices the lesion may be wider, and a thin tube may pass nearer, than any slice shows.
    at_least = value - half - found.unseen_mm - target.between_slices_mm / 2
    edge_mm = image_edge_mm(target, body.scene.grid)
    if lesion.touches_image_edge:
        method += "; part of the lesion may lie outside the view and be nearer"
        at_least = 0.0
    elif edge_mm < value:
        method += f"; what lies beyond the edge of the image, {edge_mm:.0f} mm from the lesion, is not in view"
        at_least = min(at_least, edge_mm)
    if found.unseen_mm > 0:
        method += "; thinner than a slice, so it may pass nearer between slices"
    if place.name == "diaphragm":
        method += "; to the liver's surface under lung or heart, for the diaphragm itself is not drawn"
    if place.branches:
        method += f"; there it is the {' or '.join(b.replace('_', ' ') for b in place.branches)}"
    if place.unnamed and place.unnamed.distance_mm < value:
        near_mm = place.unnamed.distance_mm
        method += f"; a part whose branch can't be told lies nearer, {near_mm:.1f} mm away"
        at_least = min(at_least, near_mm - half)
    if place.structure in quality.incomplete and place.name not in ("liver_capsule", "diaphragm"):
        method += f"; {quality.incomplete[place.structure]}"
        at_least = min(at_least, 0.0)
    return banded(
        name,
        lesion.id,
        value,
        "mm",
        half=half,
        method=method,
        points=(evidence("on_tumour", found.on_lesion), evidence(f"on_{place.name}", found.on_structure)),
        sources=body.sources,
        at_least=at_least,
    )
