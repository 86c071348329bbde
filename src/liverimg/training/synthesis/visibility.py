"""What of a painting can be seen in its images at all: the rest is scored neither way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.synthesis.lesions import Painting
from liverimg.training.synthesis.looks import Look
from liverimg.training.synthesis.scanner import Exposure
from liverimg.training.synthesis.tissues import Tissue

BoolArray = NDArray[np.bool_]

_TREES = (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN, Tissue.BILE_DUCT)
_ABLATED = (Tissue.ABLATION_ZONE, Tissue.ABLATION_RIM)
# Vessels from 3 mm on cool what is heated beside them (see the heat sink in the clinical reference), and people who
# outline vessels seldom follow them further. Ducts inside the liver are dilated from about there on.
_LEAST_VESSEL_MM = 3.0
# A vessel must stand out by this much after blurring, and by this share of the noise.
_LEAST_VESSEL_HU = 5.0
_LEAST_VESSEL_TO_NOISE = 0.5
# A lesion must differ from the liver by this much on average, and by this share of the noise.
_LEAST_LESION_HU = 8.0
_LEAST_LESION_TO_NOISE = 0.8


def unseen(painting: Painting, looks: Sequence[Look], exposure: Exposure) -> BoolArray:
    """Voxels of vessels, ducts and lesions that show in none of the images; shape (k, j, i).

    Their labels would only teach guessing. A vessel counts voxel by voxel, so a thin twig may be unseen while its
    trunk is not; a lesion counts as a whole. Ablation zones count as unseen: whether what does not enhance was
    ablated is told by the history, not by its look.

    Args:
        painting: The matter.
        looks: Of the phases that were scanned.
        exposure: Of the study.
    """
    hidden = np.isin(painting.tissue, _ABLATED)
    _hide_vessels(hidden, painting, looks, exposure)
    least = max(_LEAST_LESION_HU, _LEAST_LESION_TO_NOISE * exposure.noise_hu)
    for kind in range(1, len(looks[0].lesion_hu)):
        where = painting.kind == kind
        if where.any() and max(_mean_contrast_hu(painting, where, kind, look) for look in looks) < least:
            hidden |= where
    return hidden


def _mean_contrast_hu(painting: Painting, where: BoolArray, kind: int, look: Look) -> float:
    """How far the lesions of a kind differ from the liver, mean over their voxels."""
    difference = np.abs(look.lesion_hu[kind][painting.tissue[where]] - look.hu[Tissue.LIVER])
    return float((difference * np.clip(painting.weight[where], 0, 1)).mean())


def too_thin(tissue: NDArray[np.uint8], spacing_mm: float) -> BoolArray:
    """Voxels of vessels and ducts that are thinner than 3 mm there; shape (k, j, i).

    Method: what a binary opening with a cube of that width takes away; nothing where a voxel is as wide.
    """
    thin = np.zeros(tissue.shape, dtype=bool)
    width = round(_LEAST_VESSEL_MM / spacing_mm)
    if width < 2:
        return thin
    cube = np.ones((width, width, width), dtype=bool)
    for tree in _TREES:
        mask = tissue == tree
        if mask.any():
            thin |= mask & ~ndimage.binary_opening(mask, cube)
    return thin


def _hide_vessels(hidden: BoolArray, painting: Painting, looks: Sequence[Look], exposure: Exposure) -> None:
    contrast_hu = np.zeros(256, dtype=np.float32)
    for tree in _TREES:
        contrast_hu[tree] = max(abs(float(look.hu[tree] - look.hu[Tissue.LIVER])) for look in looks)
    trees = np.isin(painting.tissue, _TREES)
    if not trees.any():
        return
    along = np.hypot(exposure.blur_voxels, exposure.slice_voxels / np.sqrt(12) if exposure.slice_voxels > 1 else 0.0)
    signal = ndimage.gaussian_filter(
        contrast_hu[painting.tissue], (along, exposure.blur_voxels, exposure.blur_voxels), truncate=2.5
    )
    least = max(_LEAST_VESSEL_HU, _LEAST_VESSEL_TO_NOISE * exposure.noise_hu)
    hidden |= trees & (signal < least)
