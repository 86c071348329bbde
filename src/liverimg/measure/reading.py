"""What one phase shows of a lesion: levels of its parts and of the liver around it, each with its own doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity
from liverimg.measure.band import quadrature
from liverimg.measure.region import Region
from liverimg.measure.rules import EnhancementRules

FloatArray = NDArray[np.float32]

_MEDIAN_AGAINST_MEAN = 1.2533  # standard error of a median over that of a mean, of normal values
_FEWEST_RING_VOXELS = 30
_PER_CENT = 100.0


@dataclass(frozen=True)
class Level:
    """A mean or a difference of means, in HU or per cent.

    Attributes:
        value: Best estimate.
        half: It is known to plus or minus this: noise, what is left of motion, and where the outline is unsure.
    """

    value: float
    half: float

    def less(self, other: Level) -> Level:
        """Difference of two independent levels."""
        return Level(self.value - other.value, quadrature(self.half, other.half))


@dataclass(frozen=True)
class Scale:
    """How a modality's differences are taken and judged.

    Attributes:
        unit: HU or %.
        contrast: Least difference to the liver that counts.
        least: Below this rise nothing enhances.
        sure: From this rise on something does.
    """

    unit: str
    contrast: float
    least: float
    sure: float

    @classmethod
    def of(cls, quantity: Quantity, rules: EnhancementRules) -> Scale:
        """HU on CT, per cent elsewhere."""
        if quantity is Quantity.HU:
            return cls("HU", rules.contrast_hu, rules.enhancing_least_hu, rules.enhancing_sure_hu)
        return cls("%", rules.contrast_percent, rules.enhancing_least_percent, rules.enhancing_sure_percent)

    def against(self, level: Level, base: Level) -> Level:
        """A level against another: the difference on CT, per cent of the other on MR."""
        difference = level.less(base)
        if self.unit == "HU":
            return difference
        if base.value <= base.half:
            return Level(0.0, float("inf"))
        ratio = level.value / base.value
        half = quadrature(level.half, ratio * base.half) / base.value
        return Level(_PER_CENT * (ratio - 1), _PER_CENT * half)


@dataclass(frozen=True)
class Parts:
    """One phase of a lesion.

    Attributes:
        whole: The lesion without border voxels.
        core: Its inner part.
        shell: Its outer part.
        ring: The liver around it.
    """

    whole: Level
    core: Level
    shell: Level
    ring: Level


def read_phase(region: Region, phase: Phase, rules: EnhancementRules, *, error_mm: float) -> Parts | str:
    """Levels of a lesion's parts in one phase, or why they can't be read.

    Args:
        region: Of the lesion.
        phase: Which of its phases.
        rules: What the parts are.
        error_mm: How far the lesion's drawn surface may lie from the true one.
    """
    image = region.images[phase]
    if image.why_not:
        return image.why_not
    values = region.values[phase]
    seen = np.isfinite(values)
    if not seen[region.lesion].all():
        return "the series does not show all of the lesion"
    if np.count_nonzero(region.ring & seen) < _FEWEST_RING_VOXELS or not np.isfinite(region.noise[phase]):
        return "too little liver around the lesion is free of vessels and other lesions to compare with"
    inner = region.inner(phase)
    deepest = region.deepest_mm
    core = region.lesion & (region.depth_mm >= rules.core_share * deepest)
    shell = inner & (region.depth_mm <= max(rules.shell_share * deepest, float(region.depth_mm[inner].min())))
    doubt_mm = image.doubt_mm
    return Parts(
        _level(region, phase, inner, doubt_mm, error_mm, rules.guard),
        _level(region, phase, core, doubt_mm, error_mm, rules.guard),
        _level(region, phase, shell, doubt_mm, error_mm, rules.guard),
        _ring_level(region, phase, rules.guard),
    )


def _ring_level(region: Region, phase: Phase, guard: float) -> Level:
    mask = region.ring & np.isfinite(region.values[phase])
    # The median does not mind a vessel that nobody outlined.
    value = float(np.median(region.values[phase][mask]))
    return Level(value, guard * _MEDIAN_AGAINST_MEAN * region.standard_error(phase, mask))


def _level(region: Region, phase: Phase, mask: BoolArray, doubt_mm: float, error_mm: float, guard: float) -> Level:
    values = region.values[phase]
    mean = float(values[mask].mean())
    noise = guard * region.standard_error(phase, mask)
    moved = _change_when_moved(values, mask, region.grid.spacing_mm, doubt_mm, mean)
    redrawn = _change_when_redrawn(region, values, mask, error_mm, mean)
    return Level(mean, quadrature(noise, moved, redrawn))


def _change_when_moved(
    values: FloatArray, mask: BoolArray, spacing_mm: NDArray[np.float64], doubt_mm: float, mean: float
) -> float:
    """The most that a mean changes when its mask is moved by the doubt along any axis."""
    if doubt_mm <= 0:
        return 0.0
    index = np.argwhere(mask)
    most = 0.0
    for axis in range(3):
        steps = max(1, round(doubt_mm / float(spacing_mm[axis])))
        # A step may be longer than the doubt; what it changes is taken in proportion.
        share = min(1.0, doubt_mm / (steps * float(spacing_mm[axis])))
        for sign in (-1, 1):
            there = index.copy()
            there[:, axis] = np.clip(there[:, axis] + sign * steps, 0, mask.shape[axis] - 1)
            found = values[tuple(there.T)]
            found = found[np.isfinite(found)]
            if len(found):
                most = max(most, share * abs(float(found.mean()) - mean))
    return most


def _change_when_redrawn(region: Region, values: FloatArray, mask: BoolArray, error_mm: float, mean: float) -> float:
    """The most that a mean changes when the lesion is drawn larger or smaller by its error."""
    if error_mm <= 0:
        return 0.0
    smaller = mask & (region.depth_mm >= min(error_mm, float(region.depth_mm[mask].max())))
    larger = mask | ((region.depth_mm < 0) & (region.depth_mm >= -error_mm) & np.isfinite(values))
    means = [float(values[m].mean()) for m in (smaller, larger) if m.any()]
    return max((abs(m - mean) for m in means), default=0.0)
