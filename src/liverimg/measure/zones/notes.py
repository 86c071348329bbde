"""What a reader must know of a zone: gas, blood, oil and a rim, one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.measure.zones.around import Place
from liverimg.measure.zones.border import Patch
from liverimg.measure.zones.distance import signed_mm
from liverimg.measure.zones.finding import ENHANCED
from liverimg.measure.zones.necks import Cut
from liverimg.measure.zones.rules import ZoneRules

FloatArray = NDArray[np.float32]

_PER_CENT = 100.0
SURFACE_SHARE = 0.02
_BEYOND_SHARE = 0.03
NO_UNENHANCED = (
    "The study has no unenhanced phase: the zone is what is darker than the liver of the same phase, which is weaker "
    "evidence than a missing rise; old blood inside may look alive."
)


def notes_on(patch: Patch, zone: BoolArray, rules: ZoneRules, *, is_ct: bool) -> tuple[str, ...]:
    """Sentences about one zone.

    Args:
        patch: Around it.
        zone: Its voxels, holes filled.
        rules: Constants.
        is_ct: Whether values are HU.
    """
    notes = [] if Phase.UNENHANCED in patch.values else [NO_UNENHANCED]
    if is_ct:
        gas_ml = _ml(zone & _gas(patch, rules), patch)
        if gas_ml >= rules.finding.seen_ml:
            notes.append(f"Gas inside it ({gas_ml:.1f} ml) is counted as part of the zone.")
        oil = _ml(zone & oil_in(patch, rules), patch)
        if oil >= rules.finding.seen_ml:
            notes.append(f"Dense iodised oil inside it ({oil:.1f} ml) is counted as part of the zone.")
    blood_ml = _ml(zone & _blood(patch, zone, rules, is_ct=is_ct), patch)
    if blood_ml >= rules.finding.seen_ml:
        notes.append(
            f"{blood_ml:.1f} ml of it are brighter than the liver without contrast and do not enhance, as blood and "
            "charring are; they are counted as part of the zone."
        )
    rim = rim_mm(patch, zone, rules, is_ct=is_ct)
    if rim > 0:
        notes.append(
            f"A thin regular rim of about {rim:.0f} mm around it enhances in the arterial phase, as healing tissue "
            "does; it belongs neither to the zone nor to residual tumour."
        )
    surface = at_surface(patch, zone)
    if surface >= SURFACE_SHARE:
        notes.append(f"{surface:.0%} of its border lie on the liver's surface, as the liver was outlined.")
    return tuple(notes)


def notes_on_shape(zone: BoolArray, cut: Cut, places: Sequence[Place], rules: ZoneRules) -> tuple[str, ...]:
    """What the shape of a zone says: what hung on it, and whether it reaches farther than a zone should.

    Args:
        zone: Its voxels.
        cut: What was cut off it.
        places: Where the lesions lie that it was made for, as far as that is known.
        rules: Constants.
    """
    notes = []
    if cut.away_ml > 0:
        notes.append(
            f"{cut.away_ml:.1f} ml beside it do not enhance either, hang on it by a neck of {cut.neck_mm:.0f} mm at "
            "most and lie away from the lesion: they are left out of it, and not told apart from a cyst, a vein "
            "without contrast or a zone of its own."
        )
    if places and zone.any():
        away = _away_mm(places)
        farthest = float(away[zone].max())
        if farthest > rules.neck.far_mm:
            names = " and ".join(place.lesion.id for place in places)
            notes.append(
                f"It reaches {farthest:.0f} mm beyond the place of {names}: not told apart from another region without "
                "enhancement that touches it."
            )
    return tuple(notes)


def oil_in(patch: Patch, rules: ZoneRules) -> BoolArray:
    """Voxels as dense as iodised oil: without contrast, or in every phase where there is no unenhanced one."""
    before = patch.values.get(Phase.UNENHANCED)
    with np.errstate(invalid="ignore"):
        if before is not None:
            return np.asarray(before >= rules.enhancement.oil_least_hu)
        dense = [values >= rules.enhancement.oil_sure_hu for values in patch.values.values()]
    return np.asarray(np.logical_and.reduce(dense))


def oil_in_the_way(patch: Patch, zone: BoolArray, rules: ZoneRules) -> str:
    """Why foci can't be looked for on CT inside a zone with oil; empty where they can."""
    total = np.count_nonzero(zone)
    share = np.count_nonzero(zone & oil_in(patch, rules)) / total if total else 0.0
    if share < rules.finding.oil_share:
        return ""
    return f"{share:.0%} of the zone hold iodised oil, in which CT can't show enhancement; MR with subtraction can"


