"""Living tumour at a zone's border: what takes up more contrast early than its later phase explains.

A hyperaemic rim and vessels have an excess too; in the portal venous phase they are as bright as the liver or brighter,
as most tumours are not, and where the tumour was as bright itself, only what stands out of the rim counts. How much
excess counts follows from how many places the lesion may have lain at, so that an uncertain place makes no more foci.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.measure.zones.border import Patch, signed_mm
from liverimg.measure.zones.lines import Lines, lines_of
from liverimg.measure.zones.rests import Around, parts_of, roundness, takes_up, whole_rests
from liverimg.measure.zones.rules import ZoneRules

FloatArray = NDArray[np.float32]

_MM3_PER_ML = 1000.0
_HALF = 0.5
_BRIGHT_PERCENTILE = 90
_VARIANCE_OF_A_VOXEL = 12.0  # of places evenly spread over a width of 1
_ONE_SD_BELOW = 15.9  # percentile of a normal distribution


@dataclass(frozen=True, eq=False)
class Found:
    """One focus, on the patch's grid."""

    mask: BoolArray = field(repr=False)
    volume_ml: float
    phases: tuple[Phase, ...]


def find_foci(
    patch: Patch,
    zone: BoolArray,
    place: BoolArray,
    contrast: Mapping[Phase, float],
    rules: ZoneRules,
    *,
    error_mm: float,
    is_ct: bool,
) -> tuple[list[Found], str]:
    """Living rests attached to a zone's border, where the lesion may have been; and what could not be told.

    A tumour that stands out well is looked for on sharp images. One that hardly stands out is looked for on smoother
    ones, where noise halves and larger rests don't, and the answer says from which size on they can be told.

    Args:
        patch: Around the zone.
        zone: Its voxels, holes not filled.
        place: Where the lesion lies now.
        contrast: Of the tumour to the liver before the treatment, by phase; HU, or per cent.
        rules: Constants.
        error_mm: Of the lesion's place, 95 %.
        is_ct: Whether values are HU.
    """
    own = rules.focus
    if error_mm > own.place_most_mm:
        return [], (
            f"cannot tell, place uncertain: where the tumour lay is known to {error_mm:.0f} mm only, and a rest of it "
            f"is told from a rim or a vessel only where that is known to {own.place_most_mm:.0f} mm"
        )
    around = Around.of(patch, zone, place, rules, error_mm=error_mm)
    for smoothing_mm in (own.smoothing_mm, own.wide_mm):
        lines = lines_of(patch, zone, place, contrast, rules, smoothing_mm=smoothing_mm, is_ct=is_ct)
        if isinstance(lines, str):
            return [], lines
        peak = max(_threshold(lines, rules), _chance_peak(around, patch, lines, rules))
        sight = _Sight(lines, peak, _least_mm(peak, lines, patch, rules))
        if sight.least_mm <= own.smallest_mm:
            return _foci(patch, around, sight, rules), ""
    if sight.least_mm > own.sight_most_mm:
        return [], f"{sight.words()}: a living rest of it can't be told"
    why = f"{sight.words()}: living rests below {np.ceil(sight.least_mm):.0f} mm can't be told"
    return _foci(patch, around, sight, rules), why


@dataclass(frozen=True, eq=False)
class _Sight:
    """What can be told from images: the excess that chance does not reach, and how large a rest must be to show it."""

    lines: Lines
    peak: float
    least_mm: float

    def words(self) -> str:
        """How tumour and chance stand to each other."""
        return (
            f"the tumour itself stood out by {self.lines.expected or 0.0:.0f} {self.lines.unit} only, and at this "
            f"border chance alone reaches {self.peak:.0f}"
        )


def _least_mm(peak: float, lines: Lines, patch: Patch, rules: ZoneRules) -> float:
    """Diameter from which on a ball of tumour, smoothed, stands out by so much; infinite where none does.

    The middle of a ball keeps what of the smoothing's kernel lies in it: chi square with three degrees of freedom.
    """
    if lines.expected is None:
        return rules.focus.smallest_mm
    if peak >= lines.expected:
        return float("inf")
    blur2 = lines.smoothing_mm**2 + float(np.mean(patch.grid.spacing_mm**2)) / _VARIANCE_OF_A_VOXEL
    return 2 * float(np.sqrt(blur2 * chi2.ppf(peak / lines.expected, 3)))


