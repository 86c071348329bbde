"""Sub-voxel surfaces of delineated structures.

A binary mask says on which side of the surface each voxel centre lies, no more. Voxel centres of the border
give distances that are too long and diameters that are too short; plain marching cubes errs the other way. Two
estimators are used here, both unbiased to a small part of a voxel on smooth shapes (``tests/measure``):

* *Blobs* (lesions): in each slice of the stack the outline is found to a small part of a pixel
  (:mod:`liverimg.measure.slice_outline`). With the signed distance ``d`` to it, the field ``d * (2 * d_max - d)`` of a
  circle is ``r_max**2 - r**2``, so for a sphere or an ellipsoid it is quadratic along the stack too: splines between
  slices and a quadratic extrapolation beyond the first and the last slice find the poles between slices. This is
  shape-based interpolation (Raya and Udupa 1990) with a field that suits caps.
* *Anything else* (vessels, ducts, organs, skin): the signed Euclidean distance on the anisotropic grid, both
  sides, smoothed by about the finest spacing or less and never allowed to change the side of a voxel centre.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from skimage.measure import find_contours, marching_cubes

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.distances import to_other_side_mm
from liverimg.measure.stack_field import refined, stack_field

_BLOB_PAD = 3
# Smoothing by s pixels draws a circle of r pixels in by s**2 / (2 * r). Structures are smoothed as much as costs
# about this share of a pixel: enough to quiet the border of a thick one, without shrinking a thin one.
DRAWN_IN_PIXELS = 0.045
_STRUCTURE_PAD = 5
_WITHOUT_RIM = (slice(_STRUCTURE_PAD, -_STRUCTURE_PAD),) * 3
_SIDE_KEPT = 0.05  # of the finest spacing: how near the surface may come to a voxel centre
# How far a blob's outlines lie inside the true ones, in pixels, and how far inside it the surface lies whose area is
# that of the mesh, what is left of its roughness included: both measured on random bodies of at least six slices,
# benchmarks/measurement_surface.py.
_OUTLINE_INSIDE = 0.004
_INSIDE_BY_AREA = 0.01
_FACET = 4.0  # a facet of edge h on a ball of radius r lies inside it by about h**2 / (4 r) on average
_FINEST_STEPS = 8  # at most so many planes are put in the place of one slice
_STACK_RATIO = 1.2  # an axis counts as the stack when its spacing is so much wider than the first axis's


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of a blob, and the function whose zero level it is.

    Attributes:
        level: Positive inside, zero on the surface, on ``grid``.
        grid: A refined grid in the same place as the mask; its axes run like the mask's.
        steps: How many planes of ``grid`` stand for one voxel of the mask along each axis.
        spacing_mm: Spacing of the mask that the surface was made from.
        vertices_lps_mm: Surface points, shape (n, 3).
        faces: Triangles between them, shape (m, 3).
        area_mm2: Area of the surface.
        volume_mm3: Volume within the surface.
    """

    level: NDArray[np.float32] = field(repr=False)
    grid: Grid
    steps: tuple[int, int, int]
    spacing_mm: FloatArray
    vertices_lps_mm: FloatArray = field(repr=False)
    faces: NDArray[np.int32] = field(repr=False)
    area_mm2: float
    volume_mm3: float

    def pitch_mm(self, direction_lps: FloatArray) -> float:
        """How coarse the mask's grid is along a unit direction: root of the squared spacings' shares."""
        return pitch_mm(self.grid, self.spacing_mm, direction_lps)


def pitch_mm(grid: Grid, spacing_mm: FloatArray, direction_lps: FloatArray) -> float:
    """Spacing seen along a direction, in mm; ``grid`` gives the axes, ``spacing_mm`` the original spacings."""
    return float(np.linalg.norm((grid.directions @ direction_lps) * spacing_mm))


def stack_axis(spacing_mm: FloatArray) -> int:
    """The axis along which slices are stacked: the widest spacing, or the first axis when none stands out."""
    widest = int(np.argmax(spacing_mm))
    return widest if spacing_mm[widest] > _STACK_RATIO * spacing_mm[0] else 0


