"""The part of a lesion that takes up contrast in the arterial phase: what mRECIST calls viable.

A map of the rise from the unenhanced to the arterial phase, quieted inside the lesion only, is cut half-way between
what is no enhancement and what surely is; the band runs from the strict cut to the lax one. The diameter is the
longest line in one axial slice that crosses no place that does not enhance (Lencioni and Llovet, Semin Liver Dis
2010;30:52).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import EvidencePoint, Measured, NotMeasured
from liverimg.core.study import Phase
from liverimg.measure.band import banded, evidence, quadrature, surface_error_mm
from liverimg.measure.distances import extent
from liverimg.measure.inner_line import longest_inside
from liverimg.measure.parts import numbered_parts
from liverimg.measure.reading import Scale
from liverimg.measure.region import FloatArray, Region
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import blob_surface, face_area_mm2

DIAMETER, AREA, VOLUME, SHARE = "viable_diameter", "viable_area", "viable_volume", "viable_share"
_NAMES = (DIAMETER, AREA, VOLUME, SHARE)
_MAD_TO_SD = 1.4826
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
    parts = numbered_parts(mask)
    sizes = np.bincount(parts.ravel()) * region.grid.voxel_ml
    # A lesion smaller than the speck is judged as it is.
    large = sizes >= min(least_ml, float(region.lesion.sum()) * region.grid.voxel_ml * _HALF)
    large[0] = False
    kept = large[parts]
    if np.count_nonzero(kept) < _FEWEST_VOXELS:
        return _Cut(np.zeros_like(mask), 0.0, None)
    box = extent(kept)
    part = kept[box]
    grid = region.grid.cropped([b.start for b in box], (part.shape[0], part.shape[1], part.shape[2]))
    ends = longest_inside(blob_surface(part, grid))
    length = 0.0 if ends is None else float(np.linalg.norm(ends[1] - ends[0]))
    return _Cut(kept, length, ends)


@dataclass(frozen=True)
class _Ends:
    """What the bands of all numbers of one lesion have in common.

    Attributes:
        whole: Whether all of the lesion enhances, so that its outline is the end of what does.
        end_mm: How far the end of what enhances may lie elsewhere.
        pitch_mm: Of the region.
        method: Thresholds in words.
        sources: Series UIDs.
    """

    whole: bool
    end_mm: float
    pitch_mm: float
    method: str
    sources: tuple[str, ...]


def _measured(
    subject: Subject, body: Body, region: Region, cuts: tuple[_Cut, _Cut, _Cut], scale: Scale
) -> list[Measured]:
    ends = _ends(subject, body, region, cuts[0], scale)
    long_share = body.settings.bands.long_diameter.pixel
    return [
        _diameter(subject.lesion.id, cuts, ends, long_share),
        _area(
            subject.lesion.id, cuts, region, ends, half_mm=quadrature(ends.end_mm, _HALF * long_share * ends.pitch_mm)
        ),
        *_volume_and_share(subject.lesion.id, cuts, region, ends),
    ]


def _ends(subject: Subject, body: Body, region: Region, strict: _Cut, scale: Scale) -> _Ends:
    images = (region.images[Phase.UNENHANCED], region.images[Phase.ARTERIAL])
    error_mm = surface_error_mm(subject.quality, Structure.TUMOUR)
    # Where all of the lesion enhances, its outline is the end of the line; else what moved between the phases is.
    whole = np.count_nonzero(strict.mask) == np.count_nonzero(region.lesion)
    # Inside the lesion the border of what enhances is blurred by the slices, and cut below half-way.
    blur_mm = _HALF * max(float(i.volume.grid.spacing_mm.max()) for i in images)
    moved_mm = quadrature(error_mm, quadrature(*(i.doubt_mm for i in images)), blur_mm)
    method = (
        f"rise from the unenhanced to the arterial phase above {(scale.least + scale.sure) / 2:g} {scale.unit}; the "
        f"band spans {scale.least:g} to {scale.sure:g} {scale.unit}"
    )
    return _Ends(
        whole,
        error_mm if whole else moved_mm,
        float(np.prod(region.grid.spacing_mm) ** (1 / 3)),
        method,
        tuple(dict.fromkeys(i.source for i in images if i.source)) or body.sources,
    )


def _diameter(lesion: str, cuts: tuple[_Cut, _Cut, _Cut], ends: _Ends, long_share: float) -> Measured:
    strict, best, lax = cuts
    half_mm = quadrature(long_share * ends.pitch_mm, ends.end_mm, ends.end_mm) if lax.diameter_mm else 0.0
    return banded(
        DIAMETER,
        lesion,
        best.diameter_mm,
        "mm",
        half=half_mm,
        method=f"longest line in one axial slice that stays in what enhances (mRECIST); {ends.method}",
        points=_points(best.ends),
        sources=ends.sources,
        at_least=strict.diameter_mm - half_mm,
        at_most=lax.diameter_mm + half_mm,
    )


def _volume_and_share(
    lesion: str, cuts: tuple[_Cut, _Cut, _Cut], region: Region, ends: _Ends
) -> tuple[Measured, Measured]:
    low, value, high = (_volume_ml(cut.mask, region) for cut in cuts)
    rim_ml = _rim_ml(cuts[1], region, ends) if value else 0.0
    volume = banded(
        VOLUME,
        lesion,
        value,
        "ml",
        half=rim_ml,
        method=f"voxels that enhance; {ends.method}",
        sources=ends.sources,
        at_least=low - rim_ml,
        at_most=high + rim_ml,
    )
    total = _volume_ml(region.lesion, region)
    share = banded(
        SHARE,
        lesion,
        value / total,
        "1",
        half=0.0,
        method=f"share of the lesion's voxels that enhance; {ends.method}",
        sources=ends.sources,
        at_least=max(0.0, (low if ends.whole else low - rim_ml) / total),
        at_most=min(1.0, (high if ends.whole else high + rim_ml) / total),
    )
    return volume, share


def _rim_ml(best: _Cut, region: Region, ends: _Ends) -> float:
    """What voxels counted by chance, and an end that lies elsewhere, add to or take from the volume."""
    area_mm2 = face_area_mm2(best.mask, region.grid)
    counted_mm3 = _HALF * ends.pitch_mm**2 * float(np.sqrt(area_mm2))
    return quadrature(counted_mm3, area_mm2 * ends.end_mm) / 1000


def _area(lesion: str, cuts: tuple[_Cut, _Cut, _Cut], region: Region, ends: _Ends, *, half_mm: float) -> Measured:
    low, value, high = (largest_section_mm2(cut.mask, region.grid) for cut in cuts)
    rim = rim_mm2(value, half_mm) if value else 0.0
    words = f"area in the axial slice with most of what enhances (EASL); {ends.method}"
    return banded(
        AREA, lesion, value, "mm2", half=rim, method=words, sources=ends.sources, at_least=low - rim,
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