def rim_mm(patch: Patch, zone: BoolArray, rules: ZoneRules, *, is_ct: bool) -> float:
    """Thickness of a rim that is brighter than the liver around most of the zone in the arterial phase; 0 without."""
    early = next((p for p in (Phase.ARTERIAL, Phase.EARLY_ARTERIAL) if p in patch.values), None)
    if early is None or not zone.any():
        return 0.0
    values = patch.values[early]
    outside = -signed_mm(zone, patch.grid)
    usual = patch.parenchyma & (outside > 2 * rules.focus.rim_most_mm) & np.isfinite(values)
    if not usual.any():
        return 0.0
    level = float(np.median(values[usual]))
    least = rules.focus.hyper_hu if is_ct else level * rules.focus.hyper_percent / _PER_CENT
    thick = 0.0
    step = max(1.0, float(patch.grid.spacing_mm.min()))
    for start in np.arange(0.5, rules.focus.rim_most_mm + step, step):
        layer = patch.liver & (outside > start) & (outside <= start + step) & np.isfinite(values)
        if not layer.any() or float(np.median(values[layer])) - level < least:
            break
        thick = float(start + step / 2)
    return thick


def _gas(patch: Patch, rules: ZoneRules) -> BoolArray:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.logical_or.reduce([values < rules.finding.gas_hu for values in patch.values.values()]))


def _blood(patch: Patch, zone: BoolArray, rules: ZoneRules, *, is_ct: bool) -> BoolArray:
    before = patch.values.get(Phase.UNENHANCED)
    after = next((patch.values[p] for p in ENHANCED if p in patch.values), None)
    if before is None or after is None:
        return np.zeros(zone.shape, dtype=bool)
    usual = patch.parenchyma & ~zone & np.isfinite(before)
    if not usual.any():
        return np.zeros(zone.shape, dtype=bool)
    level, noise = float(np.median(before[usual])), patch.noise[Phase.UNENHANCED]
    least = rules.focus.hyper_hu if is_ct else level * rules.focus.hyper_percent / _PER_CENT
    oil = oil_in(patch, rules) if is_ct else np.zeros(zone.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        bright = (before - level > least + rules.finding.guard * noise) & (after - before < least)
    return np.asarray(bright & ~oil)


def at_surface(patch: Patch, zone: BoolArray) -> float:
    """How much of a zone's border is the liver's own surface."""
    border, at_edge = 0, 0
    for axis in range(3):
        for step in (-1, 1):
            beyond = zone & ~np.roll(zone, step, axis)
            border += int(np.count_nonzero(beyond))
            at_edge += int(np.count_nonzero(beyond & ~np.roll(patch.liver, step, axis)))
    return at_edge / border if border else 0.0


def perhaps_older(patch: Patch, zone: BoolArray, places: Sequence[Place]) -> str:
    """Why a zone may be dead tissue that its lesions had before; empty where it reaches beyond their places.

    Args:
        patch: Around it.
        zone: Its voxels.
        places: Where the lesions lie that it was made for, as far as that is known.
    """
    if not places or not zone.any():
        return ""
    away = _away_mm(places)
    beyond = np.count_nonzero(zone & (away > float(patch.grid.spacing_mm.max()) / 2)) / np.count_nonzero(zone)
    if beyond >= _BEYOND_SHARE:
        return ""
    names = " and ".join(place.lesion.id for place in places)
    return (
        f"It reaches nowhere beyond the place of {names}: it may be dead tissue that the tumour had before, and no "
        "ablation zone."
    )


def _away_mm(places: Sequence[Place]) -> FloatArray:
    """Distance from where the nearest of the lesions may lie."""
    return np.asarray(np.minimum.reduce([place.away_mm - place.lesion.error_mm for place in places]))


def _ml(mask: BoolArray, patch: Patch) -> float:
    return float(np.count_nonzero(mask)) * patch.grid.voxel_ml
