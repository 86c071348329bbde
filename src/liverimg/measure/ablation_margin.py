"""The numbers that say how well an ablation covers a tumour, each with its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.measurement import EvidencePoint, Measured, Measurement, NotMeasured
from liverimg.core.motion import RigidMotion
from liverimg.core.rows import filled
from liverimg.measure.band import evidence, quadrature
from liverimg.measure.margin import MarginMap, inside_points, margin_at_least, margin_map, shell_points
from liverimg.measure.margin_minimum import Averages, Least, joint_pitch_mm, least_margin
from liverimg.measure.surface import Surface, border_voxels
from liverimg.measure.triangles import Triangles

_MM3_PER_ML = 1000.0
_DECIMALS = 6
_MEDIAN_PERCENT = 50.0


@dataclass(frozen=True)
class MarginSettings:
    """The table ``margin.toml`` as values; its entries say what each is and where it comes from."""

    patch_pitches: float
    noise_pitches: float
    minimum_band_pitches: float
    band_pitches: float
    subcapsular_mm: float
    perivascular_mm: float
    share_limits_mm: tuple[float, ...]
    shell_widths_mm: tuple[float, ...]
    percentiles: tuple[float, ...]

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> MarginSettings:
        """Reads a mapping of ``{name: {value, unit, source}}``; each name has to be there."""
        return filled(cls, table, "margin")


@dataclass(frozen=True, eq=False)
class Ablated:
    """One treated tumour and the zone that was made of it.

    Attributes:
        lesion_id: Of the tumour.
        tumour: Its surface in the earlier examination.
        zone: The zone's surface in the later one.
        motion: From the earlier examination into the later one.
        motion_error_mm: 95 % bound of the motion's error at the tumour.
        outline_error_mm: 95 % bound of the delineation error of both surfaces together; 0 where none is stated.
        tumour_ml: Volume of the tumour.
        liver: Liver of the earlier examination with its tumours, in a box; None when none was drawn.
        liver_grid: Grid of that box.
        vessels_lps_mm: Surface points of vessels that cool, earlier examination, (n, 3); None when not looked for.
        sources: Series UIDs.
    """

    lesion_id: str
    tumour: Surface
    zone: Surface
    motion: RigidMotion
    motion_error_mm: float
    outline_error_mm: float
    tumour_ml: float
    liver: BoolArray | None = field(default=None, repr=False)
    liver_grid: Grid | None = None
    vessels_lps_mm: FloatArray | None = field(default=None, repr=False)
    sources: tuple[str, ...] = ()


def measure_ablation_margin(case: Ablated, settings: MarginSettings) -> tuple[list[Measured], MarginMap]:
    """Smallest margin, percentiles, shares of the surface, uncovered tumour and covered shells.

    The band of each number follows from one half width ``h`` in mm: voxels, the motion's error and the outlines'
    errors in quadrature; voxels count for less in smallest margins, which are averages over patches. For a margin the
    band is plus and minus ``h``; for a share or a volume it spans what the number would be if the zone's surface lay
    ``h`` further in or out everywhere.

    Returns:
        The quantities, and the margins themselves for pictures and for finding the thinnest place.
    """
    triangles = Triangles.of(case.zone)
    found = margin_map(case.tumour, case.zone, motion=case.motion, triangles=triangles)
    pitch = joint_pitch_mm(case.tumour, case.zone)
    half = quadrature(settings.band_pitches * pitch, case.motion_error_mm, case.outline_error_mm)
    least_half = quadrature(settings.minimum_band_pitches * pitch, case.motion_error_mm, case.outline_error_mm)
    minimum = _Minimum(case, found, Averages.of(found, settings.patch_pitches * pitch), least_half, settings)
    results: list[Measured] = [minimum("minimal_ablation_margin", np.ones(len(found.margin_mm), dtype=bool))]
    for percent in settings.percentiles:
        name = "ablation_margin_median" if percent == _MEDIAN_PERCENT else f"ablation_margin_p{percent:g}"
        words = f"margin below which {percent:g} % of the tumour's surface lies, by area"
        results.append(_signed(name, case, found.percentile(percent), half, words))
    results.append(_signed("ablation_margin_maximum", case, float(found.margin_mm.max()), half, "largest margin"))
    results += _shares(case, found, half, settings)
    results.append(_uncovered(case, triangles, half))
    results += _shells(case, triangles, half, settings)
    results += _without(case, found, minimum, settings)
    return results, found


@dataclass(frozen=True, eq=False)
class _Minimum:
    """The smallest margin among any vertices; what does not depend on them is worked out once."""

    case: Ablated
    found: MarginMap
    averages: Averages
    half_mm: float
    settings: MarginSettings

    def __call__(self, name: str, among: BoolArray) -> Measured:
        case = self.case
        least = least_margin(
            self.found,
            self.averages,
            area_mm2=case.tumour.area_mm2,
            noise_mm=self.settings.noise_pitches * joint_pitch_mm(case.tumour, case.zone),
            among=among,
        )
        if least is None:
            return NotMeasured(name, case.lesion_id, "all of the tumour's surface is left out")
        words = "smallest signed distance from the tumour's surface to the zone's, averaged over two voxels"
        return _signed(name, case, least.margin_mm, self.half_mm, words, _places(self.found, least))


def _places(found: MarginMap, least: Least) -> tuple[EvidencePoint, ...]:
    return (
        evidence("on_tumour", found.points_lps_mm[least.vertex]),
        evidence("on_zone", found.nearest_lps_mm[least.vertex]),
        evidence("on_tumour_before", found.before_lps_mm[least.vertex]),
    )


def _signed(
    name: str, case: Ablated, value: float, half: float, method: str, points: Sequence[EvidencePoint] = ()
) -> Measurement:
    """A margin: unlike other lengths it may be below zero, and so may its band."""
    best, low, high = (round(v, _DECIMALS) for v in (value, value - half, value + half))
    return Measurement(name, case.lesion_id, best, "mm", low, high, method, tuple(points), case.sources)


def _percent(name: str, case: Ablated, shares: Sequence[float], method: str) -> Measurement:
    """A share in percent; the first number is the value, the others span the band."""
    numbers = [round(100 * float(np.clip(s, 0.0, 1.0)), _DECIMALS) for s in shares]
    return Measurement(name, case.lesion_id, numbers[0], "%", min(numbers), max(numbers), method, (), case.sources)


def _shares(case: Ablated, found: MarginMap, half: float, settings: MarginSettings) -> list[Measured]:
    limits = settings.share_limits_mm
    bins = [
        (f"surface_share_margin_below_{limits[0]:g}_mm", -np.inf, limits[0]),
        *((f"surface_share_margin_{a:g}_to_{b:g}_mm", a, b) for a, b in pairwise(limits)),
        (f"surface_share_margin_above_{limits[-1]:g}_mm", limits[-1], np.inf),
    ]
    shifts = (0.0, -half, -half / 2, half / 2, half)
    words = "share of the tumour's surface, by area, with a margin in this range"
    return [
        _percent(name, case, [found.share(low, high, shift_mm=s) for s in shifts], words) for name, low, high in bins
    ]


def _uncovered(case: Ablated, triangles: Triangles, half: float) -> Measured:
    name = "uncovered_tumour_volume"
    points = inside_points(case.tumour)
    if not len(points):
        return NotMeasured(name, case.lesion_id, "the tumour is too small to hold a volume")
    covered = margin_at_least(case.motion.apply(points), case.zone, (0.0, -half, half), triangles)
    best, low, high = (round(case.tumour_ml * float((~enough).mean()), _DECIMALS) for enough in covered)
    words = "volume of the tumour outside the zone, by points spread through it"
    return Measurement(name, case.lesion_id, best, "ml", low, high, words, (), case.sources)


def _shells(case: Ablated, triangles: Triangles, half: float, settings: MarginSettings) -> list[Measured]:
    results: list[Measured] = []
    own = Triangles.of(case.tumour)
    for width in settings.shell_widths_mm:
        name = f"shell_coverage_{width:g}_mm"
        if case.liver is None or case.liver_grid is None:
            results.append(
                NotMeasured(name, case.lesion_id, "no liver is drawn, so the shell can't be cut at its capsule")
            )
            continue
        points = shell_points(case.tumour, width_mm=width, liver=case.liver, liver_grid=case.liver_grid, triangles=own)
        if not len(points):
            results.append(NotMeasured(name, case.lesion_id, "no liver lies around the tumour"))
            continue
        covered = margin_at_least(case.motion.apply(points), case.zone, (0.0, -half, half), triangles)
        shares = [float(enough.mean()) for enough in covered]
        results.append(
            _percent(name, case, shares, f"share of the liver within {width:g} mm of the tumour that is in the zone")
        )
    return results


def _without(case: Ablated, found: MarginMap, least: _Minimum, settings: MarginSettings) -> list[Measured]:
    """The smallest margin without the surface that lies under the capsule, and without that at vessels."""
    near_capsule = near_vessels = None
    if case.liver is not None and case.liver_grid is not None:
        near_capsule = _near_outside(found.before_lps_mm, case.liver, case.liver_grid, settings.subcapsular_mm)
    if case.vessels_lps_mm is not None:
        near_vessels = _near(found.before_lps_mm, case.vessels_lps_mm, settings.perivascular_mm)
    kinds = (
        ("subcapsular", near_capsule, "no liver is drawn, so its capsule is unknown"),
        ("perivascular", near_vessels, "no vessels were looked for"),
    )
    results: list[Measured] = []
    for word, near, reason in kinds:
        minimum, share = f"minimal_ablation_margin_without_{word}", f"{word}_surface_share"
        if near is None:
            results += [NotMeasured(name, case.lesion_id, reason) for name in (minimum, share)]
            continue
        left_out = float((found.weight * near).sum())
        results.append(least(minimum, ~near))
        results.append(_percent(share, case, [left_out], f"share of the tumour's surface that counts as {word}"))
    return results


def _near(points: FloatArray, others: FloatArray, reach_mm: float) -> BoolArray:
    if not len(others):
        return np.zeros(len(points), dtype=bool)
    gaps, _ = cKDTree(others).query(points, distance_upper_bound=reach_mm, workers=1)
    return np.asarray(np.isfinite(gaps))


def _near_outside(points: FloatArray, liver: BoolArray, grid: Grid, reach_mm: float) -> BoolArray:
    """Which points lie within a reach of what is not liver; the box's edge counts as its border."""
    steps = np.ceil(reach_mm / grid.spacing_mm).astype(int) + 1
    index = grid.lps_mm_to_index(points)
    low = np.floor(index.min(axis=0)).astype(int) - steps
    high = np.ceil(index.max(axis=0)).astype(int) + steps + 1
    outside = np.ones(high - low, dtype=bool)
    first, last = np.clip(low, 0, liver.shape), np.clip(high, 0, liver.shape)
    here, there = (
        tuple(slice(int(a), int(b)) for a, b in zip(first - start, last - start, strict=True)) for start in (low, 0)
    )
    outside[here] = ~liver[there]
    # From the middle of an outer voxel the capsule is half a voxel nearer.
    half_voxel = float(np.prod(grid.spacing_mm) ** (1 / 3)) / 2
    most_mm = reach_mm + half_voxel
    if not grid.is_orthogonal():
        return _near(points, grid.index_to_lps_mm(np.argwhere(outside) + low), most_mm)
    # The nearest outer voxel is the one that a point lies in, or else there is an inner one beside it: the step from
    # it towards the point leads to a voxel that is nearer still.
    own = np.rint(index).astype(int)
    within = np.linalg.norm(grid.index_to_lps_mm(own) - points, axis=1) < most_mm
    beside = grid.index_to_lps_mm(border_voxels(outside) + low)
    return np.asarray((outside[tuple((own - low).T)] & within) | _near(points, beside, most_mm))
