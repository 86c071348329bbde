"""Living tumour at a zone's border: what takes up more contrast early than its later phase explains.

A hyperaemic rim and vessels have an excess too; in the portal venous phase they are as bright as the liver or brighter,
as most tumours are not, and where the tumour was as bright itself, only what stands out of the rim counts. How much
excess counts follows from how many places the lesion may have lain at, so that an uncertain place makes no more foci.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.measure.zones.around import Around, Place
from liverimg.measure.zones.border import Patch
from liverimg.measure.zones.distance import deepest_mm, near
from liverimg.measure.zones.lines import Ground, Lines, cannot_tell, lines_of
from liverimg.measure.zones.losses import loss_lines
from liverimg.measure.zones.rests import parts_of, roundness, takes_up, whole_rests
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
    patch: Patch, zone: BoolArray, places: Sequence[Place], rules: ZoneRules, *, is_ct: bool
) -> tuple[list[Found], str]:
    """Living rests attached to a zone's border, where the lesion may have been; and what could not be told.

    A tumour that stands out well is looked for on sharp images. One that hardly stands out is looked for on smoother
    ones, where noise halves and larger rests don't, and the answer says from which size on they can be told.

    Args:
        patch: Around the zone.
        zone: Its voxels, holes not filled.
        places: Where its lesions lie now, one at least.
        rules: Constants.
        is_ct: Whether values are HU.
    """
    own = rules.focus
    error_mm = max(place.lesion.error_mm for place in places)
    if error_mm > own.place_most_mm:
        return [], (
            f"cannot tell, place uncertain: where the tumour lay is known to {error_mm:.0f} mm only, and a rest of it "
            f"is told from a rim or a vessel only where that is known to {own.place_most_mm:.0f} mm"
        )
    look = _look(patch, zone, places, rules, is_ct=is_ct)
    if isinstance(look, str):
        return [], look
    around, sight = look
    if sight.least_mm > own.sight_most_mm:
        return [], f"{sight.words()}: a living rest of it can't be told"
    return _foci(patch, around, sight, rules), _untold(around, sight, patch, rules)


def _look(
    patch: Patch, zone: BoolArray, places: Sequence[Place], rules: ZoneRules, *, is_ct: bool
) -> tuple[Around, _Sight] | str:
    """The sharpest images that show the smallest rests, or else those that tell most; why not where none do."""
    cannot = cannot_tell(patch)
    if cannot:
        return cannot
    around = Around.at(patch, zone, places, rules)
    ground = Ground.of(patch, around, rules, is_ct=is_ct)
    if isinstance(ground, str):
        return ground
    draw = loss_lines if ground.by_loss else lines_of
    sights = list[_Sight]()
    for smoothing_mm in (rules.focus.smoothing_mm, rules.focus.wide_mm):
        lines = draw(ground, places[0].lesion.contrast, smoothing_mm=smoothing_mm)
        if isinstance(lines, str):
            return lines
        peak = max(_threshold(lines, rules), _chance_peak(around, patch, lines, rules))
        least_mm = _least_mm(peak, lines, patch, rules)
        sights.append(_Sight(lines, peak, least_mm, _elsewhere(around, patch, lines, rules)))
        if least_mm <= rules.focus.smallest_mm:
            break
    return around, min(sights, key=lambda one: one.least_mm)


def _untold(around: Around, sight: _Sight, patch: Patch, rules: ZoneRules) -> str:
    """Which rests can't be told; empty where all from the smallest size on can."""
    own = rules.focus
    if sight.least_mm > own.smallest_mm:
        return f"{sight.words()}: living rests below {np.ceil(sight.least_mm):.0f} mm can't be told"
    least_mm = _least_mm(max(sight.peak, sight.elsewhere), sight.lines, patch, rules)
    if around.error_mm <= own.around_mm or least_mm <= own.smallest_mm:
        return ""
    which = f"living rests below {np.ceil(least_mm):.0f} mm" if np.isfinite(least_mm) else "living rests"
    return (
        f"where the tumour lay is known to {around.error_mm:.0f} mm only, and the border shows up to "
        f"{sight.elsewhere:.0f} {sight.lines.unit} where it can't have lain: {which} that reach no deeper into its "
        "place than that can't be told from a rim"
    )


