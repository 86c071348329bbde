"""Everything that is measured of a study, in one go."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import FloatArray
from liverimg.core.labels import LIVER_CONTENTS, LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Lesion, Measured, Measurement, MeasurementSet, NotMeasured
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.axial import axial_diameters
from liverimg.measure.band import banded, direction, evidence, point, quadrature, surface_error_mm
from liverimg.measure.depth import find_skin, measure_depth
from liverimg.measure.lesions import LesionMask, split_by_size
from liverimg.measure.liver import LiverBody, liver_body
from liverimg.measure.organs import measure_organs
from liverimg.measure.proximity import (
    MaskSource,
    Nearest,
    OutsideSource,
    Target,
    image_edge_mm,
    nearest_to,
)
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.size import measure_size
from liverimg.measure.surface import blob_surface, pitch_mm
from liverimg.measure.wall import in_the_way, measure_wall, obstacles_text

_NORMAL_95 = 1.96  # half width of the central 95 % of a normal distribution, in standard deviations

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
_INSIDE_LIVER = (*LIVER_CONTENTS, *_ALWAYS_NEAR)


def survey(
    volume: Volume | None,
    labels: LabelMap,
    quality: LabelQuality,
    *,
    settings: MeasureSettings,
    sources: tuple[str, ...] = (),
) -> MeasurementSet:
    """Measures every lesion and the organs around them.

    The result does not depend on how the arrays are flipped or permuted: all work is done in standard order
    (Superior, Posterior, Left), all places are LPS mm.

    Args:
        volume: The image, for attenuation values; None to leave them out. It must lie on the labels' grid.
        labels: What was drawn.
        quality: How far it can be trusted.
        settings: Constants of the measurement.
        sources: Series UIDs to write beside each number.
    """
    scene = Scene.of(labels)
    image = _upright_image(volume, labels)
    lesions, dropped = split_by_size(scene.labels, scene.boxes, minimum_volume_ml=settings.minimum_lesion_volume_ml)
    apart = tuple(lesion for lesion in lesions if not _in_liver(lesion, scene))
    liver = liver_body(scene, apart=apart, settings=settings)
    skin = find_skin(scene) if lesions else "no lesion is drawn"
    measured = []
    blocked = []
    for lesion in lesions:
        own = quality.of_lesion(lesion.id)
        surface = blob_surface(lesion.mask, lesion.grid)
        axial = axial_diameters(surface)
        target = Target.of(surface, lesion, between_slices_mm=axial.between_slices_mm)
        quantities: list[Measured] = []
        quantities += measure_size(lesion, surface, axial, own, settings=settings, sources=sources)
        depths = measure_depth(lesion, target, skin, own, settings=settings, sources=sources)
        quantities += depths
        if obstacles := in_the_way(depths[0], scene):
            blocked.append(
                f"The shortest line from the skin to {lesion.id} crosses {obstacles_text(obstacles)}: the depth from "
                "the skin is measured along it, and it is no clear acoustic window."
            )
        quantities.append(measure_wall(depths[0], scene, liver, own, settings=settings, sources=sources))
        quantities += _distances(lesion, target, scene, liver, lesion in apart, own, settings, sources)
        quantities += _attenuation(lesion, image, own, sources)
        measured.append(Lesion(lesion.id, point(lesion.centroid_lps_mm), tuple(quantities)))
    organs = measure_organs(scene, liver, lesions, tuple(measured), quality, settings=settings, sources=sources)
    warnings = _warnings(scene, lesions, apart, dropped, settings)
    return MeasurementSet(tuple(measured), organs, (*warnings, *blocked))


def _upright_image(volume: Volume | None, labels: LabelMap) -> Volume | None:
    if volume is None or volume.quantity is not Quantity.HU:
        return None
    if not volume.grid.fits_in_space(labels.grid):
        raise GridMismatchError(
            f"the labels have shape {labels.grid.shape} and do not lie on the image's grid of shape "
            f"{volume.grid.shape}; resample them onto the image first"
        )
    turn = Orientation.of(labels.grid)
    return Volume(turn.turn(volume.array), turn.turn_grid(volume.grid), volume.quantity)


def _in_liver(lesion: LesionMask, scene: Scene) -> bool:
    """Whether any neighbour of the lesion's voxels is liver, or a vessel, duct or lesion inside it."""
    padded = np.pad(lesion.mask, 1)
    start = np.array(lesion.start_kji) - 1
    low, high = np.maximum(start, 0), np.minimum(start + padded.shape, scene.grid.shape)
    inner = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    shell = (binary_dilation(padded) & ~padded)[inner]
    around = scene.labels.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][shell]
    return bool(np.isin(around, scene.values(*_INSIDE_LIVER)).any())


