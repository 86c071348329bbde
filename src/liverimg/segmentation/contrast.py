"""How much a structure stands out from the liver around it, against the liver's own noise, in any of the images."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.core.volume import Volume
from liverimg.segmentation.phases import PlacedPhase, averaged_onto
from liverimg.segmentation.resample import resampled

FloatArray = NDArray[np.float32]

# Scales the median absolute deviation to the standard deviation of a normal distribution.
_MAD_TO_SD = 1.4826
_FEWEST_VOXELS = 30
# Averaged voxels by which the sample of the liver keeps away from what borders on it.
_RIM = 2


@dataclass(frozen=True, eq=False)
class LiverSample:
    """The box around the liver on voxels wide enough to judge contrast on.

    Attributes:
        box: Of the liver in the labels.
        grid: Of the averaged voxels in it.
        index: Which voxel of the box lies in the middle of each averaged one, per axis.
        pure: Averaged voxels of liver away from vessels, tumours and its border.
    """

    box: tuple[slice, slice, slice]
    grid: Grid
    index: tuple[NDArray[np.int_], ...] = field(repr=False)
    pure: BoolArray = field(repr=False)

    def mask(self, labels: LabelMap, structure: Structure) -> BoolArray:
        """A structure on the averaged voxels, by nearest neighbour."""
        return np.asarray(labels.mask_in(self.box, structure)[np.ix_(*self.index)])


@dataclass(frozen=True, eq=False)
class Shown:
    """The liver as one image shows it.

    Attributes:
        values: Averaged, shape of the sample's grid; NaN where the image does not reach.
        level: Median of the liver.
        noise: Spread of the liver around it, as a standard deviation.
    """

    values: FloatArray = field(repr=False)
    level: float
    noise: float

    def contrast(self, mask: BoolArray) -> float | None:
        """Median in the mask less the liver's level; None where too few voxels of it are in view."""
        own = self.values[mask]
        own = own[np.isfinite(own)]
        return None if len(own) < _FEWEST_VOXELS else float(np.median(own)) - self.level


def liver_sample(labels: LabelMap, *, scale_mm: float) -> LiverSample | None:
    """Where contrast is judged; None where too little liver is free of anything else.

    Args:
        labels: With a liver.
        scale_mm: Noise is judged after averaging to about this, so that thin slices are not called noisy for
            being thin.
    """
    box = labels.box(Structure.LIVER)
    if box is None:
        return None
    k, j, i = box
    shape = (k.stop - k.start, j.stop - j.start, i.stop - i.start)
    grid = labels.grid.cropped((k.start, j.start, i.start), shape)
    small = grid.resampled(np.maximum(grid.spacing_mm, scale_mm))
    index = tuple(
        np.minimum(((np.arange(n) + 0.5) * r).astype(int), size - 1)
        for n, r, size in zip(small.shape, small.spacing_mm / grid.spacing_mm, shape, strict=True)
    )
    pure = np.asarray(ndimage.binary_erosion(labels.mask_in(box, Structure.LIVER)[np.ix_(*index)], iterations=_RIM))
    return LiverSample((k, j, i), small, index, pure) if np.count_nonzero(pure) >= _FEWEST_VOXELS else None


def shown_by_reference(sample: LiverSample, image: Volume) -> Shown | None:
    """The liver in the image that the labels lie on."""
    ratio = sample.grid.spacing_mm / image.grid.spacing_mm
    return _shown(resampled(image.array[sample.box], sample.grid.shape, ratio), sample)


def shown_by_phase(sample: LiverSample, placed: PlacedPhase) -> Shown | None:
    """The liver in a further phase; None where it was left out."""
    if placed.volume is None:
        return None
    values, seen = averaged_onto(placed.volume, sample.grid, shift_lps_mm=placed.shift_lps_mm)
    values[~seen] = np.nan
    return _shown(values, sample)


def _shown(values: FloatArray, sample: LiverSample) -> Shown | None:
    liver = values[sample.pure]
    liver = liver[np.isfinite(liver)]
    if len(liver) < _FEWEST_VOXELS:
        return None
    level = float(np.median(liver))
    return Shown(values, level, _MAD_TO_SD * float(np.median(np.abs(liver - level))))
