"""Outlines of masks, slice by slice: the inverse of :mod:`liverimg.dicom.contours`.

Lines run half-way between voxel centres in and out of the mask, so whoever asks which centres they enclose gets the
mask back. A hole is joined to the line around it by a channel without width, the keyhole that PS3.3 C.8.8.6.3 asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray

_HALF: Final = 0.5


def outlines(plane: BoolArray) -> Iterator[FloatArray]:
    """Closed lines around the voxels of one slice, in indices (j, i), shape (n, 2), the first point not repeated.

    Voxels that touch at a corner only are outlined apart.
    """
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not len(rows):
        return
    part = np.pad(plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32), 1)
    start = np.array((rows[0] - 1, columns[0] - 1), dtype=float)
    lines = [_without_straight(line[:-1]) for line in find_contours(part, _HALF)]  # type: ignore[no-untyped-call]
    areas = [_signed_area(line) for line in lines]
    # All outer lines turn one way, all holes the other; the largest line of a slice is an outer one.
    outer_sign = np.sign(areas[int(np.argmax(np.abs(areas)))])
    outer = [line for line, area in zip(lines, areas, strict=True) if np.sign(area) == outer_sign]
    holes = [line for line, area in zip(lines, areas, strict=True) if np.sign(area) != outer_sign]
    for line, own in zip(outer, _holes_of(outer, holes), strict=True):
        yield _with_keyholes(line, own) + start


def _without_straight(line: FloatArray) -> FloatArray:
    """The line without points that lie on the straight way between their neighbours."""
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    # Coordinates are multiples of one half, so this is exact.
    bends = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return np.asarray(line[bends])


def _signed_area(line: FloatArray) -> float:
    after = np.roll(line, -1, axis=0)
    return float((line[:, 0] * after[:, 1] - line[:, 1] * after[:, 0]).sum() / 2)


def _holes_of(outer: list[FloatArray], holes: list[FloatArray]) -> list[list[FloatArray]]:
    """For each outer line the holes that lie directly in it."""
    found: list[list[FloatArray]] = [[] for _ in outer]
    by_size = sorted(range(len(outer)), key=lambda n: abs(_signed_area(outer[n])))
    for hole in holes:
        around = [n for n in by_size if _is_inside(hole[0], outer[n])]
        # A hole always has a line around it, and the smallest is its own.
        found[around[0]].append(hole)
    return found


def _is_inside(point: FloatArray, line: FloatArray) -> bool:
    """Whether a point lies within a line, by the even-odd rule; lines of one mask never meet."""
    j, i = point
    low, high = line, np.roll(line, -1, axis=0)
    crosses = (low[:, 0] > j) != (high[:, 0] > j)
    low, high = low[crosses], high[crosses]
    at = low[:, 1] + (j - low[:, 0]) / (high[:, 0] - low[:, 0]) * (high[:, 1] - low[:, 1])
    return bool(np.count_nonzero(at > i) % 2)


def _with_keyholes(line: FloatArray, holes: list[FloatArray]) -> FloatArray:
    """One closed line that goes around the outer line and, through channels without width, around each hole."""
    # The nearest hole first, so that channels stay short and run through the region.
    waiting = list(holes)
    while waiting:
        tree = cKDTree(line)
        nearest = [tree.query(hole) for hole in waiting]
        best = int(np.argmin([float(distances.min()) for distances, _ in nearest]))
        distances, points = nearest[best]
        hole, at_hole = waiting.pop(best), int(distances.argmin())
        at_line = int(points[at_hole])
        around = np.roll(hole, -at_hole, axis=0)
        line = np.concatenate((line[: at_line + 1], around, around[:1], line[at_line:]))
    return line
