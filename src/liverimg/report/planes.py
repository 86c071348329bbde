"""Cutting planes through a volume and where a patient coordinate falls on them.

A plane is seen as radiologists see it: axial from the feet (patient's right on the left of the picture,
anterior up), coronal from the front (right on the left, superior up), sagittal from the left side (anterior
on the left, superior up). Positions in a plane are millimetres from the picture's upper left corner, x to the
right and y down, so anisotropic voxels need no further care.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Volume
from liverimg.report.splines import cubic_picture

# The longest axis of a direction gets the first letter; a second one follows beyond this cosine (15 degrees).
_SECOND_LETTER = 0.26


class View(StrEnum):
    """The three standard cuts."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


@dataclass(frozen=True)
class _Layout:
    normal: int
    down: int
    across: int
    down_flipped: bool


# Standard array axes: 0 to Superior, 1 to Posterior, 2 to Left.
_LAYOUTS = {
    View.AXIAL: _Layout(normal=0, down=1, across=2, down_flipped=False),
    View.CORONAL: _Layout(normal=1, down=0, across=2, down_flipped=True),
    View.SAGITTAL: _Layout(normal=2, down=0, across=1, down_flipped=True),
}


@dataclass(frozen=True)
class Box:
    """A rectangle in a plane, in millimetres from the plane's upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Width in mm."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in mm."""
        return self.bottom - self.top

    def grown(self, margin_mm: float) -> Box:
        """The rectangle with a margin on all sides."""
        return Box(self.left - margin_mm, self.top - margin_mm, self.right + margin_mm, self.bottom + margin_mm)

    def within(self, outer: Box) -> Box:
        """The rectangle moved, and if need be cut, so that it lies inside the outer one."""
        width, height = min(self.width, outer.width), min(self.height, outer.height)
        centre_x, centre_y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        left = min(max(centre_x - width / 2, outer.left), outer.right - width)
        top = min(max(centre_y - height / 2, outer.top), outer.bottom - height)
        return Box(left, top, left + width, top + height)


