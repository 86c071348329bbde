"""From class probabilities on a network's grid to labels and percentages on the volume's, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.confidence import WHOLE_LIVER, calibrated_percent
from liverimg.segmentation.resample import Enlarger

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]
Gate = Callable[[int, tuple[slice, slice]], NDArray[np.bool_]]
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
    labels = np.zeros(grid.shape, dtype=np.uint8)
    sure = np.full(grid.shape, percent[-1], dtype=np.uint8)
    for k in range(grid.shape[0]):
        decided = enlarger.decide(k)
        labels[k][decided.box] = table[decided.channel]
        sure[k][decided.box] = percent[_percent(decided.winner)]
    return labels, sure


def _percent(probability: FloatArray) -> ByteArray:
    return np.asarray(probability * np.float32(100) + np.float32(0.5), dtype=np.uint8)


def _percent_table(one: Pass) -> ByteArray:
    return calibrated_percent(1.0 if one.calibration is None else one.calibration.temperature)


def supported_by(support: FloatArray, small: Grid, grid: Grid, box: Box) -> Gate:
    """For a part of slice k of the box: where the coarse pass gives the liver at least some support."""
    enlarger = Enlarger(support[None], grid.shape, grid.spacing_mm / small.spacing_mm)
    k0, j0, i0 = (b.start for b in box)

    def supported(k: int, part: tuple[slice, slice]) -> NDArray[np.bool_]:
        rows, columns = (slice(p.start + at, p.stop + at) for p, at in zip(part, (j0, i0), strict=True))
        return np.asarray(enlarger.part(k0 + k, 0, (rows, columns)) > _COARSE_SUPPORT)

    return supported


def merge(
    labels: ByteArray,
    sure: ByteArray,
    output: PassOutput,
    view: Grid,
    gate: Gate,
    bundle: Bundle,
) -> None:
    """Writes the fine pass over the coarse labels of its box, and its percentages over theirs, in place.

    Structures that the fine pass knows are its to decide; where it sees none of them, the coarse label stays if
    it is of another structure. The liver and what lies in it need some support from the coarse pass.
    """
    table, percent = _values(output.one, bundle), _percent_table(output.one)
    left = np.arange(256, dtype=np.uint8)
    left[table[1:]] = 0
    needs_support = np.isin(table, [bundle.values[s] for s in WHOLE_LIVER if s in bundle.values])
    enlarger = Enlarger(output.probability, view.shape, view.spacing_mm / output.grid.spacing_mm)
    for k in range(view.shape[0]):
        decided = enlarger.decide(k)
        channel, box = decided.channel, decided.box
        if channel.any():
            channel[needs_support[channel] & ~gate(k, box)] = 0
        coarse = left[labels[k]]
        fine = np.full(coarse.shape, percent[-1], dtype=np.uint8)
        fine[box] = percent[_percent(np.where(channel > 0, decided.winner, decided.background))]
        found = np.zeros_like(coarse)
        found[box] = table[channel]
        np.copyto(sure[k], fine, where=(found > 0) | (coarse == 0))
        labels[k] = np.where(found > 0, found, coarse)
