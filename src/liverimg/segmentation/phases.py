"""Further phases of a study beside the reference: do they show the liver where the reference does?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.registration.resample import UNMOVED, Millimetres, sampled
from liverimg.segmentation.resample import resampled

FloatArray = NDArray[np.float32]
_AROUND_MM = 24.0


@dataclass(frozen=True)
class AlignmentRules:
    """When a further phase may be used; see ``segmentation.toml`` for what the numbers mean."""

    aligned_mm: float
    most_shift_mm: float
    least_overlap: float
    least_view: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> AlignmentRules:
        """From the ``phases`` part of ``segmentation.toml``."""
        return cls(**{name: float(table[name]) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class PlacedPhase:
    """A further phase and what became of it.

    Attributes:
        phase: Its name.
        volume: The image; None when it is left out.
        shift_lps_mm: From a place in the reference to the same anatomy in this image.
        overlap: Dice overlap of the two livers with that shift, found by the coarse pass; None when nobody looked.
        left_out: Why it is not used; empty when it is.
    """

    phase: Phase
    volume: Volume | None
    shift_lps_mm: Millimetres = UNMOVED
    overlap: float | None = None
    left_out: str = ""


def place(
    phase: Phase,
    volume: Volume,
    liver: tuple[FloatArray, Grid],
    other_liver: tuple[FloatArray, Grid],
    rules: AlignmentRules,
) -> PlacedPhase:
    """Decides whether a phase is used as it lies, moved by the breathing between the two scans, or not at all.

    Args:
        phase: Its name.
        volume: Its image.
        liver: Probability of liver in the reference, and its grid.
        other_liver: The same in this phase.
        rules: Limits.
    """
    here, grid = _around(*liver)
    there, seen = sampled(*other_liver, grid)
    if not seen[here > 0.5].any() or seen[here > 0.5].mean() < rules.least_view:
        return PlacedPhase(phase, None, left_out="it shows too little of the liver")
    if not (there > 0.5).any():
        return PlacedPhase(phase, None, left_out="no liver was found on it")
    shift_mm = _measured_shift(here, there, seen, grid, rules.most_shift_mm)
    length_mm = float(np.linalg.norm(shift_mm))
    # Below this the difference is the method's own scatter.
    used: Millimetres = UNMOVED if length_mm <= rules.aligned_mm else shift_mm
    moved, reached = sampled(*other_liver, grid, shift_lps_mm=used)
    overlap = _soft_dice(here[reached], moved[reached])
    if overlap < rules.least_overlap:
        words = f"the liver lies elsewhere on it (overlap {overlap:.2f} at best, at least {rules.least_overlap:.2f} is"
        return PlacedPhase(phase, None, shift_mm, overlap, f"{words} asked for)")
    return PlacedPhase(phase, volume, used, overlap)


def averaged_onto(volume: Volume, onto: Grid, *, shift_lps_mm: Millimetres) -> tuple[FloatArray, NDArray[np.bool_]]:
    """A further phase at the voxel centres of another grid, and where it reaches them.

    It is averaged to that grid's spacing along its own axes first, so that noise does not alias, then interpolated.

    Args:
        volume: The phase.
        onto: Where it is wanted.
        shift_lps_mm: From a place in the reference to the same anatomy here.
    """
    box = _box_of(onto, volume.grid, shift_lps_mm)
    if box is None:
        return np.zeros(onto.shape, dtype=np.float32), np.zeros(onto.shape, dtype=bool)
    array = volume.array[box]
    grid = volume.grid.cropped([b.start for b in box], (array.shape[0], array.shape[1], array.shape[2]))
    small = grid.resampled(np.maximum(grid.spacing_mm, onto.spacing_mm.min()))
    averaged = resampled(array, small.shape, small.spacing_mm / grid.spacing_mm)
    return sampled(averaged, small, onto, shift_lps_mm=shift_lps_mm)


def _box_of(onto: Grid, grid: Grid, shift_lps_mm: Millimetres) -> tuple[slice, slice, slice] | None:
    """The part of ``grid`` that the voxels of another grid fall into, with a rim for the averaging."""
    ends = [(0, n - 1) for n in onto.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)
    index = grid.lps_mm_to_index(onto.index_to_lps_mm(corners) + np.asarray(shift_lps_mm))
    rim = np.ceil(2 * np.maximum(1.0, onto.spacing_mm.max() / grid.spacing_mm))
    low = np.maximum(0, np.floor(index.min(axis=0) - rim)).astype(int)
    high = np.minimum(grid.shape, np.ceil(index.max(axis=0) + rim) + 1).astype(int)
    if (low >= high).any():
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _around(liver: FloatArray, grid: Grid) -> tuple[FloatArray, Grid]:
    """The box around the liver, with room for its border to be seen as one."""
    box = []
    for axis in range(3):
        hit = np.flatnonzero((liver > 0.5).any(axis=tuple(a for a in range(3) if a != axis)))
        pad = int(np.ceil(_AROUND_MM / grid.spacing_mm[axis]))
        box.append(slice(max(0, int(hit[0]) - pad), min(liver.shape[axis], int(hit[-1]) + 1 + pad)))
    cut = liver[tuple(box)]
    return cut, grid.cropped([b.start for b in box], (cut.shape[0], cut.shape[1], cut.shape[2]))


def _measured_shift(
    here: FloatArray, there: FloatArray, seen: NDArray[np.bool_], grid: Grid, most_mm: float
) -> Millimetres:
    """The translation under which the two livers agree best, voxel by voxel where both images reach.

    Inside counts +1 and outside -1, so a liver that is cut off by its view does not slide along another.
    Sub-voxel by a parabola through the best voxel and its neighbours.
    """
    # Takes longer to import than all else of a study without further phases, which never comes here.
    from scipy.signal import fftconvolve

    one = (2 * here - 1).astype(np.float64)
    other = np.where(seen, 2 * there - 1, 0.0)
    agreement = fftconvolve(other, one[::-1, ::-1, ::-1])
    count = fftconvolve(seen.astype(np.float64), np.ones(one.shape))
    middle = np.array(one.shape) - 1
    share = np.where(count > 0.5 * one.size, agreement / np.maximum(count, 1.0), -1.0)
    steps = [np.arange(n) - m for n, m in zip(share.shape, middle, strict=True)]
    away_mm = np.sqrt(sum(np.square(s * mm) for s, mm in zip(np.ix_(*steps), grid.spacing_mm, strict=True)))
    share[away_mm > most_mm] = -1.0
    best = np.array(np.unravel_index(int(np.argmax(share)), share.shape))
    voxels = best - middle + [_vertex(share, best, axis) for axis in range(3)]
    x, y, z = (float(v) for v in grid.affine[:3, :3] @ voxels)
    return x, y, z


def _vertex(share: NDArray[np.float64], best: NDArray[np.int_], axis: int) -> float:
    around = []
    for step in (-1, 0, 1):
        index = list(best)
        index[axis] += step
        if not 0 <= index[axis] < share.shape[axis]:
            return 0.0
        around.append(float(share[tuple(index)]))
    bend = around[0] - 2 * around[1] + around[2]
    return 0.0 if bend >= 0 or min(around) <= -1.0 else float(np.clip(0.5 * (around[0] - around[2]) / bend, -0.5, 0.5))


def _soft_dice(one: FloatArray, other: FloatArray) -> float:
    total = float(one.sum() + other.sum())
    return 2 * float(np.minimum(one, other).sum()) / total if total > 0 else 0.0
