"""The diaphragm, which no label shows: the part of the liver's surface that lies under lung or heart."""

from __future__ import annotations

from math import ceil

import edt
import numpy as np

from liverimg.core.boxes import Box
from liverimg.core.labels import BoolArray, LabelQuality, Structure
from liverimg.measure.liver import LiverBody
from liverimg.measure.proximity import OutsideSource
from liverimg.measure.scene import Scene

_OVER_THE_DOME = (Structure.LUNG, Structure.HEART)
_COARSE_MM = 3.0


class DomeSource:
    """What lies outside the liver within reach of lung or heart, in any region of the scene.

    Attributes:
        box: Where that is.
    """

    def __init__(self, outside: OutsideSource, near: BoolArray, start: tuple[int, ...], steps: tuple[int, ...]) -> None:
        self._outside, self._near, self._start, self._steps = outside, near, start, steps
        self.box: Box | None = outside.box

    def __call__(self, region: Box) -> BoolArray:
        """The mask in the region."""
        axes = [
            np.clip((np.arange(r.start, r.stop) - a) // s, 0, n - 1)
            for r, a, s, n in zip(region, self._start, self._steps, self._near.shape, strict=True)
        ]
        return np.asarray(self._outside(region) & self._near[np.ix_(*axes)])


def dome_of(scene: Scene, liver: LiverBody | None, quality: LabelQuality, *, reach_mm: float) -> DomeSource | str:
    """The liver's surface under lung and heart, or why it can't be told.

    Args:
        scene: What is drawn.
        liver: The liver of anatomy.
        quality: What could be seen.
        reach_mm: Diaphragm, pleura and a film of fat between lung and liver are no thicker than this.
    """
    if liver is None:
        return "no liver is drawn, so its surface under the diaphragm is unknown"
    unseen = [s for s in _OVER_THE_DOME if s in quality.not_visible]
    if not scene.labels.knows(Structure.LUNG) or Structure.LUNG in unseen:
        return "the lungs were not looked for, so where the diaphragm lies over the liver is unknown"
    spacing = scene.grid.spacing_mm
    margin = [ceil(reach_mm / float(s)) + 1 for s in spacing]
    box = tuple(
        slice(max(0, b.start - m), min(n, b.stop + m))
        for b, m, n in zip(liver.box, margin, scene.grid.shape, strict=True)
    )
    steps = tuple(max(1, round(_COARSE_MM / float(s))) for s in spacing)
    coarse: Box = tuple(slice(b.start, b.stop, s) for b, s in zip(box, steps, strict=True))  # type: ignore[assignment]
    over = scene.mask(coarse, *_OVER_THE_DOME)
    if not over.any():
        return "no lung or heart is drawn over the liver: the diaphragm's distance is unknown, not far"
    away = edt.edt(
        np.ascontiguousarray(~over), anisotropy=tuple(float(s * n) for s, n in zip(spacing, steps, strict=True))
    )
    outside = OutsideSource(liver.mask, liver.box, scene.grid.shape)
    start = tuple(b.start - s // 2 for b, s in zip(box, steps, strict=True))
    return DomeSource(outside, np.asarray(away <= reach_mm), start, steps)