@dataclass(frozen=True, eq=False)
class Scene:
    """A volume and its labels in standard order: k to Superior, j to Posterior, i to Left."""

    volume: Volume
    labels: LabelMap

    @classmethod
    def of(cls, volume: Volume, labels: LabelMap) -> Scene:
        """Turns both to the nearest standard axes; nothing is resampled, nothing copied."""
        orientation = Orientation.of(volume.grid)
        grid = orientation.turn_grid(volume.grid)
        return cls(
            Volume(orientation.turn(volume.array), grid, volume.quantity),
            LabelMap(orientation.turn(labels.array), grid, labels.structures, labels.lesions),
        )

    @property
    def grid(self) -> Grid:
        """The grid of both."""
        return self.volume.grid


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice of a scene.

    Attributes:
        view: Which way it is cut.
        grid: The scene's grid, in standard order.
        index: Which slice, along the axis that the view looks down.
    """

    view: View
    grid: Grid
    index: int

    @classmethod
    def through(cls, view: View, grid: Grid, lps_mm: tuple[float, float, float]) -> Plane:
        """The slice nearest to a point, the last one when the point lies outside."""
        axis = _LAYOUTS[view].normal
        index = round(float(grid.lps_mm_to_index(lps_mm)[axis]))
        return cls(view, grid, min(max(index, 0), grid.shape[axis] - 1))

    @property
    def _layout(self) -> _Layout:
        return _LAYOUTS[self.view]

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel height and width."""
        spacing = self.grid.spacing_mm
        return float(spacing[self._layout.down]), float(spacing[self._layout.across])

    @property
    def thickness_mm(self) -> float:
        """Distance to the next slice."""
        return float(self.grid.spacing_mm[self._layout.normal])

    @property
    def box(self) -> Box:
        """The whole slice."""
        height, width = self.spacing_mm
        shape = self.grid.shape
        return Box(0.0, 0.0, shape[self._layout.across] * width, shape[self._layout.down] * height)

    def cut(self, array: NDArray[Any]) -> NDArray[Any]:
        """The slice of an array in standard order as rows down and columns across, a view."""
        layout = self._layout
        picture = np.take(array, self.index, axis=layout.normal)
        if layout.down > layout.across:
            picture = picture.T
        return np.flip(picture, axis=0) if layout.down_flipped else picture

    def cut_block(self, block: NDArray[Any], start_kji: NDArray[np.int_]) -> NDArray[Any]:
        """:meth:`cut` of an array that holds nothing but a block, which starts at an index."""
        axis = self._layout.normal
        shape = list(self.grid.shape)
        shape[axis] = 1
        slab = np.zeros(shape, dtype=block.dtype)
        if start_kji[axis] <= self.index < start_kji[axis] + block.shape[axis]:
            place = [slice(int(a), int(a) + n) for a, n in zip(start_kji, block.shape, strict=True)]
            place[axis] = slice(0, 1)
            slab[tuple(place)] = np.take(block, [self.index - int(start_kji[axis])], axis=axis)
        return replace(self, index=0).cut(slab)

    def cut_masks(self, labels: LabelMap, *groups: tuple[Structure, ...]) -> list[BoolArray]:
        """Where structures lie on the slice, rows down and columns across, for each group of them."""
        slab = self.slab(labels)
        flat = Plane(self.view, slab.grid, 0)
        return [np.asarray(flat.cut(slab.mask(*group))) for group in groups]

    def slab(self, labels: LabelMap) -> LabelMap:
        """The labels of this slice alone, one voxel thick."""
        axis = self._layout.normal
        start, shape = [0, 0, 0], list(labels.grid.shape)
        start[axis], shape[axis] = self.index, 1
        array = labels.array[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))]
        grid = labels.grid.cropped(start, (shape[0], shape[1], shape[2]))
        return LabelMap(array, grid, labels.structures, labels.lesions)

    def place(self, lps_mm: tuple[float, float, float]) -> tuple[float, float, float]:
        """Where a patient coordinate falls: x, y in mm from the upper left corner, and mm off the plane."""
        index = self.grid.lps_mm_to_index(lps_mm)
        layout, (height, width) = self._layout, self.spacing_mm
        down = float(index[layout.down])
        if layout.down_flipped:
            down = self.grid.shape[layout.down] - 1 - down
        off = (float(index[layout.normal]) - self.index) * self.thickness_mm
        return (float(index[layout.across]) + 0.5) * width, (down + 0.5) * height, off

    def extent(self, lower_kji: NDArray[np.int_], upper_kji: NDArray[np.int_]) -> Box:
        """The rectangle that covers the voxels from ``lower_kji`` up to, not including, ``upper_kji``."""
        layout, (height, width) = self._layout, self.spacing_mm
        top, bottom = float(lower_kji[layout.down]), float(upper_kji[layout.down])
        if layout.down_flipped:
            size = self.grid.shape[layout.down]
            top, bottom = size - bottom, size - top
        return Box(
            float(lower_kji[layout.across]) * width,
            top * height,
            float(upper_kji[layout.across]) * width,
            bottom * height,
        )

    def letters(self) -> tuple[str, str, str, str]:
        """Orientation letters at the left, right, top and bottom of the picture, from the true directions."""
        across = self.grid.directions[self._layout.across]
        down = self.grid.directions[self._layout.down] * (-1 if self._layout.down_flipped else 1)
        return _letters(-across), _letters(across), _letters(-down), _letters(down)

    def resampled(self, array: NDArray[Any], box: Box, *, mm_per_pixel: float) -> NDArray[np.float32]:
        """The slice inside the box on square pixels, by cubic interpolation.

        Args:
            array: The volume in standard order.
            box: What to show.
            mm_per_pixel: Size of the picture's pixels.
        """
        height, width = self.spacing_mm
        picture = self.cut(array)
        top = max(int(box.top / height) - 4, 0)
        left = max(int(box.left / width) - 4, 0)
        part = picture[top : int(box.bottom / height) + 5, left : int(box.right / width) + 5].astype(np.float32)
        rows = max(round(box.height / mm_per_pixel), 1)
        columns = max(round(box.width / mm_per_pixel), 1)
        y = (box.top + (np.arange(rows) + 0.5) * box.height / rows) / height - 0.5 - top
        x = (box.left + (np.arange(columns) + 0.5) * box.width / columns) / width - 0.5 - left
        return cubic_picture(part, y, x)


def letters_of(*directions: NDArray[np.float64]) -> tuple[str, str]:
    """Orientation letters of two directions in LPS."""
    first, second = directions
    return _letters(first), _letters(second)


def _letters(direction: NDArray[np.float64]) -> str:
    names = [("R", "L"), ("A", "P"), ("I", "S")]
    strongest = np.argsort(-np.abs(direction), kind="stable")
    chosen = [a for rank, a in enumerate(strongest) if rank == 0 or abs(direction[a]) > _SECOND_LETTER]
    return "".join(names[a][int(direction[a] > 0)] for a in chosen[:2])


def best_view(grid: Grid, start_lps_mm: tuple[float, float, float], end_lps_mm: tuple[float, float, float]) -> View:
    """The view in whose planes a line lies best; axial when several do equally well."""
    indices = grid.lps_mm_to_index(np.array([start_lps_mm, end_lps_mm]))
    off_mm = np.abs(indices[1] - indices[0]) * grid.spacing_mm
    return min(View, key=lambda view: round(float(off_mm[_LAYOUTS[view].normal]), 3))
