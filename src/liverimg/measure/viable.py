"""The part of a lesion that takes up contrast in the arterial phase: what mRECIST calls viable.

A map of the rise from the unenhanced to the arterial phase, quieted inside the lesion only, is cut half-way between
what is no enhancement and what surely is; the band runs from the strict cut to the lax one. The diameter is the
longest line in one axial slice that crosses no place that does not enhance (Lencioni and Llovet, Semin Liver Dis
2010;30:52).
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.distance import pdist, squareform

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import EvidencePoint, Measured, NotMeasured
from liverimg.core.study import Phase
from liverimg.measure.band import banded, evidence, quadrature, surface_error_mm
from liverimg.measure.reading import Scale
from liverimg.measure.region import FloatArray, Region
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import Surface, blob_surface, contours, face_area_mm2

DIAMETER, AREA, VOLUME, SHARE = "viable_diameter", "viable_area", "viable_volume", "viable_share"
_NAMES = (DIAMETER, AREA, VOLUME, SHARE)
_MAD_TO_SD = 1.4826
_MOST_POINTS = 240  # of one contour; more don't lengthen the longest line
_BATCH = 512  # lines looked at together, the longest first
_ON_LINE = 48  # places along a line at which the map is asked
_ASTRAY = 0.25  # of a pixel: how far a line may leave the part, for the roughness of its contour
_FULL_NEIGHBOURHOOD = 26
_PER_CENT = 100.0
_FEWEST_VOXELS = 4
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class _Cut:
    """What enhances beyond one threshold."""

    mask: BoolArray
    diameter_mm: float
    ends: NDArray[np.float64] | None


def measure_viable(subject: Subject, body: Body, region: Region, scale: Scale, *, oil: str) -> list[Measured]:
    """Diameter, area, volume and share of what enhances in the arterial phase.

    Args:
        subject: The lesion.
        body: What all lesions share.
        region: The lesion in every phase.
        scale: Thresholds of the modality.
        oil: Why enhancement can't be read, if so.
    """
    lesion, rules = subject.lesion, body.settings.enhancement
    reason = oil or _why_not(region)
    if reason:
        return [NotMeasured(name, lesion.id, reason) for name in _NAMES]
    rise = _rise(region, scale)
    quiet = _quieted(rise, region.lesion, region, rules.viable_smoothing_mm)
    noise = _noise(rise, region, rules.viable_smoothing_mm)
    if not noise * rules.guard <= scale.sure:
        reason = f"the noise of the rise is {noise:.0f} {scale.unit}, too much to see {scale.sure:g} {scale.unit} in"
        return [NotMeasured(name, lesion.id, reason) for name in _NAMES]
    middle = (scale.least + scale.sure) / 2
    # Noise lifts places over a threshold and pushes others below it: the ends of the band allow for that.
    strict, best, lax = (
        _cut(quiet, region, threshold, rules.viable_least_ml)
        for threshold in (scale.sure + noise, middle, scale.least - noise)
    )
    return _measured(subject, body, region, (strict, best, lax), scale)


def _why_not(region: Region) -> str:
    for phase, words in ((Phase.UNENHANCED, "unenhanced"), (Phase.ARTERIAL, "arterial")):
        image = region.images.get(phase)
        if image is None:
            return f"the study has no series known to be {words}, and viable is what rises between the two"
        if image.why_not:
            return f"the {words} phase: {image.why_not}"
        if not np.isfinite(region.values[phase][region.lesion]).all():
            return f"the {words} series does not show all of the lesion"
    doubt_mm = region.images[Phase.ARTERIAL].doubt_mm + region.images[Phase.UNENHANCED].doubt_mm
    if doubt_mm >= region.deepest_mm:
        return "the arterial and the unenhanced phase may have moved by more than the lesion's own radius"
    if np.count_nonzero(region.lesion) < _FEWEST_VOXELS:
        return "the lesion is too few voxels to tell parts of it apart"
    return ""


def _rise(region: Region, scale: Scale) -> FloatArray:
    before, now = region.values[Phase.UNENHANCED], region.values[Phase.ARTERIAL]
    if scale.unit == "HU":
        return np.asarray(now - before, dtype=np.float32)
    floor = np.float32(max(float(np.nanmedian(before[region.lesion])), 1.0) / _PER_CENT)
    return np.asarray(_PER_CENT * (now / np.maximum(before, floor) - 1), dtype=np.float32)


def _quieted(values: FloatArray, within: BoolArray, region: Region, sigma_mm: float) -> FloatArray:
    """Smoothed with what lies within only, so that the liver around does not leak in."""
    sigma = sigma_mm / region.grid.spacing_mm
    good = within & np.isfinite(values)
    weight = gaussian_filter(good.astype(np.float32), sigma)
    total = gaussian_filter(np.where(good, values, np.float32(0)), sigma)
    return np.asarray(np.where(good, total / np.maximum(weight, np.float32(1e-6)), -np.inf), dtype=np.float32)


def _noise(rise: FloatArray, region: Region, sigma_mm: float) -> float:
    quiet = _quieted(rise, region.ring, region, sigma_mm)[region.ring]
    quiet = quiet[np.isfinite(quiet)]
    if len(quiet) < _FEWEST_VOXELS:
        return float("inf")
    return _MAD_TO_SD * float(np.median(np.abs(quiet - np.median(quiet))))


def _cut(quiet: FloatArray, region: Region, threshold: float, least_ml: float) -> _Cut:
    mask = region.lesion & (quiet >= threshold)
    parts = cc3d.connected_components(np.pad(mask, 1), connectivity=_FULL_NEIGHBOURHOOD)[1:-1, 1:-1, 1:-1]
    sizes = np.bincount(parts.ravel()) * region.grid.voxel_ml
    # A lesion smaller than the speck is judged as it is.
    large = sizes >= min(least_ml, float(region.lesion.sum()) * region.grid.voxel_ml * _HALF)
    large[0] = False
    kept = large[parts]
    if np.count_nonzero(kept) < _FEWEST_VOXELS:
        return _Cut(np.zeros_like(mask), 0.0, None)
    box = tuple(
        slice(int(hit[0]), int(hit[-1]) + 1)
        for hit in (np.flatnonzero(kept.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3))
    )
    part = kept[box]
    grid = region.grid.cropped([b.start for b in box], (part.shape[0], part.shape[1], part.shape[2]))
    ends = longest_inside(blob_surface(part, grid))
    length = 0.0 if ends is None else float(np.linalg.norm(ends[1] - ends[0]))
    return _Cut(kept, length, ends)


def longest_inside(surface: Surface) -> NDArray[np.float64] | None:
    """The longest line in one axial plane that stays inside a surface, end points in LPS mm, shape (2, 3)."""
    best, ends = 0.0, None
    pixel = float(surface.spacing_mm[1:].min())
    for k in range(0, surface.level.shape[0], surface.steps[0]):
        plane = surface.level[k]
        if plane.max() <= 0:
            continue
        lines = [line[:-1] for line in contours(plane) if len(line) > 2]
        if not lines:
            continue
        index = np.concatenate(lines)
        index = index[:: max(1, -(-len(index) // _MOST_POINTS))]
        places = surface.grid.index_to_lps_mm(np.column_stack([np.full(len(index), float(k)), index]))
        # The level is d * (2 * d_max - d): this is what it comes to a little outside.
        astray = -2 * float(np.sqrt(plane.max())) * _ASTRAY * pixel
        found = _longest_line(plane, index, places, best, astray)
        if found is not None:
            ends = places[list(found)]
            best = float(np.linalg.norm(ends[1] - ends[0]))
    if ends is None:
        return None
    return ends if tuple(np.round(ends[0], 6)) <= tuple(np.round(ends[1], 6)) else ends[::-1]


def _longest_line(
    plane: NDArray[np.float32], index: NDArray[np.float64], places: NDArray[np.float64], best: float, astray: float
) -> tuple[int, int] | None:
    lengths = np.triu(np.round(squareform(pdist(places)), 9), 1)
    first, second = np.nonzero(lengths > best)
    order = np.argsort(-lengths[first, second], kind="stable")
    along = np.linspace(0, 1, _ON_LINE)[:, None, None]
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        a, b = index[first[batch]], index[second[batch]]
        levels = map_coordinates(plane, np.moveaxis(a + along * (b - a), -1, 0), order=1, mode="nearest")
        inside = np.flatnonzero(levels.min(axis=0) >= astray)
        if len(inside):
            chosen = batch[inside[0]]
            return int(first[chosen]), int(second[chosen])
    return None


def _measured(
    subject: Subject, body: Body, region: Region, cuts: tuple[_Cut, _Cut, _Cut], scale: Scale
) -> list[Measured]:
    strict, best, lax = cuts
    lesion = subject.lesion
    images = (region.images[Phase.UNENHANCED], region.images[Phase.ARTERIAL])
    sources = tuple(dict.fromkeys(i.source for i in images if i.source)) or body.sources
    doubt_mm = quadrature(*(i.doubt_mm for i in images))
    error_mm = surface_error_mm(subject.quality, Structure.TUMOUR)
    # Where all of the lesion enhances, its outline is the end of the line; else what moved between the phases is.
    whole = np.count_nonzero(strict.mask) == np.count_nonzero(region.lesion)
    # Inside the lesion the border of what enhances is blurred by the slices, and cut below half-way.
    blur_mm = 0.0 if whole else _HALF * max(float(i.volume.grid.spacing_mm.max()) for i in images)
    end_mm = error_mm if whole else quadrature(error_mm, doubt_mm, blur_mm)
    pitch_mm = float(np.prod(region.grid.spacing_mm) ** (1 / 3))
    method = (
        f"rise from the unenhanced to the arterial phase above {(scale.least + scale.sure) / 2:g} {scale.unit}; the "
        f"band spans {scale.least:g} to {scale.sure:g} {scale.unit}"
    )
    half_mm = quadrature(body.settings.band_long_diameter * pitch_mm, end_mm, end_mm) if lax.diameter_mm else 0.0
    diameter = banded(
        DIAMETER,
        lesion.id,
        best.diameter_mm,
        "mm",
        half=half_mm,
        method=f"longest line in one axial slice that stays in what enhances (mRECIST); {method}",
        points=_points(best.ends),
        sources=sources,
        at_least=strict.diameter_mm - half_mm,
        at_most=lax.diameter_mm + half_mm,
    )
    half_mm = quadrature(end_mm, _HALF * body.settings.band_long_diameter * pitch_mm)
    area = _area(subject, cuts, region, half_mm=half_mm, method=method, sources=sources)
    low, value, high = (_volume_ml(cut.mask, region) for cut in cuts)
    rim_ml = 0.0
    if value:
        area_mm2 = face_area_mm2(best.mask, region.grid)
        counted_mm3 = _HALF * pitch_mm**2 * float(np.sqrt(area_mm2))
        rim_ml = quadrature(counted_mm3, area_mm2 * end_mm) / 1000
    volume = banded(
        VOLUME,
        lesion.id,
        value,
        "ml",
        half=rim_ml,
        method=f"voxels that enhance; {method}",
        sources=sources,
        at_least=low - rim_ml,
        at_most=high + rim_ml,
    )
    total = _volume_ml(region.lesion, region)
    share = banded(
        SHARE,
        lesion.id,
        value / total,
        "1",
        half=0.0,
        method=f"share of the lesion's voxels that enhance; {method}",
        sources=sources,
        at_least=max(0.0, (low if whole else low - rim_ml) / total),
        at_most=min(1.0, (high if whole else high + rim_ml) / total),
    )
    return [diameter, area, volume, share]


def _area(
    subject: Subject,
    cuts: tuple[_Cut, _Cut, _Cut],
    region: Region,
    *,
    half_mm: float,
    method: str,
    sources: tuple[str, ...],
) -> Measured:
    low, value, high = (largest_section_mm2(cut.mask, region.grid) for cut in cuts)
    rim = rim_mm2(value, half_mm) if value else 0.0
    words = f"area in the axial slice with most of what enhances (EASL); {method}"
    return banded(
        AREA, subject.lesion.id, value, "mm2", half=rim, method=words, sources=sources, at_least=low - rim,
        at_most=high + rim + (missed_mm2(region.grid) if high else 0.0),
    )  # fmt: skip


def largest_section_mm2(mask: BoolArray, grid: Grid) -> float:
    """Area of a body in the axial slice that holds most of it, in mm2; the first axis is the axial one."""
    pixel_mm2 = float(np.prod(grid.spacing_mm[1:]))
    return float(mask.sum(axis=(1, 2)).max()) * pixel_mm2


def missed_mm2(grid: Grid) -> float:
    """How much larger a ball's largest section may be between two slices than in either: pi / 4 h**2."""
    return float(np.pi / 4 * grid.spacing_mm[0] ** 2)


def rim_mm2(area_mm2: float, half_mm: float) -> float:
    """What an area gains or loses when its outline is off by so much all around, as a disc's would."""
    return 2 * float(np.sqrt(np.pi * area_mm2)) * half_mm


def _volume_ml(mask: BoolArray, region: Region) -> float:
    return float(np.count_nonzero(mask)) * region.grid.voxel_ml


def _points(ends: NDArray[np.float64] | None) -> tuple[EvidencePoint, ...]:
    return () if ends is None else (evidence("start", ends[0]), evidence("end", ends[1]))
