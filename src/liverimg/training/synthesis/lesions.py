"""Lesions, cysts, ablation zones and clips of random size, shape and place, painted into the tissues of a patch.

What is painted is matter, not its look: the same painting is scanned at every contrast phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverimg.training.synthesis.looks import LesionKind, Patient
from liverimg.training.synthesis.tissues import IN_LIVER, Tissue
from liverimg.training.synthesis.warp import FloatArray, NoiseBank, Shape

ByteArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

_CYST_SHARE = 0.12
_OVER_VESSELS_SHARE = 0.4
_EXOPHYTIC_SHARE = 0.15
_SUBCAPSULAR_SHARE = 0.25
_ABLATED_PATIENTS = 0.06
_CLIPPED_PATIENTS = 0.05
_COUNTS, _COUNT_WEIGHTS = (0, 1, 2, 3, 5, 8), (0.2, 0.27, 0.2, 0.15, 0.12, 0.06)
_RAGGED = 0.22
_LOBULATED_SHARE = 0.25
_SMALLEST_CORE_MM = 7.0  # radius; smaller lesions show no core, oil or calcification apart from the body


@dataclass(frozen=True)
class LesionSizes:
    """Radii in mm between which lesions are drawn, evenly in the logarithm.

    Attributes:
        least_mm: Smallest radius.
        most_mm: Largest radius of most patients.
        giant_mm: Largest radius of the few with one giant tumour.
        giant_share: How many those are.
    """

    least_mm: float = 2.0
    most_mm: float = 35.0
    giant_mm: float = 75.0
    giant_share: float = 0.04


@dataclass(frozen=True, eq=False)
class Painting:
    """The matter of a patch.

    Attributes:
        tissue: ``Tissue`` values, shape (k, j, i).
        kind: Kind of the patient's lesions that a voxel belongs to, from 1 on; 0 elsewhere.
        weight: How much of the body's difference from the liver a voxel of it shows; 1 elsewhere.
        metal: Where clips or stents lie; None without.
    """

    tissue: ByteArray
    kind: ByteArray
    weight: FloatArray
    metal: BoolArray | None = None


def paint(
    tissue: ByteArray,
    patient: Patient,
    *,
    spacing_mm: NDArray[np.float64],
    sizes: LesionSizes,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> Painting:
    """Paints what this patient has into ``tissue``, in place.

    Args:
        tissue: ``Tissue`` values, shape (k, j, i).
        patient: Whose kinds of lesions are painted.
        spacing_mm: Of the patch, along k, j, i.
        sizes: Of the lesions.
        noise: Random fields, for ragged outlines and mottle.
        rng: Source of chance.
    """
    painting = Painting(tissue, np.zeros(tissue.shape, np.uint8), np.ones(tissue.shape, np.float32))
    liver = np.flatnonzero(tissue.reshape(-1) == Tissue.LIVER)
    if len(liver) == 0:
        return painting
    wanted = int(rng.choice(_COUNTS, p=_COUNT_WEIGHTS))
    giant = wanted > 0 and rng.random() < sizes.giant_share
    for number in range(wanted):
        shrink = 1.0 if wanted < 3 else 0.5  # many lesions are small ones
        most = sizes.giant_mm if giant and number == 0 else max(sizes.least_mm * 1.5, shrink * sizes.most_mm)
        least = sizes.most_mm if giant and number == 0 else sizes.least_mm
        radius_mm = float(np.exp(rng.uniform(np.log(least), np.log(most))))
        place = _place(painting, liver, radius_mm, spacing_mm, noise, rng)
        if rng.random() < _CYST_SHARE:
            painting.tissue[place.box][place.inside] = Tissue.CYST
            painting.kind[place.box][place.inside] = 0
        else:
            which = int(rng.integers(len(patient.kinds)))
            _fill(painting, place, which + 1, patient.kinds[which], noise, rng)
    if rng.random() < _ABLATED_PATIENTS:
        _ablate(painting, _place(painting, liver, float(rng.uniform(8, 30)), spacing_mm, noise, rng), rng)
    if rng.random() < _CLIPPED_PATIENTS:
        return Painting(painting.tissue, painting.kind, painting.weight, _clips(tissue, liver, spacing_mm, rng))
    return painting


@dataclass(frozen=True, eq=False)
class _Place:
    """Where one lesion lies: its box, its voxels, and its depth (0 in the middle, 1 at its border)."""

    box: Box
    inside: BoolArray
    depth: FloatArray
    radius_mm: float


def _place(
    painting: Painting,
    liver: NDArray[np.int64],
    radius_mm: float,
    spacing_mm: NDArray[np.float64],
    noise: NoiseBank,
    rng: np.random.Generator,
) -> _Place:
    tissue = painting.tissue
    centre = np.array(np.unravel_index(int(rng.choice(liver)), tissue.shape))
    if rng.random() < _SUBCAPSULAR_SHARE:
        centre = _to_the_capsule(tissue, centre, radius_mm, spacing_mm, rng)
    axes_mm = radius_mm * np.exp(rng.normal(0, 0.18, size=3))
    reach = np.ceil(1.4 * axes_mm.max() / spacing_mm).astype(int)
    low = np.maximum(centre - reach, 0)
    high = np.minimum(centre + reach + 1, tissue.shape)
    box = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2])))
    part = tissue[box]
    depth = _depth(part.shape, centre - low, axes_mm, spacing_mm, noise, rng)
    if rng.random() < _LOBULATED_SHARE:  # a second, overlapping nodule
        beside = rng.normal(0, 0.6, size=3) * radius_mm / spacing_mm
        lobe = _depth(part.shape, centre - low + beside, axes_mm * rng.uniform(0.4, 0.9), spacing_mm, noise, rng)
        depth = np.minimum(depth, lobe)
    return _Place(box, (depth < 1) & _allowed(part, rng), depth, radius_mm)


def _to_the_capsule(
    tissue: ByteArray,
    centre: NDArray[np.int64],
    radius_mm: float,
    spacing_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Moves a centre outwards until the lesion would touch the liver's surface."""
    heading = rng.normal(size=3)
    heading /= np.linalg.norm(heading)
    steps = centre + np.arange(0, 120, 2.0)[:, None] * heading / spacing_mm
    index = np.clip(np.rint(steps).astype(int), 0, np.array(tissue.shape) - 1)
    within = np.isin(tissue[tuple(index.T)], IN_LIVER)
    last = int(np.argmin(within)) if not within.all() else len(within)
    back = max(0, last - 1 - int(0.7 * radius_mm / 2.0))
    return np.asarray(index[back])