def drawn_in_mm(spacing_mm: FloatArray, area_mm2: float) -> float:
    """How far a blob's mesh lies inside the true surface: its facets cut corners, its outlines lie a little inside.

    Diameters need no such shift: the longest of many lines finds what sticks out.

    Args:
        spacing_mm: Of the mask.
        area_mm2: Of the surface; as a ball's it gives the radius.
    """
    axis = stack_axis(spacing_mm)
    pixel_mm = float(np.sqrt(np.delete(spacing_mm, axis).prod()))
    edges = np.array(spacing_mm)
    edges[axis] /= _steps(spacing_mm)
    radius_mm = float(np.sqrt(area_mm2 / (4 * np.pi)))
    return _OUTLINE_INSIDE * pixel_mm + float((edges**2).mean()) / (_FACET * radius_mm)


def _steps(spacing_mm: FloatArray) -> int:
    """How many planes of the refined field stand for one slice."""
    axis = stack_axis(spacing_mm)
    return int(np.clip(round(spacing_mm[axis] / np.delete(spacing_mm, axis).min()), 1, _FINEST_STEPS))


def blob_surface(mask: BoolArray, grid: Grid) -> Surface:
    """Surface of a lesion-like mask.

    Args:
        mask: At least one voxel; it may fill its grid to the edge, what lies beyond counts as outside.
        grid: Its grid.
    """
    spacing = grid.spacing_mm
    axis = stack_axis(spacing)
    padded = np.moveaxis(np.pad(mask, _BLOB_PAD), axis, 0)
    in_plane = np.delete(spacing, axis)
    stack, first = stack_field(padded, in_plane)
    steps = _steps(spacing)
    level = np.moveaxis(refined(stack, steps), 0, axis).astype(np.float32)

    start = np.full(3, -_BLOB_PAD, dtype=float)
    start[axis] += first
    scale = np.ones(3)
    scale[axis] = 1 / steps
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.index_to_lps_mm(start)
    affine[:3, :3] *= scale
    k, j, i = level.shape
    fine = Grid((k, j, i), affine, grid.frame_of_reference_uid)
    vertices, faces = _zero_level(level)
    points = fine.index_to_lps_mm(vertices)
    area, pixel_mm = mesh_area_mm2(points, faces), float(np.sqrt(in_plane.prod()))
    per_axis = [steps if a == axis else 1 for a in range(3)]
    return Surface(
        level=level,
        grid=fine,
        steps=(per_axis[0], per_axis[1], per_axis[2]),
        spacing_mm=spacing,
        vertices_lps_mm=points,
        faces=faces,
        area_mm2=area + 2 * float(np.sqrt(4 * np.pi * area)) * _INSIDE_BY_AREA * pixel_mm,
        volume_mm3=mesh_volume_mm3(points, faces) + area * drawn_in_mm(spacing, area),
    )


@dataclass(frozen=True, eq=False)
class Relief:
    """Distances to the border of a structure in a box, and what can be drawn from them.

    Attributes:
        mask: The structure, with a rim around the box that goes on as at the box's edge.
        signed_mm: Distance to the nearest voxel centre on the other side of the border, positive inside; likewise.
        grid: Of the box without the rim.
    """

    mask: BoolArray = field(repr=False)
    signed_mm: NDArray[np.float32] = field(repr=False)
    grid: Grid

    @classmethod
    def of(cls, mask: BoolArray, grid: Grid) -> Relief:
        """Takes the distances; the edge of the array is not a surface: a structure that leaves it is open there."""
        padded = np.pad(mask, _STRUCTURE_PAD, mode="edge")
        return cls(padded, to_other_side_mm(padded, grid.spacing_mm), grid)

    @property
    def inside_mm(self) -> NDArray[np.float32]:
        """Distance to the nearest voxel centre outside, 0 there; in the box.

        What lies outside in the rim lies outside at the box's edge too, and nearer: the rim takes nothing away.
        """
        return np.asarray(np.maximum(self.signed_mm[_WITHOUT_RIM], 0))

    def points(self, *, smoothing: float) -> FloatArray:
        """As :func:`structure_points`."""
        inner = self.mask[_WITHOUT_RIM]
        if not inner.any() or inner.all():
            return np.empty((0, 3))
        grid, spacing = self.grid, self.grid.spacing_mm
        mask, rim = inner, _STRUCTURE_PAD
        if min(inner.shape) < 2:
            mask, rim = self.mask, 0
            grid = grid.cropped((-_STRUCTURE_PAD,) * 3, _shape(mask))
        level = self.signed_mm.astype(np.float64)
        for axis, step in enumerate(spacing):
            # What lies in the rim along this axis has done its part.
            level = gaussian_filter1d(level, smoothing * spacing.min() / step, axis=axis)
            level = level[tuple(slice(rim, n - rim) if a == axis else slice(None) for a, n in enumerate(level.shape))]
        least = _SIDE_KEPT * spacing.min()
        level = np.where(mask, np.maximum(level, least), np.minimum(level, -least))
        vertices, _ = _zero_level(level)
        return grid.index_to_lps_mm(vertices)


