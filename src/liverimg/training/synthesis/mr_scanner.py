"""From tissues to an MR image: fat and water, slices, coils, ghosts, folding, noise and the field of view.

Everything that blurs or cuts along one axis is a small matrix, so that an image costs a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.synthesis.lesions import Painting
from liverimg.training.synthesis.mr_looks import MrLook
from liverimg.training.synthesis.mr_optics import (
    along_axes,
    coil_field,
    folded,
    gaussian_matrix,
    ghosted,
    shift_matrix,
    slice_matrix,
)
from liverimg.training.synthesis.tissues import Tissue
from liverimg.training.synthesis.warp import FloatArray, NoiseBank, Shape

_FILLED = (Tissue.STOMACH_CONTENT, Tissue.BOWEL_CONTENT, Tissue.COLON_CONTENT)
_AXIS_WEIGHTS = (0.8, 0.17, 0.03)  # slices are axial, coronal or sagittal


@dataclass(frozen=True)
class MrScanner:
    """What the scanner does to a patch. Shares are probabilities, ranges are drawn from evenly.

    Attributes:
        slice_mm: Slice thickness.
        gap_share: How often there are gaps between slices, up to a quarter of the thickness.
        in_plane_mm: Standard deviation of the point spread in the slice, per axis.
        least_blur_voxels: Standard deviation of the least blur along any axis: patches that stand for images brought
            down to a coarser spacing are as smooth as that averaging makes them.
        noise: Standard deviation of the noise as a share of the body's bright signal; drawn evenly in the logarithm.
        bias_factor: Brightest over darkest place of one tissue.
        ghost_share: How often breathing leaves ghosts along the phase direction.
        unsuppressed_share: How often fat suppression fails somewhere.
        fold_share: How often the body is wider than the field of view and folds over.
        cut_share: How often the field of view ends inside the patch, per side.
        mask_share: How often the reconstruction sets air to zero.
    """

    slice_mm: tuple[float, float] = (2.0, 8.0)
    gap_share: float = 0.4
    in_plane_mm: tuple[float, float] = (0.7, 2.6)
    least_blur_voxels: float = 0.4
    noise: tuple[float, float] = (0.004, 0.07)
    bias_factor: tuple[float, float] = (1.0, 3.0)
    ghost_share: float = 0.35
    unsuppressed_share: float = 0.35
    fold_share: float = 0.12
    cut_share: float = 0.3
    mask_share: float = 0.25


@dataclass(frozen=True)
class MrScan:
    """One MR image.

    Attributes:
        image: Magnitude in arbitrary units, shape (k, j, i); 0 outside the field of view.
        seen: Voxels inside the field of view.
    """

    image: FloatArray
    seen: NDArray[np.bool_]


def scan_mr(
    painting: Painting,
    *,
    look: MrLook,
    scanner: MrScanner,
    spacing_mm: float,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> MrScan:
    """One MR image of a patch of tissues.

    Args:
        painting: The matter.
        look: How the patient's tissues look on the sequence.
        scanner: What the scanner does.
        spacing_mm: Of the patch, isotropic.
        noise: Random fields.
        rng: Source of chance.
    """
    tissue = painting.tissue
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    water, fat = _matter(painting, look, noise, rng)
    gas = _fill_bowel(water, fat, tissue, noise, rng)
    if painting.metal is not None:
        gas |= _blacked_out(water, fat, painting.metal, spacing_mm, rng)
    _vessels_in_fat(water, fat, tissue, look, noise, rng)
    slices = int(rng.choice(3, p=_AXIS_WEIGHTS))
    phase_axis, read_axis = _directions(slices, rng)
    psf = _point_spread(shape, slices, scanner, spacing_mm, look, rng)
    water = along_axes(water, psf)
    # Fat resonates lower: it lands a little beside its place along the read (EPI: phase) direction.
    shift = rng.normal(0, 0.35 if not look.echo_planar else 1.2) * 4.0 / spacing_mm
    psf[phase_axis if look.echo_planar else read_axis] @= shift_matrix(
        shape[phase_axis if look.echo_planar else read_axis], shift
    )
    fat = along_axes(fat, psf)
    image = np.abs(water + _fat_share(look, scanner, shape, noise, rng) * fat)
    if look.echo_planar or rng.random() < 0.3:
        image *= _near_gas(gas | (tissue == Tissue.LUNG), rng)
    if look.sequence != "adc_map":
        image *= coil_field(shape, spacing_mm=spacing_mm, factor=rng.uniform(*scanner.bias_factor), rng=rng)
    if rng.random() < scanner.ghost_share:
        image = ghosted(image, phase_axis, rng)
    image, seen = _field_of_view(image, tissue, slices, phase_axis, scanner, rng)
    image = _noisy(image, tissue, look, scanner, noise, rng)
    image[~seen] = 0.0
    return MrScan(image, seen)


def _matter(
    painting: Painting, look: MrLook, noise: NoiseBank, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Signal of water and of fat per voxel, with texture; lesions fade into the liver where they are said to."""
    tissue = painting.tissue
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    which = painting.kind.astype(np.intp) * 256 + tissue
    grain = 1 + look.texture.ravel()[which] * (0.7 * noise.piece(shape, 1, rng) + 0.7 * noise.piece(shape, 2, rng))
    found = []
    for table in (look.water, look.fat):
        values = table.ravel()[which]
        body = tissue == Tissue.TUMOUR
        liver = table[0, Tissue.LIVER]
        values[body] = np.maximum(0, liver + painting.weight[body] * (values[body] - liver))
        found.append(np.asarray(values * np.maximum(grain, 0), dtype=np.float32))
    return found[0], found[1]


