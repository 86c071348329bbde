"""How thick the abdominal wall is on the shortest way from the skin to a lesion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.scene import Scene
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import pitch_mm

WALL_NAME = "abdominal_wall_thickness"
_STEPS_PER_VOXEL = 8

# What sound does not pass, or passes bent.
_OBSTACLES = (
    Structure.BONE,
    Structure.LUNG,
    Structure.GAS,
    Structure.BOWEL,
    Structure.STOMACH,
    Structure.HEART,
    Structure.ASCITES,
)


def in_the_way(near: Measured, scene: Scene) -> dict[Structure, float]:
    """Length in mm of each obstacle (bone, lung, gas, ...) on the shortest line from the skin to a lesion.

    Empty when the line is free, when nothing of the kind was looked for, or when there is no line.
    """
    if isinstance(near, NotMeasured):
        return {}
    start, end = (np.asarray(p.lps_mm) for p in reversed(near.evidence))
    count = _steps(near.value, scene)
    points = start + np.linspace(0, 1, count)[:, None] * (end - start)
    index = np.clip(np.rint(scene.grid.lps_mm_to_index(points)).astype(int), 0, np.array(scene.grid.shape) - 1)
    found = scene.labels.array[tuple(index.T)]
    lengths = {s: float(np.isin(found, scene.values(s)).mean()) * near.value for s in _OBSTACLES}
    return {s: length for s, length in lengths.items() if length > 0}


def obstacles_text(lengths_mm: Mapping[Structure, float]) -> str:
    """Such as "9 mm of bone and 11 mm of lung"."""
    words = [f"{max(1, round(length))} mm of {structure.value}" for structure, length in lengths_mm.items()]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _steps(length_mm: float, scene: Scene) -> int:
    return max(2, int(length_mm / float(scene.grid.spacing_mm.min()) * _STEPS_PER_VOXEL))


def measure_wall(near: Measured, subject: Subject, body: Body) -> Measured:
    """Length from the skin to the liver along the line of the smallest depth.

    All that lies between skin and liver on that line counts as wall, ribs, lung or fluid too: the method says so.

    Args:
        near: The measured ``depth_from_skin_near`` of a lesion; its end points give the line.
        subject: The lesion.
        body: The body it lies in.
    """
    scene, liver, quality, settings = body.scene, body.liver, subject.quality, body.settings
    if isinstance(near, NotMeasured):
        return NotMeasured(WALL_NAME, near.target, near.reason)
    if liver is None:
        return NotMeasured(WALL_NAME, near.target, "no liver is drawn, so the inner end of the wall is unknown")
    start, end = (np.asarray(p.lps_mm) for p in reversed(near.evidence))
    count = _steps(near.value, scene)
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
    method = "from skin to liver along the shortest line to the lesion; whatever lies between counts as wall"
    crossed = in_the_way(near, scene)
    if crossed:
        method += f", here {obstacles_text(crossed)}"
    return banded(
        WALL_NAME,
        near.target,
        thickness,
        "mm",
        half=quadrature(pitch / 2, settings.band_depth * pitch, *errors),
        method=method,
        points=(evidence("on_skin", start), evidence("on_liver", start + thickness * direction(start, end))),
        sources=body.sources,
    )