def structure_points(mask: BoolArray, grid: Grid, *, smoothing: float) -> FloatArray:
    """Surface points of any structure in LPS mm, shape (n, 3); none where the mask has no border.

    The edge of the array is not a surface: a structure that leaves the array is open there.

    Args:
        mask: The structure.
        grid: Its grid.
        smoothing: Standard deviation of the smoothing as a share of the finest spacing; more of it takes the
            noise out of a wide flat surface, but shrinks a thin one.
    """
    if not mask.any() or mask.all():
        return np.empty((0, 3))
    return Relief.of(mask, grid).points(smoothing=smoothing)


def face_area_mm2(mask: BoolArray, grid: Grid) -> float:
    """Surface area from counted voxel faces, good to a few per cent for bodies without a preferred direction.

    The faces of a voxelised body add up to 3/2 of the area of the smooth one, averaged over directions
    (Cauchy-Crofton).
    """
    padded = np.pad(mask, 1)
    spacing = grid.spacing_mm
    total = 0.0
    for axis in range(3):
        faces = np.count_nonzero(np.diff(padded.view(np.int8), axis=axis))
        total += faces * float(np.prod(np.delete(spacing, axis)))
    return total * 2 / 3


def border_voxels(mask: BoolArray) -> NDArray[np.intp]:
    """Indices of voxels that have a face neighbour outside the mask, shape (n, 3); image edges don't count."""
    whole = mask.copy()
    for axis in range(3):
        here, there = np.moveaxis(whole, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] &= there[:-1]
        here[:-1] &= there[1:]
    return np.column_stack(np.unravel_index(np.flatnonzero(mask ^ whole), mask.shape))


def contours(plane: NDArray[np.float32]) -> list[FloatArray]:
    """Lines of the zero level in one plane, each of shape (n, 2) in (row, column) indices."""
    return [np.asarray(line) for line in find_contours(plane, 0.0)]  # type: ignore[no-untyped-call]


def _zero_level(level: NDArray[np.floating]) -> tuple[FloatArray, NDArray[np.int32]]:
    vertices, faces, _, _ = marching_cubes(level, 0.0)  # type: ignore[no-untyped-call]
    return np.asarray(vertices, dtype=np.float64), np.asarray(faces)


def mesh_area_mm2(points: FloatArray, faces: NDArray[np.int32]) -> float:
    """Sum of the triangles."""
    a, b, c = (points[faces[:, n]] for n in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def mesh_volume_mm3(points: FloatArray, faces: NDArray[np.int32]) -> float:
    """Sum of the tetrahedra from the middle to each face (divergence theorem); the surface is closed."""
    a, b, c = (points[faces[:, n]] - points.mean(axis=0) for n in range(3))
    return float(abs(np.einsum("na,na->", a, np.cross(b, c))) / 6)


def _shape(array: NDArray[Any]) -> tuple[int, int, int]:
    k, j, i = array.shape
    return k, j, i
