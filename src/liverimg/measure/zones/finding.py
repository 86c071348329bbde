"""Where in the liver nothing enhances, on coarse voxels.

With an unenhanced phase every other phase says how much of the liver's own rise a place has; without one it says how
dark the place is against the liver of the same phase, which is weaker: old blood is not darker. Phases are added in
proportion to how far the liver's rise stands out of their noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter

from liverimg.core.boxes import box_of
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.core.nearest import on_grid
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.measure.parts import counted_parts
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.distance import away_mm, deeper, depth_mm, most_in
from liverimg.measure.zones.film import Film
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Site, Treated
from liverimg.measure.zones.sorting import Part
from liverimg.registration.resample import sampled, thinned, window_of

FloatArray = NDArray[np.float32]

ENHANCED = (Phase.EARLY_ARTERIAL, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.HEPATOBILIARY)
# Early, veins are as dark as dead tissue, and on MR the liver is hardly brighter: these phases tell life, not death.
_EARLY = (Phase.EARLY_ARTERIAL, Phase.ARTERIAL)
_MAD_TO_SD = 1.4826  # median absolute deviation to the standard deviation of a normal distribution
_INLIER = 2.5  # standard deviations
_FEWEST_VOXELS = 200
_HALF = 0.5
_PER_CENT = 100.0
_NO_LIVER = "no liver is drawn in the later study, so there is nothing to look for it in"


@dataclass(frozen=True, eq=False)
class Search:
    """The liver on coarse voxels.

    Attributes:
        grid: Of the voxels.
        liver: The liver with all that lies in it.
        take_up: Of each place against the liver around: 0 dead, 1 as the liver; NaN where no phase tells.
        dead: Places that do not enhance.
        by_rise: Whether an unenhanced phase was there to count from.
        phases: Phases that took part.
    """

    grid: Grid
    liver: BoolArray = field(repr=False)
    take_up: FloatArray = field(repr=False)
    dead: BoolArray = field(repr=False)
    by_rise: bool
    phases: tuple[Phase, ...]


@dataclass(frozen=True, eq=False)
class Reading:
    """One phase on coarse voxels: its values, the liver's own level at each place, and the noise."""

    values: FloatArray
    level: FloatArray
    noise: float


def looked_at(
    image: Volume,
    labels: LabelMap,
    phases: Mapping[Phase, PhaseImage],
    treated: Sequence[Treated],
    rules: ZoneRules,
) -> tuple[Site, Search] | str:
    """The later study, and what of it does not enhance; or why no zone can be told in it.

    Args:
        image: The later study's reference.
        labels: On its grid: the liver, and whatever else is known.
        phases: The later study's images by contrast phase, the reference among them.
        treated: The earlier study's lesions.
        rules: Constants.
    """
    site = Site.of(image, labels, phases, treated, rules)
    if site is None:
        return _NO_LIVER
    found = search(site)
    return found if isinstance(found, str) else (site, found)


def search(site: Site) -> Search | str:
    """Searches the whole liver; says why not where no phase can tell."""
    rules = site.rules.finding
    grid = site.grid.resampled(np.maximum(site.grid.spacing_mm, rules.coarse_mm))
    liver = on_grid(site.liver, site.grid, grid)
    parenchyma = on_grid(site.scene.mask(site.box, Structure.LIVER), site.grid, grid) & liver
    pure = _inside(parenchyma, grid, rules.border_mm)
    if np.count_nonzero(pure) < _FEWEST_VOXELS:
        return "too little liver is free of vessels, lesions and its own border to compare with"
    readings = {p: _reading(image, grid, liver, pure, site) for p, image in site.phases.items()}
    before = readings.get(Phase.UNENHANCED)
    after = {p: r for p, r in readings.items() if p in ENHANCED}
    if not after:
        return "the study has no phase known to be taken after contrast, so nothing can be said of enhancement"
    if before is not None:
        take_up, noise, enhancing = _by_rise(before, after, site)
        least = rules.dead_share
    else:
        take_up, noise, enhancing = _by_darkness(after, site)
        least = 1 - rules.dark_share
    if not noise * rules.guard < 1 - least:
        return f"the liver's rise is too faint (its noise is {noise:.2f} of it) to tell what does not enhance"
    seen = np.isfinite(take_up)
    dead = liver & seen & (take_up < least) & ~enhancing
    dead = Film.of(liver, grid, site.rules.border.film_mm).told(dead)
    return Search(grid, liver, take_up, dead, before is not None, tuple(after))


