"""Splines along one axis, as sparse matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from liverimg.core.grid import FloatArray

CUBIC = 3
_BEYOND = 12  # pixels beyond a picture's edge, more than a spline looks


def taps(places: FloatArray, count: int, *, order: int) -> Any:
    """Weights of a spline's coefficients at places between them: a sparse matrix, one row a place.

    Args:
        places: Fractional indices from 0 to ``count - 1``.
        count: How many coefficients there are; beyond the ends they are mirrored.
        order: Of the spline: 1 linear, 3 cubic.
    """
    first = np.floor(places)
    t = places - first
    if order == CUBIC:
        offsets = np.arange(-1, 3)
        weights = [(1 - t) ** 3 / 6, 2 / 3 - t**2 + t**3 / 2, 2 / 3 - (1 - t) ** 2 + (1 - t) ** 3 / 2, t**3 / 6]
    else:
        weights, offsets = [1 - t, t], np.arange(2)
    index = first.astype(int)[:, None] + offsets
    last = max(count - 1, 1)
    index = np.abs((index + last) % (2 * last) - last) if count > 1 else np.zeros_like(index)
    pointers = np.arange(len(places) + 1) * len(offsets)
    values = np.stack(weights, axis=1).astype(np.float32).ravel()
    return sparse.csr_array((values, index.ravel(), pointers), shape=(len(places), count))


def cubic_picture(picture: NDArray[Any], rows: FloatArray, columns: FloatArray) -> NDArray[np.float32]:
    """A picture at fractional rows and columns, by cubic interpolation; beyond its edge it goes on as it ends there.

    A cubic spline of a picture is one of its rows and then of its columns.

    Args:
        picture: Shape (rows, columns).
        rows: Wanted rows.
        columns: Wanted columns.
    """
    padded = np.pad(picture, _BEYOND, mode="edge")
    bent = ndimage.spline_filter(padded, CUBIC, output=np.float32, mode="nearest")
    down, across = (
        taps(np.clip(at + _BEYOND, 0, n - 1), n, order=CUBIC)
        for at, n in zip((rows, columns), padded.shape, strict=True)
    )
    return np.asarray((across @ (down @ bent).T).T, dtype=np.float32)


def linear_lines(lines: NDArray[Any], places: FloatArray) -> NDArray[np.float32]:
    """Linear interpolation between the lines of an array, along its first axis; 0 beyond the first and the last."""
    count = len(lines)
    inside = (places >= 0) & (places <= count - 1)
    flat = np.ascontiguousarray(lines, dtype=np.float32).reshape(count, -1)
    found = taps(np.clip(places, 0, count - 1), count, order=1) @ flat
    found[~inside] = 0.0
    return np.asarray(found.reshape(len(places), *lines.shape[1:]))


def linear_picture(picture: NDArray[Any], rows: FloatArray, columns: FloatArray) -> NDArray[np.float32]:
    """A picture at fractional rows and columns, by linear interpolation; 0 beyond its edge."""
    return linear_lines(linear_lines(picture, rows).T, columns).T
