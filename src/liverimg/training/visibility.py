"""What of a painting can be seen in its images at all: the rest is scored neither way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.lesions import Painting
from liverimg.training.looks import Look
from liverimg.training.scanner import Exposure
from liverimg.training.tissues import Tissue

BoolArray = NDArray[np.bool_]

_TREES = (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN, Tissue.BILE_DUCT)
_ABLATED = (Tissue.ABLATION_ZONE, Tissue.ABLATION_RIM)
# A vessel must stand out by this much after blurring, and by this share of the noise.
_LEAST_VESSEL_HU = 5.0
_LEAST_VESSEL_TO_NOISE = 0.5
# A lesion must differ from the liver by this much somewhere, and by this share of the noise.
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
        if max(look.contrast_hu(kind) for look in looks) < least:
            hidden |= painting.kind == kind
    return hidden


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
