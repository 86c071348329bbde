"""How thick the abdominal wall is on the shortest way from the skin to a lesion."""

from __future__ import annotations

import numpy as np

from liverimg.core.labels import LabelQuality, Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.liver import LiverBody
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.surface import pitch_mm

WALL_NAME = "abdominal_wall_thickness"
_STEPS_PER_VOXEL = 8


def measure_wall(
    near: Measured,
    scene: Scene,
    liver: LiverBody | None,
    quality: LabelQuality,
    *,
    settings: MeasureSettings,
    sources: tuple[str, ...] = (),
) -> Measured:
    """Length from the skin to the liver along the line of the smallest depth.

    All that lies between skin and liver on that line counts as wall, ribs, lung or fluid too: the method says so.

    Args:
        near: The measured ``depth_from_skin_near`` of a lesion; its end points give the line.
        scene: What is drawn.
        liver: The liver of anatomy.
        quality: Errors of the drawn surfaces.
        settings: Constants of the bands.
        sources: Series UIDs.
    """
    if isinstance(near, NotMeasured):
        return NotMeasured(WALL_NAME, near.target, near.reason)
    if liver is None:
        return NotMeasured(WALL_NAME, near.target, "no liver is drawn, so the inner end of the wall is unknown")
    start, end = (np.asarray(p.lps_mm) for p in reversed(near.evidence))
    count = max(2, int(near.value / float(scene.grid.spacing_mm.min()) * _STEPS_PER_VOXEL))
    shares = np.linspace(0, 1, count)
    points = start + shares[:, None] * (end - start)
    index = np.rint(liver.grid.lps_mm_to_index(points)).astype(int)
    in_box = ((index >= 0) & (index < liver.mask.shape)).all(axis=1)
    inside = np.zeros(count, dtype=bool)
    inside[in_box] = liver.mask[tuple(index[in_box].T)]
    if not inside.any():
        return NotMeasured(WALL_NAME, near.target, "the shortest line from the skin to the lesion meets no liver")
    thickness = float(shares[int(np.argmax(inside))]) * near.value
    pitch = pitch_mm(scene.grid, scene.grid.spacing_mm, direction(start, end))
    errors = [surface_error_mm(quality, s) for s in (Structure.SKIN, Structure.LIVER)]
    return banded(
        WALL_NAME,
        near.target,
        thickness,
        "mm",
        half=quadrature(pitch / 2, settings.band_depth * pitch, *errors),
        method="from skin to liver along the shortest line to the lesion; whatever lies between counts as wall",
        points=(evidence("on_skin", start), evidence("on_liver", start + thickness * direction(start, end))),
        sources=sources,
    )
