"""How well labels agree: overlap, surface distances, volumes and lesions found.

Surface distances run between voxel centres on the border of each mask, unweighted by area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import brentq
from scipy.stats import norm

from liverimg.core.labels import LIVER_CONTENTS, LabelMap, Structure

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]

_PAD = 2
_SMALLEST_MM = 0.1  # a case without any error still has a spread


@dataclass(frozen=True)
class Agreement:
    """One structure, found against truth.

    Attributes:
        dice: 1 when both are empty.
        found_ml: Volume found.
        truth_ml: True volume.
        hd95_mm: Larger of the two directed 95th percentiles; None where one mask is empty.
        assd_mm: Mean over both directions; None where one mask is empty.
        matched_95_mm: 95th percentile from the found surface to the true one, over the found pieces that
            touch the truth; None where none does.
    """

    dice: float
    found_ml: float
    truth_ml: float
    hd95_mm: float | None
    assd_mm: float | None
    matched_95_mm: float | None


def dice(found: BoolArray, truth: BoolArray) -> float:
    """Twice the overlap over the sum of the sizes; 1 when both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2.0 * int((found & truth).sum()) / total


def agreement(found: BoolArray, truth: BoolArray, spacing_mm: NDArray[np.float64]) -> Agreement:
    """Compares two masks on one orthogonal grid.

    Args:
        found: Mask by the model.
        truth: Mask to compare with.
        spacing_mm: Along k, j, i.
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    sizes = (float(found.sum()) * voxel_ml, float(truth.sum()) * voxel_ml)
    if not found.any() or not truth.any():
        return Agreement(dice(found, truth), *sizes, None, None, None)
    box = _box(found | truth)
    there, back = surface_distances(found[box], truth[box], spacing_mm)
    both = float(max(np.percentile(there, 95), np.percentile(back, 95)))
    mean = float(np.concatenate([there, back]).mean())
    return Agreement(dice(found, truth), *sizes, both, mean, _matched_95_mm(found[box], truth[box], spacing_mm))


def _matched_95_mm(found: BoolArray, truth: BoolArray, spacing_mm: NDArray[np.float64]) -> float | None:
    pieces = cc3d.connected_components(found, connectivity=26)
    touching = np.unique(pieces[truth])
    touching = touching[touching > 0]
    if len(touching) == 0:
        return None
    there, _ = surface_distances(np.isin(pieces, touching), truth, spacing_mm)
    return float(np.percentile(there, 95))


def surface_distances(
    found: BoolArray, truth: BoolArray, spacing_mm: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    """Distances in mm from each border voxel of one mask to the nearest of the other, both ways."""
    borders = [mask & ~ndimage.binary_erosion(mask, border_value=0) for mask in (found, truth)]
    anisotropy = tuple(float(s) for s in spacing_mm)
    to = [edt.edt(np.ascontiguousarray(~b), anisotropy=anisotropy, black_border=False) for b in borders]
    return to[1][borders[0]], to[0][borders[1]]


def _box(mask: BoolArray) -> tuple[slice, ...]:
    box = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, int(hit[0]) - _PAD), int(hit[-1]) + 1 + _PAD))
    return tuple(box)


def whole_liver(labels: LabelMap, *, radius_mm: float = 8.0) -> BoolArray:
    """The liver of anatomy, largest piece: parenchyma, tumours, and veins and ducts that they enclose.

    Veins and ducts count where the morphological closing of parenchyma and tumours covers them, so the trunks
    at the hilum stay outside.
    """
    solid = labels.mask(*LIVER_CONTENTS)
    trees = labels.mask(Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
    if not solid.any():
        return solid
    result = solid.copy()
    if trees.any():
        pads = np.ceil(radius_mm / labels.grid.spacing_mm).astype(int) + 1
        box = _box(solid)
        padded = np.pad(solid[box], [(int(p), int(p)) for p in pads])
        anisotropy = tuple(float(s) for s in labels.grid.spacing_mm)
        grown = edt.edt(np.ascontiguousarray(~padded), anisotropy=anisotropy, black_border=False) <= radius_mm
        closed = edt.edt(np.ascontiguousarray(grown), anisotropy=anisotropy, black_border=False) > radius_mm
        inner = closed[tuple(slice(int(p), n - int(p)) for p, n in zip(pads, padded.shape, strict=True))]
        result[box] |= trees[box] & inner
    return np.asarray(cc3d.largest_k(result, k=1, connectivity=26).astype(bool))


@dataclass(frozen=True)
class LesionCount:
    """Lesions above a size: how many there are, how many were touched, and calls that touch none."""

    present: int
    found: int
    false_calls: int


def count_lesions(
    found: BoolArray, truth: BoolArray, spacing_mm: NDArray[np.float64], *, least_diameter_mm: float = 10.0
) -> LesionCount:
    """Lesion-wise detection by connected components; a lesion is found when one voxel of it is.

    Args:
        found: Tumour mask by the model.
        truth: True tumour mask.
        spacing_mm: Along k, j, i.
        least_diameter_mm: Smaller components (as spheres of equal volume) are not counted on either side.
    """
    least = np.pi / 6 * least_diameter_mm**3 / float(np.prod(spacing_mm))
    true_parts = cc3d.connected_components(truth, connectivity=26)
    calls = cc3d.connected_components(found, connectivity=26)
    true_sizes, call_sizes = np.bincount(true_parts.ravel()), np.bincount(calls.ravel())
    big = np.flatnonzero(true_sizes >= least)
    big = big[big > 0]
    hit = np.intersect1d(big, np.unique(true_parts[found]))
    loud = np.flatnonzero(call_sizes >= least)
    loud = loud[loud > 0]
    false = np.setdiff1d(loud, np.unique(calls[truth]))
    return LesionCount(len(big), len(hit), len(false))


def pooled_95_mm(cases_mm: Sequence[float]) -> float | None:
    """The distance that holds 95 % of places over all cases, from each case's own 95th percentile.

    A typical case's percentile would be too narrow a band for every worse case. Errors within a case are taken as
    half-normal; the result is the 95th percentile of their even mixture.

    Args:
        cases_mm: 95th percentile of the surface distance of each case.

    Returns:
        Millimetres; None without cases.
    """
    if not cases_mm:
        return None
    sigmas = np.maximum(np.asarray(cases_mm, dtype=float), _SMALLEST_MM) / norm.ppf(0.975)

    def excess(distance_mm: float) -> float:
        return float(np.mean(2 * norm.cdf(distance_mm / sigmas) - 1) - 0.95)

    return round(float(brentq(excess, 0.0, 10 * float(sigmas.max()))), 2)
