"""A real trunk CT with automatic labels as a voxel body.

The labels (TotalSegmentator's own output, Apache-2.0) cover the upper part of the scan only, and the scan ends in the
middle of the liver. So three sources are put together: labelled organs where there are labels; elsewhere in the scan
the grey value says gas, fat, bone or soft tissue and a bent ICRP body says which; above the scan the bent ICRP body
alone. The scan must not be used for scoring a model that was trained with this body.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.errors import InputRefusedError
from liverimg.training.anatomy.adapting import Laid, Part, adapted, largest_region, trunk_of
from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray, read_standard, resampled_labels
from liverimg.training.anatomy.fitting import box_of
from liverimg.training.synthesis.tissues import ARM_TISSUES, Tissue

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

_BELOW_MM, _ABOVE_MM = 170.0, 190.0
# Hounsfield units that part gas, fat, soft tissue and bone; they sort voxels of one training body and nothing else.
_SKIN_HU, _GAS_HU, _FAT_HU, _BONE_HU = -350.0, -250.0, -30.0, 190.0
_SAME_TISSUE: Mapping[str, Tissue] = {
    "spleen": Tissue.SPLEEN,
    "kidney_right": Tissue.KIDNEY_CORTEX,
    "kidney_left": Tissue.KIDNEY_CORTEX,
    "gallbladder": Tissue.GALLBLADDER,
    "liver": Tissue.LIVER,
    "stomach": Tissue.STOMACH_WALL,
    "pancreas": Tissue.PANCREAS,
    "adrenal_gland_right": Tissue.SOFT_OTHER,
    "adrenal_gland_left": Tissue.SOFT_OTHER,
    "lung_lower_lobe_left": Tissue.LUNG,
    "lung_upper_lobe_left": Tissue.LUNG,
    "lung_lower_lobe_right": Tissue.LUNG,
    "lung_middle_lobe_right": Tissue.LUNG,
    "small_bowel": Tissue.BOWEL_WALL,
    "duodenum": Tissue.BOWEL_WALL,
    "colon": Tissue.COLON_WALL,
    "aorta": Tissue.AORTA,
    "inferior_vena_cava": Tissue.VENA_CAVA,
    "portal_vein_and_splenic_vein": Tissue.VESSEL_OTHER,
    "spinal_cord": Tissue.SPINAL_CORD,
    "autochthon_left": Tissue.MUSCLE,
    "autochthon_right": Tissue.MUSCLE,
    "iliopsoas_left": Tissue.MUSCLE,
    "iliopsoas_right": Tissue.MUSCLE,
    "costal_cartilages": Tissue.CARTILAGE,
}
_HOLLOW = {
    Tissue.STOMACH_WALL: Tissue.STOMACH_CONTENT,
    Tissue.BOWEL_WALL: Tissue.BOWEL_CONTENT,
    Tissue.COLON_WALL: Tissue.COLON_CONTENT,
}
_CORTEX_MM = 7.0
_KIDNEY = (Tissue.KIDNEY_CORTEX, Tissue.KIDNEY_MEDULLA, Tissue.KIDNEY_PELVIS)
# What soft voxels without a label can be, and how the organs end below the labels (mm of radius lost per mm).
_SOFT = (
    Tissue.MUSCLE,
    Tissue.BOWEL_WALL,
    Tissue.BOWEL_CONTENT,
    Tissue.COLON_WALL,
    Tissue.COLON_CONTENT,
    Tissue.VESSEL_OTHER,
    Tissue.SOFT_OTHER,
)
_ENDS_BELOW = {Tissue.LIVER: 0.9, Tissue.KIDNEY_CORTEX: 0.7, Tissue.AORTA: 0.02, Tissue.VENA_CAVA: 0.02}
_ENDS_BELOW |= {Tissue.SPINAL_CORD: 0.02}


def read_ct_body(folder: Path, atlas: ByteArray) -> ByteArray:
    """The body of a scan around its liver, completed upwards.

    Args:
        folder: With ``example_ct.nii.gz``, ``example_ct_sm.nii.gz`` (the labelled part of it), ``example_seg.nii.gz``
            and ``labels.csv``.
        atlas: The male ICRP body, from :func:`liverimg.training.anatomy.bodies.read_body`.
    """
    hu, spacing_mm = read_standard(folder / "example_ct.nii.gz")
    labelled, _ = read_standard(folder / "example_ct_sm.nii.gz")
    labels, _ = read_standard(folder / "example_seg.nii.gz")
    first = _first_labelled(hu, labelled)
    names = _names(folder / "labels.csv")
    zoom = spacing_mm / BODY_SPACING_MM
    tissue = _labelled_tissue(labels, names)
    whole = np.full(hu.shape, Tissue.AIR, dtype=np.uint8)
    whole[first : first + len(labels)] = tissue
    fine = resampled_labels(whole, zoom)
    grey = _interpolated(hu.astype(np.float32), zoom, fine.shape)
    slab = (round(first * zoom[0]), min(len(fine), round((first + len(labels)) * zoom[0])))
    low = max(0, slab[0] - round(_BELOW_MM / BODY_SPACING_MM))
    fine, grey, slab = fine[low : slab[1]], grey[low : slab[1]], (slab[0] - low, slab[1] - low)
    _end_below(fine, grey, slab[0])
    return _completed(fine, grey, slab, atlas)


def _first_labelled(hu: NDArray[np.integer], labelled: NDArray[np.integer]) -> int:
    """Slice of the scan where its labelled part begins; the small files' origins do not tell."""
    for first in range(len(hu) - len(labelled) + 1):
        if np.array_equal(hu[first : first + len(labelled)], labelled):
            return first
    raise InputRefusedError("example_ct_sm is no part of example_ct: expected equal slices; fetch both files again")


