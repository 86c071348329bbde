"""A zone's border on the reference's own voxels: half-way between the zone and what lies next to it.

Zone and surroundings are uneven, so both levels are read along the border and not once for all: what lies just inside,
what lies just outside, each smoothed over a few millimetres of their own side. Half-way between the two is where a
border blurred by the scanner and by slices truly lies. Phases vote by how exactly each of them knows the place: noise
against contrast, and how far the phase may have been laid astray. Only a band around the last border is asked again,
so that blood, charring, gas and oil inside don't matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import fill_voids
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

from liverimg.core.boxes import Box, box_of
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.study import Phase
from liverimg.measure.parts import counted_parts
from liverimg.measure.phases import PhaseImage, refined
from liverimg.measure.zones.distance import (
    away_mm,
    depth_mm,
    level_in,
    level_of,
    signed_mm,
)
from liverimg.measure.zones.film import Film
from liverimg.measure.zones.rules import BorderRules
from liverimg.measure.zones.site import Site

FloatArray = NDArray[np.float32]

_MAD_TO_SD = 1.4826
_EDGE_BLUR_MM = 1.0  # how wide a border is at least, for turning noise into millimetres
_LEAST_WEIGHT = 1e-3
_SLICES = 1.25
_POCKET_SHARE = 0.3  # of the zone; more is liver that a zone divides
_POCKET_ENCLOSED = 0.5  # of what lies around a pocket is zone
_MOST_HU = np.float32(300.0)  # oil is no degree of enhancement


@dataclass(frozen=True, eq=False)
class Patch:
    """The surroundings of a zone on the reference's voxels.

    Attributes:
        grid: Of the box.
        box: Where it lies in the scene.
        liver: The whole liver there.
        parenchyma: What is labelled as liver and nothing else.
        images: Phases as they lie here.
        values: Of each phase; NaN out of its view.
        noise: Of each phase: standard deviation of its voxels in parenchyma.
        film: Where the liver ends.
    """

    grid: Grid
    box: Box
    liver: BoolArray = field(repr=False)
    parenchyma: BoolArray = field(repr=False)
    images: Mapping[Phase, PhaseImage]
    values: Mapping[Phase, FloatArray] = field(repr=False)
    noise: Mapping[Phase, float]
    film: Film = field(repr=False)

    @classmethod
    def of(cls, site: Site, box: Box) -> Patch:
        """Cuts a box of the scene out of labels and phases, and lays the phases onto it once more."""
        grid = site.scene.crop_grid(box)
        liver = np.zeros(grid.shape, dtype=bool)
        here, there = _shared(box, site.box)
        liver[here] = site.liver[there]
        images = refined(site.phases, site.image, liver, grid, site.rules.alignment)
        parenchyma = site.scene.mask(box, Structure.LIVER) & liver
        values = {phase: image.on(grid) for phase, image in images.items() if not image.why_not}
        noise = {phase: _noise(found, parenchyma, grid) for phase, found in values.items()}
        film = Film.of(liver, grid, site.rules.border.film_mm)
        return cls(grid, box, liver, parenchyma, images, values, noise, film)


@dataclass(frozen=True, eq=False)
class Border:
    """A zone after its border was found.

    Attributes:
        mask: On the patch's grid.
        noise_mm: How far noise may have moved one place of the border, on average.
        phases: Phases that told where it lies.
    """

    mask: BoolArray = field(repr=False)
    noise_mm: float
    phases: tuple[Phase, ...]


def find_border(patch: Patch, start: BoolArray, rules: BorderRules, *, is_ct: bool) -> Border:
    """The border of a zone, from where coarse voxels left it.

    Args:
        patch: Around the zone.
        start: The zone on coarse voxels, brought onto the patch's grid.
        rules: Constants.
        is_ct: Whether values are HU.
    """
    mask = start & patch.liver
    asked_mm = max(rules.band_mm, _far_mm(patch, rules))
    depth = signed_mm(mask, patch.grid, within_mm=asked_mm)
    values = {p: np.minimum(found, _MOST_HU) if is_ct else found for p, found in patch.values.items()}
    values = {p: no_darker(found, depth, patch.noise[p], rules, is_ct=is_ct) for p, found in values.items()}
    smooth = {phase: _quieted(found, patch, rules.smoothing_mm) for phase, found in values.items()}
    votes, noise_mm, told = None, float("inf"), tuple[Phase, ...]()
    for _ in range(rules.rounds):
        votes, noise_mm, told = _votes(patch, smooth, depth, rules)
        if not told:
            break
        band = np.abs(depth) <= rules.band_mm
        known = band & patch.liver & np.isfinite(votes)
        fresh = mask.copy()
        fresh[known] = votes[known] < 0
        fresh = patch.film.told(fresh & patch.liver)
        fresh = hanging_on(mask, fresh)
        if np.array_equal(fresh, mask):
            break
        mask = fresh
        depth = signed_mm(mask, patch.grid, within_mm=asked_mm)
    return Border(mask, noise_mm, told)


def _votes(
    patch: Patch, smooth: Mapping[Phase, FloatArray], depth: FloatArray, rules: BorderRules
) -> tuple[FloatArray, float, tuple[Phase, ...]]:
    """For each place of the band -0.5 as inside to 0.5 as outside, how sharp that is, and who voted."""
    far_mm = _far_mm(patch, rules)
    inner = (depth >= min(rules.inside_mm, 0.5 * float(depth.max()))) & (depth <= rules.deep_mm) & patch.liver
    outer = (depth <= -rules.near_mm) & (depth >= -far_mm) & patch.liver
    sigma = rules.level_mm / patch.grid.spacing_mm
    # Nobody asks what lies deeper or farther out than the levels are read from.
    box = box_of(inner | outer | (depth >= -rules.band_mm))
    votes = np.full(depth.shape, np.nan, dtype=np.float32)
    if box is None:
        return votes, float("inf"), ()
    total = np.zeros(depth[box].shape, dtype=np.float32)
    weights = np.zeros_like(total)
    told = []
    exact = 0.0
    edge = (np.abs(depth[box]) <= far_mm) & patch.liver[box]
    for phase, whole in smooth.items():
        seen = np.isfinite(whole)
        inside = level_in(box, whole, inner & seen, sigma)
        outside = level_in(box, whole, outer & seen, sigma)
        image, good = whole[box], seen[box]
        gap = outside - inside
        noise = patch.noise[phase]
        spread = np.maximum(_EDGE_BLUR_MM, 0.5 * _pitch_mm(patch.images[phase]))
        with np.errstate(divide="ignore", invalid="ignore"):
            sharp_mm = noise / np.abs(gap) * spread
            doubt_mm = 0.0 if patch.images[phase].is_reference else patch.images[phase].doubt_mm / 2
            weight = 1 / (sharp_mm**2 + doubt_mm**2 + np.float32(0.1) ** 2)
            vote = np.clip((image - (inside + outside) / 2) / gap, -1.5, 1.5)
        good &= np.isfinite(vote) & (np.abs(gap) > noise * 0.5)
        weight = np.where(good, weight, 0).astype(np.float32)
        total += np.where(good, weight * vote, 0)
        weights += weight
        typical = float(np.median(weight[edge])) if edge.any() else 0.0
        if typical > _LEAST_WEIGHT:
            told.append(phase)
            exact += typical
    with np.errstate(divide="ignore", invalid="ignore"):
        votes[box] = np.where(weights > _LEAST_WEIGHT, total / weights, np.nan)
    return votes, float(1 / np.sqrt(exact)) if exact else float("inf"), tuple(told)


def _far_mm(patch: Patch, rules: BorderRules) -> float:
    """How far out what lies around is read; on thick slices the next voxel across the slices lies farther out."""
    return max(rules.far_mm, _SLICES * float(patch.grid.spacing_mm.max()))


def no_darker(values: FloatArray, depth: FloatArray, noise: float, rules: BorderRules, *, is_ct: bool) -> FloatArray:
    """Gas in the zone and fat beside the liver are no degrees of enhancement.

    On CT nothing that matters is darker than dead tissue; on MR tumour and veins are, and gas and fluid far more so.
    """
    inner = values[(depth >= min(rules.inside_mm, 0.5 * float(depth.max()))) & np.isfinite(values)]
    if not len(inner) or not np.isfinite(noise):
        return values
    middle = float(np.median(inner))
    least = middle - rules.guard * noise if is_ct else rules.gas_share * middle
    return np.maximum(values, np.float32(least))


def tidied(mask: BoolArray, patch: Patch, *, opening_mm: float, keep: BoolArray) -> BoolArray:
    """The zone without bridges and tails, and with its holes filled.

    Args:
        mask: The zone.
        patch: Around it.
        opening_mm: Radius.
        keep: What is never filled.
    """
    solid = without_pockets(mask, patch.liver, keep)
    core = depth_mm(solid, patch.grid, ends_at_edge=True) > opening_mm
    if not core.any():
        return solid
    core = _largest_with(core, solid)
    box = box_of(solid)
    assert box is not None
    most_mm = opening_mm + 1.5 * float(patch.grid.spacing_mm.max())
    solid[box] &= away_mm(core[box], patch.grid) <= most_mm
    return solid


def without_pockets(mask: BoolArray, liver: BoolArray, keep: BoolArray) -> BoolArray:
    """A zone with what it encloses, alone or together with the liver's surface, such as blood that looks alive.

    Args:
        mask: The zone.
        liver: Around it.
        keep: What is never filled.
    """
    solid = np.asarray(fill_voids.fill(mask)) & liver & ~keep
    rest, _ = counted_parts(liver & ~solid, by_faces=True)
    sizes = np.bincount(rest.ravel())
    sizes[0] = 0
    most = _POCKET_SHARE * np.count_nonzero(solid)
    for number in np.flatnonzero((sizes > 0) & (sizes <= most) & (sizes < sizes.max())):
        pocket = np.asarray(rest == number)
        around = binary_dilation(pocket) & ~pocket
        if float(solid[around].mean()) >= _POCKET_ENCLOSED:
            solid |= pocket & ~keep
    return solid


def _largest_with(core: BoolArray, solid: BoolArray) -> BoolArray:
    """Parts of the core of at least a tenth of the largest."""
    parts, _ = counted_parts(core, by_faces=True)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(1, 0.1 * sizes.max()))[parts] & solid)


def hanging_on(core: BoolArray, mask: BoolArray) -> BoolArray:
    """Parts of a mask that hold something of its core; faces join."""
    parts, count = counted_parts(mask, by_faces=True)
    kept = np.zeros(count + 1, dtype=bool)
    kept[np.unique(parts[core & mask])] = True
    kept[0] = False
    return np.asarray(kept[parts])


def _quieted(values: FloatArray, patch: Patch, sigma_mm: float) -> FloatArray:
    """Smoothed by a kernel without a second moment, which moves no curved border: twice a Gaussian less its square."""
    sigma = np.minimum(sigma_mm / patch.grid.spacing_mm, 4.0)
    good = np.isfinite(values)
    filled = np.where(good, values, np.float32(0))
    once = gaussian_filter(filled, sigma, truncate=3.0)
    found = 2 * once - gaussian_filter(once, sigma, truncate=3.0)
    return np.where(good, found, np.float32(np.nan)).astype(np.float32)


def _noise(values: FloatArray, parenchyma: BoolArray, grid: Grid) -> float:
    """Standard deviation of the voxels against their neighbours a few millimetres around."""
    good = parenchyma & np.isfinite(values)
    if np.count_nonzero(good) < 100:
        return float("inf")
    level = level_of(values, good, 4.0 / grid.spacing_mm)
    rest = (values - level)[good]
    return max(1e-6, _MAD_TO_SD * float(np.median(np.abs(rest - np.median(rest)))))


def _pitch_mm(image: PhaseImage) -> float:
    return float(image.volume.grid.spacing_mm.max())


def _shared(box: Box, other: Box) -> tuple[Box, Box]:
    """The part that two boxes of one array share, as seen from each of them."""
    low = [max(a.start, b.start) for a, b in zip(box, other, strict=True)]
    high = [max(lo, min(a.stop, b.stop)) for lo, a, b in zip(low, box, other, strict=True)]
    one = tuple(slice(lo - a.start, hi - a.start) for lo, hi, a in zip(low, high, box, strict=True))
    two = tuple(slice(lo - b.start, hi - b.start) for lo, hi, b in zip(low, high, other, strict=True))
    return (one[0], one[1], one[2]), (two[0], two[1], two[2])
