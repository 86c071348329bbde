"""How far a living rest reaches, once it is known that there is one.

Whether there is a rest is decided by its peak against chance. How far it reaches is another question: next to a proven
rest, a place is tumour from half of the tumour's own excess on, as a border lies half-way between two tissues.
Dead tissue in the lesion's place that a living rest encloses more than the zone does is the tumour's own core, which
took up little before the treatment and does so now: it proves no ablation, and stays with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from liverimg.core.labels import BoolArray
from liverimg.measure.parts import counted_parts
from liverimg.measure.zones.around import Around
from liverimg.measure.zones.border import Patch, hanging_on
from liverimg.measure.zones.distance import deepest_mm, near
from liverimg.measure.zones.lines import Lines
from liverimg.measure.zones.rules import ZoneRules

_HALF = 0.5
_BRIGHT_PERCENTILE = 90
_MM3_PER_ML = 1000.0


def takes_up(lines: Lines, threshold: float, rules: ZoneRules) -> BoolArray:
    """Places that take up contrast as living tumour does: an excess, a rise, and late no brighter."""
    found = np.asarray(lines.excess >= threshold)
    if lines.late is not None:
        found &= lines.late <= (0.0 if lines.dims else 2 * rules.focus.guard * lines.late_noise)
    if lines.rise is not None:
        found &= lines.rise >= lines.least
    return found


def whole_rests(
    seeds: Sequence[BoolArray], patch: Patch, around: Around, lines: Lines, rules: ZoneRules
) -> list[BoolArray]:
    """The rests that proven parts belong to; parts that hang together are one.

    Args:
        seeds: Parts whose peak chance does not reach.
        patch: Around the zone.
        around: Its border.
        lines: Of the images that the parts were found in.
        rules: Constants.
    """
    if not seeds:
        return []
    proven = np.logical_or.reduce(seeds)
    bright = float(np.percentile(lines.excess[proven], _BRIGHT_PERCENTILE))
    own_excess = min(bright, lines.expected or bright)
    # Beside the lesion's place, where only its error lets a rest be, nothing is added to what is proven.
    like = patch.liver & (around.away_mm <= rules.focus.around_mm) & takes_up(lines, _HALF * own_excess, rules)
    like &= near(proven, patch.grid, rules.focus.grow_mm)
    rest = hanging_on(proven, like | proven)
    rest |= own_core(rest, around, patch, rules)
    return [part for part in parts_of(rest) if np.count_nonzero(part) * patch.grid.voxel_ml >= rules.focus.least_ml]


def parts_of(mask: BoolArray) -> list[BoolArray]:
    """Its connected parts, corners counted."""
    parts, count = counted_parts(mask)
    return [np.asarray(parts == number) for number in range(1, count + 1)]


def own_core(rest: BoolArray, around: Around, patch: Patch, rules: ZoneRules) -> BoolArray:
    """Dead tissue in the lesion's place that its living rest encloses more than the zone does.

    The border between the two is moved into the zone while it is hollow towards the rest. At the border of a ball with
    a sickle of tumour around it that takes a layer off the ball, so a core must be deeper than a layer.
    """
    own = rules.focus
    sigma = own.core_mm / patch.grid.spacing_mm
    free = around.zone & around.near & ~rest
    core = np.zeros(rest.shape, dtype=bool)
    for _ in range(int(own.core_rounds)):
        living = gaussian_filter((rest | core).astype(np.float32), sigma, truncate=2.0)
        dead = gaussian_filter((around.zone & ~rest & ~core).astype(np.float32), sigma, truncate=2.0)
        fresh = free & ~core & (living > dead)
        if not fresh.any():
            break
        core |= fresh
    deep = [part for part in parts_of(core) if deepest_mm(part, patch.grid) >= own.core_depth_mm]
    return np.logical_or.reduce(deep) if deep else np.zeros(rest.shape, dtype=bool)


def roundness(mask: BoolArray, patch: Patch) -> float:
    """Radius of the largest ball in a part against that of a ball of its volume: 1 for a ball, 0.63 for half of one."""
    volume_mm3 = np.count_nonzero(mask) * patch.grid.voxel_ml * _MM3_PER_ML
    return deepest_mm(mask, patch.grid) / float(np.cbrt(0.75 * volume_mm3 / np.pi))
