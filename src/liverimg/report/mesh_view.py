"""Triangles as dense points: the means to paint a surface on a picture without a graphics card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.report.window_view import Camera

FloatArray = NDArray[np.float64]

_MOST_STEPS = 24
_THROUGH_PIXELS = 8.0
_AMBIENT, _DIFFUSE = 0.74, 0.30
_LIGHT = np.array([-0.35, -0.5, -0.79])  # across, down, into the picture


@dataclass(frozen=True, eq=False)
class Points:
    """Points spread over a surface.

    Attributes:
        lps_mm: Where they lie, shape (n, 3).
        triangle: Which triangle each lies on, shape (n,).
        place: Which place of its triangle, shape (n,).
        weights: How far each corner of a triangle counts at each place, shape (places, 3).
    """

    lps_mm: FloatArray = field(repr=False)
    triangle: NDArray[np.int_] = field(repr=False)
    place: NDArray[np.int_] = field(repr=False)
    weights: FloatArray = field(repr=False)

    def of_corners(self, values: FloatArray, triangles: NDArray[np.integer]) -> FloatArray:
        """Values at the points of what is given at the vertices, shape (n,) or (n, c)."""
        return self.at(slice(None), values, triangles)

    def at(self, which: Any, values: FloatArray, triangles: NDArray[np.integer]) -> FloatArray:
        """The same at some of the points."""
        corners, weights = triangles[self.triangle[which]], self.weights[self.place[which]]
        wide = (slice(None), *[None] * (values.ndim - 1))
        return np.asarray(sum(values[corners[:, n]] * weights[:, n][wide] for n in range(3)))


def spread(vertices: FloatArray, triangles: NDArray[np.integer], *, step_mm: float) -> Points:
    """Points over all triangles, no farther apart than a step where triangles are of usual size.

    Args:
        vertices: Shape (n, 3).
        triangles: Indices of vertices, shape (m, 3).
        step_mm: Wanted distance of neighbours.
    """
    if not len(triangles):
        return Points(np.zeros((0, 3)), np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros((0, 3)))
    corners = vertices[triangles]
    sides = [np.linalg.norm(corners[:, n] - corners[:, n - 1], axis=1) for n in range(3)]
    steps = np.clip(np.ceil(np.maximum.reduce(sides) / step_mm), 1, _MOST_STEPS).astype(int)
    made, known = [], 0
    for count in np.unique(steps):
        own = np.flatnonzero(steps == count)
        a, b = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
        inside = a + b <= count
        weights = np.stack([a[inside], b[inside], count - a[inside] - b[inside]], axis=1) / count
        # All of these triangles at once, place by place: x, y and z of each in one row.
        lps_mm = np.stack([(weights @ corners[own, :, axis].T).ravel() for axis in range(3)])
        made.append((lps_mm, np.tile(own, len(weights)), np.repeat(np.arange(len(weights)) + known, len(own)), weights))
        known += len(weights)
    lps_mm, triangle, place = (np.concatenate([one[n] for one in made], axis=-1) for n in range(3))
    return Points(lps_mm.T, triangle, place, np.concatenate([one[3] for one in made]))


def normals(vertices: FloatArray, triangles: NDArray[np.integer]) -> FloatArray:
    """Unit normals at the vertices, shape (n, 3), on the side from which triangles turn anticlockwise."""
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    at = triangles.T.ravel()
    summed = np.stack([np.bincount(at, np.tile(side, 3), minlength=len(vertices)) for side in faces.T], axis=1)
    return np.asarray(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12))


def nearest_points(points: NDArray[np.floating], camera: Camera, *, mm_per_pixel: float) -> NDArray[np.int_]:
    """Which point each pixel shows: the nearest to the eye; -1 where there is none, shape (rows, columns)."""
    return nearest_placed(placed(points, camera), camera, mm_per_pixel=mm_per_pixel)


def placed(points: NDArray[np.floating], camera: Camera) -> NDArray[np.floating]:
    """x, y and depth in mm of points in a picture, shape (3, n)."""
    found = np.empty((3, len(points)), dtype=points.dtype)
    for row, axis in enumerate((camera.right, camera.down, camera.into)):
        found[row] = -float(axis @ camera.corner_lps_mm)
        for n in np.flatnonzero(axis):  # most looks are along an axis: one term of three
            found[row] += points[:, n] * points.dtype.type(axis[n])
    return found


def nearest_placed(places: NDArray[np.floating], camera: Camera, *, mm_per_pixel: float) -> NDArray[np.int_]:
    """:func:`nearest_points` of places that :func:`placed` has found."""
    pixel, inside, shape = _pixels(places, camera, mm_per_pixel)
    depth_mm = places[2] if inside is None else places[2, inside]
    nearest = np.full(shape[0] * shape[1], np.inf, dtype=places.dtype)
    np.minimum.at(nearest, pixel, depth_mm)
    front = np.flatnonzero(depth_mm == nearest.take(pixel))
    shown = np.full(len(nearest), -1)
    shown[pixel[front]] = front if inside is None else inside[front]  # of equally near ones the last stays
    shown, depth = shown.reshape(shape), nearest.reshape(shape)
    # Where no point of the front fell on a pixel, one of the back shows through; it lies far behind its neighbours.
    behind = depth > ndimage.minimum_filter(depth, size=3) + _THROUGH_PIXELS * mm_per_pixel
    return np.where(behind, -1, shown)


def _pixels(
    places: NDArray[np.floating], camera: Camera, mm_per_pixel: float
) -> tuple[NDArray[np.int_], NDArray[np.int_] | None, tuple[int, int]]:
    """The pixel of each place, counted row by row; which places are in the picture (None: all); rows and columns."""
    rows = max(round(camera.height_mm / mm_per_pixel), 1)
    columns = max(round(camera.width_mm / mm_per_pixel), 1)
    scaled = places[:2] / places.dtype.type(mm_per_pixel)
    inside = None
    if places.size and (scaled.min() < 0 or scaled[0].max() >= columns or scaled[1].max() >= rows):
        inside = np.flatnonzero((scaled >= 0).all(axis=0) & (scaled[0] < columns) & (scaled[1] < rows))
        scaled = scaled[:, inside]
    x, y = scaled.astype(np.intp)  # none is below 0: what is cut off is the part of a pixel
    y *= columns
    y += x
    return y, inside, (rows, columns)


def facing(directions: FloatArray, camera: Camera) -> FloatArray:
    """How far surfaces that face some way face the light and look away from the eye, shape (n, 2).

    Both are linear in the direction: between vertices they are interpolated as the direction is.
    """
    axes = np.stack([camera.right, camera.down, camera.into])
    return np.asarray(directions @ np.stack([axes.T @ _LIGHT, camera.into], axis=1))


def shades(faced: FloatArray) -> FloatArray:
    """Brightness, lit from over the viewer's left shoulder, of what :func:`facing` tells of, shape (n,).

    Which side of a triangle is out does not matter: what is seen faces the eye.
    """
    lit = np.where(faced[:, 1] > 0, -faced[:, 0], faced[:, 0])
    return np.asarray(_AMBIENT + _DIFFUSE * np.clip(lit, 0, 1))
