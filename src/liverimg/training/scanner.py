"""From tissues to a CT image: means, texture, bowel contents, blur, noise and the field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.looks import Look
from liverimg.training.tissues import Tissue
from liverimg.training.warp import FloatArray, NoiseBank, Shape

AIR_HU = -1024.0
_FILLED = (Tissue.STOMACH_CONTENT, Tissue.BOWEL_CONTENT, Tissue.COLON_CONTENT)


@dataclass(frozen=True)
class Scanner:
    """What the scanner does to a patch.

    Attributes:
        noise_hu: Range of the noise's standard deviation at the patch's spacing.
        blur_voxels: Range of the point spread's standard deviation in the plane.
        thick_share: How often slices are thick: blurred along k as well, up to ``thick_voxels``.
        thick_voxels: Largest standard deviation along k.
        cut_share: How often the field of view ends inside the patch, per side.
        table_share: How often a table lies under the patient.
    """

    noise_hu: tuple[float, float] = (2.0, 12.0)
    blur_voxels: tuple[float, float] = (0.3, 0.7)
    thick_share: float = 0.3
    thick_voxels: float = 1.2
    cut_share: float = 0.2
    table_share: float = 0.4


def scan(
    tissue: NDArray[np.uint8],
    difference: FloatArray,
    *,
    look: Look,
    scanner: Scanner,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> FloatArray:
    """One CT patch in HU, shape (k, j, i).

    Args:
        tissue: ``Tissue`` values.
        difference: HU added on top, the lesions'.
        look: The patient's tissues.
        scanner: What the scanner does.
        noise: Random fields.
        rng: Source of chance.
    """
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    hu = look.hu.copy()
    hu[[Tissue.TUMOUR, Tissue.TUMOUR_RIM, Tissue.TUMOUR_CORE, Tissue.CYST]] = hu[Tissue.LIVER]
    image = hu[tissue] + difference
    grain = noise.piece(shape, 1, rng) * 0.7 + noise.piece(shape, 2, rng) * 0.7
    image += look.texture[tissue] * grain
    _fill_bowel(image, tissue, look, noise, rng)
    _vessels_in_fat(image, tissue, look, noise, rng)
    if rng.random() < scanner.table_share:
        _lay_table(image, tissue, look, rng)
    sigma = np.full(3, rng.uniform(*scanner.blur_voxels))
    if rng.random() < scanner.thick_share:
        sigma[0] = rng.uniform(sigma[0], max(sigma[0], scanner.thick_voxels))
    image = ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=2.5)
    strength = np.exp(rng.uniform(*np.log(scanner.noise_hu)))
    colour = rng.uniform(0, 1)
    speckle = np.sqrt(1 - colour) * noise.piece(shape, 0, rng) + np.sqrt(colour) * noise.piece(shape, 1, rng)
    image += strength * speckle
    image += rng.uniform(0, 4) * noise.piece(shape, 4, rng)
    return np.asarray(image, dtype=np.float32)


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
