"""How thick the abdominal wall is on the shortest way from the skin to a lesion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import map_coordinates

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.measure.approach import ApproachSettings
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.scene import Scene
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import pitch_mm

WALL_NAME = "abdominal_wall_thickness"
LAYER_NAMES = ("wall_fat_thickness", "wall_muscle_thickness")
_STEPS_PER_VOXEL = 8
_LAYERS = (Structure.FAT, Structure.MUSCLE)

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
    pitch = pitch_mm(scene.grid, body.band_spacing_mm, direction(start, end))
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
        half=quadrature(pitch / 2, settings.band_line * pitch, *errors),
        method=method,
        points=(evidence("on_skin", start), evidence("on_liver", start + thickness * direction(start, end))),
        sources=body.sources,
    )


def measure_wall_layers(near: Measured, subject: Subject, body: Body, settings: ApproachSettings) -> list[Measured]:
    """Fat and muscle between skin and liver along the line of the smallest depth.

    On CT by the values on the line; elsewhere by the labels of fat and muscle, where they were looked for. Thin soft
    tissue at the outside is skin and counts as neither.

    Args:
        near: The measured ``depth_from_skin_near`` of a lesion.
        subject: The lesion.
        body: The body it lies in.
        settings: Which values are which tissue.
    """
    wall = measure_wall(near, subject, body)
    if isinstance(wall, NotMeasured):
        return [NotMeasured(name, wall.target, wall.reason) for name in LAYER_NAMES]
    drawn = all(body.scene.labels.knows(s) for s in _LAYERS)
    if body.hounsfield is None and not drawn:
        reason = "fat is not told from muscle here: no CT, and they were not drawn"
        return [NotMeasured(name, wall.target, reason) for name in LAYER_NAMES]
    start, end = (np.asarray(p.lps_mm) for p in wall.evidence)
    count = _steps(wall.value, body.scene)
    points = start + (np.arange(count) + 0.5)[:, None] / count * (end - start)
    by_labels = drawn and (body.hounsfield is None or body.quality.by_person(*_LAYERS))
    fat, muscle = _drawn(points, body.scene) if by_labels else _shown(points, body, settings)
    steps_a_mm = count / max(wall.value, settings.skin_most_mm)
    line = direction(start, end)
    if not by_labels:
        fat = _without_edge(fat, muscle, pitch_mm(body.scene.grid, body.scene.grid.spacing_mm, line) * steps_a_mm)
    muscle = _without_skin(fat, muscle, settings.skin_most_mm * steps_a_mm)
    words = "labelled" if by_labels else "by HU"
    errors = [surface_error_mm(subject.quality, s) for s in (Structure.SKIN, Structure.LIVER)]
    pitch = pitch_mm(body.scene.grid, body.band_spacing_mm, line)
    half = quadrature(pitch, body.settings.band_line * pitch, *errors)
    layers = zip(LAYER_NAMES, ("fat", "muscle"), (fat, muscle), strict=True)
    return [
        banded(
            name,
            wall.target,
            float(found.mean()) * wall.value,
            "mm",
            half=half,
            method=f"{what} ({words}) between skin and liver, along the line of the wall's thickness",
            points=wall.evidence,
            sources=body.sources,
        )
        for name, what, found in layers
    ]


def _drawn(points: FloatArray, scene: Scene) -> tuple[BoolArray, BoolArray]:
    index = np.clip(np.rint(scene.grid.lps_mm_to_index(points)).astype(int), 0, np.array(scene.grid.shape) - 1)
    found = scene.labels.array[tuple(index.T)]
    fat, muscle = (np.isin(found, scene.values(s)) for s in (Structure.FAT, Structure.MUSCLE))
    return fat, muscle


def _shown(points: FloatArray, body: Body, settings: ApproachSettings) -> tuple[BoolArray, BoolArray]:
    """Fat and muscle by values between the voxels, which blur less than the nearest voxel jumps."""
    if body.hounsfield is None:
        raise AssertionError("only asked for where there is a CT")
    index = body.scene.grid.lps_mm_to_index(points)
    low = np.maximum(np.floor(index.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 2, body.scene.grid.shape)
    part = body.hounsfield.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32)
    values = map_coordinates(part, (index - low).T, order=1, mode="nearest")
    fat = (values >= settings.fat_low_hu) & (values <= settings.fat_high_hu)
    return fat, (values > settings.fat_high_hu) & (values <= settings.muscle_high_hu)


def _without_edge(fat: BoolArray, muscle: BoolArray, most_steps: float) -> BoolArray:
    """Fat without what is no wider than a voxel outside the first soft tissue: skin mixed with air has its values."""
    first = int(np.argmax(muscle)) if muscle.any() else len(muscle)
    if first > most_steps:
        return fat
    inner = fat.copy()
    inner[:first] = False
    return inner


def _without_skin(fat: BoolArray, muscle: BoolArray, most_steps: float) -> BoolArray:
    """Muscle without the soft tissue outside the first fat, where that is as thin as skin."""
    first = int(np.argmax(fat)) if fat.any() else len(fat)
    if first > most_steps:
        return muscle
    inner = muscle.copy()
    inner[:first] = False
    return inner
