"""Making one real case look like many: bending, brightness, noise, sharpness, slice thickness and field of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.errors import RecordInvalidError
from liverimg.segmentation.intensity import UNSEEN
from liverimg.training.synthesis.warp import Bending

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Augmentation:
    """How strongly; intensities in network units, where the window is 2 wide.

    Attributes:
        rotation_deg: Standard deviation about each axis.
        log_scale: Standard deviation of the logarithm of the size.
        elastic_mm: Largest standard deviation of the elastic part.
        wander: Standard deviation of the patch's middle around the voxel that it was chosen for, as a share of
            the patch's length along each axis.
        brightness: Standard deviation of the shift.
        contrast: Standard deviation of the logarithm of the gain.
        log_gamma: Standard deviation of the logarithm of the exponent.
        noise: Largest standard deviation of the noise.
        noise_share: How often noise is added.
        blur_voxels: Largest standard deviation of the blur.
        blur_share: How often it is blurred.
        coarsest: Largest factor by which resolution is lost along one axis.
        coarse_share: How often it is.
        cut_share: How often the field of view ends inside the patch, per side.
        missing_share: How often a further phase is withheld.
        balanced_share: How often the patch is chosen around a voxel of a random label, and not of the liver.
    """

    rotation_deg: float = 8.0
    log_scale: float = 0.12
    elastic_mm: float = 4.0
    wander: float = 0.1
    brightness: float = 0.08
    contrast: float = 0.10
    log_gamma: float = 0.10
    noise: float = 0.12
    noise_share: float = 0.5
    blur_voxels: float = 0.9
    blur_share: float = 0.2
    coarsest: float = 4.0
    coarse_share: float = 0.25
    cut_share: float = 0.06
    missing_share: float = 0.3
    balanced_share: float = 0.5

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Augmentation:
        """From ``[augment]`` of ``pipelines/retrain.toml``.

        Raises:
            RecordInvalidError: A name that does not exist, or no number.
        """
        known = {f.name for f in fields(cls)}
        wrong = sorted(name for name, value in table.items() if name not in known or not _is_number(value))
        if wrong:
            raise RecordInvalidError(
                f"[augment] {wrong[0]} can't be used; expected numbers for {', '.join(sorted(known))}"
            )
        return cls(**{name: float(value) for name, value in table.items()})

    @property
    def bending(self) -> Bending:
        """The spatial part."""
        return Bending(
            rotation_deg=self.rotation_deg,
            log_scale=self.log_scale,
            log_stretch=self.log_scale / 2,
            shear=0.0,
            elastic_mm=self.elastic_mm,
            control=6,
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def vary(image: FloatArray, how: Augmentation, rng: np.random.Generator) -> FloatArray:
    """One phase's patch, changed as scanners and settings differ; network values, not yet clipped.

    Args:
        image: Shape (k, j, i).
        how: How strongly.
        rng: Source of chance; draws the same numbers whatever the image holds.
    """
    chances = rng.random(4)
    axis = int(rng.integers(3))
    factor = float(rng.uniform(1.5, max(1.5, how.coarsest)))
    sigma = float(rng.uniform(0, how.blur_voxels))
    strength = float(rng.uniform(0, how.noise))
    gain, shift = float(np.exp(rng.normal(0, how.contrast))), float(rng.normal(0, how.brightness))
    gamma = float(np.exp(rng.normal(0, how.log_gamma)))
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    out = image
    if chances[0] < how.coarse_share:
        out = _coarsened(out, axis, factor)
    if chances[1] < how.blur_share:
        out = ndimage.gaussian_filter(out, sigma, mode="nearest", truncate=2.5)
    out = _gamma(out * np.float32(gain) + np.float32(shift), gamma)
    if chances[2] < how.noise_share:
        # Half of the noise is correlated, as reconstruction makes it.
        if chances[3] < 0.5:
            grain = ndimage.gaussian_filter(grain, 1.0, mode="wrap", truncate=2.0)
            grain /= grain.std()
        out = out + np.float32(strength) * grain
    return np.asarray(out, dtype=np.float32)


def _gamma(image: FloatArray, exponent: float) -> FloatArray:
    """Bends the scale between -1 and 1; what lies beyond is left to be clipped."""
    share = np.clip((image + 1) / 2, 0, 1)
    bent = np.power(share, np.float32(exponent)) * 2 - 1
    return np.where(np.abs(image) <= 1, bent, image).astype(np.float32)


def _coarsened(image: FloatArray, axis: int, factor: float) -> FloatArray:
    """Thick slices along one axis: averaged over ``factor`` voxels, then interpolated back."""
    count = image.shape[axis]
    smooth = ndimage.uniform_filter1d(image, max(1, round(factor)), axis=axis, mode="nearest")
    places = np.clip((np.floor(np.arange(count) / factor) + 0.5) * factor - 0.5, 0, count - 1)
    knots = np.unique(places)
    below = np.clip(np.searchsorted(knots, np.arange(count), side="right") - 1, 0, len(knots) - 1)
    above = np.minimum(below + 1, len(knots) - 1)
    gap = np.maximum(knots[above] - knots[below], 1e-6)
    share = np.clip((np.arange(count) - knots[below]) / gap, 0, 1).astype(np.float32)
    shape = [1, 1, 1]
    shape[axis] = count
    low = np.take(smooth, np.rint(knots[below]).astype(int), axis=axis)
    high = np.take(smooth, np.rint(knots[above]).astype(int), axis=axis)
    share = share.reshape(shape)
    return np.asarray(low * (1 - share) + high * share, dtype=np.float32)


def finish(image: FloatArray, seen: BoolArray) -> FloatArray:
    """Clipped to -1..1 as the network sees it, and nothing where the scan does not reach."""
    out = np.clip(image, -1, 1)
    out[..., ~seen] = UNSEEN
    return np.asarray(out, dtype=np.float32)