def pieces(found: Search, *, least_ml: float, least_depth_mm: float) -> list[Part]:
    """Connected parts of what does not enhance, the largest first; no thin sheets, such as clefts and borders.

    An outline of the liver that lies a voxel too far out takes partial volume all around with it. Where such a sheet
    hangs on a zone, it is cut off: a part of which no half lies near a deep place is divided into what does.
    """
    kept = []
    for mask in _deep_parts(found.dead, found.grid, least_ml, least_depth_mm):
        kept += _without_sheets(mask, found.grid, least_ml, least_depth_mm)
    kept.sort(key=lambda mask: -np.count_nonzero(mask))
    return [Part(n, float(np.count_nonzero(mask)) * found.grid.voxel_ml, mask) for n, mask in enumerate(kept, start=1)]


def _deep_parts(mask: BoolArray, grid: Grid, least_ml: float, least_depth_mm: float) -> list[BoolArray]:
    """Connected parts that are large enough, and somewhere deep enough, to be a zone; the largest first."""
    parts, count = counted_parts(mask, by_faces=True)
    volumes = np.bincount(parts.ravel()) * grid.voxel_ml
    volumes[0] = 0
    deepest = most_in(depth_mm(mask, grid, ends_at_edge=True), parts, count)
    order = np.argsort(-volumes, kind="stable")
    return [np.asarray(parts == n) for n in order if volumes[n] >= least_ml and deepest[n] >= least_depth_mm]


def _without_sheets(mask: BoolArray, grid: Grid, least_ml: float, least_depth_mm: float) -> list[BoolArray]:
    """The part itself, or where most of it is sheet, its solid parts without it."""
    core = depth_mm(mask, grid, ends_at_edge=True) >= least_depth_mm
    reach_mm = least_depth_mm + float(grid.spacing_mm.max())
    box, solid = box_of(mask), np.array(mask)
    if box is not None:
        solid[box] &= away_mm(core[box], grid) <= reach_mm
    if np.count_nonzero(solid) >= _HALF * np.count_nonzero(mask):
        return [mask]
    return _deep_parts(solid, grid, least_ml, least_depth_mm)


def _by_rise(before: Reading, after: Mapping[Phase, Reading], site: Site) -> tuple[FloatArray, float, BoolArray]:
    """Share of the liver's rise, its noise, and what rises so much in one phase that it is alive."""
    sure = site.rules.enhancement.enhancing_sure_hu if site.is_ct else site.rules.enhancement.enhancing_sure_percent
    total = np.zeros_like(before.values)
    whole = np.zeros_like(before.values)
    alive = np.zeros(before.values.shape, dtype=bool)
    weights = 0.0
    for reading in after.values():
        rise = reading.values - before.values
        own = reading.level - before.level
        noise2 = reading.noise**2 + before.noise**2
        strength = max(0.0, float(np.median(own))) / noise2
        good = np.isfinite(rise)
        total[good] += np.float32(strength) * rise[good]
        whole[good] += np.float32(strength) * own[good]
        weights += strength * float(np.median(own))
        unit = np.float32(1.0) if site.is_ct else np.maximum(before.level, 1) / np.float32(_PER_CENT)
        with np.errstate(invalid="ignore"):
            alive |= rise > sure * unit + site.rules.finding.guard * np.sqrt(noise2)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(whole > 0, total / whole, np.nan).astype(np.float32)
    return share, float(1 / np.sqrt(weights)) if weights > 0 else float("inf"), alive