def _blacked_out(
    water: FloatArray, fat: FloatArray, metal: NDArray[np.bool_], spacing_mm: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Metal takes the signal of its surroundings away; returns where."""
    reach = max(1, round(rng.uniform(3, 9) / spacing_mm))
    dark = ndimage.binary_dilation(metal, iterations=reach)
    water[dark], fat[dark] = 0.0, 0.0
    return np.asarray(dark)


def _directions(slices: int, rng: np.random.Generator) -> tuple[int, int]:
    """Phase and read axis: the phase mostly runs along the body's shorter side, rarely along the body."""
    inside = [axis for axis in range(3) if axis != slices]
    usual = 0 if slices == 0 else 1
    first = usual if rng.random() < 0.75 else 1 - usual
    return inside[first], inside[1 - first]


def _point_spread(
    shape: Shape, slices: int, scanner: MrScanner, spacing_mm: float, look: MrLook, rng: np.random.Generator
) -> list[FloatArray]:
    """A matrix per axis: slices of some thickness brought back to the patch's voxels, a Gaussian in the plane."""
    coarser = 1.5 if look.echo_planar else 1.0
    thick_mm = rng.uniform(*scanner.slice_mm)
    pitch_mm = thick_mm * (1 + rng.uniform(0, 0.25)) if rng.random() < scanner.gap_share else thick_mm
    matrices = []
    for axis, count in enumerate(shape):
        if axis == slices:
            thick, pitch = thick_mm / spacing_mm, pitch_mm / spacing_mm
            matrix = slice_matrix(count, thick=thick, pitch=pitch, start=rng.random())
            if pitch < 1.5:
                matrix = matrix @ gaussian_matrix(count, scanner.least_blur_voxels)
        else:
            sigma = coarser * rng.uniform(*scanner.in_plane_mm) / spacing_mm
            matrix = gaussian_matrix(count, max(sigma, scanner.least_blur_voxels))
        matrices.append(matrix)
    return matrices


def _fat_share(
    look: MrLook, scanner: MrScanner, shape: Shape, noise: NoiseBank, rng: np.random.Generator
) -> FloatArray | float:
    """How much of the fat's signal is left, and with which sign."""
    if look.fat_sign != 0:
        return float(look.fat_sign)
    rest = rng.uniform(0.0, 0.25) * (1 if rng.random() < 0.5 else -1)
    if rng.random() > scanner.unsuppressed_share:
        return float(rest)
    # Suppression fails where the main field is off: smooth, large places.
    off = noise.piece(shape, 4, rng)
    failed = rng.uniform(0.3, 1.0) / (1 + np.exp(-4 * (off - rng.uniform(0.3, 1.8))))
    return np.asarray(rest + failed, dtype=np.float32)


def _fill_bowel(
    water: FloatArray, fat: FloatArray, tissue: NDArray[np.uint8], noise: NoiseBank, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Gas in front, contents of uneven signal behind; returns where the gas is."""
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    field = noise.piece(shape, 3, rng)
    height = np.linspace(rng.uniform(0, 1.5), -1, shape[1], dtype=np.float32)[None, :, None]
    gas = np.isin(tissue, (Tissue.GAS, Tissue.AIRWAY))
    for content in _FILLED:
        inside = tissue == content
        gas |= inside & (field + height * rng.uniform(0, 2) > rng.uniform(-0.5, 2.5))
        if rng.random() < 0.4:
            water[inside] *= (1 + rng.uniform(0, 0.6) * np.tanh(field[inside])) * rng.uniform(0.3, 1.2)
    water[gas] = 0.0
    fat[gas] = 0.0
    return np.asarray(gas)


def _vessels_in_fat(
    water: FloatArray,
    fat: FloatArray,
    tissue: NDArray[np.uint8],
    look: MrLook,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> None:
    shape: Shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    strands = (noise.piece(shape, 1, rng) > rng.uniform(1.6, 2.6)) & (tissue == Tissue.FAT)
    share = rng.uniform(0.3, 1.0)
    water[strands] = share * look.water[0, Tissue.VESSEL_OTHER]
    fat[strands] *= 1 - share


def _near_gas(gas: NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    """Signal that is left beside gas and lung, where the field bends."""
    near = ndimage.gaussian_filter(gas.astype(np.float32), rng.uniform(0.6, 1.5), truncate=2.5)
    return np.asarray(1 - rng.uniform(0.2, 0.9) * np.clip(2 * near, 0, 1), dtype=np.float32)


def _field_of_view(
    image: FloatArray,
    tissue: NDArray[np.uint8],
    slices: int,
    phase_axis: int,
    scanner: MrScanner,
    rng: np.random.Generator,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Cuts the view on any side; along the phase direction what lies outside may fold over to the other side."""
    seen = np.ones(image.shape, dtype=bool)
    for axis, count in enumerate(image.shape):
        often = scanner.cut_share * (1.0 if axis == slices else 0.5)
        first = int(rng.integers(1, max(2, count // 3))) if rng.random() < often else 0
        last = count - (int(rng.integers(1, max(2, count // 3))) if rng.random() < often else 0)
        if axis == phase_axis and axis != 0 and rng.random() < scanner.fold_share:
            first, last = _narrower_than_the_body(tissue, axis, rng)
            image = folded(image, axis, first, last)
        index: list[slice] = [slice(None)] * 3
        for outside in (slice(0, first), slice(last, count)):
            index[axis] = outside
            seen[tuple(index)] = False
    return image, seen


def _narrower_than_the_body(tissue: NDArray[np.uint8], axis: int, rng: np.random.Generator) -> tuple[int, int]:
    other = tuple(a for a in range(3) if a != axis)
    body = np.flatnonzero((tissue != Tissue.AIR).any(axis=other))
    if len(body) < 8:
        return 0, tissue.shape[axis]
    lost = max(1, int(0.08 * len(body)))
    return int(body[0]) + int(rng.integers(0, lost + 1)), int(body[-1]) + 1 - int(rng.integers(0, lost + 1))


def _noisy(
    image: FloatArray,
    tissue: NDArray[np.uint8],
    look: MrLook,
    scanner: MrScanner,
    noise: NoiseBank,
    rng: np.random.Generator,
) -> FloatArray:
    """Magnitude of signal and complex noise (Rice), more of it in the middle where parallel imaging pays."""
    shape: Shape = (image.shape[0], image.shape[1], image.shape[2])
    body = tissue[::2, ::2, ::2] != Tissue.AIR
    bright = float(np.percentile(image[::2, ::2, ::2][body], 90)) if body.any() else 1.0
    level = np.exp(rng.uniform(*np.log(scanner.noise))) * (1.5 if look.echo_planar else 1.0) * bright
    real, imaginary = (_speckle(shape, noise, rng) for _ in range(2))
    out = np.hypot(image + level * real, level * imaginary)
    if rng.random() < scanner.mask_share:
        air = ndimage.uniform_filter(image, 3) < max(2.5 * level, 0.02 * bright)
        out[air] = 0.0
    # Stored as whole numbers: dark voxels become 0 and drop out of the percentiles.
    return np.asarray(np.rint(out * (rng.uniform(80, 2000) / max(bright, 1e-6))), dtype=np.float32)


def _speckle(shape: Shape, noise: NoiseBank, rng: np.random.Generator) -> FloatArray:
    fine = rng.uniform(0.3, 1.0)
    mixed = np.sqrt(fine) * noise.piece(shape, 0, rng) + np.sqrt(1 - fine) * noise.piece(shape, 1, rng)
    return np.asarray(mixed, dtype=np.float32)
