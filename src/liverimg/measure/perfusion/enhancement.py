"""Mean enhancement of every pixel over a phase, and how noisy it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.measure.perfusion.aligned import Aligned

FloatArray = NDArray[np.float64]

_FEWEST: Final = 4
# Frames in a row that belong to the same half: bubbles of neighbouring frames are in part the same.
_RUN: Final = 2


@dataclass(frozen=True, eq=False)
class PhaseMap:
    """Enhancement over the baseline, mean over a phase.

    Attributes:
        mean: Echo power less the baseline's, shape (j, i); 0 outside the picture.
        noise: Standard deviation of the mean from speckle, as a share of the level (one number for the map).
        seen: Pixels that enough frames see.
        frames: How many frames it rests on.
    """

    mean: FloatArray = field(repr=False)
    noise: float
    seen: NDArray[np.bool_] = field(repr=False)
    frames: int


def phase_map(aligned: Aligned, chosen: NDArray[np.bool_], baseline: float, *, smooth: float) -> PhaseMap | str:
    """Mean enhancement over the chosen frames, smoothed, with its noise from two halves of the frames.

    Args:
        aligned: Frames on the reference.
        chosen: Which of them belong to the phase, shape (t,).
        baseline: Mean power without contrast.
        smooth: Standard deviation of the Gaussian in filter units.

    Returns:
        The map, or one clause that says why there is none.
    """
    picked = np.flatnonzero(chosen)
    if len(picked) < _FEWEST:
        return f"{len(picked)} frames of this phase show the plane, at least {_FEWEST} are needed"
    power = aligned.power[picked]
    first = (np.arange(len(picked)) // _RUN) % 2 == 0
    halves = []
    for half in (first, ~first):
        halves.append(_mean(power[half]))
    total, count = _mean(power)
    seen = aligned.picture & (count * 2 >= len(picked))
    sigma = aligned.pixels(smooth)
    mean = smoothed(total - baseline, seen, sigma)
    both = seen & (halves[0][1] > 0) & (halves[1][1] > 0)
    difference = smoothed(halves[0][0] - halves[1][0], both, sigma) / 2
    inner = ndimage.binary_erosion(both, iterations=3)
    level = float(np.median(mean[inner])) if inner.any() else 0.0
    noise = float(np.std(difference[inner])) / level if level > 0 else float("inf")
    return PhaseMap(mean, noise, seen, len(picked))


def mean_of(aligned: Aligned, chosen: NDArray[np.bool_]) -> FloatArray:
    """Mean power over some frames, shape (j, i); 0 where none sees the place."""
    return _mean(aligned.power[np.flatnonzero(chosen)])[0]


def _mean(power: NDArray[np.float32]) -> tuple[FloatArray, NDArray[np.int64]]:
    seen = np.isfinite(power)
    count = seen.sum(axis=0)
    total = np.where(seen, power, 0).sum(axis=0, dtype=np.float64)
    return np.asarray(total / np.maximum(count, 1)), np.asarray(count)


def smoothed(values: FloatArray, inside: NDArray[np.bool_], sigma: tuple[float, float]) -> FloatArray:
    """A Gaussian that takes no account of what lies outside; 0 there."""
    share = ndimage.gaussian_filter(inside.astype(float), sigma)
    smooth = ndimage.gaussian_filter(np.where(inside, values, 0.0), sigma)
    return np.asarray(np.where(inside, smooth / np.maximum(share, 1e-6), 0.0))
