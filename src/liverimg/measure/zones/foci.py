"""Living tumour at a zone's border: what takes up more contrast early than its later phase explains.

Partial volume between dead tissue and liver lies on a line: a place half dead takes up half of the liver's contrast in
every phase. Tumour does not lie on it: fed by the artery, it is brighter early than its portal venous level would make
one expect, whether it is brighter than the liver or not. The excess over the line is therefore what is looked at. It is
zero for liver, for dead tissue and for all that lies between. A hyperaemic rim and vessels have an excess too; in
the portal venous phase they are as bright as the liver or brighter, as most tumours are not, and where the tumour was
as bright itself, only what stands out of the rim counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.measure.zones.border import Patch, level_of, signed_mm
from liverimg.measure.zones.rules import ZoneRules

FloatArray = NDArray[np.float32]

_MAD_TO_SD = 1.4826
_INLIER = 2.5
_FULL_NEIGHBOURHOOD = 26
_FEWEST_VOXELS = 300
_PER_CENT = 100.0
_MM3_PER_ML = 1000.0
_EARLY = (Phase.ARTERIAL, Phase.EARLY_ARTERIAL)
_LATE = (Phase.PORTAL_VENOUS, Phase.DELAYED)
_HALF = 0.5
_BRIGHT_PERCENTILE = 90
_CORE_MM = 2.0  # dead tissue is read so far inside the zone's border
_DEAD_LEVEL_MM = 4.0
_RING_NEAR_MM, _RING_FAR_MM = 6.0, 25.0  # beyond the widest rim
_LIVE_LEVEL_MM = 12.0


@dataclass(frozen=True, eq=False)
class Found:
    """One focus, on the patch's grid."""

    mask: BoolArray = field(repr=False)
    volume_ml: float
    phases: tuple[Phase, ...]


@dataclass(frozen=True, eq=False)
class Lines:
    """Images of a zone's surroundings against the line from dead tissue to liver.

    Attributes:
        excess: Of the early phase over the line, HU or signal.
        noise: Its standard deviation in the liver.
        late: The late phase against the liver's level: how much brighter; None without one.
        late_noise: Its standard deviation.
        rise: Of the early phase over the unenhanced one; None without that.
        expected: The tumour's own excess, as far as the earlier study tells.
        least: Least excess that counts.
        dims: Whether the tumour was darker than the liver in the late phase.
        phases: Early and late phase.
    """

    excess: FloatArray = field(repr=False)
    noise: float
    late: FloatArray | None = field(repr=False)
    late_noise: float
    rise: FloatArray | None = field(repr=False)
    expected: float | None
    least: float
    dims: bool
    phases: tuple[Phase, ...]


def find_foci(
    patch: Patch, zone: BoolArray, place: BoolArray, lines: Lines, rules: ZoneRules, *, error_mm: float
) -> list[Found]:
    """Living rests that touch a zone, inside or next to the lesion's place.

    Args:
        patch: Around the zone.
        zone: Its voxels, holes not filled.
        place: Where the lesion lies now.
        lines: From :func:`lines_of`.
        rules: Constants.
        error_mm: Of the lesion's place.
    """
    own = rules.focus
    outside_mm = -signed_mm(zone, patch.grid)
    near_place = -signed_mm(place, patch.grid) <= own.around_mm + error_mm
    wanted = lines.least if lines.expected is None else own.excess_share * lines.expected
    threshold = max(wanted, own.guard * lines.noise)
    alive = patch.liver & near_place & (lines.excess >= threshold)
    # Where the tumour was about as dark as dead tissue in the late phase, the zone's border took it for such. Without
    # a rise to prove it, old blood inside the zone looks the same unless the excess is nearly the tumour's own.
    if lines.rise is None:
        sure = np.inf if lines.expected is None else max(threshold, own.sure_share * lines.expected, own.sure_hu)
        alive &= ~zone | (lines.excess >= sure)
    if lines.late is not None:
        bright = 2 * own.guard * lines.late_noise if not lines.dims else 0.0
        alive &= lines.late <= bright
    if lines.rise is not None:
        alive &= lines.rise >= lines.least
    if not lines.dims:
        alive &= _beyond_rim(alive, outside_mm, patch, rules)
    parts = cc3d.connected_components(np.pad(alive, 1), connectivity=_FULL_NEIGHBOURHOOD)[1:-1, 1:-1, 1:-1]
    least_ml = np.pi / 6 * (own.smallest_share * own.smallest_mm) ** 3 / _MM3_PER_ML
    found = []
    for number in range(1, int(parts.max()) + 1):
        mask = np.asarray(parts == number)
        # Its border is half-way, like that of the zone.
        mask &= lines.excess >= _HALF * float(np.percentile(lines.excess[mask], _BRIGHT_PERCENTILE))
        volume_ml = float(np.count_nonzero(mask)) * patch.grid.voxel_ml
        if volume_ml < least_ml or float(outside_mm[mask].min()) > own.reach_mm:
            continue
        if _is_sheet(mask, outside_mm, patch, rules):
            continue
        found.append(Found(mask, volume_ml, lines.phases))
    return sorted(found, key=lambda focus: -focus.volume_ml)


