"""Quantities of the liver and other whole structures."""

from __future__ import annotations

from dataclasses import replace

import edt
import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelQuality, Structure
from liverimg.core.measurement import Lesion, Measured, Measurement, NotMeasured
from liverimg.measure.band import banded, evidence, quadrature, surface_error_mm
from liverimg.measure.lesions import LesionMask
from liverimg.measure.scene import Scene
from liverimg.measure.size import volume_half_width_ml
from liverimg.measure.subject import Body
from liverimg.measure.surface import face_area_mm2, stack_axis

_OUT_OF_VIEW = "touches the edge of the image, so part of it is not in view"


def measure_organs(body: Body, measured: tuple[Lesion, ...]) -> tuple[Measured, ...]:
    """Volumes of liver, spleen and tumour, the tumour's share, the number and the largest of the lesions."""
    scene, lesions, quality = body.scene, body.lesions, body.quality
    sources = body.sources
    liver_volume = _liver_volume(body)
    total = _tumour_total(scene, lesions, measured, sources)
    return (
        liver_volume,
        _spleen_volume(body),
        total,
        _share(total, liver_volume, sources),
        _count(scene, lesions, quality, sources),
        _largest(scene, measured),
        _ascites_depth(scene, quality, sources),
    )


def _liver_volume(body: Body) -> Measured:
    name, liver, scene, quality = "liver_volume", body.liver, body.scene, body.quality
    if liver is None:
        return NotMeasured(name, "liver", _absent(scene, Structure.LIVER))
    if liver.touches_image_edge:
        seen_ml = float(np.count_nonzero(liver.mask)) * liver.grid.voxel_ml - liver.doubtful_low_ml
        reason = f"the liver touches the edge of the image, so part of it is not in view: at least {seen_ml:.0f} ml"
        return NotMeasured(name, "liver", reason)
    measured = _volume_of(
        name,
        "liver",
        liver.mask,
        liver.grid,
        surface_error_mm(quality, Structure.LIVER),
        body,
        "voxels of parenchyma, tumours, ablation zones and the vessels and ducts enclosed by them; the band allows "
        "for where the trunks leave the liver",
    )
    return replace(measured, low=measured.low - liver.doubtful_low_ml, high=measured.high + liver.doubtful_high_ml)


def _spleen_volume(body: Body) -> Measured:
    name, structure, scene, quality = "spleen_volume", Structure.SPLEEN, body.scene, body.quality
    if structure in quality.not_visible:
        return NotMeasured(name, structure, quality.not_visible[structure])
    box = scene.box(structure)
    if box is None:
        return NotMeasured(name, structure, _absent(scene, structure))
    if scene.at_edge(box):
        return NotMeasured(name, structure, "the spleen touches the edge of the image, so part of it is not in view")
    mask = scene.mask(box, structure)
    grid = scene.grid.cropped([b.start for b in box], (mask.shape[0], mask.shape[1], mask.shape[2]))
    error_mm = surface_error_mm(quality, structure)
    return _volume_of(name, "spleen", mask, grid, error_mm, body, "voxels of the spleen")


def _volume_of(
    name: str,
    target: str,
    mask: BoolArray,
    grid: Grid,
    error_mm: float,
    body: Body,
    words: str,
) -> Measurement:
    area = face_area_mm2(mask, grid)
    count = int(np.count_nonzero(mask))
    weights = [
        np.arange(n) @ mask.sum(axis=tuple(a for a in range(3) if a != ax)) / count for ax, n in enumerate(mask.shape)
    ]
    return banded(
        name,
        target,
        count * grid.voxel_ml,
        "ml",
        half=volume_half_width_ml(
            body.band_spacing_mm,
            volume_ml=count * grid.voxel_ml,
            area_mm2=area,
            slices=mask.shape[stack_axis(grid.spacing_mm)],
            error_mm=error_mm,
            shares=(body.settings.band_volume, body.settings.few_volume),
        ),
        method=f"number of voxels times their volume: {words}",
        points=(evidence("centroid", grid.index_to_lps_mm(weights)),),
        sources=body.sources,
    )


def _absent(scene: Scene, structure: Structure) -> str:
    words = structure.value.replace("_", " ")
    if not scene.labels.knows(structure):
        return f"the {words} was not looked for"
    return f"the {words} was looked for and none is drawn"


