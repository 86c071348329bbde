"""Where frames lie along their normal: which share a place, and whether places follow each other evenly."""

from __future__ import annotations

from collections import Counter

import numpy as np

from liverimg.dicom.frame import Frame
from liverimg.dicom.stack import FEWEST_SLICES, SAME_PLACE_MM, depths_mm

Frames = tuple[Frame, ...]


def place_numbers(frames: Frames) -> list[int]:
    """For each frame the number of the place along the normal where it lies."""
    depth = depths_mm(frames)
    order = np.argsort(depth, kind="stable")
    steps = np.diff(depth[order]) > SAME_PLACE_MM
    ranks = np.concatenate(([0], np.cumsum(steps)))
    numbers = np.empty(len(frames), dtype=int)
    numbers[order] = ranks
    return [int(n) for n in numbers]


def crowding(frames: Frames) -> int:
    """The largest number of frames at one place."""
    return max(Counter(place_numbers(frames)).values())


def is_even(frames: Frames) -> bool:
    """Whether slices follow each other at one distance."""
    if len(frames) < FEWEST_SLICES:
        return True
    gaps_mm = np.diff(np.sort(depths_mm(frames)))
    return bool(np.abs(gaps_mm - np.median(gaps_mm)).max() <= SAME_PLACE_MM)
