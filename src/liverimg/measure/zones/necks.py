"""What hangs on a zone by a neck and lies away from every treated lesion: a cyst, a dark vein, a zone of its own.

Nothing in the images tells such a body from the zone, since it does not enhance either; its shape does. A zone is a
ball or several that overlap widely. A body that only a neck joins to it, and that no lesion was treated in, is cut off
and said, so that the zone is not silently twice its size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import box_of
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.parts import counted_parts
from liverimg.measure.zones.distance import away_mm, depth_mm, grown, most_in
from liverimg.measure.zones.rules import NeckRules


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
    whole, cut_ml, neck_mm = np.array(mask), 0.0, 0.0
    box = box_of(mask)
    if box is None:
        return Cut(whole, 0.0, 0.0)
    box = grown(box, 0.0, grid, mask.shape)
    left, close = whole[box], near[box]
    depth = depth_mm(left, grid, ends_at_edge=False)
    for radius_mm in np.arange(rules.step_mm, float(depth.max()), rules.step_mm):
        away = _hanging(left, close, np.where(left, depth, 0), grid, float(radius_mm), rules)
        if away.any():
            cut_ml += float(np.count_nonzero(away)) * grid.voxel_ml
            neck_mm = 2 * float(radius_mm)
            left &= ~away
    return Cut(whole, cut_ml, neck_mm)


def _hanging(
    mask: BoolArray, near: BoolArray, depth: NDArray[np.float32], grid: Grid, radius_mm: float, rules: NeckRules
) -> BoolArray:
    """What is joined to the rest by a neck of no more than this radius."""
    nothing = np.zeros(mask.shape, dtype=bool)
    cores, count = counted_parts(depth > radius_mm, by_faces=True)
    home = np.unique(cores[near & (cores > 0)])
    if count < 2 or not len(home):
        return nothing
    deepest = most_in(depth, cores, count).astype(float)
    least_mm = max(radius_mm / rules.neck_share, radius_mm + rules.body_mm)
    if float(deepest[home].max()) < least_mm:
        return nothing
    others = [n for n in range(1, count + 1) if n not in home and deepest[n] >= least_mm]
    if not others:
        return nothing
    to_others = away_mm(np.isin(cores, others), grid)
    to_rest = away_mm((cores > 0) & ~np.isin(cores, others), grid)
    away = mask & (to_others < to_rest) & ~near
    return away if np.count_nonzero(away) * grid.voxel_ml >= rules.least_ml else nothing
