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

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter
from skimage.measure import find_contours, marching_cubes

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.slice_outline import slice_distances

_BLOB_PAD = 3
# Smoothing by s pixels draws a circle of r pixels in by s**2 / (2 * r). Structures are smoothed as much as costs
# about this share of a pixel: enough to quiet the border of a thick one, without shrinking a thin one.
DRAWN_IN_PIXELS = 0.045
_STRUCTURE_PAD = 5
_SIDE_KEPT = 0.05  # of the finest spacing: how near the surface may come to a voxel centre
_LEAST_DROP = 0.02  # of the field's top in the end slice
_FLAT_END_DROP = 2.3
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
    stack, first = _stack_field(padded, in_plane)
    steps = _steps(spacing)
    refined = np.moveaxis(_refined(stack, steps), 0, axis).astype(np.float32)

    start = np.full(3, -_BLOB_PAD, dtype=float)
    start[axis] += first
    scale = np.ones(3)
    scale[axis] = 1 / steps
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.index_to_lps_mm(start)
    affine[:3, :3] *= scale
    k, j, i = refined.shape
    fine = Grid((k, j, i), affine, grid.frame_of_reference_uid)
    vertices, faces = _zero_level(refined)
    points = fine.index_to_lps_mm(vertices)
    area, pixel_mm = mesh_area_mm2(points, faces), float(np.sqrt(in_plane.prod()))
    per_axis = [steps if a == axis else 1 for a in range(3)]
    return Surface(
        level=refined,
        grid=fine,
        steps=(per_axis[0], per_axis[1], per_axis[2]),
        spacing_mm=spacing,
        vertices_lps_mm=points,
        faces=faces,
        area_mm2=area + 2 * float(np.sqrt(4 * np.pi * area)) * _INSIDE_BY_AREA * pixel_mm,
        volume_mm3=mesh_volume_mm3(points, faces) + area * drawn_in_mm(spacing, area),
    )


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
    spacing = grid.spacing_mm
    padded = np.pad(mask, _STRUCTURE_PAD, mode="edge")
    smooth = _smoothed_keeping_sides(
        _signed_distance(padded, spacing), padded, smoothing * spacing.min() / spacing, spacing.min()
    )
    inner = smooth[(slice(_STRUCTURE_PAD, -_STRUCTURE_PAD),) * 3]
    if min(inner.shape) < 2:
        smooth_grid = grid.cropped((-_STRUCTURE_PAD,) * 3, _shape(smooth))
        inner, grid = smooth, smooth_grid
    vertices, _ = _zero_level(inner)
    return grid.index_to_lps_mm(vertices)


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


def _shape(array: NDArray[np.float64]) -> tuple[int, int, int]:
    k, j, i = array.shape
    return k, j, i


def _signed_distance(mask: BoolArray, spacing: FloatArray) -> NDArray[np.float64]:
    inside = edt.edt(np.ascontiguousarray(mask), anisotropy=tuple(float(s) for s in spacing))
    outside = edt.edt(np.ascontiguousarray(~mask), anisotropy=tuple(float(s) for s in spacing))
    return np.asarray(inside - outside, dtype=np.float64)


def _smoothed_keeping_sides(
    distance: NDArray[np.float64], mask: BoolArray, sigma: FloatArray | float, finest_mm: float
) -> NDArray[np.float64]:
    smooth = gaussian_filter(distance, sigma)
    least = _SIDE_KEPT * finest_mm
    return np.asarray(np.where(mask, np.maximum(smooth, least), np.minimum(smooth, -least)))


def _stack_field(padded: BoolArray, in_plane: FloatArray) -> tuple[NDArray[np.float64], int]:
    """The field of each slice that holds the blob, with one extrapolated slice beyond either end.

    Returns the stack and the index, within the unpadded mask, of its first slice.
    """
    filled = np.flatnonzero(padded.any(axis=(1, 2)))
    low, high = int(filled[0]) - 1, int(filled[-1]) + 1
    distance, deepest = slice_distances(padded[low : high + 1], in_plane)
    known = deepest > 0
    stack = np.where(known[:, None, None], distance * (2 * deepest[:, None, None] - distance), 0.0)
    peak = stack[known].max()
    for k in np.flatnonzero(~known).tolist():
        beyond = [_beyond(stack, known, k, step) for step in (1, -1) if _is_known(known, k + step)]
        stack[k] = np.maximum.reduce(beyond) if beyond else -peak
    return stack, low


def _is_known(known: NDArray[np.bool_], k: int) -> bool:
    return 0 <= k < len(known) and bool(known[k])


def _beyond(stack: NDArray[np.float64], known: NDArray[np.bool_], k: int, step: int) -> NDArray[np.float64]:
    """The field in the empty slice ``k``, from up to three slices on the side of ``step``; nowhere positive."""
    end = stack[k + step]
    top = float(end.max())
    if not _is_known(known, k + 2 * step):
        # A single slice: a parabola through -3, 1, -3 passes zero half way to the next slice.
        return np.asarray(end - 4 * top)
    guess = 2 * end - stack[k + 2 * step]
    if _is_known(known, k + 3 * step):
        guess = 3 * end - 3 * stack[k + 2 * step] + stack[k + 3 * step]
    # The slice is empty, so the extrapolated field may not be positive. The more it would be, the blunter the
    # end: a flat end lies anywhere between the two slices, half way on average, which is where the spline passes
    # zero for the factor below.
    excess = float(guess.max())
    ceiling = -top * max(_LEAST_DROP, _FLAT_END_DROP * float(np.clip(excess / top, 0.0, 1.0)) ** 2)
    return np.asarray(guess - (excess - ceiling)) if excess > ceiling else guess


def _refined(stack: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    if steps == 1:
        return stack
    count = len(stack)
    at = np.arange((count - 1) * steps + 1) / steps
    degree = min(3, count - 1)
    return np.asarray(make_interp_spline(np.arange(count), stack, k=degree, axis=0)(at))
