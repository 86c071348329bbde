"""Parametric maps: peak and time to peak of every place, by the best of many lognormal shapes.

Each place's curve, smoothed over its neighbourhood, is held against a table of shapes; the amplitude of each shape is
its least-squares solution, weighted by the level as the region's fit is. A table can't run away as a fit of a noisy
pixel can.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverimg.measure.perfusion.aligned import Aligned
from liverimg.measure.perfusion.curve import Lognormal
from liverimg.measure.perfusion.enhancement import smoothed

FloatArray = NDArray[np.float64]

_SIGMAS: Final = (0.4, 0.6, 0.8, 1.0, 1.3)
_STARTS: Final = 5
_RISES: Final = 14
# Start of the shapes around the arrival in the picture; rise times looked through, in seconds.
_START_SPAN_S: Final = 4.0
_RISE_ENDS_S: Final = (5.0, 80.0)
_SMOOTH: Final = 1.5


@dataclass(frozen=True, eq=False)
class ParametricMaps:
    """Maps on the reference frame, shape (j, i); NaN where nothing washes in.

    Attributes:
        peak: Highest enhancement, arbitrary units of echo power.
        time_to_peak_s: On the cine's clock.
        mean_enhancement: Over all frames after the arrival.
    """

    peak: FloatArray = field(repr=False)
    time_to_peak_s: FloatArray = field(repr=False)
    mean_enhancement: FloatArray = field(repr=False)


def parametric_maps(aligned: Aligned, *, arrival_s: float, least_share: float) -> ParametricMaps:
    """Peak and time to peak everywhere.

    Args:
        aligned: Frames on the reference.
        arrival_s: Of contrast in the picture.
        least_share: Share of the picture's median peak below which a place has no time to peak.
    """
    times = aligned.times_s
    before = times < arrival_s
    power = np.where(np.isfinite(aligned.power), aligned.power, 0.0)
    seen = np.isfinite(aligned.power)
    baseline = float(np.median(aligned.power[before][seen[before]])) if before.any() else 0.0
    curves = np.stack(
        [
            smoothed(frame - baseline, own & aligned.picture, aligned.pixels(_SMOOTH))
            for frame, own in zip(power, seen, strict=True)
        ]
    )
    shapes, peaks_s = _shapes(times, arrival_s)
    inside = aligned.picture & (seen.mean(axis=0) > 1 / 2)
    values = curves[:, inside]
    level = np.maximum(values.mean(axis=1), 0.0)
    weights = 1 / np.maximum(level, 1e-3 + level.max() / 10) ** 2
    best_peak, best_time = _matched(values, shapes, peaks_s, weights)
    peak, time = np.full(inside.shape, np.nan), np.full(inside.shape, np.nan)
    peak[inside] = np.maximum(best_peak, 0.0)
    enough = best_peak >= least_share * float(np.median(best_peak))
    time[inside] = np.where(enough, best_time, np.nan)
    mean = np.where(inside, curves[~before].mean(axis=0) if (~before).any() else 0.0, np.nan)
    return ParametricMaps(peak, time, mean)


def _shapes(times_s: FloatArray, arrival_s: float) -> tuple[FloatArray, FloatArray]:
    rows, peaks = [], []
    for start in np.linspace(arrival_s - 2 * _START_SPAN_S, arrival_s + _START_SPAN_S, _STARTS):
        for rise in np.geomspace(*_RISE_ENDS_S, _RISES):
            for sigma in _SIGMAS:
                curve = Lognormal(0.0, 1.0, float(start), float(rise), sigma)
                if curve.peak_s <= times_s[-1]:
                    rows.append(curve.at(times_s))
                    peaks.append(curve.peak_s)
    return np.array(rows), np.array(peaks)


def _matched(
    values: FloatArray, shapes: FloatArray, peaks_s: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Amplitude and peak time of the shape that leaves the least weighted error of each column."""
    lengths = (shapes**2 * weights).sum(axis=1)
    products = (shapes * weights) @ values
    gain = np.where(products > 0, products**2 / np.maximum(lengths, 1e-12)[:, None], -1.0)
    best = gain.argmax(axis=0)
    at = np.arange(values.shape[1])
    return products[best, at] / np.maximum(lengths[best], 1e-12), peaks_s[best]
