"""Making a further body out of a voxel body: its outline and organs are bent to those of another person.

What that person's source shows is taken from there; what it does not show (ribs, bowel, muscle ...) is the voxel
body's, bent along. Arrays are in standard order at one isotropic spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray
from liverimg.training.anatomy.fitting import box_of, demons_of_parts, signed_distance
from liverimg.training.synthesis.tissues import ARM_TISSUES, Tissue

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Box = tuple[NDArray[np.int64], NDArray[np.int64]]

_COARSE = 3
_CLIP_MM = 45.0
_ROUNDS = 80
_SIGMA = 1.6


@dataclass(frozen=True, eq=False)
class Part:
    """An organ of the other person.

    Attributes:
        tissues: What it is made of in the voxel body.
        mask: Where it is in the other person.
        bends: Whether the body is bent to it; if not, it is set in afterwards only.
        known: Where ``mask`` is known, same shape; None for everywhere.
    """

    tissues: tuple[Tissue, ...]
    mask: BoolArray
    bends: bool = True
    known: BoolArray | None = None


@dataclass(frozen=True, eq=False)
class Laid:
    """A voxel body laid on another person, before it is bent.

    Attributes:
        atlas: The voxel body.
        scale: Atlas voxels per voxel of the other person, along each axis.
        middle: Point (k, j, i) of the other person, in voxels, that belongs to ``atlas_middle``.
        atlas_middle: The same place in the voxel body.
    """

    atlas: ByteArray
    scale: FloatArray
    middle: FloatArray
    atlas_middle: FloatArray

    @classmethod
    def by_boxes(cls, atlas: ByteArray, box: Box, atlas_box: Box, *, level: float, atlas_level: float) -> Laid:
        """With the same width and depth as the other person, and the same height at one level.

        Args:
            atlas: The voxel body.
            box: First and one-past-last index of the other person's trunk, along each axis.
            atlas_box: Those of the voxel body's trunk.
            level: Slice of the other person that lies on ``atlas_level``.
            atlas_level: The same slice of the voxel body.
        """
        (low, high), (atlas_low, atlas_high) = box, atlas_box
        scale = (atlas_high - atlas_low) / (high - low)
        scale[0] = 1.0
        middle, atlas_middle = (low + high - 1) / 2, (atlas_low + atlas_high - 1) / 2
        middle[0], atlas_middle[0] = level, atlas_level
        return cls(atlas, scale, middle, atlas_middle)

    def places(self, indices: NDArray[Any]) -> FloatArray:
        """Where places (3, ...) of the other person lie in the voxel body, as indices."""
        return np.stack([(indices[a] - self.middle[a]) * self.scale[a] + self.atlas_middle[a] for a in range(3)])


def trunk_of(body: ByteArray) -> BoolArray:
    """Everything within the skin but the arms, without holes in any slice."""
    trunk = ~np.isin(body, (Tissue.AIR, *ARM_TISSUES))
    return np.asarray([largest_region(ndimage.binary_fill_holes(plane)) for plane in trunk])


def largest_region(plane: BoolArray) -> BoolArray:
    """The largest connected region of a mask, or the mask itself when it is empty."""
    regions, count = ndimage.label(plane)
    if count < 2:
        return plane
    return np.asarray(regions == np.bincount(regions.ravel())[1:].argmax() + 1)


def adapted(laid: Laid, trunk: BoolArray, parts: Sequence[Part], *, known: BoolArray) -> ByteArray:
    """A voxel body with another person's outline and organs.

    Args:
        laid: The voxel body.
        trunk: The other person's outline, arms left out.
        parts: The other person's organs, on the same grid as ``trunk``.
        known: Where ``trunk`` is known, same shape.
    """
    bent = _bent(laid, trunk, parts, known)
    for part in parts:
        set_in(bent, part)
    _set_outline(bent, trunk, known)
    return bent


def _bent(laid: Laid, trunk: BoolArray, parts: Sequence[Part], known: BoolArray) -> ByteArray:
    shape = tuple(n // _COARSE for n in trunk.shape)
    target = np.indices(shape, dtype=np.float32) * _COARSE
    start = laid.places(target)
    unit = BODY_SPACING_MM * _COARSE
    clip = _CLIP_MM / unit
    step = np.full(3, BODY_SPACING_MM)

    def coarse(mask: BoolArray) -> NDArray[np.float32]:
        return np.asarray(np.clip(signed_distance(mask, step)[every] / unit, -clip, clip))

    def from_atlas(mask: BoolArray) -> NDArray[np.float32]:
        distance = np.clip(signed_distance(mask, step) / unit, -clip, clip)
        return np.asarray(ndimage.map_coordinates(distance, start, order=1, mode="nearest"))

    every = tuple(slice(0, n * _COARSE, _COARSE) for n in shape)
    bending = [part for part in parts if part.bends]
    fixed = [coarse(trunk), *[coarse(part.mask) for part in bending]]
    moving = [from_atlas(trunk_of(laid.atlas)), *[from_atlas(np.isin(laid.atlas, part.tissues)) for part in bending]]
    seen = [known[every], *[None if part.known is None else part.known[every] for part in bending]]
    shift = demons_of_parts(fixed, moving, known=seen, rounds=_ROUNDS, sigma=_SIGMA)
    place = laid.places(target + shift * _COARSE)
    return sampled(laid.atlas, place.astype(np.float32), trunk.shape, coarse=_COARSE)


def sampled(body: ByteArray, source: NDArray[np.float32], shape: tuple[int, ...], *, coarse: int) -> ByteArray:
    """A body's tissues at places given on every ``coarse``-th voxel; air where the body ends.

    Args:
        body: What is read.
        source: Indices (3, k, j, i) into it.
        shape: Of the result.
        coarse: Step of ``source`` in voxels of the result.
    """
    index = []
    for axis in range(3):
        dense = source[axis]
        for a in range(3):
            at = np.minimum(np.arange(shape[a]) / coarse, dense.shape[a] - 1)
            low = np.minimum(at.astype(int), dense.shape[a] - 2)
            weight = (at - low).astype(np.float32).reshape([-1 if b == a else 1 for b in range(3)])
            dense = np.take(dense, low, axis=a) * (1 - weight) + np.take(dense, low + 1, axis=a) * weight
        index.append(np.rint(dense).astype(np.int32))
    inside = np.ones(shape, dtype=bool)
    for axis in range(3):
        inside &= (index[axis] >= 0) & (index[axis] < body.shape[axis])
        np.clip(index[axis], 0, body.shape[axis] - 1, out=index[axis])
    return np.asarray(np.where(inside, body[tuple(index)], np.uint8(Tissue.AIR)))


def set_in(tissue: ByteArray, part: Part) -> None:
    """Gives an organ its true shape, in place: its inner structure follows, its neighbours fill what it leaves."""
    own = np.isin(tissue, part.tissues)
    if not part.mask.any():
        return
    gap = own & ~part.mask
    fill_from_neighbours(tissue, gap if part.known is None else gap & part.known, never_from=own | part.mask)
    wanted = part.mask & ~own
    if own.any():
        nearest = ndimage.distance_transform_edt(~own, return_distances=False, return_indices=True)
        tissue[wanted] = tissue[tuple(index[wanted] for index in nearest)]
    else:
        tissue[wanted] = part.tissues[0]


def fill_from_neighbours(tissue: ByteArray, gap: BoolArray, *, never_from: BoolArray | None = None) -> None:
    """Nearest other tissue fills a gap, in place; bone, skin, air and cava do not grow, fat lies there.

    Args:
        tissue: Changed in place.
        gap: What is filled.
        never_from: Voxels that nothing is taken from, the gap among them; None for the gap alone.
    """
    if not gap.any():
        return
    closed = gap if never_from is None else never_from
    low, high = box_of(closed)
    box = tuple(slice(max(0, int(a) - 2), int(b) + 2) for a, b in zip(low, high, strict=True))
    part, hole = tissue[box], gap[box]
    nearest = ndimage.distance_transform_edt(closed[box], return_distances=False, return_indices=True)
    filled = part[tuple(index[hole] for index in nearest)]
    stiff = (
        Tissue.AIR,
        Tissue.BONE_CORTICAL,
        Tissue.BONE_SPONGIOSA,
        Tissue.CARTILAGE,
        Tissue.SKIN,
        Tissue.VENA_CAVA,
        Tissue.AORTA,
        Tissue.SPINAL_CORD,
    )
    part[hole] = np.where(np.isin(filled, stiff), np.uint8(Tissue.FAT), filled)


def _set_outline(tissue: ByteArray, trunk: BoolArray, known: BoolArray) -> None:
    """Air outside the trunk but for the arms, fat where the body was too thin, a skin of one voxel."""
    arms = np.isin(tissue, ARM_TISSUES)
    tissue[known & ~trunk & ~arms] = Tissue.AIR
    inside = known & trunk
    tissue[inside & (arms | np.isin(tissue, (Tissue.AIR, Tissue.SKIN)))] = Tissue.FAT
    cross = ndimage.generate_binary_structure(2, 1)[None]
    rim = inside & ~ndimage.binary_erosion(trunk, cross)
    tissue[rim] = Tissue.SKIN
