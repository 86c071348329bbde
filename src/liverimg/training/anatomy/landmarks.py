"""Where the vena cava and the hilum of a real liver must be, read from the liver's own shape.

Maps are in standard order (k to Superior, j to Posterior, i to Left) with one spacing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.anatomy.fitting import box_of

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Search windows in mm relative to the spinal canal: right of it, left of it, and in front of it.
_CAVA_RIGHT_MM, _CAVA_LEFT_MM = 55.0, 5.0
_CAVA_NEAR_MM, _CAVA_FAR_MM = 28.0, 85.0
# The infrahepatic cava runs right of the vertebral bodies.
_BELOW_RIGHT_MM, _BELOW_AHEAD_MM = 20.0, 50.0
_BLUR_MM = 11.0
_HILUM_BLUR_MM = 14.0


@dataclass(frozen=True)
class Landmarks:
    """Points in mm from the map's first voxel, components (k, j, i).

    Attributes:
        cava: Centre line of the inferior vena cava, upwards, shape (n, 3).
        cava_at_dome: Where the hepatic veins join it.
        hilum: Where the portal vein enters.
    """

    cava: FloatArray
    cava_at_dome: FloatArray
    hilum: FloatArray


def find_landmarks(
    liver: BoolArray, free: BoolArray, cord: FloatArray, *, spacing_mm: float, rng: np.random.Generator
) -> Landmarks:
    """Finds the caval groove and the hilum as the deepest hollows of the liver at their places.

    Args:
        liver: The real liver, shape (k, j, i).
        free: Voxels that a vein may fill: no liver, bone, aorta or lung.
        cord: Middle of the spinal canal (j, i) per slice, shape (k, 2), in voxels.
        spacing_mm: Of the map.
        rng: Jitters the course outside the liver.
    """
    low, high = box_of(liver)
    surround = ndimage.gaussian_filter(liver.astype(np.float32), _BLUR_MM / spacing_mm)
    groove = _groove(surround, free, cord, low[0], high[0], spacing_mm)
    bottom = low[0] + int(0.35 * (high[0] - low[0]))
    course = []
    for k in range(len(liver)):
        if bottom <= k < high[0]:
            course.append(groove[k - low[0]])
        elif k < bottom:
            blend = np.clip((bottom - k) * spacing_mm / 40.0, 0, 1)
            below = cord[k] - np.array([_BELOW_AHEAD_MM, _BELOW_RIGHT_MM]) / spacing_mm
            course.append((1 - blend) * groove[bottom - low[0]] + blend * below)
        else:
            course.append(groove[-1] + (k - high[0]) * np.array([-0.5, 0.25]))
    line = ndimage.gaussian_filter1d(np.array(course), 8.0 / spacing_mm, axis=0, mode="nearest")
    cava = np.column_stack([np.arange(len(liver)), line]) * spacing_mm
    dome_k = _dome_slice(liver, line, low[0], high[0], spacing_mm)
    hilum = _hilum(liver, line, low[0], high[0], spacing_mm, rng)
    return Landmarks(cava, cava[dome_k], hilum * spacing_mm)


def _groove(
    surround: NDArray[np.float32], free: BoolArray, cord: FloatArray, first: int, last: int, spacing_mm: float
) -> FloatArray:
    """Per slice of the liver the free voxel most surrounded by liver, as one smooth line (j, i)."""
    columns = np.arange(surround.shape[2])
    rows = np.arange(surround.shape[1])
    cost = []
    for k in range(first, last):
        right_mm = (cord[k, 1] - columns) * spacing_mm
        ahead_mm = (cord[k, 0] - rows) * spacing_mm
        window = np.outer(
            (ahead_mm > _CAVA_NEAR_MM) & (ahead_mm < _CAVA_FAR_MM),
            (right_mm > -_CAVA_LEFT_MM) & (right_mm < _CAVA_RIGHT_MM),
        )
        # Deep hollows far in front are fissures and the hilum, not the groove: prefer what is near the spine.
        score = surround[k] - 0.006 * np.abs(ahead_mm - 52.0)[:, None] - 0.004 * np.abs(right_mm - 22.0)
        cost.append(np.where(window & free[k], score, -1.0))
    stack = ndimage.gaussian_filter1d(np.array(cost), 6.0 / spacing_mm, axis=0)
    best = stack.reshape(len(stack), -1).argmax(axis=1)
    line = np.stack(np.unravel_index(best, stack.shape[1:]), axis=1).astype(float)
    line = ndimage.median_filter(line, size=(max(3, round(25 / spacing_mm)), 1), mode="nearest")
    return np.asarray(line)


def _dome_slice(liver: BoolArray, line: FloatArray, first: int, last: int, spacing_mm: float) -> int:
    """Highest slice with much liver within 25 mm of the cava."""
    reach = round(25 / spacing_mm)
    for k in range(last - 1, first, -1):
        j, i = np.round(line[k]).astype(int)
        near = liver[k, max(0, j - reach) : j + reach, max(0, i - reach) : i + reach]
        if near.sum() * spacing_mm**2 > 250.0:
            return max(first, k - round(6 / spacing_mm))
    return (first + 2 * last) // 3


def _hilum(
    liver: BoolArray, line: FloatArray, first: int, last: int, spacing_mm: float, rng: np.random.Generator
) -> FloatArray:
    """The hollow in front of the cava, at mid height, (k, j, i) in voxels."""
    # The hilum is never further than this from the cava: nothing else needs looking at.
    near = round(70.0 / spacing_mm)
    low = np.maximum(0, np.floor(line[first:last].min(axis=0)).astype(int) - near)
    high = np.minimum(liver.shape[1:], np.ceil(line[first:last].max(axis=0)).astype(int) + near)
    part = liver[first:last, low[0] : high[0], low[1] : high[1]]
    surround = ndimage.gaussian_filter(part.astype(np.float32), _HILUM_BLUR_MM / spacing_mm, mode="constant")
    outside = ~ndimage.binary_dilation(part, iterations=max(1, round(2 / spacing_mm)))
    height = last - first
    level = (np.arange(height, dtype=np.float32) / height)[:, None, None]
    ahead_mm = (line[first:last, 0][:, None, None] - np.arange(low[0], high[0])[None, :, None]) * spacing_mm
    right_mm = (line[first:last, 1][:, None, None] - np.arange(low[1], high[1])[None, None, :]) * spacing_mm
    window = outside & (level > 0.2) & (level < 0.75) & (ahead_mm > 15) & (ahead_mm < 60) & (np.abs(right_mm) < 30)
    score = surround - 0.4 * np.abs(level - 0.5) - 0.004 * np.abs(ahead_mm - 32) - 0.003 * np.abs(right_mm)
    score = np.where(window, score, -np.inf)
    if not np.isfinite(score).any():
        middle = (first + last) // 2
        return np.array([middle, line[middle, 0] - 30 / spacing_mm, line[middle, 1]])
    found = np.add(np.unravel_index(int(score.argmax()), score.shape), (first, *low))
    return found + rng.normal(0, 2.0 / spacing_mm, size=3)