def _depth(
    shape: tuple[int, ...],
    centre: NDArray[np.float64] | NDArray[np.int64],
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


def _allowed(part: ByteArray, rng: np.random.Generator) -> BoolArray:
    allowed = np.isin(part, IN_LIVER) if rng.random() < _OVER_VESSELS_SHARE else part == Tissue.LIVER
    if rng.random() < _EXOPHYTIC_SHARE:
        allowed |= part == Tissue.FAT
    return np.asarray(allowed)


def _fill(
    painting: Painting,
    place: _Place,
    number: int,
    kind: LesionKind,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> None:
    """Body, then rim, core, oil and calcification where this kind has them."""
    part, weight, inside = painting.tissue[place.box], painting.weight[place.box], place.inside
    shape: Shape = (part.shape[0], part.shape[1], part.shape[2])
    mottle = noise.piece(shape, 2, rng)
    part[inside] = Tissue.TUMOUR
    painting.kind[place.box][inside] = number
    fill = 1 + rng.uniform(0, 0.35) * mottle
    if kind.soft_edge:
        fill = fill * np.clip((1 - place.depth) / kind.soft_edge, 0, 1)
    weight[inside] = fill[inside]
    rim_share = float(np.clip(rng.uniform(1.5, 3.5) / place.radius_mm, 0.05, 0.5))
    if kind.has_rim:
        part[inside & (place.depth > 1 - rim_share)] = Tissue.TUMOUR_RIM
    if place.radius_mm < _SMALLEST_CORE_MM:
        if kind.oil > 0.5:
            part[inside] = Tissue.TUMOUR_OIL
        return
    if kind.has_core:
        part[inside & (place.depth + 0.15 * mottle < rng.uniform(0.3, 0.75))] = Tissue.TUMOUR_CORE
    for tissue, share in ((Tissue.TUMOUR_OIL, kind.oil), (Tissue.TUMOUR_CALCIFICATION, kind.calcified)):
        if share:
            patches = noise.piece(shape, 2, rng)
            part[inside & (patches > np.quantile(patches, 1 - share))] = tissue


def _ablate(painting: Painting, place: _Place, rng: np.random.Generator) -> None:
    """An ablation zone with a thin rim of hyperaemia, and gas bubbles in some."""
    part, shell = painting.tissue[place.box], place.inside
    part[shell] = Tissue.ABLATION_ZONE
    painting.kind[place.box][shell] = 0
    part[shell & (place.depth > 1 - np.clip(2.0 / place.radius_mm, 0.05, 0.4))] = Tissue.ABLATION_RIM
    if rng.random() < 0.25:
        part[shell & (rng.random(part.shape) < 0.03) & (place.depth < 0.7)] = Tissue.GAS


def _clips(
    tissue: ByteArray, liver: NDArray[np.int64], spacing_mm: NDArray[np.float64], rng: np.random.Generator
) -> BoolArray:
    """A few short metal rods in and around the liver."""
    metal = np.zeros(tissue.shape, dtype=bool)
    for _ in range(int(rng.integers(1, 5))):
        centre = np.array(np.unravel_index(int(rng.choice(liver)), tissue.shape)) + rng.normal(0, 8, 3) / spacing_mm
        length_mm = rng.uniform(4, 10) if rng.random() < 0.8 else rng.uniform(30, 60)  # a clip, or a stent
        heading = rng.normal(size=3)
        heading /= np.linalg.norm(heading)
        points = centre + np.arange(-length_mm / 2, length_mm / 2, 0.5)[:, None] * heading / spacing_mm
        index = np.rint(points).astype(int)
        index = index[((index >= 0) & (index < np.array(tissue.shape))).all(axis=1)]
        metal[tuple(index.T)] = True
    return metal
