"""Frames that show nothing new: a frozen image, or a display that runs faster than the probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverimg.core.cine import Box, DroppedFrames

# JPEG gives a frozen frame back to within its rounding; speckle moves every pixel by more between two frames.
_SAME_MEAN_LEVELS: Final = 0.25
_SAME_MOST_LEVELS: Final = 4


def without_repeats(grey: NDArray[np.uint8], boxes: Sequence[Box]) -> tuple[list[int], tuple[DroppedFrames, ...]]:
    """Frames that show something new in at least one picture; clocks and cursors outside the pictures don't count."""
    kept, dropped = [0], list[DroppedFrames]()
    for index in range(1, len(grey)):
        if not all(_same(grey[(kept[-1], *box.slices)], grey[(index, *box.slices)]) for box in boxes):
            kept.append(index)
        elif dropped and dropped[-1].last == index - 1 and dropped[-1].same_as == kept[-1]:
            dropped[-1] = replace(dropped[-1], last=index)
        else:
            dropped.append(DroppedFrames(index, index, kept[-1]))
    return kept, tuple(dropped)


def _same(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    if not first.any():
        # Black before contrast arrives is a measurement, not a freeze.
        return False
    difference = np.abs(first.astype(np.int16) - second)
    return bool(difference.mean() <= _SAME_MEAN_LEVELS and difference.max() <= _SAME_MOST_LEVELS)
