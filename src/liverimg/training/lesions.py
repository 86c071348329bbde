"""Lesions of random size, shape and look, painted into the tissues of a patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverimg.training.looks import LesionLook, Look
from liverimg.training.tissues import IN_LIVER, Tissue
from liverimg.training.warp import FloatArray, NoiseBank, Shape

_CYST_SHARE = 0.12
_OVER_VESSELS_SHARE = 0.4
_EXOPHYTIC_SHARE = 0.15
_COUNTS, _COUNT_WEIGHTS = (0, 1, 2, 3, 5, 8), (0.2, 0.27, 0.2, 0.15, 0.12, 0.06)
_RAGGED = 0.22


@dataclass(frozen=True)
class LesionSizes:
    """Radii in mm between which lesions are drawn, evenly in the logarithm."""

    least_mm: float = 3.0
    most_mm: float = 35.0


def paint_lesions(
    tissue: NDArray[np.uint8],
    difference: FloatArray,
    *,
    look: Look,
    spacing_mm: NDArray[np.float64],
    sizes: LesionSizes,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> int:
    """Paints lesions and cysts into ``tissue`` and their HU difference from the liver into ``difference``.

    Returns:
        How many were painted.
    """
    liver = np.flatnonzero(tissue.reshape(-1) == Tissue.LIVER)
    wanted = int(rng.choice(_COUNTS, p=_COUNT_WEIGHTS))
    if len(liver) == 0:
        return 0
    for _ in range(wanted):
        centre = np.array(np.unravel_index(int(rng.choice(liver)), tissue.shape))
        shrink = 1.0 if wanted < 3 else 0.5  # many lesions are small ones
        low, high = np.log(sizes.least_mm), np.log(max(sizes.least_mm * 1.5, shrink * sizes.most_mm))
        axes_mm = np.exp(rng.uniform(low, high)) * np.exp(rng.normal(0, 0.18, size=3))
        _paint_one(tissue, difference, centre, axes_mm, look, spacing_mm, noise, rng)
    return wanted


def _paint_one(
    tissue: NDArray[np.uint8],
    difference: FloatArray,
    centre: NDArray[np.int64],
    axes_mm: NDArray[np.float64],
    look: Look,
    spacing_mm: NDArray[np.float64],
    noise: NoiseBank,
    rng: np.random.Generator,
) -> None:
    reach = np.ceil(1.4 * axes_mm.max() / spacing_mm).astype(int)
    low = np.maximum(centre - reach, 0)
    high = np.minimum(centre + reach + 1, tissue.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part, delta = tissue[box], difference[box]
    depth = _depth(part.shape, centre - low, axes_mm, spacing_mm, noise, rng)
    allowed = _allowed(part, rng)
    inside = (depth < 1) & allowed
    if rng.random() < _CYST_SHARE:
        part[inside] = Tissue.CYST
        delta[inside] = look.hu[Tissue.CYST] - look.hu[Tissue.LIVER]
        return
    kind = look.lesions[int(rng.integers(len(look.lesions)))]
    _fill(part, delta, depth, inside, kind, float(axes_mm.mean()), noise, rng)


def _depth(
    shape: Shape | tuple[int, ...],
    centre: NDArray[np.int64],
    axes_mm: NDArray[np.float64],
    spacing_mm: NDArray[np.float64],
    noise: NoiseBank,
    rng: np.random.Generator,
) -> FloatArray:
    """Distance from the middle as a share of the radius, made ragged; shape (k, j, i)."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    offsets = [(np.arange(n) - c) * s for n, c, s in zip(shape, centre, spacing_mm, strict=True)]
    grid = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1).astype(np.float32)
    scaled = (grid @ turn.astype(np.float32)) / axes_mm.astype(np.float32)
    depth = np.sqrt((scaled**2).sum(axis=-1))
    bumps = noise.piece((shape[0], shape[1], shape[2]), 2 if axes_mm.mean() < 12 * spacing_mm[1] else 3, rng)
    return np.asarray(depth + rng.uniform(0, _RAGGED) * bumps, dtype=np.float32)


def _allowed(part: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_]:
    allowed = np.isin(part, IN_LIVER) if rng.random() < _OVER_VESSELS_SHARE else part == Tissue.LIVER
    if rng.random() < _EXOPHYTIC_SHARE:
        allowed |= part == Tissue.FAT
    return np.asarray(allowed)


def _fill(
    part: NDArray[np.uint8],
    delta: FloatArray,
    depth: FloatArray,
    inside: NDArray[np.bool_],
    kind: LesionLook,
    radius_mm: float,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> None:
    part[inside] = Tissue.TUMOUR
    mottle = noise.piece((part.shape[0], part.shape[1], part.shape[2]), 2, rng)
    fill = kind.body_hu * (1 + rng.uniform(0, 0.35) * mottle)
    delta[inside] = fill[inside]
    if kind.has_core and radius_mm > 7:  # small lesions show no core
        core = inside & (depth + 0.15 * mottle < rng.uniform(0.3, 0.75))
        part[core] = Tissue.TUMOUR_CORE
        delta[core] = kind.core_hu
    if kind.has_rim:
        rim = inside & (depth > 1 - np.clip(rng.uniform(1.5, 3.5) / radius_mm, 0.05, 0.5))
        part[rim] = Tissue.TUMOUR_RIM
        delta[rim] = kind.rim_hu
