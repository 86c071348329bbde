"""What is left of the liver after a resection, and what an ablation with its margin takes.

The share of a remnant is the functional one: what stays of the parenchyma without its tumours, over all parenchyma
without tumours. Which segments a resection takes is data (Brisbane 2000 terminology), and a planner may name others.
"""

from __future__ import annotations

import numpy as np

from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.measure.band import banded, quadrature, surface_error_mm
from liverimg.measure.distances import to_mask_mm
from liverimg.measure.segment_map import AnySegments
from liverimg.measure.segments import ROMAN, SEGMENTS, sampling_error, share_of
from liverimg.measure.subject import Body
from liverimg.measure.surface import face_area_mm2

# Distances run to the centre of the nearest tumour voxel; its surface lies so many voxels nearer on average (balls).
_TO_SURFACE = 0.3
_COUNTED = 0.25  # of the widest spacing: what counting voxels leaves unsure of a surface's place


def measure_remnants(body: Body, segments: AnySegments | str) -> list[Measured]:
    """Volume and share of the remnant after each resection that the settings name.

    Args:
        body: What was drawn.
        segments: Of its liver.
    """
    plans = body.settings.segments.resections
    names = [(f"remnant_volume_{plan}", f"remnant_share_{plan}") for plan in plans]
    if isinstance(segments, str):
        return [NotMeasured(name, "liver", segments) for pair in names for name in pair]
    levels = segments.levels(segments.places_lps_mm)[_functional(body, segments)]
    if not len(levels):
        return [NotMeasured(name, "liver", "all of the liver is drawn as tumour") for pair in names for name in pair]
    total_ml = len(levels) * segments.place_ml
    found: list[Measured] = []
    for (volume_name, share_name), taken in zip(names, plans.values(), strict=True):
        stays = tuple(s for s in SEGMENTS if s not in taken)
        low, value, high = (
            share_of(levels, stays, raised=raised) if stays else 0.0
            for raised in (-segments.doubt, 0.0, segments.doubt)
        )
        words = ", ".join(ROMAN[s - 1] for s in taken)
        method = f"liver without tumours, without segments {words}; {segments.method}"
        for name, unit, scale in ((volume_name, "ml", total_ml), (share_name, "1", 1.0)):
            found.append(
                banded(
                    name,
                    "liver",
                    value * scale,
                    unit,
                    half=sampling_error(value, len(levels)) * scale,
                    method=method,
                    sources=body.sources,
                    at_least=low * scale,
                    at_most=high * scale,
                )
            )
    return found


def _functional(body: Body, segments: AnySegments) -> BoolArray:
    """Which places of the liver are neither tumour nor ablated."""
    index = np.rint(body.scene.grid.lps_mm_to_index(segments.places_lps_mm)).astype(int)
    lost = body.scene.values(Structure.TUMOUR, Structure.ABLATION_ZONE)
    return np.asarray(~np.isin(body.scene.labels.array[tuple(index.T)], lost))


def measure_destruction(body: Body, liver_volume: Measured) -> list[Measured]:
    """Volume and share of the liver that ablating all its tumours with each planned margin would take.

    Args:
        body: What was drawn.
        liver_volume: As it was measured.
    """
    margins_mm = body.settings.segments.planned_margins_mm
    names = [(f"planned_destruction_volume_{mm:g}mm", f"planned_destruction_share_{mm:g}mm") for mm in margins_mm]
    reason = _why_not(body, liver_volume)
    if reason or isinstance(liver_volume, NotMeasured):
        return [NotMeasured(name, "liver", reason) for pair in names for name in pair]
    liver = body.liver
    if liver is None:
        raise AssertionError("a measured liver volume belongs to a liver")
    error_mm = surface_error_mm(body.quality, Structure.TUMOUR)
    found: list[Measured] = []
    for margin_mm, (volume_name, share_name), grown in zip(margins_mm, names, _grown(body, margins_mm), strict=True):
        volume_ml = float(np.count_nonzero(grown)) * liver.grid.voxel_ml
        # Counting is off by a part of the coarse axis on each side of the drawn surface, delineation by its error.
        pitch_mm = float(liver.grid.spacing_mm.max()) * _COUNTED
        area_mm2 = face_area_mm2(grown, liver.grid)
        half_ml = area_mm2 * quadrature(pitch_mm, error_mm) / 1000
        words = f"tumours with {margin_mm:g} mm around, inside the liver"
        share = volume_ml / liver_volume.value
        relative = quadrature(half_ml / volume_ml, (liver_volume.high - liver_volume.low) / 2 / liver_volume.value)
        found.append(
            banded(
                volume_name,
                "liver",
                volume_ml,
                "ml",
                half=half_ml,
                method=words,
                sources=body.sources,
            )
        )
        found.append(
            banded(
                share_name,
                "liver",
                share,
                "1",
                half=share * relative,
                method=f"{words}, over the liver's volume",
                sources=body.sources,
            )
        )
    return found


def _why_not(body: Body, liver_volume: Measured) -> str:
    if not body.lesions:
        return "no tumour is drawn"
    if isinstance(liver_volume, NotMeasured):
        return liver_volume.reason
    cut = [lesion.id for lesion in body.lesions if lesion.touches_image_edge]
    if cut:
        return f"{cut[0]} touches the edge of the image"
    return "" if len(body.lesions) > len(body.apart) else "all lesions lie outside the liver"


def _grown(body: Body, margins_mm: tuple[float, ...]) -> list[BoolArray]:
    """The liver's voxels within each margin of any tumour in it, in the liver's box.

    Each lesion's surroundings are looked at once, as far as the widest margin reaches.
    """
    liver = body.liver
    if liver is None:
        raise AssertionError("a measured liver volume belongs to a liver")
    spacing = liver.grid.spacing_mm
    pads = np.ceil(max(margins_mm, default=0.0) / spacing).astype(int) + 1
    found = [np.zeros_like(liver.mask) for _ in margins_mm]
    offset = np.array([b.start for b in liver.box])
    apart = {lesion.id for lesion in body.apart}
    for lesion in body.lesions:
        if lesion.id in apart:
            continue
        start = np.array(lesion.start_kji) - offset
        distance = to_mask_mm(np.pad(lesion.mask, [(p, p) for p in pads]), spacing)
        low = np.maximum(start - pads, 0)
        high = np.minimum(start + lesion.mask.shape + pads, liver.mask.shape)
        window = tuple(slice(int(x), int(y)) for x, y in zip(low, high, strict=True))
        first = low - (start - pads)
        inner = tuple(slice(int(f), int(f + y - x)) for f, x, y in zip(first, low, high, strict=True))
        for out, margin_mm in zip(found, margins_mm, strict=True):
            out[window] |= distance[inner] <= margin_mm + _TO_SURFACE * float(np.cbrt(np.prod(spacing)))
    return [np.asarray(out & liver.mask) for out in found]
