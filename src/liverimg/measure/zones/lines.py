"""The phases around a zone brought onto the line from dead tissue to liver, for foci.

Partial volume between dead tissue and liver lies on a line: a place half dead takes up half of the liver's contrast in
every phase. Tumour does not lie on it: fed by the artery, it is brighter early than its portal venous level would make
one expect, whether it is brighter than the liver or not. The excess over the line is zero for liver, for dead tissue
and for all that lies between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.measure.zones.around import Around
from liverimg.measure.zones.border import Patch, no_darker
from liverimg.measure.zones.distance import level_of, near, signed_mm
from liverimg.measure.zones.notes import oil_in
from liverimg.measure.zones.rules import ZoneRules

FloatArray = NDArray[np.float32]

_MAD_TO_SD = 1.4826
_INLIER = 2.5
_FEWEST_VOXELS = 300
_PER_CENT = 100.0
_EARLY = (Phase.ARTERIAL, Phase.EARLY_ARTERIAL)
LATE = (Phase.PORTAL_VENOUS, Phase.DELAYED)
_HALF = 0.5
_CORE_MM = 2.0  # dead tissue is read so far inside the zone's border
_DEAD_LEVEL_MM = 4.0
_RING_NEAR_MM, _RING_FAR_MM = 6.0, 25.0  # beyond the widest rim
_LIVE_LEVEL_MM = 12.0


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
        unit: Of the excess.
        smoothing_mm: Standard deviation of the smoothing of the images.
        liver_gain: How far liver itself lies below zero, where partial volume with it hides an excess.
        astray: What of an excess may be feigned by phases that lie astray; None where the noise holds it.
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
    unit: str
    smoothing_mm: float
    liver_gain: float = 0.0
    astray: FloatArray | None = field(default=None, repr=False)

    @property
    def by_loss(self) -> bool:
        """Whether the excess is a loss of signal, which nothing dead and no mixture has."""
        return self.astray is not None

    @property
    def sure(self) -> FloatArray:
        """The excess less what may be feigned."""
        return self.excess if self.astray is None else self.excess - self.astray


@dataclass(frozen=True, eq=False)
class Ground:
    """What the lines are drawn from.

    Attributes:
        patch: Around the zone.
        around: The zone's border.
        values: Images by phase, no darker than tissue is.
        early: The arterial phase.
        late: A later one, where there is one.
        ring: Liver around that is neither rim nor tumour nor vessel.
        core: What of the zone lies so deep in it that nothing of its border is mixed in.
        rules: Constants.
        is_ct: Whether values are HU.
    """

    patch: Patch
    around: Around
    values: Mapping[Phase, FloatArray] = field(repr=False)
    early: Phase
    late: Phase | None
    ring: BoolArray = field(repr=False)
    core: BoolArray = field(repr=False)
    rules: ZoneRules
    is_ct: bool

    @classmethod
    def of(cls, patch: Patch, around: Around, rules: ZoneRules, *, is_ct: bool) -> Ground | str:
        """Chooses the phases and what to compare with; says why not where there is too little of it."""
        early = next(phase for phase in _EARLY if phase in patch.values)
        late = next((phase for phase in LATE if phase in patch.values), None)
        ring = _ring(patch, around, early)
        if np.count_nonzero(ring) < _FEWEST_VOXELS:
            return "too little liver around the zone is free to compare with"
        depth = -around.outside_mm
        # Gas is no degree of enhancement, and would make its surroundings look alive beside it.
        values = {p: no_darker(v, depth, patch.noise[p], rules.border, is_ct=is_ct) for p, v in patch.values.items()}
        core = np.asarray(depth >= min(_CORE_MM, _HALF * float(depth.max())))
        return cls(patch, around, values, early, late, ring, core, rules, is_ct)

    @property
    def by_loss(self) -> bool:
        """Whether only a loss of signal can tell: MR without an unenhanced phase."""
        return not self.is_ct and Phase.UNENHANCED not in self.values

    @property
    def wanted(self) -> tuple[Phase, ...]:
        """The phases that are compared."""
        return (self.early,) if self.late is None else (self.early, self.late)


def cannot_tell(patch: Patch) -> str:
    """Why the phases of a study can't tell living tumour; empty where they can."""
    if not any(phase in patch.values for phase in _EARLY):
        return "the study has no arterial phase that can be read here, and living tumour is told by it"
    return ""