@dataclass(frozen=True, eq=False)
class _Sight:
    """What can be told from images.

    Attributes:
        lines: The images.
        peak: The excess that chance does not reach.
        least_mm: How large a rest must be to show it.
        elsewhere: What the border shows where no tumour can have been.
    """

    lines: Lines
    peak: float
    least_mm: float
    elsewhere: float

    def words(self) -> str:
        """How tumour and chance stand to each other."""
        return (
            f"the tumour itself stood out by {self.lines.expected or 0.0:.0f} {self.lines.unit} only, and at this "
            f"border chance alone reaches {self.peak:.0f}"
        )


def _least_mm(peak: float, lines: Lines, patch: Patch, rules: ZoneRules) -> float:
    """Diameter from which on a ball of tumour, smoothed, stands out by so much; infinite where none does.

    The middle of a ball keeps what of the smoothing's kernel lies in it: chi square with three degrees of freedom.
    What it does not keep is half liver, where liver lies off the line.
    """
    if lines.expected is None:
        return rules.focus.smallest_mm
    if peak >= lines.expected:
        return float("inf")
    blur2 = lines.smoothing_mm**2 + float(np.mean(patch.grid.spacing_mm**2)) / _VARIANCE_OF_A_VOXEL
    beside = _HALF * lines.liver_gain
    return 2 * float(np.sqrt(blur2 * chi2.ppf((peak + beside) / (lines.expected + beside), 3)))


def _foci(patch: Patch, around: Around, sight: _Sight, rules: ZoneRules) -> list[Found]:
    lines = sight.lines
    alive = patch.liver & around.near & _alive(around.zone, lines, _threshold(lines, rules), rules)
    if not lines.dims and not lines.by_loss:
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
    and no layer, since a rim mixed with dead tissue has an excess too. And a rim goes around: where the tumour may have
    been or not, a focus must stand out of what the border shows where it can't have been, and be no layer unless it
    stands well out.
    """
    own = rules.focus
    if not _is_nodule(mask, around.outside_mm, patch, rules):
        return False
    lines = sight.lines
    away_mm, most = float(around.away_mm[mask].min()), float(lines.sure[mask].max())
    beside, unsure = away_mm > 0, away_mm > -around.error_mm
    least = max(sight.peak, own.beside_share * (lines.expected or 0.0)) if beside else sight.peak
    if most < least or (unsure and most < sight.elsewhere):
        return False
    stands_out = not unsure or most >= sight.elsewhere + own.guard * lines.noise
    return (stands_out and not beside) or roundness(mask, patch) >= own.round_share


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
    if lines.rise is None and not lines.by_loss:
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
    # Liver in part makes a loss smaller, so that its lower half says nothing of chance; what is astray is taken off.
    noise = lines.noise if lines.by_loss else max(lines.noise, float(middle - low))
    cell_mm3 = (4 * np.pi * lines.smoothing_mm**2) ** 1.5
    cells = max(1.0, np.count_nonzero(shell & around.near) * patch.grid.voxel_ml * _MM3_PER_ML / cell_mm3)
    return float(norm.isf(own.chance / cells)) * noise


def _elsewhere(around: Around, patch: Patch, lines: Lines, rules: ZoneRules) -> float:
    """The most that the border shows, looking like tumour, where the tumour can't have been."""
    shell = patch.liver & (np.abs(around.outside_mm) <= rules.focus.reach_mm) & ~around.near
    found = lines.sure[shell & takes_up(lines, 0.0, rules)]
    return float(found.max()) if len(found) else 0.0


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
    return np.asarray(alive & near(seeds, patch.grid, thick + own.beyond_rim_mm + 1.0))


def _is_sheet(mask: BoolArray, outside_mm: FloatArray, patch: Patch, rules: ZoneRules) -> bool:
    """Whether a part is a thin layer along the zone and no nodule: the border of a rim, or a phase laid astray."""
    thick = float(np.percentile(outside_mm[mask], 95)) - max(0.0, float(np.percentile(outside_mm[mask], 5)))
    return (
        2 * deepest_mm(mask, patch.grid) < rules.focus.thin_share * rules.focus.smallest_mm
        and thick < rules.focus.smallest_mm
    )