def lines_of(
    patch: Patch, zone: BoolArray, place: BoolArray, contrast: Mapping[Phase, float], rules: ZoneRules, *, is_ct: bool
) -> Lines | str:
    """Brings the phases onto the line from dead tissue to liver; says why not where that can't be done.

    Args:
        patch: Around the zone.
        zone: Its voxels.
        place: Where the lesion lies now.
        contrast: Of the tumour to the liver before the treatment, by phase; HU, or per cent.
        rules: Constants.
        is_ct: Whether values are HU.
    """
    early = next((phase for phase in _EARLY if phase in patch.values), None)
    if early is None:
        return "the study has no arterial phase that can be read here, and living tumour is told by it"
    if not is_ct and Phase.UNENHANCED not in patch.values:
        return "on MR without an unenhanced phase living tumour can't be told from the bright signal of dead tissue"
    late = next((phase for phase in _LATE if phase in patch.values), None)
    ring = _ring(patch, zone, place, early)
    if np.count_nonzero(ring) < _FEWEST_VOXELS:
        return "too little liver around the zone is free to compare with"
    wanted = (early,) if late is None else (early, late)
    seen = {p: _smoothed(v, patch, rules.focus.smoothing_mm) for p, v in patch.values.items() if p in wanted}
    before = None
    if Phase.UNENHANCED in patch.values:
        before = _smoothed(patch.values[Phase.UNENHANCED], patch, rules.focus.smoothing_mm)
    # Dead tissue, tumour and liver have signals of their own on MR; on CT a difference would only add noise.
    signal = seen if is_ct or before is None else {phase: values - before for phase, values in seen.items()}
    line = _Line(
        early,
        late,
        signal,
        live={phase: _level(values, ring, patch) for phase, values in signal.items()},
        dead={phase: _dead_level(values, patch, zone) for phase, values in signal.items()},
    )
    excess = line.excess()
    usual = ring & np.isfinite(excess)
    above = None if late is None else np.asarray(signal[late] - line.live[late], dtype=np.float32)
    brightness = {phase: float(np.median(values[ring])) for phase, values in seen.items()}
    if before is not None:
        brightness[Phase.UNENHANCED] = float(np.median(before[ring]))
    visible = rules.focus.hyper_hu if is_ct else rules.focus.hyper_percent
    least = rules.focus.hyper_hu if is_ct else brightness[early] * rules.focus.hyper_percent / _PER_CENT
    return Lines(
        excess=np.where(np.isfinite(excess), excess, -np.inf).astype(np.float32),
        noise=_spread(excess[usual]),
        late=above,
        late_noise=0.0 if above is None else _spread(above[usual]),
        rise=None if before is None else np.asarray(seen[early] - before, dtype=np.float32),
        expected=_own_excess(_own_contrast(contrast, brightness, wanted, is_ct=is_ct), line, zone, ring),
        least=least,
        dims=late is not None and contrast.get(late, 0.0) <= -visible,
        phases=wanted,
    )


@dataclass(frozen=True, eq=False)
class _Line:
    """Two phases, and the levels of living liver and of dead tissue in each."""

    early: Phase
    late: Phase | None
    signal: Mapping[Phase, FloatArray]
    live: Mapping[Phase, FloatArray]
    dead: Mapping[Phase, FloatArray]

    def excess(self) -> FloatArray:
        """Of the early phase over what the late one makes one expect; over the liver where there is no late one."""
        if self.late is None:
            return np.asarray(self.signal[self.early] - self.live[self.early])
        gap = self.live[self.late] - self.dead[self.late]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(gap != 0, (self.signal[self.late] - self.dead[self.late]) / gap, 0)
        dead = self.dead[self.early]
        return np.asarray(self.signal[self.early] - dead - share * (self.live[self.early] - dead), dtype=np.float32)


def _own_contrast(
    contrast: Mapping[Phase, float], brightness: Mapping[Phase, float], wanted: tuple[Phase, ...], *, is_ct: bool
) -> dict[Phase, float] | None:
    """The tumour's signal against the liver's, phase by phase, as the earlier study had it; on MR that of the rise."""
    if is_ct:
        return None if any(p not in contrast for p in wanted) else {phase: contrast[phase] for phase in wanted}
    if any(phase not in contrast for phase in (*wanted, Phase.UNENHANCED)):
        return None
    gap = {phase: brightness[phase] * contrast[phase] / _PER_CENT for phase in (*wanted, Phase.UNENHANCED)}
    return {phase: gap[phase] - gap[Phase.UNENHANCED] for phase in wanted}


