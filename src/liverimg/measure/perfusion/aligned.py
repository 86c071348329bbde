"""Echo power of the contrast picture, frame by frame on the reference frame.

Display levels are the logarithm of echo power: ``I = 10 ** (g * DR / (255 * 10))``, in arbitrary units (Rognin 2008;
Strouthos 2010). Power is averaged and interpolated, never grey levels: the mean of logarithms is not the logarithm
of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.measure.perfusion.motion import Motion, moved_index, picture_of

FloatArray = NDArray[np.float64]

_TOP_LEVEL: Final = 255
_DB_PER_DECADE: Final = 10.0
# Power is averaged over blocks until no side is longer: blocks stay below the size of a speckle grain.
_LARGEST_SIDE_PX: Final = 256


@dataclass(frozen=True, eq=False)
class Aligned:
    """Frames that show the reference's plane, brought onto it.

    Attributes:
        power: Echo power in arbitrary units, shape (t, j, i); NaN where a frame does not see the place.
        times_s: Of each frame, shape (t,).
        frames: Index of each frame in the cine, shape (t,).
        picture: Where the reference frame has a picture, shape (j, i).
        pitch: Size of a pixel along rows and columns: mm, or pixels of the cine where ``calibrated`` is False.
        calibrated: Whether the pitch is in millimetres.
        unit: What filters and least sizes count in, as a multiple of the pitch's unit: 1 for millimetres.
        block: Pixels of the cine along each side of a pixel of ``power``.
    """

    power: NDArray[np.float32] = field(repr=False)
    times_s: FloatArray = field(repr=False)
    frames: NDArray[np.int64] = field(repr=False)
    picture: NDArray[np.bool_] = field(repr=False)
    pitch: tuple[float, float]
    calibrated: bool
    unit: float
    block: int

    def pixels(self, length: float) -> tuple[float, float]:
        """A length in filter units (mm where calibrated) as pixels along rows and columns."""
        return length * self.unit / self.pitch[0], length * self.unit / self.pitch[1]

    def curve(self, region: NDArray[np.bool_]) -> FloatArray:
        """Mean power of a region in each frame, shape (t,); NaN where a frame sees less than half of it."""
        inside = self.power[:, region].astype(float)
        seen = np.isfinite(inside)
        count = seen.sum(axis=1)
        total = np.where(seen, inside, 0).sum(axis=1)
        return np.asarray(np.where(count * 2 > inside.shape[1], total / np.maximum(count, 1), np.nan))


def power_of_levels(dynamic_range_db: float) -> NDArray[np.float32]:
    """Echo power of each of the 256 grey levels, arbitrary units: level 0 is 1."""
    levels = np.arange(_TOP_LEVEL + 1)
    return np.asarray(10 ** (levels * dynamic_range_db / (_TOP_LEVEL * _DB_PER_DECADE)), dtype=np.float32)


def align(
    array: NDArray[Any],
    times_s: FloatArray,
    motion: Motion,
    *,
    dynamic_range_db: float,
    spacing_mm: tuple[float, float] | None,
    picture_depth_mm: float,
) -> Aligned:
    """Linearises the contrast picture and brings its frames onto the reference; rejected frames are left out.

    Args:
        array: Grey levels of the contrast picture, shape (t, j, i).
        times_s: Of each frame.
        motion: In pixels of ``array``.
        dynamic_range_db: Echo power between grey levels 0 and 255.
        spacing_mm: Pixel spacing, or None.
        picture_depth_mm: How deep a picture without calibration is taken to be, for the size of filters only.
    """
    rows, columns = array.shape[1:]
    block = max(1, int(np.ceil(max(rows, columns) / _LARGEST_SIDE_PX)))
    shape = rows // block, columns // block
    table = power_of_levels(dynamic_range_db)
    frames = np.flatnonzero(motion.kept)
    made = np.empty((len(frames), *shape), dtype=np.float32)
    # The highest level of each place: a place without contrast is still brighter than the surroundings then.
    lit = picture_of(_blocks(np.asarray(array).max(axis=0), block).mean(axis=(1, 3)))
    for n, t in enumerate(frames):
        power = _blocks(table[array[t]], block).mean(axis=(1, 3))
        index = moved_index(shape, motion.shift_px[t] / block, float(motion.turn_rad[t]))
        seen = ndimage.map_coordinates(lit.astype(np.float32), index, order=1, mode="constant", cval=0.0)
        moved = ndimage.map_coordinates(power, index, order=1, mode="nearest")
        made[n] = np.where(seen > 1 - 1e-3, moved, np.nan)
    calibrated = spacing_mm is not None
    pitch = (spacing_mm[0] * block, spacing_mm[1] * block) if spacing_mm is not None else (float(block), float(block))
    unit = 1.0 if calibrated else rows / picture_depth_mm
    return Aligned(made, times_s[frames], frames, lit, pitch, calibrated, unit, block)


def _blocks(image: NDArray[Any], block: int) -> NDArray[Any]:
    rows, columns = (n // block * block for n in image.shape)
    return image[:rows, :columns].reshape(rows // block, block, columns // block, block)


def saturated_share(array: NDArray[Any], region: NDArray[np.bool_], frames: NDArray[np.int64]) -> float:
    """Share of the region's pixels at the highest grey level, in the frame that has most of them.

    Echo power of speckle is exponentially distributed, so that clipping lowers its mean by this very share.
    """
    shares = [float((np.asarray(array[t])[region] >= _TOP_LEVEL).mean()) for t in frames] if region.any() else []
    return max(shares, default=0.0)
