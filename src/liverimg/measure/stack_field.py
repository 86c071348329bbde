"""The field whose zero level is a blob's surface: slice by slice, led on beyond the ends, with planes in between.

Which field, and why it is quadratic along the stack, is told in :mod:`liverimg.measure.surface`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.slice_outline import slice_distances

_LEAST_DROP = 0.02  # of the field's top in the end slice
_FLAT_END_DROP = 2.3


def stack_field(padded: BoolArray, in_plane: FloatArray) -> tuple[NDArray[np.float64], int]:
    """The field of each slice that holds the blob, with one extrapolated slice beyond either end.

    Args:
        padded: Slices along the first axis, with at least one empty one at either end.
        in_plane: Spacing of rows and columns, mm.

    Returns:
        The stack, and the index of its first slice in the mask.
    """
    filled = np.flatnonzero(padded.any(axis=(1, 2)))
    low, high = int(filled[0]) - 1, int(filled[-1]) + 1
    distance, deepest = slice_distances(padded[low : high + 1], in_plane)
    known = deepest > 0
    stack = np.where(known[:, None, None], distance * (2 * deepest[:, None, None] - distance), 0.0)
    peak = stack[known].max()
    for k in np.flatnonzero(~known).tolist():
        beyond = [_beyond(stack, known, k, step) for step in (1, -1) if _is_known(known, k + step)]
        stack[k] = np.maximum.reduce(beyond) if beyond else -peak
    return stack, low


def _is_known(known: NDArray[np.bool_], k: int) -> bool:
    return 0 <= k < len(known) and bool(known[k])


def _beyond(stack: NDArray[np.float64], known: NDArray[np.bool_], k: int, step: int) -> NDArray[np.float64]:
    """The field in the empty slice ``k``, from up to three slices on the side of ``step``; nowhere positive."""
    end = stack[k + step]
    top = float(end.max())
    if not _is_known(known, k + 2 * step):
        # A single slice: a parabola through -3, 1, -3 passes zero half way to the next slice.
        return np.asarray(end - 4 * top)
    guess = 2 * end - stack[k + 2 * step]
    if _is_known(known, k + 3 * step):
        guess = 3 * end - 3 * stack[k + 2 * step] + stack[k + 3 * step]
    # The slice is empty, so the extrapolated field may not be positive. The more it would be, the blunter the
    # end: a flat end lies anywhere between the two slices, half way on average, which is where the spline passes
    # zero for the factor below.
    excess = float(guess.max())
    ceiling = -top * max(_LEAST_DROP, _FLAT_END_DROP * float(np.clip(excess / top, 0.0, 1.0)) ** 2)
    return np.asarray(guess - (excess - ceiling)) if excess > ceiling else guess


def refined(stack: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """The field with so many planes in the place of each slice, by splines along the stack."""
    if steps == 1:
        return stack
    count = len(stack)
    at = np.arange((count - 1) * steps + 1) / steps
    degree = min(3, count - 1)
    return np.asarray(make_interp_spline(np.arange(count), stack, k=degree, axis=0)(at))
