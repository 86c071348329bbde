"""One examination around the liver, on cubes: what registration looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.boxes import box_of
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.core.motion import RigidMotion
from liverimg.core.rows import filled
from liverimg.core.volume import Volume
from liverimg.registration.resample import sampled, thinned, thinned_onto

FloatArray = NDArray[np.float32]
_HALF = 0.5


@dataclass(frozen=True)
class ViewRules:
    """The part ``view`` of ``registration.toml``; its entries say what each is and where it comes from."""

    spacing_mm: float
    beyond_mm: float
    smooth_mm: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> ViewRules:
        """Reads the table."""
        return filled(cls, table["view"], "registration view")


@dataclass(frozen=True, eq=False)
class LiverView:
    """The surroundings of a liver.

    Attributes:
        image: Lightly smoothed; NaN where the examination does not reach. Shape ``grid.shape``.
        seen: Where the examination reaches.
        liver: The liver with all that lies in it.
        grid: Cubes along the patient's axes.
    """

    image: FloatArray = field(repr=False)
    seen: BoolArray = field(repr=False)
    liver: BoolArray = field(repr=False)
    grid: Grid

    def at(self, grid: Grid) -> FloatArray:
        """The image at the voxel centres of a grid; NaN where it does not reach."""
        found, _ = sampled(np.nan_to_num(self.image), self.grid, grid)
        found[~self.seen_at(grid)] = np.nan
        return found

    def seen_at(self, grid: Grid) -> BoolArray:
        """Where the image reaches the voxel centres of a grid."""
        reached, seen = sampled(self.seen.astype(np.float32), self.grid, grid)
        return np.asarray(seen & (reached >= 1 - 1e-3))

    def liver_at(self, grid: Grid) -> BoolArray:
        """The liver at the voxel centres of a grid."""
        return np.asarray(sampled(self.liver.astype(np.float32), self.grid, grid)[0] > _HALF)

    @cached_property
    def coarser(self) -> LiverView:
        """The same on cubes twice as wide."""
        spacing = 2 * float(self.grid.spacing_mm[0])
        image, grid = thinned(np.nan_to_num(self.image), self.grid, spacing_mm=spacing)
        seen, _ = thinned(self.seen, self.grid, spacing_mm=spacing)
        liver, _ = thinned(self.liver, self.grid, spacing_mm=spacing)
        whole = seen > 1 - 1e-3
        image[~whole] = np.nan
        return replace(self, image=image, seen=whole, liver=liver > _HALF, grid=grid)


def view_of(volume: Volume, liver: BoolArray, rules: ViewRules) -> LiverView | None:
    """The surroundings of a liver; None where the mask is empty.

    Args:
        volume: The examination; any orientation.
        liver: On its grid.
        rules: Spacing, how far beyond the liver, smoothing.
    """
    box = box_of(liver)
    if box is None:
        return None
    corners = np.stack(np.meshgrid(*[(s.start, s.stop - 1) for s in box], indexing="ij"), axis=-1).reshape(8, 3)
    places = volume.grid.index_to_lps_mm(corners)
    first = places.min(axis=0) - rules.beyond_mm
    shape = np.ceil((places.max(axis=0) + rules.beyond_mm - first) / rules.spacing_mm).astype(int)[::-1] + 1
    grid = Grid.from_axes(
        (int(shape[0]), int(shape[1]), int(shape[2])), spacing_mm=(rules.spacing_mm,) * 3, origin_lps_mm=first
    )
    image, seen = thinned_onto(volume.array, volume.grid, grid, spacing_mm=rules.spacing_mm)
    # Smoothed as far as it is seen: the border of the examination is no edge.
    sigma = rules.smooth_mm / rules.spacing_mm
    weight = ndimage.gaussian_filter(seen.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(image, sigma) / np.maximum(weight, 1e-3)
    smooth[~seen] = np.nan
    inside = thinned_onto(liver, volume.grid, grid, spacing_mm=rules.spacing_mm)[0] > _HALF
    return LiverView(smooth, seen, inside, grid)


def carried(grid: Grid, motion: RigidMotion) -> Grid:
    """The same lattice where a motion takes it."""
    affine = np.array(grid.affine)
    affine[:3, :3] = motion.matrix @ grid.affine[:3, :3]
    affine[:3, 3] = motion.apply(grid.origin_lps_mm)
    return Grid(grid.shape, affine, grid.frame_of_reference_uid)
