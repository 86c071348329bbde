"""How far a drawn outline can be trusted on this very image: from the width of the band in which the network wavers.

Where a network is sure, its probability of a structure falls from nearly 1 to nearly 0 within a voxel or two; where
the image leaves it in doubt, over many. The volume of the band between two probabilities over the surface that it
surrounds is its mean width. A factor per structure turns half of that width into millimetres that hold the true
surface in 95 % of places; it is measured on images that the training never saw
(``liverimg.training.scoring.calibrate``) and comes with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure

FloatArray = NDArray[np.float32]

# The liver's surface is that of the organ: what lies in it makes no border.
WHOLE_LIVER = (*LIVER_CONTENTS, Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
_LESION_REACH_MM = 10.0
_PERCENT = 100


@dataclass(frozen=True)
class Calibration:
    """What turns a network's doubt into millimetres and its probabilities into frequencies.

    Attributes:
        between: The two probabilities that bound the band of doubt.
        factors: Per structure, millimetres of surface error per millimetre of half width.
        temperature: Divides the log-odds of the winning label; above 1 for a network that is too sure of itself.
    """

    between: tuple[float, float]
    factors: Mapping[Structure, float]
    temperature: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.between
        if not 0 < low < 0.5 < high < 1:
            raise ValueError(f"the band of doubt runs from {low} to {high}; expected 0 < low < 0.5 < high < 1")
        if self.temperature <= 0 or any(factor <= 0 for factor in self.factors.values()):
            raise ValueError("a calibration's factors and its temperature are above 0")

    @classmethod
    def from_contract(cls, entry: Mapping[str, Any]) -> Calibration:
        """From ``passes[].calibration`` of a bundle's contract."""
        low, high = (float(v) for v in entry["between"])
        factors = {Structure(s): float(v) for s, v in entry["factors"].items()}
        return cls((low, high), factors, float(entry.get("temperature", 1.0)))


def structure_probability(
    probability: FloatArray, channels: Mapping[int, Structure], structure: Structure
) -> FloatArray:
    """Probability (k, j, i) of a structure, of the liver with what lies in it.

    Args:
        probability: Of every class, shape (classes, k, j, i).
        channels: Structure of each class but the background.
        structure: One that the network draws.
    """
    wanted = WHOLE_LIVER if structure is Structure.LIVER else (structure,)
    which = [channel for channel, drawn in channels.items() if drawn in wanted]
    return np.asarray(probability[which[0]] if len(which) == 1 else probability[which].sum(axis=0))


def half_band_mm(
    probability: FloatArray,
    spacing_mm: NDArray[np.float64],
    between: tuple[float, float],
    *,
    drawn: BoolArray | None = None,
    near: BoolArray | None = None,
) -> float | None:
    """Half the mean width of the band of doubt around an outline, and half the grid's pitch with it.

    Args:
        probability: Of one structure, shape (k, j, i).
        spacing_mm: Along k, j, i.
        between: The probabilities that bound the band.
        drawn: The outline; where the structure is more likely than not when absent.
        near: Where the band counts; everywhere when absent.

    Returns:
        Millimetres; None when nothing is drawn.
    """
    inside = np.asarray(probability >= 0.5) if drawn is None else drawn
    area_mm2 = _face_area_mm2(inside, spacing_mm)
    if area_mm2 == 0:
        return None
    doubtful = (probability > between[0]) & (probability < between[1])
    if near is not None:
        doubtful &= near
    volume_mm3 = float(np.count_nonzero(doubtful)) * float(np.prod(spacing_mm))
    pitch_mm = float(np.prod(spacing_mm) ** (1 / 3))
    return volume_mm3 / area_mm2 / 2 + pitch_mm / 2


def _face_area_mm2(inside: BoolArray, spacing_mm: NDArray[np.float64]) -> float:
    """Area of the faces between voxels inside and outside; the rim of the array is no surface."""
    area = 0.0
    for axis in range(3):
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        faces = np.count_nonzero(inside[tuple(ahead)] != inside[tuple(behind)])
        area += faces * float(np.prod(np.delete(spacing_mm, axis)))
    return area


