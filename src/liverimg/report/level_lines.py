"""Lines of one level in a picture, with as few points as a screen needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import measure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def level_lines(field: NDArray[Any], level: float) -> list[FloatArray]:
    """Where a picture crosses a level (marching squares): points (row, column) of each line, closed or open."""
    return list(measure.find_contours(field, level))  # type: ignore[no-untyped-call]


def simplified(lines: Sequence[FloatArray], tolerance: float) -> list[FloatArray]:
    """The lines with fewer points: none that was left out lies farther off than a tolerance (Douglas and Peucker).

    The same points stay as in ``skimage.measure.approximate_polygon``. All stretches of all lines are split side by
    side, one round after the other, because the splits do not depend on each other.

    Args:
        lines: Points of each line, shape (n, 2), at least one.
        tolerance: In the lines' own unit, above 0.
    """
    if not lines:
        return []
    points = np.concatenate(lines)
    ends = np.cumsum([len(line) for line in lines])
    stays = np.zeros(len(points), dtype=bool)
    start, end = ends - [len(line) for line in lines], ends - 1
    stays[start] = stays[end] = True
    while True:
        long = end - start > 1
        start, end = start[long], end[long]
        if not len(start):
            break
        away, where = _farthest(points, start, end)
        split = away > tolerance
        stays[where[split]] = True
        start, end = np.concatenate([start[split], where[split]]), np.concatenate([where[split], end[split]])
    return [line[kept] for line, kept in zip(lines, np.split(stays, ends[:-1]), strict=True)]


def _farthest(points: FloatArray, start: IntArray, end: IntArray) -> tuple[FloatArray, IntArray]:
    """Of each stretch, the distance and the index of its first point that lies farthest from the line of its ends.

    Args:
        points: All points, shape (n, 2).
        start: First point of each stretch.
        end: Last point of each, at least two further on.
    """
    counts = end - start - 1
    first = np.cumsum(counts) - counts
    which = np.repeat(np.arange(len(start)), counts)
    inner = np.arange(len(which)) + (start + 1 - first)[which]
    a, b = points[start], points[end]
    (down, across), angle = (b - a).T, -np.arctan2(b[:, 0] - a[:, 0], b[:, 1] - a[:, 1])
    cosine, sine = np.cos(angle), np.sin(angle)
    offset = a[:, 1] * sine + a[:, 0] * cosine
    row, column = points[inner].T
    row0, column0 = row - a[which, 0], column - a[which, 1]
    row1, column1 = row - b[which, 0], column - b[which, 1]
    down, across = down[which], across[which]
    beside = (row0 * down + column0 * across > 0) & (-row1 * down - column1 * across > 0)
    to_line = np.abs(row * cosine[which] + column * sine[which] - offset[which])
    to_ends = np.sqrt(np.minimum(column0**2 + row0**2, column1**2 + row1**2))
    away = np.where(beside, to_line, to_ends)
    most = np.maximum.reduceat(away, first)
    hits = np.flatnonzero(away == most[which])
    # The first hit of each stretch: written backwards, so that it comes last.
    where = np.zeros(len(start), dtype=np.intp)
    where[which[hits[::-1]]] = inner[hits[::-1]]
    return most, where
