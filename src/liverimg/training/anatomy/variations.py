"""Livers and bodies that differ from the healthy: resected, cirrhotic, thin and stout, with a large spleen.

The liver's changes are made on its own mask at the fine spacing, guided by its Couinaud segments; the body's changes
on the finished body map. Arrays are in standard order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.anatomy.adapting import fill_from_neighbours, sampled
from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray
from liverimg.training.anatomy.fitting import box_of, signed_distance
from liverimg.training.synthesis.tissues import ARM_TISSUES, Tissue

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


class LiverChange(Enum):
    """What happened to a liver."""

    NONE = ""
    RESECTED = "resected"
    CIRRHOTIC = "cirrhotic"


# Segments that a resection takes: right half, left half, left lateral, right posterior.
_RESECTIONS = ((5, 6, 7, 8), (2, 3, 4), (2, 3), (6, 7))
_HYPERTROPHY_MM = (4.0, 16.0)
_SMOOTH_MM = 4.0
# Cirrhosis: how much each lobe's lengths change.
_RIGHT_SCALE, _CAUDATE_SCALE, _LATERAL_SCALE = (0.78, 0.95), (1.15, 1.45), (1.05, 1.3)
_FISSURE_MM, _FISSURE_DEPTH_MM = (2.0, 6.0), (12.0, 35.0)
_SPLEEN_GROWTH_MM = (5.0, 18.0)
_YIELDING = (
    Tissue.FAT,
    Tissue.STOMACH_WALL,
    Tissue.STOMACH_CONTENT,
    Tissue.BOWEL_WALL,
    Tissue.BOWEL_CONTENT,
    Tissue.COLON_WALL,
    Tissue.COLON_CONTENT,
)
_FAT_FACTOR = (0.35, 2.2)
_FATLESS_COARSE = 3


@dataclass(frozen=True)
class Variation:
    """How one map differs from the plain body around the plain liver.

    Attributes:
        liver: What happened to the liver.
        fat: Thickness of the fat under the skin over the body's own; 1 leaves it.
        spleen_mm: How much the spleen's surface moves out.
    """

    liver: LiverChange = LiverChange.NONE
    fat: float = 1.0
    spleen_mm: float = 0.0


def draw_variation(rng: np.random.Generator, *, segments_known: bool, share: float) -> Variation:
    """A variation: the liver's with probability ``share`` where its segments are known, the fat's always.

    Args:
        rng: Source of chance.
        segments_known: Whether the liver's Couinaud segments are known.
        share: Of changed livers.
    """
    change = LiverChange.NONE
    if segments_known and rng.random() < share:
        change = LiverChange.RESECTED if rng.random() < 0.4 else LiverChange.CIRRHOTIC
    fat = float(np.exp(rng.uniform(*np.log(_FAT_FACTOR))))
    large = change is LiverChange.CIRRHOTIC and rng.random() < 0.8
    return Variation(change, fat, float(rng.uniform(*_SPLEEN_GROWTH_MM)) if large else 0.0)


def changed_liver(
    liver: BoolArray, segments: ByteArray, change: LiverChange, *, spacing_mm: float, rng: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    """The liver that the body is fitted to, and the one that is there at last; on a grid padded alike.

    Args:
        liver: Mask.
        segments: Couinaud segments 1 to 8 on the same grid, known in the whole liver.
        change: What happened.
        spacing_mm: Isotropic.
        rng: Source of chance.
    """
    if change is LiverChange.RESECTED:
        return liver, resected(liver, segments, spacing_mm=spacing_mm, rng=rng)
    if change is LiverChange.CIRRHOTIC:
        shrunk = cirrhotic(liver, segments, spacing_mm=spacing_mm, rng=rng)
        return shrunk, shrunk
    return liver, liver


def resected(liver: BoolArray, segments: ByteArray, *, spacing_mm: float, rng: np.random.Generator) -> BoolArray:
    """What is left of a liver after segments were taken out, rounded and grown into some of the gap."""
    gone = np.isin(segments, _RESECTIONS[int(rng.integers(len(_RESECTIONS)))]) & liver
    left = liver & ~gone
    distance = ndimage.gaussian_filter(signed_distance(left, np.full(3, spacing_mm)), _SMOOTH_MM / spacing_mm)
    regrown = (distance < rng.uniform(*_HYPERTROPHY_MM)) & liver
    # The old surface is kept where nothing was taken: smoothing would round the liver's edges off.
    return _largest(regrown & (~gone | (distance < rng.uniform(*_HYPERTROPHY_MM))))


def cirrhotic(liver: BoolArray, segments: ByteArray, *, spacing_mm: float, rng: np.random.Generator) -> BoolArray:
    """A liver with a small right lobe, a large caudate and left lateral lobe, and wide fissures."""
    lobes = (
        (np.isin(segments, (5, 6, 7, 8)), rng.uniform(*_RIGHT_SCALE)),
        (segments == 1, rng.uniform(*_CAUDATE_SCALE)),
        (np.isin(segments, (2, 3)), rng.uniform(*_LATERAL_SCALE)),
    )
    every = max(1, round(5.0 / spacing_mm))
    shape = tuple(-(-n // every) for n in liver.shape)
    grid = np.indices(shape, dtype=np.float32) * every
    shift = np.zeros_like(grid)
    for lobe, scale in lobes:
        mask = lobe & liver
        if not mask.any():
            continue
        centre = np.array(ndimage.center_of_mass(mask))
        weight = ndimage.gaussian_filter(
            mask[::every, ::every, ::every].astype(np.float32), 12.0 / (spacing_mm * every)
        )
        weight = weight / max(float(weight.max()), 1e-6)
        for axis in range(3):
            shift[axis] += weight * np.float32(1 / scale - 1) * (grid[axis] - np.float32(centre[axis]))
    cut = liver & ~_fissure(liver, segments, spacing_mm=spacing_mm, rng=rng)
    distance = signed_distance(cut, np.full(3, spacing_mm))
    dense = [ndimage.zoom(part, every, order=1, grid_mode=True, mode="nearest") for part in shift]
    where = [
        np.arange(n, dtype=np.float32).reshape([-1 if b == a else 1 for b in range(3)])
        + dense[a][: liver.shape[0], : liver.shape[1], : liver.shape[2]]
        for a, n in enumerate(liver.shape)
    ]
    warped = ndimage.map_coordinates(distance, where, order=1, mode="nearest")
    return _largest(warped < 0)


def _fissure(liver: BoolArray, segments: ByteArray, *, spacing_mm: float, rng: np.random.Generator) -> BoolArray:
    """The fissure of the umbilical ligament, opened from in front and below."""
    lateral, medial = np.isin(segments, (2, 3)) & liver, (segments == 4) & liver
    if not lateral.any() or not medial.any():
        return np.zeros_like(liver)
    step = np.full(3, spacing_mm)
    gap = np.maximum(signed_distance(lateral, step), signed_distance(medial, step))
    narrow = gap < 0.5 * rng.uniform(*_FISSURE_MM) + spacing_mm
    return np.asarray(narrow & (signed_distance(liver, step) > -rng.uniform(*_FISSURE_DEPTH_MM)))


def _largest(mask: BoolArray) -> BoolArray:
    regions, count = ndimage.label(mask)
    if count == 0:
        return mask
    return np.asarray(regions == np.bincount(regions.ravel())[1:].argmax() + 1)


def fill_resection(tissue: ByteArray, gap: BoolArray, rng: np.random.Generator) -> None:
    """Fills what a resection left with the neighbours, fat and loops of bowel, in place."""
    if not gap.any():
        return
    low, high = box_of(gap)
    box = tuple(slice(max(0, int(a) - 6), int(b) + 6) for a, b in zip(low, high, strict=True))
    part, hole = tissue[box], gap[box]
    neighbours = part.copy()
    fill_from_neighbours(neighbours, hole)
    # Lung and heart do not come down: the diaphragm stays, fat and bowel move up.
    held = (Tissue.LUNG, Tissue.LUNG_VESSEL, Tissue.HEART_WALL, Tissue.HEART_BLOOD, Tissue.MUSCLE, Tissue.LIVER)
    part[hole] = np.where(np.isin(neighbours[hole], held), np.uint8(Tissue.FAT), neighbours[hole])
    loops = ndimage.gaussian_filter(rng.standard_normal(part.shape), 14.0 / BODY_SPACING_MM / 2)
    loops /= max(float(loops.std()), 1e-6)
    deep = ndimage.distance_transform_edt(hole) * BODY_SPACING_MM > 4.0
    wall = hole & deep & (loops > rng.uniform(-0.3, 0.9))
    part[wall] = Tissue.COLON_WALL
    part[ndimage.binary_erosion(wall)] = Tissue.COLON_CONTENT


def enlarge_spleen(tissue: ByteArray, by_mm: float) -> None:
    """Moves the spleen's surface out into fat, stomach and bowel, in place."""
    spleen = tissue == Tissue.SPLEEN
    if by_mm <= 0 or not spleen.any():
        return
    low, high = box_of(spleen)
    reach = int(np.ceil(by_mm / BODY_SPACING_MM)) + 2
    box = tuple(slice(max(0, int(a) - reach), int(b) + reach) for a, b in zip(low, high, strict=True))
    part = tissue[box]
    distance = signed_distance(part == Tissue.SPLEEN, np.full(3, BODY_SPACING_MM))
    smooth = ndimage.gaussian_filter(distance, 1.5)
    part[(smooth < by_mm) & np.isin(part, _YIELDING)] = Tissue.SPLEEN


