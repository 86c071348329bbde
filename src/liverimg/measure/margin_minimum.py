"""The smallest margin, freed from the voxels' roughness.

The smallest of thousands of noisy numbers is smaller than the truth: on a tumour with the same margin everywhere the
plain minimum finds the deepest dent that voxels left in either surface (0.6 mm too small at voxels of 1 mm). Two steps
free it from that:

1. The margin is averaged over a patch of about two voxels. A true defect is seldom narrower than what voxels show.
   Where the margin is smallest it curves upwards, and an average lies above it. Averaging the average once more lies
   above that by as much again, so the difference is taken off (twicing: Tukey, Exploratory Data Analysis, 1977).
2. What is left of the noise after that is known, a share of the voxels' pitch. Where many patches compete for the
   minimum, the expected minimum of as many normal numbers is taken off (Blom 1958).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import norm

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.margin import MarginMap
from liverimg.measure.surface import Surface

_REACH = 2.0  # of the patch's standard deviation
_COMPETING = 2.0  # noise standard deviations above the least margin within which a patch may be the least by chance
_BLOM = 0.375
_AT_ONCE = 1 << 15  # pairs of vertices, so that what is worked out for them stays in the processor's cache


@dataclass(frozen=True)
class Least:
    """The smallest margin.

    Attributes:
        margin_mm: Its estimate.
        vertex: The vertex of the tumour's surface where it lies.
        noise_mm: Standard deviation that the voxels leave on it.
    """

    margin_mm: float
    vertex: int
    noise_mm: float


def joint_pitch_mm(tumour: Surface, zone: Surface) -> float:
    """How coarse the two masks are together: root mean square of their voxels' mean pitches, in mm."""
    pitches = [float(np.prod(s.spacing_mm) ** (1 / 3)) for s in (tumour, zone)]
    return float(np.sqrt(np.mean(np.square(pitches))))


@dataclass(frozen=True, eq=False)
class Averages:
    """Margins averaged over patches; the same whichever vertices count.

    Attributes:
        fine: Less what averaging adds where the margin curves, shape (n,).
        coarse: Over patches twice as wide, shape (n,).
        patch_mm: Standard deviation of the patch.
    """

    fine: FloatArray = field(repr=False)
    coarse: FloatArray = field(repr=False)
    patch_mm: float

    @classmethod
    def of(cls, found: MarginMap, patch_mm: float) -> Averages:
        """Averages over patches of a standard deviation."""
        patches = Patches.of(found, patch_mm)
        once = patches.averaged(found.margin_mm)
        twice = patches.averaged(once)
        # Four times in a row is twice as wide, as variances add.
        return cls(2 * once - twice, patches.averaged(patches.averaged(twice)), patch_mm)


def least_margin(
    found: MarginMap,
    averages: Averages,
    *,
    area_mm2: float,
    noise_mm: float,
    among: BoolArray | None = None,
) -> Least | None:
    """The smallest margin over the vertices of a mask or all; None when the mask is empty.

    Args:
        found: Margins of one tumour.
        averages: Of them.
        area_mm2: Of the tumour's surface.
        noise_mm: Standard deviation that voxels leave on such an average.
        among: Vertices that count, shape (n,).
    """
    counts = np.ones(len(found.margin_mm), dtype=bool) if among is None else among
    if not counts.any():
        return None
    fine, coarse = averages.fine, averages.coarse
    where = np.flatnonzero(counts)
    vertex = int(where[np.argmin(fine[where])])
    competing = counts & (coarse <= coarse[where].min() + _COMPETING * noise_mm)
    many = float(found.weight[competing].sum()) * area_mm2 / (2 * np.pi * averages.patch_mm**2)
    # Never above the mean of those that compete: two masks on one grid share their roughness, and then none is left.
    most = float(np.average(fine[competing], weights=found.weight[competing]) - fine[vertex])
    lift = min(-noise_mm * _expected_least(many), max(most, 0.0))
    return Least(float(fine[vertex]) + lift, vertex, noise_mm)


def _expected_least(count: float) -> float:
    """Expected smallest of so many standard normal numbers; 0 for one."""
    return float(norm.ppf((1 - _BLOM) / (count + 1 - 2 * _BLOM))) if count > 1 else 0.0


@dataclass(frozen=True, eq=False)
class Patches:
    """Gaussian patches around the vertices of a tumour's surface, weighted by area.

    Attributes:
        one: First vertex of each pair of neighbours.
        other: The second.
        near: Weight of each pair.
        mass: Area share of each vertex.
    """

    one: NDArray[np.intp] = field(repr=False)
    other: NDArray[np.intp] = field(repr=False)
    near: FloatArray = field(repr=False)
    mass: FloatArray = field(repr=False)

    @classmethod
    def of(cls, found: MarginMap, patch_mm: float) -> Patches:
        """Patches of a standard deviation."""
        points = found.before_lps_mm
        pairs = cKDTree(points).query_pairs(_REACH * patch_mm, output_type="ndarray")
        one, other = np.ascontiguousarray(pairs.T)
        near = np.empty(len(one))
        for n in range(0, len(one), _AT_ONCE):
            part = slice(n, n + _AT_ONCE)
            gaps2 = ((points[one[part]] - points[other[part]]) ** 2).sum(axis=1)
            near[part] = np.exp(-gaps2 / (2 * patch_mm**2))
        return cls(one, other, near, found.weight)

    def averaged(self, margin_mm: FloatArray) -> FloatArray:
        """Averaged over each patch once; shape (n,)."""
        return np.asarray(self._gathered(margin_mm) / self._weight)

    @cached_property
    def _weight(self) -> FloatArray:
        return self._gathered(np.ones(len(self.mass)))

    def _gathered(self, values: FloatArray) -> FloatArray:
        """Weighted sum over each patch, shape (n,)."""
        own = self.mass * values
        total = own
        for here, there in ((self.one, self.other), (self.other, self.one)):
            total = total + np.bincount(here, self.near * own[there], len(own))
        return np.asarray(total)