def lines_of(ground: Ground, contrast: Mapping[Phase, float], *, smoothing_mm: float) -> Lines:
    """Brings the phases onto the line from dead tissue to liver.

    Args:
        ground: Images, and what to compare with.
        contrast: Of the tumour to the liver before the treatment, by phase; HU, or per cent.
        smoothing_mm: Standard deviation of the smoothing that quiets the noise.
    """
    patch, rules, ring, is_ct = ground.patch, ground.rules, ground.ring, ground.is_ct
    early, late, wanted = ground.early, ground.late, ground.wanted
    seen = {p: smoothed(v, patch, smoothing_mm) for p, v in ground.values.items() if p in wanted}
    unenhanced = ground.values.get(Phase.UNENHANCED)
    before = None if unenhanced is None else smoothed(unenhanced, patch, smoothing_mm)
    # Dead tissue, tumour and liver have signals of their own on MR; on CT a difference would only add noise.
    signal = seen if is_ct or before is None else {phase: values - before for phase, values in seen.items()}
    line = _Line(
        early,
        late,
        signal,
        live={phase: live_level(values, ring, patch) for phase, values in signal.items()},
        dead={p: _dead_level(v, patch, ground.core, even=signal is not seen) for p, v in signal.items()},
    )
    excess = line.excess()
    if is_ct:
        excess = _away_from_oil(excess, patch, rules)
    usual = ring & np.isfinite(excess)
    above = None if late is None else np.asarray(signal[late] - line.live[late], dtype=np.float32)
    brightness = _brightness(seen, before, ring)
    visible = rules.focus.hyper_hu if is_ct else rules.focus.hyper_percent
    least = rules.focus.hyper_hu if is_ct else brightness[early] * rules.focus.hyper_percent / _PER_CENT
    own = _own_contrast(contrast, brightness, wanted, is_ct=is_ct)
    return Lines(
        excess=np.where(np.isfinite(excess), excess, -np.inf).astype(np.float32),
        noise=spread_of(excess[usual]),
        late=above,
        late_noise=0.0 if above is None else spread_of(above[usual]),
        rise=None if before is None else np.asarray(seen[early] - before, dtype=np.float32),
        expected=_own_excess(own, line, ground.around.zone, ring),
        least=least,
        dims=late is not None and contrast.get(late, 0.0) <= -visible,
        phases=wanted,
        unit="HU" if is_ct else "units of signal",
        smoothing_mm=smoothing_mm,
    )


def _away_from_oil(excess: FloatArray, patch: Patch, rules: ZoneRules) -> FloatArray:
    """NaN near dense oil: it outshines any uptake, and its edges move with the phases."""
    close = near(oil_in(patch, rules), patch.grid, rules.focus.reach_mm)
    return np.where(close, np.float32(np.nan), excess)


def _brightness(seen: Mapping[Phase, FloatArray], before: FloatArray | None, ring: BoolArray) -> dict[Phase, float]:
    """The liver's usual value in each phase."""
    shown = dict(seen) if before is None else {**seen, Phase.UNENHANCED: before}
    return {phase: float(np.median(values[ring])) for phase, values in shown.items()}


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
        share = np.maximum(share, 0)  # beyond the line's end lies gas, and no tissue takes up less than nothing
        dead = self.dead[self.early]
        return np.asarray(self.signal[self.early] - dead - share * (self.live[self.early] - dead), dtype=np.float32)


def _own_contrast(
    contrast: Mapping[Phase, float], brightness: Mapping[Phase, float], wanted: tuple[Phase, ...], *, is_ct: bool
) -> dict[Phase, float] | None:
    """The tumour's signal against the liver's, phase by phase, as the earlier study had it; on MR that of the rise."""
    if any(phase not in contrast for phase in (wanted if is_ct else (*wanted, Phase.UNENHANCED))):
        return None
    if is_ct:
        return {phase: contrast[phase] for phase in wanted}
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


def _dead_level(signal: FloatArray, patch: Patch, core: BoolArray, *, even: bool) -> FloatArray:
    """What dead tissue shows at each place.

    A difference of phases is even all over what is dead, blood and charring too. Read nearby instead, a large rest that
    is dark enough to have been taken for zone would be held against itself.
    """
    inner = core & np.isfinite(signal)
    middle = float(np.median(signal[inner])) if inner.any() else float("nan")
    if even:
        return np.full(signal.shape, np.float32(middle))
    level = level_of(np.where(inner, signal, 0), inner, _DEAD_LEVEL_MM / patch.grid.spacing_mm)
    return np.where(np.isfinite(level), level, np.float32(middle))


def spread_of(values: FloatArray) -> float:
    """Standard deviation by the median of absolute deviations."""
    return _MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def _ring(patch: Patch, around: Around, early: Phase) -> BoolArray:
    """Liver around that is neither rim nor tumour nor vessel."""
    away = -signed_mm(around.zone | around.place, patch.grid)
    seen = np.isfinite(patch.values[early])
    found = patch.parenchyma & seen & (away > _RING_NEAR_MM) & (away <= _RING_FAR_MM)
    for values in patch.values.values():
        inside = values[found & np.isfinite(values)]
        if len(inside) < _FEWEST_VOXELS:
            continue
        middle = float(np.median(inside))
        found &= ~(np.abs(values - middle) > _INLIER * spread_of(inside))
    return np.asarray(found)


def live_level(signal: FloatArray, ring: BoolArray, patch: Patch) -> FloatArray:
    """The liver's own level at each place, smoothed from the ring."""
    good = ring & np.isfinite(signal)
    middle = float(np.median(signal[good]))
    level = level_of(np.where(good, signal, 0), good, _LIVE_LEVEL_MM / patch.grid.spacing_mm)
    return np.where(np.isfinite(level), level, np.float32(middle))


def smoothed(values: FloatArray, patch: Patch, sigma_mm: float) -> FloatArray:
    """Smoothed with what lies in the liver only; NaN too far from it."""
    good = np.isfinite(values) & patch.liver
    sigma = sigma_mm / patch.grid.spacing_mm
    weight = gaussian_filter(good.astype(np.float32), sigma, truncate=3.0)
    total = gaussian_filter(np.where(good, values, np.float32(0)), sigma, truncate=3.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weight > 1e-3, total / weight, np.nan).astype(np.float32)
