"""The translation between two images of one anatomy, whatever their contrast.

Edges are compared, not values, because contrast medium changes values and may even swap which side of an edge is
the brighter one. The measure is the squared cosine between normalised gradients (Haber and Modersitzki, Intensity
gradient based registration and fusion of multi-modal images, MICCAI 2006), summed over a region and divided by what
perfect agreement would give. It is a sum of correlations of the gradients' outer products, so all translations up to
a limit are tried at once by fast Fourier transforms; none is missed and no start is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.core.rows import filled
from liverimg.registration.resample import Millimetres

FloatArray = NDArray[np.float32]

_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_FEWEST_VOXELS = 50


@dataclass(frozen=True)
class TranslationRules:
    """How a translation is judged.

    Attributes:
        edge_share: A gradient counts as an edge from about this multiple of the region's median gradient on.
        doubtful_share: Translations whose agreement comes this near to the best one's, as a share of how far the
            best stands out of all, are not excluded.
        least_agreement: Below it the two images do not show the same anatomy.
        least_doubt_mm: No motion is known better than this, because livers do not only move, they bend.
    """

    edge_share: float
    doubtful_share: float
    least_agreement: float
    least_doubt_mm: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> TranslationRules:
        """From the ``translation`` rows of ``enhancement.toml``, each with a ``value``."""
        return filled(cls, table, "translation")


@dataclass(frozen=True)
class Translation:
    """Where the same anatomy lies in another image.

    Attributes:
        shift_lps_mm: From a place in the fixed image to the same anatomy in the moving one.
        doubt_mm: How far a translation that is not excluded lies from it, at most.
        agreement: 0 to 1.
    """

    shift_lps_mm: Millimetres
    doubt_mm: float
    agreement: float


def find_translation(
    fixed: FloatArray, moving: FloatArray, grid: Grid, *, region: BoolArray, most_mm: float, rules: TranslationRules
) -> Translation | None:
    """The translation under which the edges of two images agree best.

    Args:
        fixed: On ``grid``.
        moving: On the same grid; NaN in either where the image does not reach.
        grid: Both images'; it must reach ``most_mm`` beyond the region on every side for all shifts to be possible.
        region: Voxels of the fixed image whose surroundings are compared.
        most_mm: Longest translation tried.
        rules: How the result is judged.

    Returns:
        None where the region is too small, has no edges, or nothing agrees.
    """
    if np.count_nonzero(region) < _FEWEST_VOXELS:
        return None
    spacing = grid.spacing_mm
    one = _edges(fixed, spacing, region, rules.edge_share)
    other = _edges(moving, spacing, region, rules.edge_share)
    if one is None or other is None:
        return None
    share, steps = _agreement(one, other, region, most_mm, spacing)
    away_mm = np.sqrt(sum(np.square(s * mm) for s, mm in zip(np.ix_(*steps), spacing, strict=True)))
    share = np.where(away_mm <= most_mm, share, -np.inf)
    best = np.unravel_index(int(np.argmax(share)), share.shape)
    top = float(share[best])
    if top < rules.least_agreement:
        return None
    usual = float(np.median(share[np.isfinite(share)]))
    voxels = np.array([steps[a][best[a]] + _vertex(share, best, a) for a in range(3)])
    x, y, z = (float(v) for v in grid.affine[:3, :3] @ voxels)
    near = np.argwhere(share >= top - rules.doubtful_share * (top - usual))
    others = np.stack([steps[a][near[:, a]] for a in range(3)], axis=1) - voxels
    doubt_mm = float(np.linalg.norm(others * spacing, axis=1).max())
    return Translation((x, y, z), max(doubt_mm, rules.least_doubt_mm), top)


def _edges(image: FloatArray, spacing: NDArray[np.float64], region: BoolArray, share: float) -> FloatArray | None:
    """Gradients of at most unit length, shape (3, k, j, i); None where the image is flat."""
    gradient = np.array([np.gradient(image, float(s), axis=axis) for axis, s in enumerate(spacing)])
    gradient[:, ~np.isfinite(gradient).all(axis=0)] = 0
    length2 = np.einsum("akji,akji->kji", gradient, gradient)
    usual = float(np.median(length2[region])) * share**2
    if usual <= 0:
        usual = float(length2[region].mean())
    if usual <= 0:
        return None
    return np.asarray(gradient / np.sqrt(length2 + np.float32(usual)), dtype=np.float32)


def _agreement(
    one: FloatArray, other: FloatArray, region: BoolArray, most_mm: float, spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[NDArray[np.int_]]]:
    """Agreement of every translation, 0 to 1, and the steps along each axis in voxels."""
    shape = region.shape
    size = [fft.next_fast_len(n, real=True) for n in shape]
    weight = region.astype(np.float32)
    total = None
    for a, b in _PAIRS:
        fixed = fft.rfftn(weight * one[a] * one[b], size)
        term = np.conj(fixed) * fft.rfftn(other[a] * other[b], size) * (1 if a == b else 2)
        total = term if total is None else total + term
    energy = np.square(np.einsum("akji,akji->kji", other, other))
    there = fft.irfftn(np.conj(fft.rfftn(weight, size)) * fft.rfftn(energy, size), size)
    here = float((weight * np.square(np.einsum("akji,akji->kji", one, one))).sum())
    found = fft.irfftn(total, size)
    reach = [min(int(np.ceil(most_mm / mm)) + 1, (n - 1) // 2) for mm, n in zip(spacing, size, strict=True)]
    steps = [np.arange(-r, r + 1) for r in reach]
    at = np.ix_(*steps)
    floor = 1e-3 * here
    return np.asarray(found[at] / np.sqrt(here * np.maximum(there[at], floor)), dtype=np.float64), steps


def _vertex(share: NDArray[np.float64], best: tuple[np.intp, ...], axis: int) -> float:
    """Place of the maximum between voxels, by a parabola through three."""
    around = []
    for step in (-1, 0, 1):
        index = list(best)
        index[axis] += step
        if not 0 <= index[axis] < share.shape[axis] or not np.isfinite(share[tuple(index)]):
            return 0.0
        around.append(float(share[tuple(index)]))
    bend = around[0] - 2 * around[1] + around[2]
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (around[0] - around[2]) / bend, -0.5, 0.5))
