"""From what went wrong on held-out cases to promises about the next: bands that hold, percentages that are true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

FloatArray = NDArray[np.float64]

COVERED = 0.95
"""Share of surface points that a band has to hold."""
FEWEST_CASES = 10
"""With fewer the last twentieth of the points is less than half of one case: nothing can be said of it."""
# Each case is represented by this many quantiles of its points, so that a large organ weighs no more than a small one.
_LEVELS = 200
_PERCENT = 100
_COOLEST, _HOTTEST = 0.2, 8.0


def conformal_factor(scores: Sequence[FloatArray], *, covered: float = COVERED) -> float | None:
    """The factor that holds a share of the points of a new case, on average over cases.

    Split conformal prediction for points that come in cases, by pooling the cases' distributions (Dunn R, Wasserman L,
    Ramdas A. Distribution-free prediction sets for two-layer hierarchical models. JASA 2023;118:2491): each case has
    the same weight, however many points it has. The share is met in the limit of many cases; with few it is an
    estimate, which is why it is checked on others. The variant with a guarantee for any number of cases counts in one
    that went infinitely wrong; with two dozen cases it asked for 99 % instead of 95 and doubled the bands.

    Args:
        scores: Per case, each point's error over the case's own yardstick.
        covered: Wanted share.

    Returns:
        None when there are too few cases to say anything.
    """
    cases = [case for case in scores if len(case)]
    if len(cases) < FEWEST_CASES:
        return None
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    pooled = np.concatenate([np.quantile(case, levels) for case in cases])
    return float(np.quantile(pooled, covered, method="higher"))


def coverage(scores: Sequence[FloatArray], factor: float) -> float | None:
    """Mean over cases of the share of points whose score is within the factor."""
    shares = [float((case <= factor).mean()) for case in scores if len(case)]
    return float(np.mean(shares)) if shares else None


def temperature_for(right: FloatArray, total: FloatArray) -> float:
    """The temperature under which percentages tell best how often a label is right (least log loss).

    Args:
        right: Per percentage 0 to 100, how many voxels with it carried the true label.
        total: Per percentage, how many voxels there were.
    """
    log_odds = _log_odds()

    def loss(log_temperature: float) -> float:
        share = 1 / (1 + np.exp(-log_odds / np.exp(log_temperature)))
        return -float((right * np.log(share) + (total - right) * np.log(1 - share)).sum())

    found = minimize_scalar(loss, bounds=(np.log(_COOLEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def calibration_error(right: FloatArray, total: FloatArray, percent: NDArray[np.uint8] | None = None) -> float:
    """Expected calibration error: mean gap between percentage given and share that was right, by voxels.

    Args:
        right: As in :func:`temperature_for`.
        total: Likewise.
        percent: What becomes of each percentage; as it is when absent.
    """
    shown = np.arange(_PERCENT + 1) if percent is None else percent.astype(int)
    rights, totals = np.bincount(shown, right, _PERCENT + 1), np.bincount(shown, total, _PERCENT + 1)
    there = totals > 0
    gaps = np.abs(rights[there] / totals[there] - np.flatnonzero(there) / _PERCENT)
    return float((gaps * totals[there]).sum() / totals.sum()) if there.any() else 0.0


def _log_odds() -> FloatArray:
    share = np.clip(np.arange(_PERCENT + 1) / _PERCENT, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(share / (1 - share)))