def half_bands_mm(
    probability: FloatArray, channels: Mapping[int, Structure], grid: Grid, between: tuple[float, float]
) -> dict[Structure, float]:
    """:func:`half_band_mm` of every structure that a pass draws; without those that it drew nowhere."""
    found = {}
    for structure in channels.values():
        one = structure_probability(probability, channels, structure)
        width_mm = half_band_mm(one, grid.spacing_mm, between)
        if width_mm is not None:
            found[structure] = width_mm
    return found


def lesion_half_bands_mm(
    lesions: Mapping[str, tuple[BoolArray, Grid]],
    probability: FloatArray,
    grid: Grid,
    between: tuple[float, float],
) -> dict[str, float]:
    """:func:`half_band_mm` of single lesions: each counts the doubt that lies nearer to it than to another.

    Args:
        lesions: Mask of each lesion, and the grid of that mask; not touching each other.
        probability: Of tumour, shape ``grid.shape``.
        grid: Where the probability lies; its axes need not be those of the masks.
        between: The probabilities that bound the band.

    Returns:
        Millimetres by lesion name, without lesions that fall through the grid or lie outside it.
    """
    painted = np.zeros(grid.shape, dtype=np.uint16)
    boxes: dict[str, Box] = {}
    for number, (name, (mask, own_grid)) in enumerate(lesions.items(), start=1):
        box = _box_on(grid, own_grid)
        if box is None:
            continue
        boxes[name] = box
        painted[box][_looked_up(mask, own_grid, grid, box)] = number
    found = {}
    for number, name in enumerate(lesions, start=1):
        if name in boxes:
            here = painted[boxes[name]]
            near = _nearest_to_own(here, number, grid)
            width_mm = half_band_mm(probability[boxes[name]], grid.spacing_mm, between, drawn=here == number, near=near)
            if width_mm is not None:
                found[name] = width_mm
    return found


def _box_on(grid: Grid, other: Grid) -> Box | None:
    """The part of ``grid`` within reach of the box that ``other`` covers."""
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in other.shape], indexing="ij"), axis=-1).reshape(8, 3)
    index = grid.lps_mm_to_index(other.index_to_lps_mm(corners))
    pad = _LESION_REACH_MM / grid.spacing_mm
    low = np.maximum(0, np.floor(index.min(axis=0) - pad)).astype(int)
    high = np.minimum(grid.shape, np.ceil(index.max(axis=0) + pad).astype(int) + 1)
    if (low >= high).any():
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _looked_up(mask: BoolArray, own_grid: Grid, grid: Grid, box: Box) -> BoolArray:
    """The mask at the voxel centres of a box of another grid, by nearest neighbour."""
    index = np.stack(np.meshgrid(*[np.arange(b.start, b.stop) for b in box], indexing="ij"), axis=-1)
    there = np.rint(own_grid.lps_mm_to_index(grid.index_to_lps_mm(index))).astype(int)
    inside = np.asarray(((there >= 0) & (there < mask.shape)).all(axis=-1))
    there = np.where(inside[..., None], there, 0)
    return np.asarray(inside & mask[there[..., 0], there[..., 1], there[..., 2]])


def _nearest_to_own(painted: NDArray[np.uint16], number: int, grid: Grid) -> BoolArray:
    def distance_mm(away_from: BoolArray) -> FloatArray:
        found: FloatArray = edt.edt(
            np.ascontiguousarray(~away_from), anisotropy=tuple(float(s) for s in grid.spacing_mm), black_border=False
        )
        return found

    own = distance_mm(painted == number)
    others = (painted > 0) & (painted != number)
    near = own <= _LESION_REACH_MM
    return np.asarray(near & (own <= distance_mm(others)) if others.any() else near)


def calibrated_percent(temperature: float) -> NDArray[np.uint8]:
    """Table from a percentage that a network gives to its label to how often such a label is right, 0 to 100.

    The log-odds are divided by the temperature (temperature scaling of the winning label, after Guo et al.,
    "On calibration of modern neural networks", ICML 2017).
    """
    share = np.clip(np.arange(_PERCENT + 1) / _PERCENT, 1e-4, 1 - 1e-4)
    odds = np.log(share / (1 - share)) / temperature
    return np.asarray(np.rint(_PERCENT / (1 + np.exp(-odds))), dtype=np.uint8)