def _distances(
    lesion: LesionMask,
    target: Target,
    scene: Scene,
    liver: LiverBody | None,
    outside: bool,
    quality: LabelQuality,
    settings: MeasureSettings,
    sources: tuple[str, ...],
) -> list[Measured]:
    wanted = [*_ALWAYS_NEAR, *(s for s in _NEAR_WHEN_KNOWN if scene.labels.knows(s))]
    results: list[Measured] = []
    for structure in wanted:
        name = f"distance_to_{structure.value}"
        reason = _unseen(structure, scene, quality)
        found = None
        if not reason:
            found = nearest_to(target, MaskSource(scene, structure), scene.grid)
            reason = _none_drawn(structure)
        if found is None:
            results.append(NotMeasured(name, lesion.id, reason))
            continue
        error_mm = surface_error_mm(quality, structure)
        results.append(_distance(name, lesion, target, found, scene, quality, settings, sources, error_mm))
    results.append(_to_capsule(lesion, target, scene, liver, outside, quality, settings, sources))
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


def _to_capsule(
    lesion: LesionMask,
    target: Target,
    scene: Scene,
    liver: LiverBody | None,
    outside: bool,
    quality: LabelQuality,
    settings: MeasureSettings,
    sources: tuple[str, ...],
) -> Measured:
    name = "distance_to_liver_capsule"
    if liver is None:
        return NotMeasured(name, lesion.id, "no liver is drawn, so its surface is unknown")
    if outside:
        return NotMeasured(name, lesion.id, "the lesion lies outside the liver")
    found = nearest_to(target, OutsideSource(liver.mask, liver.box, scene.grid.shape), scene.grid)
    if found is None:
        return NotMeasured(name, lesion.id, "the liver fills the image, so its surface is not in view")
    error_mm = surface_error_mm(quality, Structure.LIVER)
    return _distance(name, lesion, target, found, scene, quality, settings, sources, error_mm)


def _distance(
    name: str,
    lesion: LesionMask,
    target: Target,
    found: Nearest,
    scene: Scene,
    quality: LabelQuality,
    settings: MeasureSettings,
    sources: tuple[str, ...],
    error_mm: float,
) -> Measurement:
    line: FloatArray = direction(found.on_lesion, found.on_structure)
    pitch = pitch_mm(scene.grid, scene.grid.spacing_mm, line)
    tumour_mm = surface_error_mm(quality, Structure.TUMOUR)
    method = "shortest line between the sub-voxel surfaces"
    edge_mm = image_edge_mm(target, scene.grid)
    half = quadrature(settings.band_distance * pitch, tumour_mm, error_mm)
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
        sources=sources,
        at_least=at_least,
    )


def _attenuation(
    lesion: LesionMask, image: Volume | None, quality: LabelQuality, sources: tuple[str, ...]
) -> list[Measured]:
    if image is None:
        return []
    window = tuple(slice(s, s + n) for s, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
    values = np.asarray(image.array[window][lesion.mask], dtype=np.float64)
    if len(values) < 2:
        return [NotMeasured("mean_attenuation", lesion.id, "the lesion is a single voxel")]
    mean, spread = float(values.mean()), float(_NORMAL_95 * values.std(ddof=1))
    # Where the outline itself is unsure, so is which voxels belong to the lesion: noise averages out, that does not.
    unsure = surface_error_mm(quality, Structure.TUMOUR) > 0
    half = spread if unsure else spread / float(np.sqrt(len(values)))
    method = "mean over the lesion's voxels"
    return [
        Measurement(
            "mean_attenuation",
            lesion.id,
            mean,
            "HU",
            mean - half,
            mean + half,
            f"{method}; the band is their spread, because the outline is unsure" if unsure else method,
            (evidence("centroid", lesion.centroid_lps_mm),),
            sources,
        )
    ]


def _warnings(
    scene: Scene,
    lesions: tuple[LesionMask, ...],
    apart: tuple[LesionMask, ...],
    dropped: int,
    settings: MeasureSettings,
) -> tuple[str, ...]:
    found = []
    if not scene.labels.knows(Structure.TUMOUR):
        found.append("Tumours were not looked for in these labels.")
    elif not lesions:
        found.append("No tumour is drawn; that does not prove that there is none.")
    if dropped:
        found.append(
            f"{dropped} part(s) of the tumour label smaller than {settings.minimum_lesion_volume_ml:g} ml "
            "were left out."
        )
    if scene.box(Structure.ABLATION_ZONE) is not None:
        found.append(
            "An ablation zone is drawn, so this study was made after a treatment: what is measured as tumour is only "
            "what lies outside the zone, and rules for untreated tumours may not fit it."
        )
    found += [f"{x.id} lies outside the liver." for x in apart if scene.box(Structure.LIVER) is not None]
    found += [f"{x.id} touches the edge of the image; its size is unknown." for x in lesions if x.touches_image_edge]
    if scene.box(Structure.LIVER) is None:
        found.append("No liver is drawn.")
    if not scene.grid.is_orthogonal():
        found.append("The voxel grid is sheared; distances taken on it are approximate.")
    return tuple(found)