def _names(path: Path) -> dict[str, int]:
    with path.open(encoding="utf-8", newline="") as table:
        return {row["structure"]: int(row["value"]) for row in csv.DictReader(table)}


def _labelled_tissue(labels: NDArray[np.integer], names: dict[str, int]) -> ByteArray:
    table = np.zeros(256, dtype=np.uint8)
    for name, tissue in _SAME_TISSUE.items():
        table[names[name]] = tissue
    for name, value in names.items():
        if name.startswith(("vertebrae_", "rib_", "sternum", "sacrum")):
            table[value] = Tissue.BONE_SPONGIOSA
    out = np.asarray(table[labels])
    for wall, content in _HOLLOW.items():
        out[ndimage.binary_erosion(out == wall)] = content
    return out


def _interpolated(grey: NDArray[np.float32], zoom: FloatArray, shape: tuple[int, ...]) -> NDArray[np.float32]:
    offset = 0.5 / zoom - 0.5
    return np.asarray(
        ndimage.affine_transform(grey, 1 / zoom, offset=offset, output_shape=shape, order=1, mode="nearest")
    )


def _end_below(tissue: ByteArray, grey: NDArray[np.float32], bottom: int) -> None:
    """Lets organs that the labels cut off end smoothly in the soft tissue below, in place."""
    for value, taper in _ENDS_BELOW.items():
        mask = tissue[bottom] == value
        if not mask.any():
            continue
        depth_mm = ndimage.distance_transform_edt(mask) * BODY_SPACING_MM
        for k in range(bottom - 1, -1, -1):
            left = (depth_mm > taper * (bottom - k) * BODY_SPACING_MM) & (tissue[k] == Tissue.AIR)
            tissue[k][left & (grey[k] > _FAT_HU) & (grey[k] < _BONE_HU)] = value