def _by_darkness(after: Mapping[Phase, Reading], site: Site) -> tuple[FloatArray, float, BoolArray]:
    """The same without an unenhanced phase: 0 as dark as dead tissue, 1 as the liver.

    What takes up nothing is dark in every late phase: a place that one of them shows as liver lives, be it as dark as
    veins are on MR in the others.
    """
    rules = site.rules.finding
    late = [phase for phase in after if phase not in _EARLY] or list(after)
    first = next(iter(after.values()))
    total, whole = np.zeros_like(first.values), np.zeros_like(first.values)
    alive = np.zeros(first.values.shape, dtype=bool)
    weights = 0.0
    for phase, reading in after.items():
        gap = reading.level - rules.dead_hu if site.is_ct else reading.level * (1 - rules.dead_percent / _PER_CENT)
        typical = max(0.0, float(np.median(gap)))
        strength = typical / reading.noise**2 if phase in late else 0.0
        good = np.isfinite(reading.values)
        above_dead = reading.values - reading.level + gap
        total[good] += np.float32(strength) * above_dead[good]
        whole[good] += np.float32(strength) * gap[good]
        weights += strength * typical
        if phase in late:
            with np.errstate(invalid="ignore"):
                alive |= above_dead > (1 - rules.dark_share / 2) * gap + rules.guard * reading.noise
        least = site.rules.focus.hyper_hu if site.is_ct else reading.level * site.rules.focus.hyper_percent / _PER_CENT
        with np.errstate(invalid="ignore"):
            alive |= reading.values - reading.level > least + rules.guard * reading.noise
            if not site.is_ct:  # fluid and fat are far darker than dead tissue
                alive |= reading.values < reading.level * rules.dent_least_percent / _PER_CENT
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(whole > 0, total / whole, np.nan).astype(np.float32)
    return share, float(1 / np.sqrt(weights)) if weights > 0 else float("inf"), alive


def _reading(image: PhaseImage, grid: Grid, liver: BoolArray, pure: BoolArray, site: Site) -> Reading:
    rules = site.rules.finding
    values = _coarse(image, grid)
    if site.is_ct:
        # Gas and oil are no degrees of enhancement: beyond these limits a value says no more.
        values = np.clip(values, np.float32(rules.least_hu), np.float32(rules.most_hu))
    values = _smoothed(values, liver & np.isfinite(values), rules.smoothing_mm / grid.spacing_mm)
    inside = values[pure & np.isfinite(values)]
    middle = float(np.median(inside))
    spread = _MAD_TO_SD * float(np.median(np.abs(inside - middle)))
    usual = pure & (np.abs(values - middle) <= _INLIER * spread)
    level = _smoothed(values, usual, rules.level_mm / grid.spacing_mm, otherwise=middle)
    rest = (values - level)[usual]
    return Reading(values, level, max(_MAD_TO_SD * float(np.median(np.abs(rest))), 1e-3))


def _coarse(image: PhaseImage, grid: Grid) -> FloatArray:
    """An image on coarse voxels, averaged on the way; NaN where it does not reach."""
    window = window_of(grid, image.volume.grid, shift_lps_mm=image.shift_lps_mm)
    if window is None:
        return np.full(grid.shape, np.nan, dtype=np.float32)
    part = image.volume.array[window]
    own = image.volume.grid.cropped([w.start for w in window], (part.shape[0], part.shape[1], part.shape[2]))
    small, small_grid = thinned(part, own, spacing_mm=float(grid.spacing_mm.min()))
    values, seen = sampled(small, small_grid, grid, shift_lps_mm=image.shift_lps_mm)
    values[~seen] = np.nan
    return values


def _smoothed(
    values: FloatArray, within: BoolArray, sigma: NDArray[np.float64], *, otherwise: float = float("nan")
) -> FloatArray:
    """Smoothed with what lies within only; what is too far from it takes another value."""
    weight = gaussian_filter(within.astype(np.float32), sigma, truncate=3.0)
    total = gaussian_filter(np.where(within, values, np.float32(0)), sigma, truncate=3.0)
    return np.where(weight > 1e-4, total / np.maximum(weight, np.float32(1e-4)), np.float32(otherwise))


def _inside(mask: BoolArray, grid: Grid, least_mm: float) -> BoolArray:
    inner = deeper(mask, grid, least_mm)
    return inner if np.count_nonzero(inner) >= _FEWEST_VOXELS else np.asarray(binary_erosion(mask))
