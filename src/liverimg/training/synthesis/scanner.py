"""From matter to a CT image: means, texture, bowel contents, blur, thick slices, noise, streaks, field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.synthesis.lesions import Painting
from liverimg.training.synthesis.looks import Look
from liverimg.training.synthesis.tissues import Tissue
from liverimg.training.synthesis.warp import FloatArray, NoiseBank, Shape

AIR_HU = -1024.0
_METAL_HU = 3000.0
_FILLED = (Tissue.STOMACH_CONTENT, Tissue.BOWEL_CONTENT, Tissue.COLON_CONTENT)


@dataclass(frozen=True)
class Scanner:
    """What scanners do to patches.

    Attributes:
        noise_hu: Range of the noise's standard deviation at the patch's spacing.
        blur_voxels: Range of the point spread's standard deviation in the plane.
        thick_share: How often slices are thicker than the patch's spacing.
        thickest_mm: Thickest slice.
        cut_share: How often the field of view ends inside the patch, per side.
        table_share: How often a table lies under the patient.
        moved_share: How often the patient moved during the scan.
        streak_share: How often streaks cross the image (arms, photon starvation).
        sharp_share: How often an edge-enhancing kernel was used.
    """

    noise_hu: tuple[float, float] = (2.0, 12.0)
    blur_voxels: tuple[float, float] = (0.3, 0.7)
    thick_share: float = 0.35
    thickest_mm: float = 8.0
    cut_share: float = 0.2
    table_share: float = 0.4
    moved_share: float = 0.04
    streak_share: float = 0.04
    sharp_share: float = 0.12


@dataclass(frozen=True)
class Exposure:
    """One scan's settings, drawn once per study.

    Attributes:
        noise_hu: Standard deviation.
        colour: 0 fine-grained, 1 coarse noise.
        blur_voxels: In the plane.
        slice_voxels: Slice thickness along k, 1 where it is no thicker than the patch's spacing.
        sharpening: Strength of the edge enhancement, 0 without.
        table: Whether a table lies under the patient.
    """

    noise_hu: float
    colour: float
    blur_voxels: float
    slice_voxels: float
    sharpening: float
    table: bool


def draw_exposure(scanner: Scanner, spacing_mm: float, rng: np.random.Generator) -> Exposure:
    """Draws one study's scanner settings; all its phases share them."""
    thick = 1.0
    if rng.random() < scanner.thick_share:
        thick = max(1.0, float(np.exp(rng.uniform(np.log(2.0), np.log(scanner.thickest_mm)))) / spacing_mm)
    return Exposure(
        noise_hu=float(np.exp(rng.uniform(*np.log(scanner.noise_hu)))),
        colour=float(rng.uniform(0, 1)),
        blur_voxels=float(rng.uniform(*scanner.blur_voxels)),
        slice_voxels=thick,
        sharpening=float(rng.uniform(0.2, 0.8)) if rng.random() < scanner.sharp_share else 0.0,
        table=bool(rng.random() < scanner.table_share),
    )


