"""How well labels agree: overlap, surface distances, volumes, centrelines and lesions found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm
from skimage.morphology import skeletonize

from liverimg.core.labels import LIVER_CONTENTS, LabelMap, Structure
from liverimg.training.scoring.surfaces import surface_distances, weighted_percentile

BoolArray = NDArray[np.bool_]

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
        surface_dice_1mm: Share of both surfaces, by area, that lies within 1 mm of the other; None where both
            masks are empty, 0 where one is.
        surface_dice_2mm: The same within 2 mm.
    """

    dice: float
    found_ml: float
    truth_ml: float
    hd95_mm: float | None
    assd_mm: float | None
    matched_95_mm: float | None
    surface_dice_1mm: float | None = None
    surface_dice_2mm: float | None = None


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
        none_near = 0.0 if found.any() or truth.any() else None
        return Agreement(dice(found, truth), *sizes, None, None, None, none_near, none_near)
    box = _box(found | truth)
    apart = surface_distances(found[box], truth[box], spacing_mm)
    return Agreement(
        dice(found, truth),
        *sizes,
        hd95_mm=apart.hausdorff_mm(95),
        assd_mm=apart.mean_mm(),
        matched_95_mm=_matched_95_mm(found[box], truth[box], spacing_mm),
        surface_dice_1mm=apart.surface_dice(1.0),
        surface_dice_2mm=apart.surface_dice(2.0),
    )


def _matched_95_mm(found: BoolArray, truth: BoolArray, spacing_mm: NDArray[np.float64]) -> float | None:
    pieces = cc3d.connected_components(found, connectivity=26)
    touching = np.unique(pieces[truth])
    touching = touching[touching > 0]
    if len(touching) == 0:
        return None
    apart = surface_distances(np.isin(pieces, touching), truth, spacing_mm)
    return weighted_percentile(apart.there_mm, apart.there_mm2, 95)


def centreline_dice(found: BoolArray, truth: BoolArray) -> float | None:
    """How much of each tree's centreline lies in the other tree: clDice (Shit et al., CVPR 2021).

    Centrelines are Lee's thinning (1994) of the masks, voxel by voxel.

    Returns:
        The harmonic mean of both shares; None when the true tree is empty, 0 when only the found one is.
    """
    if not truth.any():
        return None
    if not found.any():
        return 0.0
    box = _box(found | truth)
    found, truth = found[box], truth[box]
    lines = [_centreline(mask) for mask in (found, truth)]
    precision = float(truth[lines[0]].mean())
    recall = float(found[lines[1]].mean())
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


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


def _centreline(mask: BoolArray) -> BoolArray:
    line = np.asarray(skeletonize(np.ascontiguousarray(mask)), dtype=np.bool_)  # type: ignore[no-untyped-call]
    # Thinning eats a perfectly even block up; then every voxel stands for its middle.
    return line if line.any() else mask


# Lesions by the diameter of the sphere of equal volume, mm: from the first to below the second number.
SIZE_CLASSES_MM: tuple[tuple[float, float], ...] = ((0, 10), (10, 20), (20, 50), (50, float("inf")))


def size_class(diameter_mm: float) -> str:
    """Name of the class that a diameter belongs to, such as ``10-20 mm``."""
    low, high = next((a, b) for a, b in SIZE_CLASSES_MM if diameter_mm < b)
    return f"{low:g}-{high:g} mm" if np.isfinite(high) else f"from {low:g} mm"


@dataclass(frozen=True)
class SizeTally:
    """Lesions of one size class: how many there are, how many were touched, and calls that touch none."""

    present: int = 0
    found: int = 0
    calls: int = 0
    false_calls: int = 0


def lesions_by_size(
    found: BoolArray, truth: BoolArray, spacing_mm: NDArray[np.float64], *, least_diameter_mm: float
) -> dict[str, SizeTally]:
    """Lesion-wise detection by size; a lesion is found when one voxel of it is, a call is false when it touches none.

    Args:
        found: Tumour mask by the model.
        truth: True tumour mask.
        spacing_mm: Along k, j, i.
        least_diameter_mm: Smaller pieces (as spheres of equal volume) are specks, not lesions, on either side.
    """
    classes = [size_class(low) for low, _ in SIZE_CLASSES_MM]
    parts = {"truth": _pieces(truth, spacing_mm), "calls": _pieces(found, spacing_mm)}
    touched = set(np.unique(parts["truth"][0][found]).tolist())
    right = set(np.unique(parts["calls"][0][truth]).tolist())
    counts = {name: [0, 0, 0, 0] for name in classes}
    for number, diameter_mm in parts["truth"][1].items():
        if diameter_mm >= least_diameter_mm:
            counts[size_class(diameter_mm)][0] += 1
            counts[size_class(diameter_mm)][1] += number in touched
    for number, diameter_mm in parts["calls"][1].items():
        if diameter_mm >= least_diameter_mm:
            counts[size_class(diameter_mm)][2] += 1
            counts[size_class(diameter_mm)][3] += number not in right
    return {name: SizeTally(*numbers) for name, numbers in counts.items()}


def _pieces(mask: BoolArray, spacing_mm: NDArray[np.float64]) -> tuple[NDArray[np.uint32], dict[int, float]]:
    """Connected pieces and the diameter of the sphere of equal volume for each."""
    numbered = cc3d.connected_components(mask, connectivity=26)
    sizes = np.bincount(numbered.ravel())
    diameters_mm = np.cbrt(6 / np.pi * sizes * float(np.prod(spacing_mm)))
    return numbered, {number: float(diameters_mm[number]) for number in range(1, len(sizes))}


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
