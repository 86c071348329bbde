"""Voxel bodies (ICRP 110) reduced to tissues and brought to an isotropic grid.

Arrays here are in standard order: k to Superior, j to Posterior, i to Left.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity
from liverimg.files import nifti
from liverimg.training.synthesis.tissues import Tissue

ByteArray = NDArray[np.uint8]

BODY_SPACING_MM = 2.5
# Trunk kept above and below the middle of the liver.
_REACH_MM = 290.0

# ICRP publication 110, annex A: organ ids of the adult reference phantoms.
_ORGAN_IDS: Mapping[Tissue, tuple[int, ...]] = {
    Tissue.FAT: (62, 64, 116, 117, 118, *range(100, 106)),
    Tissue.MUSCLE: (106, 107, 108, 133),
    Tissue.SKIN: (122, 123, 124, 125),
    Tissue.BONE_CORTICAL: (39, 41, 43, 45, 47, 49, 51, 53, 55, 24, 26, 27),
    Tissue.BONE_SPONGIOSA: (40, 42, 44, 46, 48, 50, 52, 54, 56, 25, 28, 29, 30),
    Tissue.CARTILAGE: (57, 58, 60),
    Tissue.LUNG: (97, 99),
    Tissue.LUNG_VESSEL: (96, 98),
    Tissue.HEART_WALL: (87,),
    Tissue.HEART_BLOOD: (88,),
    Tissue.LIVER: (95,),
    Tissue.SPLEEN: (127,),
    Tissue.KIDNEY_CORTEX: (89, 92),
    Tissue.KIDNEY_MEDULLA: (90, 93),
    Tissue.KIDNEY_PELVIS: (91, 94, 135, 136),
    Tissue.STOMACH_WALL: (72,),
    Tissue.STOMACH_CONTENT: (73,),
    Tissue.BOWEL_WALL: (74,),
    Tissue.BOWEL_CONTENT: (75,),
    Tissue.COLON_WALL: (76, 78, 80, 82, 84, 86),
    Tissue.COLON_CONTENT: (77, 79, 81, 83, 85),
    Tissue.GALLBLADDER: (70, 71),
    Tissue.PANCREAS: (113,),
    Tissue.VESSEL_OTHER: (9, 10, 12),
    Tissue.OESOPHAGUS: (110,),
    Tissue.AIRWAY: (7, 8, 140),
    Tissue.GLAND: (63, 65, 132, 131, 120),
    Tissue.SPINAL_CORD: (126, 61),
    Tissue.SOFT_OTHER: (1, 2, 111, 112, 115, 137, 139, 114, 129, 130, 134),
    Tissue.BLADDER: (138,),
    Tissue.ARM_FAT: (118, 124, 104),
    Tissue.ARM_MUSCLE: (108, 11, 59),
    Tissue.ARM_BONE: tuple(range(13, 24)),
}


def read_standard(path: Path) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """Label values of a NIfTI file in standard order, and their spacing in mm along k, j, i."""
    volume = nifti.read_volume(path, Quantity.HU)
    turn = Orientation.of(volume.grid)
    return turn.turn(volume.array), turn.turn_grid(volume.grid).spacing_mm


def read_body(path: Path) -> ByteArray:
    """An ICRP body as tissues at ``BODY_SPACING_MM`` around its liver, standard order.

    Label borders are smoothed: each tissue's mask is interpolated and the largest wins, because the
    original slices are 4.8 to 8 mm thick.
    """
    organs, spacing_mm = read_standard(path)
    tissues = _to_tissues(organs)
    middle = int(ndimage.center_of_mass(tissues == Tissue.LIVER)[0])
    reach = round(_REACH_MM / spacing_mm[0])
    tissues = tissues[max(0, middle - reach) : middle + reach]
    _name_great_vessels(tissues, spacing_mm)
    return resampled_labels(tissues, spacing_mm / BODY_SPACING_MM)


def _to_tissues(organs: NDArray[np.integer]) -> ByteArray:
    table = np.zeros(256, dtype=np.uint8)
    for tissue, ids in _ORGAN_IDS.items():
        table[list(ids)] = tissue
    return np.asarray(table[organs])


def _name_great_vessels(tissues: ByteArray, spacing_mm: NDArray[np.float64]) -> None:
    """Splits the blood of the trunk into aorta, vena cava and the rest, slice by slice, in place.

    Near the spine the cava lies to the right of the vertebral body's middle and the aorta to its left.
    """
    bone = np.isin(tissues, (Tissue.BONE_CORTICAL, Tissue.BONE_SPONGIOSA))
    liver_i = ndimage.center_of_mass(tissues == Tissue.LIVER)[2]
    cord = np.argwhere(tissues == Tissue.SPINAL_CORD)
    least_pixels = 60.0 / (spacing_mm[1] * spacing_mm[2])
    for k in range(len(tissues)):
        vessels, count = ndimage.label(tissues[k] == Tissue.VESSEL_OTHER)
        near = cord[np.abs(cord[:, 0] - k) <= max(1, 40 / spacing_mm[0])]
        if count == 0 or len(near) == 0 or not bone[k].any():
            continue
        cord_j, cord_i = near[:, 1].mean(), near[:, 2].mean()
        best: dict[Tissue, tuple[float, int]] = {}
        for number in range(1, count + 1):
            spots = np.argwhere(vessels == number)
            ahead_mm = (cord_j - spots[:, 0].mean()) * spacing_mm[1]
            left_mm = (spots[:, 1].mean() - cord_i) * spacing_mm[2] * np.sign(cord_i - liver_i)
            if len(spots) < least_pixels or not 10 < ahead_mm < 95 or abs(left_mm) > 45:
                continue
            side = Tissue.AORTA if left_mm > 0 else Tissue.VENA_CAVA
            best[side] = max(best.get(side, (0.0, 0)), (len(spots) / (20 + abs(ahead_mm - 40)), number))
        for side, (_, number) in best.items():
            tissues[k][vessels == number] = side


def resampled_labels(labels: ByteArray, zoom: NDArray[np.float64]) -> ByteArray:
    """Labels on a finer grid with smooth borders: argmax over linearly interpolated, softened masks."""
    shape = tuple(int(n) for n in np.floor(np.asarray(labels.shape) * zoom))
    best = np.zeros(shape, dtype=np.float32)
    out = np.zeros(shape, dtype=np.uint8)
    # Voxel edges coincide: centre of output voxel n lies at (n + 0.5) / zoom - 0.5.
    offset = 0.5 / zoom - 0.5
    sigma = np.clip(0.45 * zoom / zoom.max(), 0.3, 0.6)
    for value in np.unique(labels):
        soft = ndimage.gaussian_filter((labels == value).astype(np.float32), sigma)
        score = ndimage.affine_transform(soft, 1 / zoom, offset=offset, output_shape=shape, order=1, mode="nearest")
        better = score > best
        out[better] = value
        best[better] = score[better]
    return out