def _completed(tissue: ByteArray, grey: NDArray[np.float32], slab: tuple[int, int], atlas: ByteArray) -> ByteArray:
    """Puts labels, grey values and the bent atlas together."""
    above = round(_ABOVE_MM / BODY_SPACING_MM)
    height = len(tissue)
    organs = np.pad(tissue, ((0, above), (0, 0), (0, 0)))
    planes = [_body_plane(plane) for plane in grey]
    trunk = np.pad(np.asarray(planes), ((0, above), (0, 0), (0, 0)), mode="edge")
    known = np.zeros(organs.shape, dtype=bool)
    known[:height] = True
    bending = [
        Part((Tissue.LIVER,), organs == Tissue.LIVER),
        Part((Tissue.SPLEEN,), organs == Tissue.SPLEEN),
        Part(_KIDNEY, organs == Tissue.KIDNEY_CORTEX),
        Part((Tissue.LUNG, Tissue.LUNG_VESSEL), organs == Tissue.LUNG),
    ]
    labelled = np.zeros(organs.shape, dtype=bool)
    labelled[slab[0] : slab[1]] = True
    # Only the labelled slab says where organs are; the outline is known in the whole scan.
    bent = adapted(
        _laid(atlas, trunk, organs, slab),
        trunk,
        [Part(p.tissues, p.mask, known=labelled) for p in bending],
        known=known,
    )
    out = bent.copy()
    out[:height] = _refined(bent[:height], organs[:height], grey, np.asarray(planes))
    # The scan was made with the arms up, and its labels do not part cortex from medulla.
    out[np.isin(out, ARM_TISSUES)] = Tissue.AIR
    kidney = np.isin(out, _KIDNEY)
    out[ndimage.binary_erosion(kidney, iterations=max(1, round(_CORTEX_MM / BODY_SPACING_MM)))] = Tissue.KIDNEY_MEDULLA
    return out


def _laid(atlas: ByteArray, trunk: BoolArray, organs: ByteArray, slab: tuple[int, int]) -> Laid:
    """Height by the kidneys' upper poles, width and depth by the trunk at that level."""
    here = np.flatnonzero((organs == Tissue.KIDNEY_CORTEX).any(axis=(1, 2)))[-1]
    there = np.flatnonzero(np.isin(atlas, _KIDNEY).any(axis=(1, 2)))[-1]
    box = box_of(trunk[slab[0] : slab[1]])
    atlas_box = box_of(trunk_of(atlas[there - 15 : there + 15]))
    return Laid.by_boxes(atlas, box, atlas_box, level=here, atlas_level=there)


def _body_plane(grey: NDArray[np.float32]) -> BoolArray:
    """The patient within one slice, the table left out."""
    dense = ndimage.binary_opening(grey > _SKIN_HU, iterations=2)
    return np.asarray(ndimage.binary_fill_holes(largest_region(dense)))


def _refined(bent: ByteArray, organs: ByteArray, grey: NDArray[np.float32], trunk: BoolArray) -> ByteArray:
    """Labels first, then what the grey value allows of the bent body."""
    out = np.full(bent.shape, Tissue.AIR, dtype=np.uint8)
    soft = np.isin(bent, _SOFT)
    nearest = ndimage.distance_transform_edt(~soft, return_distances=False, return_indices=True)
    out[trunk] = bent[tuple(nearest)][trunk]
    out[trunk & (grey < _FAT_HU)] = Tissue.FAT
    out[trunk & (grey < _GAS_HU)] = Tissue.COLON_CONTENT
    bone = trunk & (grey > _BONE_HU)
    marrow = ndimage.binary_closing(bone, iterations=2) & trunk & ~bone
    labelled = organs != Tissue.AIR
    out[labelled & trunk] = organs[labelled & trunk]
    out[(marrow & ~labelled) | (bone & (organs == Tissue.BONE_SPONGIOSA))] = Tissue.BONE_SPONGIOSA
    hard = bone & ~np.isin(organs, tuple(_HOLLOW) + tuple(_HOLLOW.values()))
    out[hard & ~ndimage.binary_erosion(bone | (organs == Tissue.BONE_SPONGIOSA))] = Tissue.BONE_CORTICAL
    cross = ndimage.generate_binary_structure(2, 1)[None]
    out[trunk & ~ndimage.binary_erosion(trunk, cross)] = Tissue.SKIN
    return out