def _tumour_total(
    scene: Scene, lesions: tuple[LesionMask, ...], measured: tuple[Lesion, ...], sources: tuple[str, ...]
) -> Measured:
    name = "tumour_volume_total"
    if not scene.labels.knows(Structure.TUMOUR):
        return NotMeasured(name, "tumour", _absent(scene, Structure.TUMOUR))
    volumes = [lesion.quantity("volume") for lesion in measured]
    missing = [v for v in volumes if isinstance(v, NotMeasured)]
    if missing:
        return NotMeasured(name, "tumour", f"{missing[0].target} has no volume: {missing[0].reason}")
    known = [v for v in volumes if isinstance(v, Measurement)]
    total = sum(lesion.volume_ml for lesion in lesions)
    # The surface may be drawn too wide or too narrow everywhere at once, so half widths add up.
    half = sum((v.high - v.low) / 2 for v in known)
    return banded(name, "tumour", total, "ml", half=half, method="sum over the lesions", sources=sources)


def _share(total: Measured, liver: Measured, sources: tuple[str, ...]) -> Measured:
    name = "tumour_share_of_liver"
    for part in (total, liver):
        if isinstance(part, NotMeasured):
            return NotMeasured(name, "liver", part.reason)
    if isinstance(total, NotMeasured) or isinstance(liver, NotMeasured):
        raise AssertionError("both volumes were just found to be measured")
    share = total.value / liver.value
    relative = quadrature(
        (total.high - total.low) / 2 / total.value if total.value else 0.0,
        (liver.high - liver.low) / 2 / liver.value,
    )
    return banded(
        name, "liver", share, "1", half=share * relative, method="tumour volume over liver volume", sources=sources
    )


def _count(scene: Scene, lesions: tuple[LesionMask, ...], quality: LabelQuality, sources: tuple[str, ...]) -> Measured:
    name = "tumour_count"
    if not scene.labels.knows(Structure.TUMOUR):
        return NotMeasured(name, "tumour", _absent(scene, Structure.TUMOUR))
    if surface_error_mm(quality, Structure.TUMOUR) > 0:
        # A model's outlines have an error, and so has their number; a person's count is a count.
        return NotMeasured(
            name,
            "tumour",
            f"{len(lesions)} outlined by software, which misses tumours and outlines what is none: count them on the "
            "images",
        )
    return banded(
        name,
        "tumour",
        len(lesions),
        "1",
        half=0.0,
        method="lesions drawn; one that is missed is not counted",
        sources=sources,
    )


def _largest(scene: Scene, measured: tuple[Lesion, ...]) -> Measured:
    name = "largest_tumour_diameter"
    if not scene.labels.knows(Structure.TUMOUR):
        return NotMeasured(name, "tumour", _absent(scene, Structure.TUMOUR))
    if not measured:
        return NotMeasured(name, "tumour", "no tumour is drawn")
    sizes = [lesion.quantity("axial_long_diameter") for lesion in measured]
    for size in sizes:
        if isinstance(size, NotMeasured):
            return NotMeasured(name, "tumour", f"{size.target} has no diameter: {size.reason}")
    known = [s for s in sizes if isinstance(s, Measurement)]
    top = max(known, key=lambda m: m.value)
    return Measurement(
        name,
        "tumour",
        top.value,
        top.unit,
        top.low,
        max(m.high for m in known),
        f"axial long diameter of {top.target}",
        top.evidence,
        top.sources,
    )


def _ascites_depth(scene: Scene, quality: LabelQuality, sources: tuple[str, ...]) -> Measured:
    name, structure = "ascites_depth", Structure.ASCITES
    if structure in quality.not_visible:
        return NotMeasured(name, structure, quality.not_visible[structure])
    if not scene.labels.knows(structure):
        return NotMeasured(name, structure, _absent(scene, structure))
    pitch = float(scene.grid.spacing_mm.max())
    error_mm = surface_error_mm(quality, structure)
    half = quadrature(pitch, error_mm, error_mm)
    box = scene.box(structure)
    if box is None:
        method = "looked for and none is drawn"
        return banded(name, structure, 0.0, "mm", half=half, method=method, sources=sources)
    mask = np.pad(scene.mask(box, structure), 1)
    inside = edt.edt(mask, anisotropy=tuple(float(s) for s in scene.grid.spacing_mm))
    index = np.unravel_index(int(np.argmax(inside)), inside.shape)
    place = scene.grid.index_to_lps_mm(np.array(index) - 1 + [b.start for b in box])
    # The distance runs to the centre of the first voxel outside, half a voxel beyond the surface, on both sides.
    finest = float(scene.grid.spacing_mm.min())
    return banded(
        name,
        structure,
        max(2 * float(inside.max()) - finest, 0.0),
        "mm",
        half=half,
        method="diameter of the largest ball inside the fluid, anywhere in the abdomen",
        points=(evidence("thickest", place),),
        sources=sources,
    )
