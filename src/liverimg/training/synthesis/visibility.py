"""What of a painting can be seen in its images at all: the rest is scored neither way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.synthesis.lesions import Painting
from liverimg.training.synthesis.looks import Look
from liverimg.training.synthesis.scanner import Exposure, speckle
from liverimg.training.synthesis.tissues import Tissue
from liverimg.training.synthesis.warp import NoiseBank, Shape

BoolArray = NDArray[np.bool_]

_TREES = (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN, Tissue.BILE_DUCT)
_ABLATED = (Tissue.ABLATION_ZONE, Tissue.ABLATION_RIM)
# Vessels from 3 mm on cool what is heated beside them (see the heat sink in the clinical reference), and people who
# outline vessels seldom follow them further. Ducts inside the liver are dilated from about there on.
_LEAST_VESSEL_MM = 3.0
# Rose's criterion: what an eye tells from noise without fail has a signal of four to five times the noise's standard
# deviation, both averaged over the object (A. Rose, J. Opt. Soc. Am. 38 (1948) 196; Burgess, J. Opt. Soc. Am. A 16
# (1999) 633). Here the average runs over the part of an object within a Gaussian window: a piece of vessel of about a
# centimetre, or as much of a lesion.
_ROSE = 4.0
_WINDOW_MM = 4.0
# However quiet the image, what differs by less is not seen in a window 350 HU wide.
_LEAST_CONTRAST_HU = 8.0
# Nor does what is brighter than that make its surroundings seen: a drop of oil shows itself, not the tumour around it.
_MOST_CONTRAST_HU = 50.0
# A lesion of which less is seen than this is not there for a reader.
_LEAST_SHARE_OF_LESION = 0.5
_SUPPORT_CLASSES = 4
# The matter's own mottle inside the liver, as scanner.scan paints it: scale of the random field, and its share.
_MOTTLE = ((1, 0.7), (2, 0.7))


def unseen(
    painting: Painting,
    looks: Sequence[Look],
    exposure: Exposure,
    *,
    spacing_mm: float,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> BoolArray:
    """Voxels of vessels, ducts and lesions that show in none of the images; shape (k, j, i).

    Their labels would only teach guessing. Vessels and lesions count piece by piece, so a thin twig may be unseen
    while its trunk is not, and so may the part of a tumour without the oil; a lesion that is mostly unseen is so as a
    whole. Ablation zones count as unseen: whether what does not enhance was
    ablated is told by the history, not by its look.

    Args:
        painting: The matter.
        looks: Of the phases that were scanned.
        exposure: Of the study.
        spacing_mm: Of the patch.
        noise: Random fields.
        rng: Source of chance.
    """
    hidden = np.isin(painting.tissue, _ABLATED)
    trees = np.isin(painting.tissue, _TREES)
    lesions = (painting.kind > 0) & ~hidden
    if not (trees.any() or lesions.any()):
        return hidden
    contrast = _contrast_hu(painting, looks, trees, lesions)
    along = np.hypot(exposure.blur_voxels, exposure.slice_voxels / np.sqrt(12) if exposure.slice_voxels > 1 else 0.0)
    signal = ndimage.gaussian_filter(contrast, (along, exposure.blur_voxels, exposure.blur_voxels), truncate=2.5)
    background = _background(painting, looks, exposure, noise, rng)
    for objects in (trees, lesions):
        hidden |= objects & ~_stands_out(objects, signal, background, _WINDOW_MM / spacing_mm)
    _hide_half_seen(hidden, lesions)
    return hidden


def _contrast_hu(
    painting: Painting, looks: Sequence[Look], trees: BoolArray, lesions: BoolArray
) -> NDArray[np.float32]:
    """How far each voxel's matter differs from the liver, where it does so most, up to a limit; 0 elsewhere."""
    contrast = np.zeros(painting.tissue.shape, dtype=np.float32)
    for objects in (trees, lesions):
        tissue, kind, weight = painting.tissue[objects], painting.kind[objects], painting.weight[objects]
        differences = [np.abs(look.lesion_hu[kind, tissue] - look.hu[Tissue.LIVER]) for look in looks]
        contrast[objects] = np.minimum(np.max(differences, axis=0) * np.clip(weight, 0, 1), _MOST_CONTRAST_HU)
    return contrast


def _background(
    painting: Painting, looks: Sequence[Look], exposure: Exposure, noise: NoiseBank, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A piece of nothing but noise and the liver's mottle, in HU."""
    shape: Shape = (painting.tissue.shape[0], painting.tissue.shape[1], painting.tissue.shape[2])
    field = speckle(shape, exposure, noise, rng) * np.float32(exposure.noise_hu)
    if exposure.slice_voxels > 1:  # between thick slices there is no noise of its own
        slices = np.floor(np.arange(shape[0]) / exposure.slice_voxels).astype(int)
        field = field[slices]
    texture = float(looks[0].texture[Tissue.LIVER])
    for scale, share in _MOTTLE:
        field = field + np.float32(texture * share) * noise.piece(shape, scale, rng)
    return np.asarray(field, dtype=np.float32)


def _stands_out(
    objects: BoolArray, signal: NDArray[np.float32], background: NDArray[np.float32], window: float
) -> BoolArray:
    """Voxels of objects whose signal, averaged around them over the objects, is well above that of noise alone.

    The noise's average has the standard deviation that it shows over all voxels with about as much of an object
    around them.
    """
    seen = np.zeros(objects.shape, dtype=bool)
    if not objects.any():
        return seen
    box = _box_around(objects, round(2 * window))
    mask = objects[box].astype(np.float32)
    where = objects[box]
    support = _smooth(mask, window)[where]
    mean = _smooth(signal[box] * mask, window)[where] / support
    noise = _smooth(background[box] * mask, window)[where] / support
    needed = np.full(len(mean), _LEAST_CONTRAST_HU)
    edges = np.quantile(support, np.linspace(0, 1, _SUPPORT_CLASSES + 1)[1:-1])
    classes = np.searchsorted(edges, support)
    for number in range(_SUPPORT_CLASSES):
        own = classes == number
        if own.any():
            needed[own] = np.maximum(needed[own], _ROSE * np.sqrt(np.mean(noise[own] ** 2)))
    seen[box][where] = mean >= needed
    return seen


def _smooth(values: NDArray[np.float32], window: float) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(values, window, truncate=2.0, mode="constant"))


def _box_around(objects: BoolArray, margin: int) -> tuple[slice, slice, slice]:
    (k, j, i) = ndimage.find_objects(objects.view(np.uint8))[0]
    slices = [slice(max(0, s.start - margin), s.stop + margin) for s in (k, j, i)]
    return slices[0], slices[1], slices[2]


def _hide_half_seen(hidden: BoolArray, lesions: BoolArray) -> None:
    """Takes away what little is seen of a lesion, in place."""
    pieces, count = ndimage.label(lesions)
    if count == 0:
        return
    shares = ndimage.mean(~hidden, pieces, index=np.arange(1, count + 1))
    lost = np.concatenate([[False], shares < _LEAST_SHARE_OF_LESION])
    hidden |= lost[pieces]


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
