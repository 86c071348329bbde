"""How near a lesion lies to vessels, ducts, organs and the liver's surface."""

from __future__ import annotations

from liverimg.core.grid import FloatArray
from liverimg.core.labels import LabelQuality, Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.proximity import MaskSource, Nearest, OutsideSource, image_edge_mm, nearest_to
from liverimg.measure.scene import Scene
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import pitch_mm

# Asked for in every study; the organs at risk below only where somebody looked for them.
_ALWAYS_NEAR = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
_NEAR_WHEN_KNOWN = (
    Structure.GALLBLADDER,
    Structure.INFERIOR_VENA_CAVA,
    Structure.STOMACH,
    Structure.BOWEL,
    Structure.HEART,
    Structure.KIDNEY,
)


def measure_nearness(subject: Subject, body: Body) -> list[Measured]:
    """Smallest distance from the lesion's surface to that of each structure, and to the liver's surface.

    A structure that was not looked for, or that could not be seen, is at an unknown distance, never a far one.
    """
    wanted = [*_ALWAYS_NEAR, *(s for s in _NEAR_WHEN_KNOWN if body.scene.labels.knows(s))]
    results: list[Measured] = []
    for structure in wanted:
        name = f"distance_to_{structure.value}"
        reason = _unseen(structure, body.scene, subject.quality)
        found = None
        if not reason:
            found = nearest_to(subject.target, MaskSource(body.scene, structure), body.scene.grid)
            reason = _none_drawn(structure)
        if found is None:
            results.append(NotMeasured(name, subject.lesion.id, reason))
            continue
        results.append(_distance(name, found, subject, body, surface_error_mm(subject.quality, structure)))
    results.append(_to_capsule(subject, body))
    return results


def _unseen(structure: Structure, scene: Scene, quality: LabelQuality) -> str:
    if structure in quality.not_visible:
        return quality.not_visible[structure]
    if not scene.labels.knows(structure):
        return f"the {structure.value.replace('_', ' ')} was not looked for, so its distance is unknown"
    return ""


def _none_drawn(structure: Structure) -> str:
    words = structure.value.replace("_", " ")
    return f"the {words} was looked for and none is drawn: its distance is unknown, not far"


def _to_capsule(subject: Subject, body: Body) -> Measured:
    name, liver = "distance_to_liver_capsule", body.liver
    if liver is None:
        return NotMeasured(name, subject.lesion.id, "no liver is drawn, so its surface is unknown")
    if subject.outside:
        return NotMeasured(name, subject.lesion.id, "the lesion lies outside the liver")
    grid = body.scene.grid
    found = nearest_to(subject.target, OutsideSource(liver.mask, liver.box, grid.shape), grid)
    if found is None:
        return NotMeasured(name, subject.lesion.id, "the liver fills the image, so its surface is not in view")
    return _distance(name, found, subject, body, surface_error_mm(subject.quality, Structure.LIVER))


def _distance(name: str, found: Nearest, subject: Subject, body: Body, error_mm: float) -> Measurement:
    lesion, target, quality, grid = subject.lesion, subject.target, subject.quality, body.scene.grid
    line: FloatArray = direction(found.on_lesion, found.on_structure)
    pitch = pitch_mm(grid, grid.spacing_mm, line)
    tumour_mm = surface_error_mm(quality, Structure.TUMOUR)
    method = "shortest line between the sub-voxel surfaces"
    edge_mm = image_edge_mm(target, grid)
    half = quadrature(body.settings.band_distance * pitch, tumour_mm, error_mm)
    # Between slices the lesion may be wider, and a thin tube may pass nearer, than any slice shows.
    at_least = found.distance_mm - half - found.unseen_mm - target.between_slices_mm / 2
    if found.touching:
        method += "; the two touch"
        at_least = 0.0
    elif lesion.touches_image_edge:
        method += "; part of the lesion may lie outside the view and be nearer"
        at_least = 0.0
    elif edge_mm < found.distance_mm:
        method += f"; what lies beyond the edge of the image, {edge_mm:.0f} mm from the lesion, is not in view"
        at_least = min(at_least, edge_mm)
    if found.unseen_mm > 0:
        method += "; thinner than a slice, so it may pass nearer between slices"
    structure = name.removeprefix("distance_to_")
    missing = next((why for s, why in quality.incomplete.items() if s.value == structure), "")
    if missing:
        method += f"; {missing}"
        at_least = 0.0
    return banded(
        name,
        lesion.id,
        found.distance_mm,
        "mm",
        half=half,
        method=method,
        points=(evidence("on_tumour", found.on_lesion), evidence(f"on_{structure}", found.on_structure)),
        sources=body.sources,
        at_least=at_least,
    )
