"""Living tumour at a zone's border: what takes up more contrast early than its later phase explains.

A hyperaemic rim and vessels have an excess too; in the portal venous phase they are as bright as the liver or brighter,
as most tumours are not, and where the tumour was as bright itself, only what stands out of the rim counts. How much
excess counts follows from how many places the lesion may have lain at, so that an uncertain place makes no more foci.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.measure.zones.border import Patch, signed_mm
from liverimg.measure.zones.lines import Lines
from liverimg.measure.zones.rules import ZoneRules

FloatArray = NDArray[np.float32]

_FULL_NEIGHBOURHOOD = 26
_MM3_PER_ML = 1000.0
_HALF = 0.5
_BRIGHT_PERCENTILE = 90
_ONE_SD_BELOW = 15.9  # percentile of a normal distribution


@dataclass(frozen=True, eq=False)
class Found:
    """One focus, on the patch's grid."""

    mask: BoolArray = field(repr=False)
    volume_ml: float
    phases: tuple[Phase, ...]


def find_foci(
    patch: Patch, zone: BoolArray, place: BoolArray, lines: Lines, rules: ZoneRules, *, error_mm: float
) -> list[Found] | str:
    """Living rests attached to a zone's border, where the lesion may have been; or why none could be told from noise.

    Args:
        patch: Around the zone.
        zone: Its voxels, holes not filled.
        place: Where the lesion lies now.
        lines: From :func:`lines_of`.
        rules: Constants.
        error_mm: Of the lesion's place, 95 %.
    """
    own = rules.focus
    if error_mm > own.place_most_mm:
        return (
            f"cannot tell, place uncertain: where the tumour lay is known to {error_mm:.0f} mm only, and a rest of it "
            f"is told from a rim or a vessel only where that is known to {own.place_most_mm:.0f} mm"
        )
    outside_mm = -signed_mm(zone, patch.grid)
    away_mm = -signed_mm(place, patch.grid)
    near_place = away_mm <= own.around_mm + error_mm
    threshold = _threshold(lines, rules)
    alive = patch.liver & near_place & _alive(zone, lines, threshold, rules)
    if not lines.dims:
        alive &= _beyond_rim(alive, outside_mm, patch, rules)
    peak = max(threshold, _chance_peak(near_place, outside_mm, patch, lines, rules))
    if lines.expected is not None and peak > lines.expected * own.most_of_expected:
        return (
            f"the tumour itself stood out by {lines.expected:.0f} {lines.unit} only, and at this border chance alone "
            f"reaches {peak:.0f}: a living rest of it can't be told"
        )
    parts = cc3d.connected_components(np.pad(alive, 1), connectivity=_FULL_NEIGHBOURHOOD)[1:-1, 1:-1, 1:-1]
    found = []
    for number in range(1, int(parts.max()) + 1):
        mask = np.asarray(parts == number)
        # Its border is half-way, like that of the zone.
        mask &= lines.excess >= _HALF * float(np.percentile(lines.excess[mask], _BRIGHT_PERCENTILE))
        # Where only the place's error lets the tumour have been, a focus must look like it, and not half like it.
        beside = float(away_mm[mask].min()) > 0
        least = max(peak, own.beside_share * (lines.expected or 0.0)) if beside else peak
        if float(lines.excess[mask].max()) >= least and _is_nodule(mask, outside_mm, patch, rules):
            found.append(Found(mask, float(np.count_nonzero(mask)) * patch.grid.voxel_ml, lines.phases))
    return sorted(found, key=lambda focus: -focus.volume_ml)


def _threshold(lines: Lines, rules: ZoneRules) -> float:
    """The least excess of a place that may be tumour."""
    wanted = lines.least if lines.expected is None else rules.focus.excess_share * lines.expected
    return max(wanted, rules.focus.guard * lines.noise)


def _alive(zone: BoolArray, lines: Lines, threshold: float, rules: ZoneRules) -> BoolArray:
    """Places that take up contrast as living tumour does."""
    own = rules.focus
    alive = np.asarray(lines.excess >= threshold)
    # Where the tumour was about as dark as dead tissue in the late phase, the zone's border took it for such. Without
    # a rise to prove it, old blood inside the zone looks the same unless the excess is nearly the tumour's own.
    if lines.rise is None:
        sure = np.inf if lines.expected is None else max(threshold, own.sure_share * lines.expected, own.sure_hu)
        alive &= ~zone | (lines.excess >= sure)
    if lines.late is not None:
        alive &= lines.late <= (2 * own.guard * lines.late_noise if not lines.dims else 0.0)
    if lines.rise is not None:
        alive &= lines.rise >= lines.least
    return alive


def _chance_peak(near: BoolArray, outside_mm: FloatArray, patch: Patch, lines: Lines, rules: ZoneRules) -> float:
    """The excess that chance reaches once in so many studies somewhere at the border, where a rest is looked for.

    The border is noisier than the liver: phases lie astray by a fraction of a millimetre, rims and clots are uneven.
    Its own lower half tells how much, since living tumour only adds to the upper one. The less is known of the lesion's
    place, the more places are looked at, and the more chance reaches.
    """
    own = rules.focus
    shell = patch.liver & (np.abs(outside_mm) <= own.reach_mm) & np.isfinite(lines.excess)
    if not shell.any():
        return 0.0
    low, middle = np.percentile(lines.excess[shell], (_ONE_SD_BELOW, 50))
    noise = max(lines.noise, float(middle - low))
    cell_mm3 = (4 * np.pi * own.smoothing_mm**2) ** 1.5
    cells = max(1.0, np.count_nonzero(shell & near) * patch.grid.voxel_ml * _MM3_PER_ML / cell_mm3)
    return float(norm.isf(own.chance / cells)) * noise


def _is_nodule(mask: BoolArray, outside_mm: FloatArray, patch: Patch, rules: ZoneRules) -> bool:
    """Large enough, attached to the border from within or without, and no layer along it."""
    own = rules.focus
    least_ml = np.pi / 6 * (own.smallest_share * own.smallest_mm) ** 3 / _MM3_PER_ML
    if np.count_nonzero(mask) * patch.grid.voxel_ml < least_ml:
        return False
    nearest, farthest = float(outside_mm[mask].min()), float(outside_mm[mask].max())
    return nearest <= own.reach_mm and farthest >= -own.reach_mm and not _is_sheet(mask, outside_mm, patch, rules)


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