def _foci(patch: Patch, around: Around, sight: _Sight, rules: ZoneRules) -> list[Found]:
    lines = sight.lines
    alive = patch.liver & around.near & _alive(around.zone, lines, _threshold(lines, rules), rules)
    if not lines.dims:
        alive &= _beyond_rim(alive, around.outside_mm, patch, rules)
    seeds = []
    for mask in parts_of(alive):
        # Its border is half-way, like that of the zone; what that cuts off must stand out by itself.
        half = _HALF * float(np.percentile(lines.excess[mask], _BRIGHT_PERCENTILE))
        seeds += [p for p in parts_of(mask & (lines.excess >= half)) if _proven(p, patch, around, sight, rules)]
    found = [
        Found(mask, float(np.count_nonzero(mask)) * patch.grid.voxel_ml, lines.phases)
        for mask in whole_rests(seeds, patch, around, lines, rules)
    ]
    return sorted(found, key=lambda focus: -focus.volume_ml)


def _proven(mask: BoolArray, patch: Patch, around: Around, sight: _Sight, rules: ZoneRules) -> bool:
    """Whether a part is a nodule at the border, and stands out more than chance does.

    Where only the place's error lets the tumour have been, a focus must look like it, and not half like it: as bright,
    and no layer, since a rim mixed with dead tissue has an excess too.
    """
    own = rules.focus
    if not _is_nodule(mask, around.outside_mm, patch, rules):
        return False
    beside = float(around.away_mm[mask].min()) > 0
    lines = sight.lines
    least = max(sight.peak, own.beside_share * (lines.expected or 0.0)) if beside else sight.peak
    return float(lines.excess[mask].max()) >= least and not (beside and roundness(mask, patch) < own.round_share)


def _threshold(lines: Lines, rules: ZoneRules) -> float:
    """The least excess of a place that may be tumour."""
    wanted = lines.least if lines.expected is None else rules.focus.excess_share * lines.expected
    return max(wanted, rules.focus.guard * lines.noise)


def _alive(zone: BoolArray, lines: Lines, threshold: float, rules: ZoneRules) -> BoolArray:
    """Places that take up contrast as living tumour does."""
    own = rules.focus
    alive = takes_up(lines, threshold, rules)
    # Where the tumour was about as dark as dead tissue in the late phase, the zone's border took it for such. Without
    # a rise to prove it, old blood inside the zone looks the same unless the excess is nearly the tumour's own.
    if lines.rise is None:
        sure = np.inf if lines.expected is None else max(threshold, own.sure_share * lines.expected, own.sure_hu)
        alive &= ~zone | (lines.excess >= sure)
    return alive


def _chance_peak(around: Around, patch: Patch, lines: Lines, rules: ZoneRules) -> float:
    """The excess that chance reaches once in so many studies somewhere at the border, where a rest is looked for.

    The border is noisier than the liver: phases lie astray by a fraction of a millimetre, rims and clots are uneven.
    Its own lower half tells how much, since living tumour only adds to the upper one. The less is known of the lesion's
    place, the more places are looked at, and the more chance reaches.
    """
    own = rules.focus
    shell = patch.liver & (np.abs(around.outside_mm) <= own.reach_mm) & np.isfinite(lines.excess)
    if not shell.any():
        return 0.0
    low, middle = np.percentile(lines.excess[shell], (_ONE_SD_BELOW, 50))
    noise = max(lines.noise, float(middle - low))
    cell_mm3 = (4 * np.pi * lines.smoothing_mm**2) ** 1.5
    cells = max(1.0, np.count_nonzero(shell & around.near) * patch.grid.voxel_ml * _MM3_PER_ML / cell_mm3)
    return float(norm.isf(own.chance / cells)) * noise


def _is_nodule(mask: BoolArray, outside_mm: FloatArray, patch: Patch, rules: ZoneRules) -> bool:
    """Large enough, attached to the border from within or without, and no layer along it."""
    own = rules.focus
    if np.count_nonzero(mask) * patch.grid.voxel_ml < own.least_ml:
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
