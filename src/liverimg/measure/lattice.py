"""What a grid hides of a length: a share of a pixel, and a share of what lies between two slices.

In a slice the outline is found to a share of the pixel, whatever the distance of the slices; to a larger one where few
pixels lie across the lesion, for then the outline bends within few of them. What lies between slices
and beyond the last one is interpolated; how far that may be off goes with the slice spacing, and falls with the square
of the number of slices that cross a lesion. A surface that runs along the slices is met by two of them at most, so
where it lies between them is hardly known; one that is inclined is met by many, and the lines between tell. Both come
together in quadrature, so a band neither shrinks to nothing for a line in the plane of thick slices nor grows with the
spacing alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from liverimg.core.grid import FloatArray, Grid
from liverimg.measure.surface import stack_axis

_ALONG = 4  # power of the cosine between line and stack: at 45 degrees a quarter is left


@dataclass(frozen=True)
class GridShare:
    """Half width of a length's 95 % band, in shares of pixel and slice spacing.

    Attributes:
        pixel: Of the mean pixel spacing.
        small: Of the mean pixel spacing over the number of pixels across the lesion.
        slice: Of the slice spacing, whatever way the line runs.
        across: Of the slice spacing, times the fourth power of the cosine between the line and the stack of slices.
        few: Of the slice spacing over the squared number of slices that cross the lesion.
    """

    pixel: float
    small: float
    slice: float
    across: float
    few: float


@dataclass(frozen=True, eq=False)
class Lattice:
    """Pixels and slices as bands see them.

    Attributes:
        pixel_mm: Root of the product of both spacings within a slice.
        slice_mm: Spacing across slices, as they were acquired.
        stack_lps: Unit vector across slices.
        slices: How many acquired slices cross what is measured; infinite where they don't count.
        pixels: How many pixels lie across it; likewise.
    """

    pixel_mm: float
    slice_mm: float
    stack_lps: FloatArray
    slices: float = math.inf
    pixels: float = math.inf

    @classmethod
    def of(cls, grid: Grid, spacing_mm: FloatArray, *, slices: float = math.inf, area_mm2: float = math.inf) -> Lattice:
        """Of a grid.

        Args:
            grid: Whose axes count.
            spacing_mm: Its spacings, those across slices as they were acquired.
            slices: How many acquired slices cross what is measured.
            area_mm2: Of its surface: as a ball's it tells how many pixels lie across.
        """
        axis = stack_axis(spacing_mm)
        pixel_mm = math.sqrt(float(np.delete(spacing_mm, axis).prod()))
        pixels = math.sqrt(area_mm2 / math.pi) / pixel_mm
        return cls(pixel_mm, float(spacing_mm[axis]), grid.directions[axis], slices, pixels)

    def half_mm(self, share: GridShare, along_lps: FloatArray | None = None) -> float:
        """Half width of a length's band on an exact mask.

        Args:
            share: Of the quantity.
            along_lps: Unit direction of the line; None for what has none.
        """
        rise = 0.0 if along_lps is None else abs(float(self.stack_lps @ along_lps))
        between = math.hypot(share.slice, share.across * rise**_ALONG) + share.few / self.slices**2
        return math.hypot((share.pixel + share.small / self.pixels) * self.pixel_mm, between * self.slice_mm)
