"""Dents of a liver's outline: how they are closed, and what of them may be tissue that was left out.

Only thick dents count, and a part of a dent is no thicker than the dent: what is too thin is dropped before anything
is asked of the image, which leaves a small box of a large one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

from liverimg.core.boxes import Box, box_of
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.parts import counted_parts
from liverimg.measure.zones.distance import away_mm, deeper, grown
from liverimg.measure.zones.rules import FindingRules

FloatArray = NDArray[np.float32]

_COARSE_VOXELS = 400_000  # a closing needs no finer grid
_PER_CENT = 100.0
_TRUNCATE = 2.0  # of the smoothing, in standard deviations


@dataclass(frozen=True)
class Dark:
    """Values below which there is no tissue, and below which there is gas; how smooth, and how much around a bubble."""

    tissue: float
    gas: float
    smoothing_mm: float
    enclosed_share: float

    @classmethod
    def of(cls, image: Volume, box: Box, liver: BoolArray, own: FindingRules) -> Dark:
        """HU on CT; on MR from the liver's own signal."""
        if image.quantity is Quantity.HU:
            return cls(own.dent_least_hu, own.gas_hu, own.smoothing_mm, own.enclosed_share)
        percent = _usual(image.array[box], liver) / _PER_CENT
        return cls(percent * own.dent_least_percent, percent * own.gas_percent, own.smoothing_mm, own.enclosed_share)


def closed_by(mask: BoolArray, grid: Grid, radius_mm: float) -> BoolArray:
    """Closing by a ball, worked out on voxels coarse enough to be quick."""
    spacing = grid.spacing_mm
    step_mm = max(float(spacing.max()), (mask.size * grid.voxel_ml * 1000 / _COARSE_VOXELS) ** (1 / 3))
    steps = np.maximum(1, np.floor(step_mm / spacing)).astype(int)
    coarse = mask[:: steps[0], :: steps[1], :: steps[2]]
    pads = [int(p) for p in np.ceil(radius_mm / (spacing * steps)) + 1]
    size = tuple(float(s) for s in spacing * steps)
    padded = np.pad(coarse, [(p, p) for p in pads])
    near = np.asarray(edt.edt(np.ascontiguousarray(~padded), anisotropy=size)) <= radius_mm
    closed = np.asarray(edt.edt(np.ascontiguousarray(near), anisotropy=size)) > radius_mm
    inner = closed[tuple(slice(p, n - p) for p, n in zip(pads, padded.shape, strict=True))]
    index = [
        np.minimum((np.arange(n) + s // 2) // s, m - 1) for n, s, m in zip(mask.shape, steps, inner.shape, strict=True)
    ]
    return np.asarray(inner[np.ix_(*index)])


def left_out(
    values: NDArray[Any], dents: BoolArray, liver: BoolArray, grid: Grid, dark: Dark, thick_mm: float
) -> BoolArray:
    """What of the dents is tissue, with the bubbles in it, and thick enough: a liver has shallow dents of its own.

    What is darker than tissue, smoothed, is fat, air or fluid. Gas makes what lies beside it look so: it is left out of
    the smoothing, and belongs to the zone where tissue lies around most of it.

    Args:
        values: The image.
        dents: What a closing adds to the liver and nothing else claims.
        liver: What is drawn as liver.
        grid: Of all three.
        dark: What is no tissue.
        thick_mm: Least thickness.
    """
    out = np.zeros(dents.shape, dtype=bool)
    asked = _thick(dents, grid, thick_mm)
    if not asked.any():
        return out
    box, bubbles, numbers = _window(values, dents, asked, grid, dark)
    gas = bubbles > 0
    sound = dents[box] & ~gas
    tissue = sound & (_calm(values[box], sound, grid, dark.smoothing_mm) > dark.tissue)
    solid = liver[box]
    for number in numbers:
        bubble = np.asarray(bubbles == number)
        around = binary_dilation(bubble) & ~bubble
        if float((tissue | solid)[around].mean()) >= dark.enclosed_share:
            tissue |= bubble
    out[box] = tissue & asked[box]
    return _thick(out, grid, thick_mm)


def _window(
    values: NDArray[Any], dents: BoolArray, asked: BoolArray, grid: Grid, dark: Dark
) -> tuple[Box, NDArray[Any], list[int]]:
    """A box in which all that is asked can be told, its bubbles by number, and which of them are asked for."""
    reach_mm = _TRUNCATE * dark.smoothing_mm + 2 * float(grid.spacing_mm.max())
    first = box_of(asked)
    assert first is not None
    box = grown(first, reach_mm, grid, dents.shape)
    while True:
        here = dents[box]
        bubbles, _ = counted_parts(binary_dilation(here & (values[box] < dark.gas)) & here, by_faces=True)
        numbers = np.setdiff1d(bubbles[asked[box]], [0]).tolist()
        wanted = asked[box] | np.isin(bubbles, numbers)
        inner = box_of(wanted)
        assert inner is not None
        k, j, i = (slice(b.start + w.start, b.start + w.stop) for b, w in zip(box, inner, strict=True))
        wide = grown((k, j, i), reach_mm, grid, dents.shape)
        if wide == box:
            return box, bubbles, numbers
        box = wide  # a bubble reaches beyond what is asked


def _calm(values: NDArray[Any], where: BoolArray, grid: Grid, sigma_mm: float) -> FloatArray:
    """Values smoothed with those of the same places only, so that fat and lung next to them don't count."""
    sigma = sigma_mm / grid.spacing_mm
    weight = gaussian_filter(where.astype(np.float32), sigma, truncate=_TRUNCATE)
    total = gaussian_filter(np.where(where, values, 0).astype(np.float32), sigma, truncate=_TRUNCATE)
    return np.asarray(total / np.maximum(weight, np.float32(1e-3)))


def _thick(mask: BoolArray, grid: Grid, least_mm: float) -> BoolArray:
    """Parts at least so thick, with what lies so near to their middle."""
    out = np.zeros(mask.shape, dtype=bool)
    core = deeper(mask, grid, least_mm / 2)
    box = box_of(core)
    if box is not None:
        box = grown(box, least_mm, grid, mask.shape)
        out[box] = mask[box] & (away_mm(core[box], grid) <= least_mm)
    return out


def _usual(values: NDArray[Any], liver: BoolArray) -> float:
    return float(np.median(values[::2, ::2, ::2][liver[::2, ::2, ::2]])) if liver[::2, ::2, ::2].any() else 0.0
