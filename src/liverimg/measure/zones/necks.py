"""What hangs on a zone by a neck and lies away from every treated lesion: a cyst, a dark vein, a zone of its own.

Nothing in the images tells such a body from the zone, since it does not enhance either; its shape does. A zone is a
ball or several that overlap widely. A body that only a neck joins to it, and that no lesion was treated in, is cut off
and said, so that the zone is not silently twice its size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.zones.rules import NeckRules

_FACES = 6


@dataclass(frozen=True, eq=False)
class Cut:
    """A zone without what hung on it.

    Attributes:
        mask: What is left.
        away_ml: Volume that was cut off.
        neck_mm: Width of the widest neck that was cut; 0 without one.
    """

    mask: BoolArray = field(repr=False)
    away_ml: float
    neck_mm: float


def cut_at_necks(mask: BoolArray, near: BoolArray, grid: Grid, rules: NeckRules) -> Cut:
    """Cuts off bodies that a neck joins to the part of a zone where a lesion was treated.

    Args:
        mask: The zone.
        near: Where a treated lesion may have been.
        grid: Of both.
        rules: Constants.
    """
    left, cut_ml, neck_mm = np.array(mask), 0.0, 0.0
    depth_mm = _depth(mask, grid)
    for radius_mm in np.arange(rules.step_mm, float(depth_mm.max()), rules.step_mm):
        away = _hanging(left, near, np.where(left, depth_mm, 0), grid, float(radius_mm), rules)
        if away.any():
            cut_ml += float(np.count_nonzero(away)) * grid.voxel_ml
            neck_mm = 2 * float(radius_mm)
            left &= ~away
    return Cut(left, cut_ml, neck_mm)


def _hanging(
    mask: BoolArray, near: BoolArray, depth_mm: NDArray[np.float32], grid: Grid, radius_mm: float, rules: NeckRules
) -> BoolArray:
    """What is joined to the rest by a neck of no more than this radius."""
    nothing = np.zeros(mask.shape, dtype=bool)
    cores = cc3d.connected_components(np.pad(depth_mm > radius_mm, 1), connectivity=_FACES)[1:-1, 1:-1, 1:-1]
    count = int(cores.max())
    home = np.unique(cores[near & (cores > 0)])
    if count < 2 or not len(home):
        return nothing
    deepest = np.zeros(count + 1)
    np.maximum.at(deepest, cores.ravel(), depth_mm.ravel())
    least_mm = max(radius_mm / rules.neck_share, radius_mm + rules.body_mm)
    if float(deepest[home].max()) < least_mm:
        return nothing
    others = [n for n in range(1, count + 1) if n not in home and deepest[n] >= least_mm]
    if not others:
        return nothing
    to_others = _depth(~np.isin(cores, others), grid)
    to_rest = _depth(~((cores > 0) & ~np.isin(cores, others)), grid)
    away = mask & (to_others < to_rest) & ~near
    return away if np.count_nonzero(away) * grid.voxel_ml >= rules.least_ml else nothing


def _depth(mask: BoolArray, grid: Grid) -> NDArray[np.float32]:
    spacing = tuple(float(s) for s in grid.spacing_mm)
    return np.asarray(edt.edt(np.ascontiguousarray(mask), anisotropy=spacing))