def _own_excess(own: Mapping[Phase, float] | None, line: _Line, zone: BoolArray, ring: BoolArray) -> float | None:
    """The excess that the tumour itself had."""
    if own is None:
        return None
    if line.late is None:
        return max(0.0, own[line.early])
    dead = {phase: float(np.nanmedian(level[zone])) for phase, level in line.dead.items()}
    live = {phase: float(np.median(level[ring])) for phase, level in line.live.items()}
    gap = live[line.late] - dead[line.late]
    if gap <= 0:
        return None
    share = (live[line.late] + own[line.late] - dead[line.late]) / gap
    early = line.early
    return max(0.0, live[early] + own[early] - dead[early] - share * (live[early] - dead[early]))


def _dead_level(signal: FloatArray, patch: Patch, zone: BoolArray) -> FloatArray:
    depth = signed_mm(zone, patch.grid)
    inner = (depth >= min(_CORE_MM, _HALF * float(depth.max()))) & np.isfinite(signal)
    middle = float(np.median(signal[inner])) if inner.any() else float("nan")
    level = level_of(np.where(inner, signal, 0), inner, _DEAD_LEVEL_MM / patch.grid.spacing_mm)
    return np.where(np.isfinite(level), level, np.float32(middle))


def _spread(values: FloatArray) -> float:
    return _MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def _ring(patch: Patch, zone: BoolArray, place: BoolArray, early: Phase) -> BoolArray:
    """Liver around that is neither rim nor tumour nor vessel."""
    away = -signed_mm(zone | place, patch.grid)
    seen = np.isfinite(patch.values[early])
    found = patch.parenchyma & seen & (away > _RING_NEAR_MM) & (away <= _RING_FAR_MM)
    for values in patch.values.values():
        inside = values[found & np.isfinite(values)]
        if len(inside) < _FEWEST_VOXELS:
            continue
        middle = float(np.median(inside))
        found &= ~(np.abs(values - middle) > _INLIER * _spread(inside))
    return np.asarray(found)


def _level(signal: FloatArray, ring: BoolArray, patch: Patch) -> FloatArray:
    good = ring & np.isfinite(signal)
    middle = float(np.median(signal[good]))
    level = level_of(np.where(good, signal, 0), good, _LIVE_LEVEL_MM / patch.grid.spacing_mm)
    return np.where(np.isfinite(level), level, np.float32(middle))


def _smoothed(values: FloatArray, patch: Patch, sigma_mm: float) -> FloatArray:
    good = np.isfinite(values) & patch.liver
    sigma = sigma_mm / patch.grid.spacing_mm
    weight = gaussian_filter(good.astype(np.float32), sigma, truncate=3.0)
    total = gaussian_filter(np.where(good, values, np.float32(0)), sigma, truncate=3.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weight > 1e-3, total / weight, np.nan).astype(np.float32)


def _beyond_rim(alive: BoolArray, outside_mm: FloatArray, patch: Patch, rules: ZoneRules) -> BoolArray:
    """What is no rim: all of it where there is none, else what lies farther out than the rim and what hangs on that."""
    own = rules.focus
    border = patch.liver & (outside_mm > 0) & (outside_mm <= 1.5)
    if not border.any() or float(alive[border].mean()) < own.rim_share:
        return alive
    layers = np.arange(0.0, own.rim_most_mm + 0.5, 0.5)
    covered = [
        float(alive[patch.liver & (outside_mm > a) & (outside_mm <= a + 0.75)].mean() if a >= 0 else 0) for a in layers
    ]
    thick = next((float(a) for a, c in zip(layers, covered, strict=True) if c < own.rim_share / 2), own.rim_most_mm)
    seeds = alive & (outside_mm > thick + own.beyond_rim_mm)
    reach = -signed_mm(seeds, patch.grid) <= thick + own.beyond_rim_mm + 1.0 if seeds.any() else seeds
    return np.asarray(alive & reach)


def _is_sheet(mask: BoolArray, outside_mm: FloatArray, patch: Patch, rules: ZoneRules) -> bool:
    """Whether a part is a thin layer along the zone and no nodule: the border of a rim, or a phase laid astray."""
    thick = float(np.percentile(outside_mm[mask], 95)) - max(0.0, float(np.percentile(outside_mm[mask], 5)))
    deepest = float(signed_mm(mask, patch.grid).max()) if mask.any() else 0.0
    return 2 * deepest < rules.focus.thin_share * rules.focus.smallest_mm and thick < rules.focus.smallest_mm
