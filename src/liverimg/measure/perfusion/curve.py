"""Time-intensity curves: a lognormal fitted to the mean echo power of a region, and what it says.

Model: ``baseline + peak * exp(-ln((t - t0) / rise)^2 / (2 sigma^2))`` after ``t0``, the lognormal density scaled to
its mode (Strouthos et al. 2010 found it and the diffusion-with-drift model to fit best). Residuals are weighted by the
level: the noise of speckle is a share of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from liverimg.measure.perfusion.settings import CurveSettings

FloatArray = NDArray[np.float64]

# Starting points of the fit: a lognormal's own widths.
_SIGMAS: Final = (0.5, 0.8, 1.2)
_SIGMA_ENDS: Final = (0.15, 3.0)
_LEAST_RISE_S: Final = 0.5
# Arrival is where the fitted curve has risen by this share of its peak; reference/clinical definition.
_ARRIVAL_SHARE: Final = 0.1
_HALF: Final = 0.5
_FEWEST_FRAMES: Final = 12
# Half widths of a normal 95 % interval, in standard deviations.
_Z95: Final = 1.96
_FINE: Final = 4000


@dataclass(frozen=True)
class Lognormal:
    """The fitted curve, in seconds of the cine's clock and arbitrary units of echo power."""

    baseline: float
    peak: float
    start_s: float
    rise_s: float
    sigma: float

    def at(self, times_s: FloatArray) -> FloatArray:
        """Echo power, baseline included."""
        since = np.maximum(times_s - self.start_s, 1e-9)
        shape = np.exp(-(np.log(since / self.rise_s) ** 2) / (2 * self.sigma**2))
        return np.asarray(self.baseline + self.peak * np.where(times_s > self.start_s, shape, 0.0))

    @property
    def peak_s(self) -> float:
        """Time of the peak."""
        return self.start_s + self.rise_s

    def reaches_s(self, share: float, *, falling: bool = False) -> float:
        """When the curve passes a share of its peak, on its way up or down."""
        way = np.sqrt(-2 * np.log(share)) * self.sigma
        return float(self.start_s + self.rise_s * np.exp(way if falling else -way))

    @property
    def arrival_s(self) -> float:
        """Time of the first tenth of the rise."""
        return self.reaches_s(_ARRIVAL_SHARE)

    @property
    def mean_transit_s(self) -> float:
        """First moment after the start: exp(mu + sigma^2 / 2)."""
        return float(self.rise_s * np.exp(1.5 * self.sigma**2))

    def steepest(self, *, falling: bool = False) -> float:
        """Largest slope on the way up, or down, as a positive number per second."""
        end_s = self.reaches_s(1e-3, falling=falling)
        times = np.linspace(min(self.peak_s, end_s), max(self.peak_s, end_s), _FINE)
        slopes = np.gradient(self.at(times), times)
        return float(-slopes.min() if falling else slopes.max())

    def area(self, start_s: float, end_s: float) -> float:
        """Area above the baseline between two times."""
        times = np.linspace(start_s, end_s, _FINE)
        return float(np.trapezoid(self.at(times) - self.baseline, times))


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted curve and how far it can be trusted.

    Attributes:
        curve: The model.
        r_squared: Share of the weighted variance that it explains.
        covariance: Of peak, start, rise and sigma (in this order), shape (4, 4).
        residual: Relative residuals, shape (t,).
    """

    curve: Lognormal
    r_squared: float
    covariance: FloatArray = field(repr=False)
    residual: FloatArray = field(repr=False)

    def half_width(self, of: Callable[[Lognormal], float], *, model_share: float) -> float:
        """Half width of the 95 % band of something computed from the curve: first order, and the model's own error.

        Args:
            of: What is computed.
            model_share: Error of the model itself, as a share of the value.
        """
        at = np.array([self.curve.peak, self.curve.start_s, self.curve.rise_s, self.curve.sigma])
        scale = np.array([self.curve.peak, self.curve.rise_s, self.curve.rise_s, self.curve.sigma])
        slope = np.zeros(4)
        for n in range(4):
            step = np.zeros(4)
            step[n] = 1e-3 * scale[n]
            slope[n] = (of(self._with(at + step)) - of(self._with(at - step))) / (2 * step[n])
        spread = float(np.sqrt(max(0.0, float(slope @ self.covariance @ slope))))
        return float(np.hypot(_Z95 * spread, model_share * abs(of(self.curve))))

    def _with(self, values: FloatArray) -> Lognormal:
        peak, start_s, rise_s, sigma = (float(v) for v in values)
        return Lognormal(self.curve.baseline, peak, start_s, rise_s, sigma)


def fit_curve(times_s: FloatArray, power: FloatArray, *, settings: CurveSettings) -> Fit | str:
    """Fits the model to a region's curve, or says why it can't be.

    Args:
        times_s: Of each frame.
        power: Mean echo power of the region in each frame; NaN where it is not seen.
        settings: Limits.

    Returns:
        The fit; or one clause for a person: too few frames, no wash-in, contrast there from the start, the peak not
        reached, or a curve that is none.
    """
    seen = np.isfinite(power)
    t, y = times_s[seen], power[seen]
    if len(t) < _FEWEST_FRAMES or t[-1] <= t[0]:
        return f"too few frames show it ({len(t)}, at least {_FEWEST_FRAMES} are needed)"
    smooth = _smoothed(y)
    first = int(settings.baseline_frames)
    base, top = float(np.median(y[:first])), float(smooth.max())
    if top < settings.least_rise * base:
        if smooth[0] >= settings.least_rise * float(smooth.min()):
            return "contrast had arrived before the clip began: it starts high and only falls"
        return f"there is no wash-in: echo power rises {top / max(base, 1e-9):.2f}-fold, at least " + (
            f"{settings.least_rise:g}-fold is contrast"
        )
    weights = 1 / np.maximum(smooth, settings.floor_share * top)
    best = _best(t, y, weights, base, top, smooth)
    # Once more with weights from the fit itself: weights from noisy data favour what is low by chance.
    weights = 1 / np.maximum(Lognormal(*best.x).at(t), settings.floor_share * top)
    best = _best(t, y, weights, base, top, smooth)
    curve = Lognormal(*(float(v) for v in best.x))
    residual = (y - curve.at(t)) * weights
    spread = ((y - np.average(y, weights=weights**2)) * weights) ** 2
    r_squared = 1 - float((residual**2).sum() / spread.sum())
    reason = _refused(curve, t, r_squared, settings)
    return reason or Fit(curve, r_squared, _covariance(best.jac, residual), residual)


def _refused(curve: Lognormal, t: FloatArray, r_squared: float, settings: CurveSettings) -> str:
    """Why a fitted curve says nothing; empty when it does."""
    if t[0] > curve.arrival_s or float(curve.at(t[:1])[0]) - curve.baseline > _ARRIVAL_SHARE * curve.peak:
        return "contrast had arrived before the clip began, so that arrival and rise can't be measured"
    if curve.peak_s > t[-1]:
        return "the clip ends before the curve reaches its peak"
    if r_squared < settings.least_r_squared:
        return f"the curve does not follow a bolus (R2 {r_squared:.2f}, at least {settings.least_r_squared:g})"
    return ""


def _smoothed(y: FloatArray) -> FloatArray:
    padded = np.pad(y, 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=-1))


def _best(
    t: FloatArray, y: FloatArray, weights: FloatArray, base: float, top: float, smooth: FloatArray
) -> optimize.OptimizeResult:
    """The best of several starts; bounded so that every parameter keeps its meaning."""
    peak_at = float(t[int(smooth.argmax())])
    risen = np.flatnonzero(smooth > base + _ARRIVAL_SHARE * (top - base))
    onset = float(t[max(0, int(risen[0]) - 1)])
    span = float(t[-1] - t[0])
    lower = [0.0, 0.0, float(t[0]) - span, _LEAST_RISE_S, _SIGMA_ENDS[0]]
    upper = [top, 10 * top, float(t[-1]), 3 * span, _SIGMA_ENDS[1]]

    def error(p: FloatArray) -> FloatArray:
        return np.asarray((Lognormal(*p).at(t) - y) * weights)

    found = []
    for sigma in _SIGMAS:
        rise = max(2 * _LEAST_RISE_S, peak_at - onset)
        start = np.clip([base, top - base, onset, rise, sigma], np.array(lower) + 1e-6, np.array(upper) - 1e-6)
        found.append(
            optimize.least_squares(
                error, start, bounds=(lower, upper), x_scale=np.array([top, top, rise, rise, 1.0]), max_nfev=200
            )
        )
    return min(found, key=lambda result: float(result.cost))


def _covariance(jacobian: FloatArray, residual: FloatArray) -> FloatArray:
    """Of the last four parameters; residuals that follow each other count as fewer."""
    freedom = max(1, len(residual) - jacobian.shape[1])
    variance = float((residual**2).sum()) / freedom
    centred = residual - residual.mean()
    total = float(centred @ centred)
    follow = float(np.clip(centred[1:] @ centred[:-1] / total, 0, 0.9)) if total else 0.0
    inflated = variance * (1 + follow) / (1 - follow)
    return np.asarray((np.linalg.pinv(jacobian.T @ jacobian) * inflated)[1:, 1:])
