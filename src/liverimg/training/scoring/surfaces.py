"""Distances between the surfaces of two masks, each piece of surface weighted by its area.

The surface runs through the corners between voxels: each 2 x 2 x 2 neighbourhood that is neither full nor empty is a
piece of it, whose area follows from which of its voxels are in and from the spacing. Method and table are those of
DeepMind's surface-distance (Nikolov et al., J Med Internet Res 23 (2021) e26151), as MONAI keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import edt
import numpy as np
from monai.metrics.utils import get_code_to_measure_table
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

_FULL = 255


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """From each piece of one surface to the nearest of the other, both ways.

    Attributes:
        there_mm: From the found surface to the true one.
        there_mm2: Area of each piece of the found surface.
        back_mm: From the true surface to the found one.
        back_mm2: Area of each piece of the true surface.
    """

    there_mm: FloatArray = field(repr=False)
    there_mm2: FloatArray = field(repr=False)
    back_mm: FloatArray = field(repr=False)
    back_mm2: FloatArray = field(repr=False)

    def surface_dice(self, tolerance_mm: float) -> float:
        """Share of both surfaces that lies within the tolerance of the other."""
        near = self.there_mm2[self.there_mm <= tolerance_mm].sum() + self.back_mm2[self.back_mm <= tolerance_mm].sum()
        return float(near / (self.there_mm2.sum() + self.back_mm2.sum()))

    def hausdorff_mm(self, percent: float) -> float:
        """The larger of the two directed percentiles, by area."""
        there = weighted_percentile(self.there_mm, self.there_mm2, percent)
        return max(there, weighted_percentile(self.back_mm, self.back_mm2, percent))

    def mean_mm(self) -> float:
        """Average symmetric surface distance, by area."""
        total = self.there_mm2.sum() + self.back_mm2.sum()
        return float((self.there_mm @ self.there_mm2 + self.back_mm @ self.back_mm2) / total)


def surface_distances(found: BoolArray, truth: BoolArray, spacing_mm: NDArray[np.float64]) -> SurfaceDistances:
    """Distances in mm between the surfaces of two masks; neither may be empty.

    Args:
        found: Mask by the model.
        truth: Mask to compare with, on the same orthogonal grid.
        spacing_mm: Along k, j, i.
    """
    spacing = tuple(float(s) for s in spacing_mm)
    table, kernel = get_code_to_measure_table(spacing)  # type: ignore[no-untyped-call]
    areas_mm2 = np.asarray(table, dtype=np.float64)
    weights = np.asarray(kernel, dtype=np.uint8).reshape(2, 2, 2)
    codes = [_neighbour_codes(mask, weights) for mask in (found, truth)]
    pieces = [(code != 0) & (code != _FULL) for code in codes]
    to = [edt.edt(np.ascontiguousarray(~piece), anisotropy=spacing, black_border=False) for piece in pieces]
    return SurfaceDistances(
        there_mm=np.asarray(to[1][pieces[0]], dtype=np.float64),
        there_mm2=areas_mm2[codes[0][pieces[0]]],
        back_mm=np.asarray(to[0][pieces[1]], dtype=np.float64),
        back_mm2=areas_mm2[codes[1][pieces[1]]],
    )


def _neighbour_codes(mask: BoolArray, weights: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Which voxels of each 2 x 2 x 2 neighbourhood are in, one bit each; the outside of the array is out."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros(tuple(n - 1 for n in padded.shape), dtype=np.uint8)
    k, j, i = codes.shape
    for (a, b, c), weight in np.ndenumerate(weights):
        codes += padded[a : a + k, b : b + j, c : c + i] * weight
    return codes


def weighted_percentile(values: FloatArray, weights: FloatArray, percent: float) -> float:
    """The smallest value up to which at least ``percent`` of the weight lies."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    place = int(np.searchsorted(share, share[-1] * percent / 100 * (1 - 1e-12)))
    return float(values[order][min(place, len(values) - 1)])
