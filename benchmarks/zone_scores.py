"""How far drawn zones and foci agree with the known ones: what ``zone_truth.py`` counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt
from scipy.spatial import cKDTree

from liverimg.core.zones import ZoneMap
from liverimg.measure.surface import structure_points
from zone_cases import Case

_VEIN_MM = 3.0  # half the width of the widest vein that is closed over


@dataclass(frozen=True)
class ZoneScore:
    """One zone, or several that touch.

    Attributes:
        lesions: Whose.
        truth_ml: Known volume.
        found_ml: Drawn volume; None where nothing was drawn.
        border_mm: Distance below which 95 % of the drawn border lies from the true one; None likewise.
        stated_mm: The error that the map states.
        pitch_mm: Mean voxel pitch.
        one: Whether it was drawn as one zone exactly when it is one.
        dice: Overlap of voxels; 0 where nothing was drawn.
    """

    lesions: tuple[str, ...]
    truth_ml: float
    found_ml: float | None
    border_mm: float | None = None
    stated_mm: float | None = None
    pitch_mm: float = 1.0
    one: bool = True
    dice: float = 0.0

    @property
    def error(self) -> float:
        """Relative; 1 where nothing was drawn."""
        return -1.0 if self.found_ml is None else self.found_ml / self.truth_ml - 1


@dataclass(frozen=True)
class CaseScore:
    """All of one case."""

    zones: tuple[ZoneScore, ...]
    rests: int
    rests_found: int
    false_foci: int
    unknown: bool
    seconds: float = 0.0
    traits: object = field(default=None)


def score(case: Case, found: ZoneMap, seconds: float) -> CaseScore:
    """Holds a map against the truth."""
    grid = case.reference.grid
    zones, pitch_mm = [], float(np.prod(grid.spacing_mm) ** (1 / 3))
    for group in _touching(case):
        share = np.sum([case.dead[name] for name in group], axis=0)
        truth_ml = float(share.sum() * grid.voxel_ml)
        mine = [z for z in found.zones if set(z.lesions) & set(group)]
        if not mine:
            zones.append(ZoneScore(group, truth_ml, None))
            continue
        mask = np.isin(found.array, [z.value for z in mine])
        others = set().union(*(set(z.lesions) for z in mine)) - set(group)
        for other in others:  # drawn with a zone that it does not touch
            mask &= case.dead[other] < 0.5
        border = _border_mm(_bridged(mask, case), _bridged(share >= 0.5, case), case)
        stated = max(z.error_mm for z in mine)
        found_ml = float(np.count_nonzero(mask) * grid.voxel_ml)
        both = 2 * np.count_nonzero(mask & (share >= 0.5))
        dice = both / max(1, np.count_nonzero(mask) + np.count_nonzero(share >= 0.5))
        alone = len(mine) == 1 and not others
        zones.append(ZoneScore(group, truth_ml, found_ml, border, stated, pitch_mm, alone, dice))
    foci = [found.mask(focus) for focus in found.foci]
    near = binary_dilation(case.living, iterations=1)
    hit = sum(any((mask & rest).any() for mask in foci) for rest in case.rests)
    false = sum(not (mask & near).any() for mask in foci)
    return CaseScore(tuple(zones), len(case.rests), hit, false, bool(found.foci_unknown), seconds, case.traits)


def _touching(case: Case) -> list[tuple[str, ...]]:
    """Lesions whose zones are one."""
    names = list(case.dead)
    if len(names) == 1:
        return [tuple(names)]
    one, other = (binary_dilation(case.dead[name] >= 0.5) for name in names)
    return [tuple(names)] if (one & other).any() else [(name,) for name in names]


def _bridged(mask: np.ndarray, case: Case) -> np.ndarray:
    """With thin open veins through it closed: their walls are not the zone's border."""
    spacing = case.reference.grid.spacing_mm
    padded = np.pad(mask, [(int(np.ceil(_VEIN_MM / s)) + 1,) * 2 for s in spacing])
    near = distance_transform_edt(~padded, sampling=spacing) <= _VEIN_MM
    closed = distance_transform_edt(near, sampling=spacing) > _VEIN_MM
    inner = tuple(slice(int(np.ceil(_VEIN_MM / s)) + 1, -int(np.ceil(_VEIN_MM / s)) - 1) for s in spacing)
    return closed[inner] | mask


def _border_mm(mask: np.ndarray, truth: np.ndarray, case: Case) -> float:
    """Both ways, the worse; the liver's own surface counts too, because margins end there."""
    grid = case.reference.grid
    one, other = (structure_points(m, grid, smoothing=0.7) for m in (mask, truth))
    if not len(one) or not len(other):
        return float("inf")
    there, back = cKDTree(other).query(one)[0], cKDTree(one).query(other)[0]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))