def with_fat(tissue: ByteArray, factor: float) -> ByteArray:
    """The map with the fat under the skin ``factor`` times as thick; skin and arms move with it.

    Each place outside the muscles' hull is read from its distance to the hull over ``factor``.
    """
    if abs(factor - 1) < 0.05:
        return tissue
    every = _FATLESS_COARSE
    small = tissue[::every, ::every, ::every]
    solid = ~np.isin(small, (Tissue.AIR, Tissue.FAT, Tissue.SKIN, Tissue.GLAND, *ARM_TISSUES))
    width = max(1, round(20.0 / (BODY_SPACING_MM * every)))
    hull = np.zeros_like(solid)
    for k, plane in enumerate(solid):
        padded = ndimage.binary_closing(np.pad(plane, width + 1), iterations=width)
        hull[k] = ndimage.binary_fill_holes(padded)[width + 1 : -width - 1, width + 1 : -width - 1]
    unit = BODY_SPACING_MM * every
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(~hull).astype(np.float32), (2.0, 1.0, 1.0))
    away = np.maximum(distance - 0.7, 0)
    slope = np.stack(np.gradient(distance))
    slope /= np.maximum(np.linalg.norm(slope, axis=0), 0.3)
    back = away * np.float32(1 - 1 / factor)
    # Thinning pulls in what lies further out, but never from beyond 60 mm.
    back = np.clip(back, -60.0 / unit, 60.0 / unit)
    source = (np.indices(small.shape, dtype=np.float32) - back * slope) * every
    return sampled(tissue, source, tissue.shape, coarse=every)
