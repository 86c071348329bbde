"""From class probabilities on a network's grid to labels and percentages on the volume's, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.confidence import WHOLE_LIVER, calibrated_percent
from liverimg.segmentation.resample import Enlarger

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]
Box = tuple[slice, slice, slice]
# The fine pass may move the liver's border only where the coarse pass thinks at least this of liver.
_COARSE_SUPPORT = 0.08


@dataclass(frozen=True, eq=False)
class PassOutput:
    """What one network said.

    Attributes:
        one: The pass.
        probability: Of each class, background first, shape (classes, k, j, i).
        grid: Where it lies: standard order, the pass's spacing.
    """

    one: Pass
    probability: FloatArray = field(repr=False)
    grid: Grid


def _values(one: Pass, bundle: Bundle) -> ByteArray:
    table = np.zeros(1 + len(one.channels), dtype=np.uint8)
    for channel, structure in one.channels.items():
        table[channel] = bundle.values[structure]
    return table


def enlarged_labels(output: PassOutput, grid: Grid, bundle: Bundle) -> tuple[ByteArray, ByteArray]:
    """Labels on the volume's grid and the percentage that each of them got."""
    table, percent = _values(output.one, bundle), _percent_table(output.one)
    enlarger = Enlarger(output.probability, grid.shape, grid.spacing_mm / output.grid.spacing_mm)
    labels = np.empty(grid.shape, dtype=np.uint8)
    sure = np.empty(grid.shape, dtype=np.uint8)
    for k in range(grid.shape[0]):
        probability = enlarger.slice(k)
        labels[k] = table[probability.argmax(axis=0)]
        sure[k] = percent[_percent(probability.max(axis=0))]
    return labels, sure


def _percent(probability: FloatArray) -> ByteArray:
    return np.asarray(probability * np.float32(100) + np.float32(0.5), dtype=np.uint8)


def _percent_table(one: Pass) -> ByteArray:
    return calibrated_percent(1.0 if one.calibration is None else one.calibration.temperature)


def supported_by(support: FloatArray, small: Grid, grid: Grid, box: Box) -> Callable[[int], NDArray[np.bool_]]:
    """For slice k of the box: where the coarse pass gives the liver at least some support."""
    enlarger = Enlarger(support[None], grid.shape, grid.spacing_mm / small.spacing_mm)

    def supported(k: int) -> NDArray[np.bool_]:
        return np.asarray(enlarger.slice(box[0].start + k)[0, box[1], box[2]] > _COARSE_SUPPORT)

    return supported


def merge(
    labels: ByteArray,
    sure: ByteArray,
    output: PassOutput,
    view: Grid,
    gate: Callable[[int], NDArray[np.bool_]],
    bundle: Bundle,
) -> None:
    """Writes the fine pass over the coarse labels of its box, and its percentages over theirs, in place.

    Structures that the fine pass knows are its to decide; where it sees none of them, the coarse label stays if
    it is of another structure. The liver and what lies in it need some support from the coarse pass.
    """
    table, percent = _values(output.one, bundle), _percent_table(output.one)
    own = np.zeros(256, dtype=bool)
    own[table[1:]] = True
    needs_support = np.isin(table, [bundle.values[s] for s in WHOLE_LIVER if s in bundle.values])
    enlarger = Enlarger(output.probability, view.shape, view.spacing_mm / output.grid.spacing_mm)
    for k in range(view.shape[0]):
        probability = enlarger.slice(k)
        channel = probability.argmax(axis=0)
        channel[needs_support[channel] & ~gate(k)] = 0
        found = table[channel]
        coarse = np.where(own[labels[k]], np.uint8(0), labels[k])
        fine = percent[_percent(np.where(channel > 0, probability.max(axis=0), probability[0]))]
        sure[k] = np.where((found == 0) & (coarse > 0), sure[k], fine)
        labels[k] = np.where(found > 0, found, coarse)