def scan(
    painting: Painting,
    *,
    look: Look,
    exposure: Exposure,
    scanner: Scanner,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> FloatArray:
    """One CT patch in HU, shape (k, j, i).

    Args:
        painting: The matter.
        look: The patient's tissues at this phase.
        exposure: This study's settings.
        scanner: What may happen during one scan.
        noise: Random fields.
        rng: Source of chance.
    """
    tissue = painting.tissue
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    image = look.hu[tissue]
    _show_lesions(image, painting, look)
    grain = noise.piece(shape, 1, rng) * 0.7 + noise.piece(shape, 2, rng) * 0.7
    image += look.texture[tissue] * grain
    _fill_bowel(image, tissue, look, noise, rng)
    _vessels_in_fat(image, tissue, look, noise, rng)
    if exposure.table:
        _lay_table(image, tissue, look, rng)
    if painting.metal is not None:
        _shine(image, painting.metal, rng)
    blur = (exposure.blur_voxels * rng.uniform(0.8, 1.25), exposure.blur_voxels, exposure.blur_voxels)
    image = ndimage.gaussian_filter(image, blur, mode="nearest", truncate=2.5)
    if rng.random() < scanner.moved_share:
        image = 0.5 * (image + np.roll(image, int(rng.integers(1, 4)), axis=int(rng.integers(0, 2))))
    image = _expose(image, exposure, noise, rng)
    if rng.random() < scanner.streak_share:
        image += _streaks(shape, rng)
    image += rng.uniform(0, 4) * noise.piece(shape, 4, rng)
    return np.asarray(image, dtype=np.float32)


def _show_lesions(image: FloatArray, painting: Painting, look: Look) -> None:
    flat = np.flatnonzero(painting.kind)
    if len(flat) == 0:
        return
    tissue, kind = painting.tissue.reshape(-1)[flat], painting.kind.reshape(-1)[flat]
    liver = look.hu[Tissue.LIVER]
    difference = look.lesion_hu[kind, tissue] - liver
    image.reshape(-1)[flat] = liver + difference * painting.weight.reshape(-1)[flat]


def speckle(shape: Shape, exposure: Exposure, noise: NoiseBank, rng: np.random.Generator) -> FloatArray:
    """Noise of unit variance, of this study's colour."""
    fine = np.sqrt(1 - exposure.colour) * noise.piece(shape, 0, rng)
    return np.asarray(fine + np.sqrt(exposure.colour) * noise.piece(shape, 1, rng), dtype=np.float32)


def _expose(image: FloatArray, exposure: Exposure, noise: NoiseBank, rng: np.random.Generator) -> FloatArray:
    """Averages over the slice thickness, adds noise to the slices, and interpolates between them."""
    shape: Shape = (image.shape[0], image.shape[1], image.shape[2])
    grain = speckle(shape, exposure, noise, rng)
    strength = exposure.noise_hu * rng.uniform(0.8, 1.25)
    step = exposure.slice_voxels
    if step <= 1:
        image = image + strength * grain
    else:
        image = ndimage.gaussian_filter1d(image, step / np.sqrt(12), axis=0, mode="nearest", truncate=2.0)
        at = np.arange(rng.uniform(0, step), shape[0] - 1, step)
        slices = _at_places(image, at) + strength * grain[: len(at)]
        image = _at_places(slices, np.clip((np.arange(shape[0]) - at[0]) / step, 0, len(at) - 1))
    if exposure.sharpening:
        image = image + exposure.sharpening * (image - ndimage.gaussian_filter(image, (0, 1, 1), truncate=2.0))
    return np.asarray(image, dtype=np.float32)


def _at_places(image: FloatArray, places: NDArray[np.float64]) -> FloatArray:
    """Linear interpolation between slices."""
    low = np.clip(np.floor(places).astype(int), 0, max(0, len(image) - 2))
    high = np.minimum(low + 1, len(image) - 1)
    share = (places - low).astype(np.float32)[:, None, None]
    return np.asarray(image[low] * (1 - share) + image[high] * share)


def _shine(image: FloatArray, metal: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Metal, and the bright and dark rays it throws across its slices."""
    spokes, phase = int(rng.integers(3, 9)), rng.uniform(0, np.pi)
    strength = rng.uniform(20, 250)
    for k in np.flatnonzero(metal.any(axis=(1, 2))):
        where = np.argwhere(metal[k])
        dj, di = np.meshgrid(
            *[np.arange(n) - c for n, c in zip(image.shape[1:], where.mean(0), strict=True)], indexing="ij"
        )
        reach = np.hypot(dj, di)
        image[k] += strength * np.cos(spokes * np.arctan2(dj, di) + phase) * np.exp(-reach / 18) * (reach > 1)
    image[metal] = _METAL_HU


def _streaks(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Stripes along the width, as shoulders and arms throw them."""
    rows = rng.normal(0, 1, size=(shape[0], shape[1], 4))
    rows = ndimage.gaussian_filter(rows, (0.7, 0.6, 0))
    rows *= rng.uniform(4, 16) / max(float(rows.std()), 1e-6)
    places = np.linspace(0, 3, shape[2])
    along = np.maximum(0, 1 - np.abs(places[None, :] - np.arange(4)[:, None]))  # linear between four knots
    return np.asarray(rows @ along, dtype=np.float32)


def _fill_bowel(
    image: FloatArray, tissue: NDArray[np.uint8], look: Look, noise: NoiseBank, rng: np.random.Generator
) -> None:
    """Gas in front, fluid behind, sometimes contrast agent; each loop its own, by a smooth random field."""
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    field = noise.piece(shape, 3, rng)
    height = np.linspace(rng.uniform(0, 1.5), -1, shape[1], dtype=np.float32)[None, :, None]
    for content in _FILLED:
        inside = tissue == content
        if not inside.any():
            continue
        level = field + height * rng.uniform(0, 2)
        gas = inside & (level > rng.uniform(-0.5, 2.5))
        image[gas] = look.hu[Tissue.GAS]
        if rng.random() < 0.25:
            agent = inside & ~gas & (level < rng.uniform(-2, 2))
            image[agent] = look.hu[Tissue.CONTRAST_AGENT]


def _vessels_in_fat(
    image: FloatArray, tissue: NDArray[np.uint8], look: Look, noise: NoiseBank, rng: np.random.Generator
) -> None:
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    strands = (noise.piece(shape, 1, rng) > rng.uniform(1.6, 2.6)) & (tissue == Tissue.FAT)
    image[strands] = look.hu[Tissue.VESSEL_OTHER] - rng.uniform(0, 80)


def _lay_table(image: FloatArray, tissue: NDArray[np.uint8], look: Look, rng: np.random.Generator) -> None:
    body = np.flatnonzero((tissue != Tissue.AIR).any(axis=(0, 2)))
    if len(body) == 0 or body[-1] + 3 >= tissue.shape[1]:
        return
    top = body[-1] + 1 + int(rng.integers(0, 2))
    slab = image[:, top : top + int(rng.integers(1, 3))]
    slab[tissue[:, top : top + slab.shape[1]] == Tissue.AIR] = look.hu[Tissue.TABLE]


def cut_view(shape: Shape, *, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Voxels that the scan covers; the field of view may end on any side of the patch."""
    seen = np.ones(shape, dtype=bool)
    for axis, count in enumerate(shape):
        for side in (0, 1):
            if rng.random() < scanner.cut_share * (1.0 if axis == 0 else 0.5):
                lost = int(rng.integers(1, max(2, count // 3)))
                index = [slice(None)] * 3
                index[axis] = slice(0, lost) if side == 0 else slice(count - lost, count)
                seen[tuple(index)] = False
    return seen
