"""Resampling along array axes with voxel edges kept in place (grids from ``Grid.resampled``).

Downwards every voxel becomes the weighted mean of those it covers (a triangle twice as wide as the new
voxel, so noise and small things do not alias); upwards it is linear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Rectangle = tuple[slice, slice]

# Rounds to 100 %, whatever is interpolated between such values.
_CERTAIN: Final = 0.996


def weights(old_count: int, new_count: int, ratio: float) -> FloatArray:
    """Matrix (new_count, old_count) that resamples one axis.

    Args:
        old_count: Voxels along the axis.
        new_count: Voxels wanted; the first edge coincides with the old first edge.
        ratio: New spacing over old spacing.
    """
    centre = (np.arange(new_count) + 0.5) * ratio - 0.5
    centre = np.clip(centre, 0, old_count - 1)
    reach = max(1.0, ratio)
    gap = np.abs(centre[:, None] - np.arange(old_count)[None, :])
    matrix = np.maximum(0, 1 - gap / reach)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def resampled(array: NDArray[Any], new_shape: tuple[int, int, int], ratio: NDArray[np.float64]) -> FloatArray:
    """An array (k, j, i) on the grid with the same first edge and ``ratio`` times the spacing.

    Slices are taken one by one, so that only the result is ever held in single precision.
    """
    along_k, along_j, along_i = (
        weights(old, new, float(r)) for old, new, r in zip(array.shape, new_shape, ratio, strict=True)
    )
    out = np.zeros(new_shape, dtype=np.float32)
    for k in range(array.shape[0]):
        targets = np.flatnonzero(along_k[:, k])
        if len(targets) == 0:
            continue
        small = along_j @ (array[k].astype(np.float32) @ along_i.T)
        for target in targets:
            out[target] += along_k[target, k] * small
    return out


class _Axis:
    """The weights of one axis, and which voxels of the finer grid lean on which of the coarser one."""

    def __init__(self, matrix: FloatArray) -> None:
        """Takes a matrix (new, old) of :func:`weights`."""
        self.matrix = matrix
        touched = matrix > 0
        new, old = matrix.shape
        self._first_old, self._last_old = touched.argmax(axis=1), old - 1 - touched[:, ::-1].argmax(axis=1)
        leant_on = touched.any(axis=0)
        self._first_new = np.where(leant_on, touched.argmax(axis=0), new)
        self._last_new = np.where(leant_on, new - 1 - touched[::-1].argmax(axis=0), -1)

    def under(self, new: slice) -> slice:
        """The coarse voxels that some fine ones lean on."""
        return slice(int(self._first_old[new].min()), int(self._last_old[new].max()) + 1)

    def over(self, old: NDArray[np.bool_]) -> slice:
        """The fine voxels from the first to the last that lean on any of the coarse ones; empty where none is given."""
        given = np.flatnonzero(old)
        if len(given) == 0:
            return slice(0, 0)
        return slice(int(self._first_new[given].min()), int(self._last_new[given].max()) + 1)


@dataclass(frozen=True, eq=False)
class Decided:
    """What the classes come to in one slice of the finer grid.

    Attributes:
        box: Where anything but background is possible (j, i); elsewhere the background has 99.6 % and more.
        channel: The likeliest class in the box.
        winner: Its probability.
        background: The probability of class 0 in the box.
    """

    box: Rectangle
    channel: NDArray[np.uint8] = field(repr=False)
    winner: FloatArray = field(repr=False)
    background: FloatArray = field(repr=False)


class Enlarger:
    """Class probabilities brought to a finer grid one slice at a time, by linear interpolation."""

    def __init__(self, probability: FloatArray, new_shape: tuple[int, int, int], ratio: NDArray[np.float64]) -> None:
        """Prepares.

        Args:
            probability: (classes, k, j, i).
            new_shape: Of the finer grid.
            ratio: New spacing over old spacing, below 1 for an enlargement.
        """
        self._probability = probability
        old = probability.shape[1:]
        self._along_k, along_j, along_i = (
            weights(o, n, float(r)) for o, n, r in zip(old, new_shape, ratio, strict=True)
        )
        self._j, self._i = _Axis(along_j), _Axis(along_i)
        self._along_i = along_i.T.copy()
        self._whole = (slice(0, new_shape[1]), slice(0, new_shape[2]))

    def slice(self, k: int) -> FloatArray:
        """Probabilities (classes, j, i) of one slice of the finer grid."""
        return np.stack([self.part(k, channel, self._whole) for channel in range(len(self._probability))])

    def part(self, k: int, channel: int, box: Rectangle) -> FloatArray:
        """Probability (j, i) of one class in a box of one slice of the finer grid."""
        rows, columns = box
        j, i = self._j.under(rows), self._i.under(columns)
        near = np.flatnonzero(self._along_k[k])
        small = sum(self._along_k[k, n] * self._probability[channel, n, j, i] for n in near)
        return np.asarray(self._j.matrix[rows, j] @ (small @ self._along_i[i, columns]))

    def decide(self, k: int) -> Decided:
        """The likeliest class of each voxel of a slice, the first of equals, and how likely it is.

        A class is only brought to the finer grid where it may win: a mean of the values around a voxel is no larger
        than the largest of them, and some class has at least its equal share of the whole.
        """
        rows_of, columns_of = self._possible
        near = np.flatnonzero(self._along_k[k])
        rows, columns = (np.asarray(of[:, near].any(axis=1)) for of in (rows_of, columns_of))
        whole = self._j.over(np.asarray(rows.any(axis=0))), self._i.over(np.asarray(columns.any(axis=0)))
        shape = whole[0].stop - whole[0].start, whole[1].stop - whole[1].start
        channel = np.zeros(shape, dtype=np.uint8)
        if 0 in shape:
            return Decided(whole, channel, np.ones(shape, np.float32), np.ones(shape, np.float32))
        background = self.part(k, 0, whole)
        winner = background.copy()
        for number in range(1, len(self._probability)):
            box = self._j.over(rows[number]), self._i.over(columns[number])
            if box[0].start < box[0].stop and box[1].start < box[1].stop:
                here = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, whole, strict=True))
                own = self.part(k, number, box)
                np.copyto(channel[here], np.uint8(number), where=own > winner[here])
                np.maximum(winner[here], own, out=winner[here])
        return Decided(whole, channel, winner, background)

    @cached_property
    def _possible(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Rows (classes, k, j) and columns (classes, k, i) of the coarse grid near which each class may win."""
        least = min(1.0, float(self._probability.sum(axis=0).min())) / len(self._probability)
        rows, columns = [], []
        for number, own in enumerate(self._probability):
            # Of the background: where it is not certain. A percent less than the equal share leaves room for rounding.
            possible = own >= 0.99 * least if number else own < _CERTAIN
            rows.append(possible.any(axis=2))
            columns.append(possible.any(axis=1))
        return np.stack(rows), np.stack(columns)
