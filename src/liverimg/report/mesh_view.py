"""Triangles as dense points: the means to paint a surface on a picture without a graphics card."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        weights: How far each corner of its triangle counts there, shape (n, 3).
    """

    lps_mm: FloatArray = field(repr=False)
    triangle: NDArray[np.int_] = field(repr=False)
    weights: FloatArray = field(repr=False)

    def of_corners(self, values: FloatArray, triangles: NDArray[np.integer]) -> FloatArray:
        """Values at the points of what is given at the vertices, shape (n,) or (n, c)."""
        corners = values[triangles[self.triangle]]
        return np.asarray(np.einsum("nk,nk...->n...", self.weights, corners))


def spread(vertices: FloatArray, triangles: NDArray[np.integer], *, step_mm: float) -> Points:
    """Points over all triangles, no farther apart than a step where triangles are of usual size.

    Args:
        vertices: Shape (n, 3).
        triangles: Indices of vertices, shape (m, 3).
        step_mm: Wanted distance of neighbours.
    """
    if not len(triangles):
        return Points(np.zeros((0, 3)), np.zeros(0, dtype=int), np.zeros((0, 3)))
    corners = vertices[triangles]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    steps = np.clip(np.ceil(edges / step_mm), 1, _MOST_STEPS).astype(int)
    found = []
    for count in np.unique(steps):
        own = np.flatnonzero(steps == count)
        a, b = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
        inside = a + b <= count
        weights = np.stack([a[inside], b[inside], count - a[inside] - b[inside]], axis=1) / count
        found.append((np.repeat(own, len(weights)), np.tile(weights, (len(own), 1))))
    which = np.concatenate([triangle for triangle, _ in found])
    weights = np.concatenate([weights for _, weights in found])
    return Points(np.einsum("nk,nkc->nc", weights, corners[which]), which, weights)


def normals(vertices: FloatArray, triangles: NDArray[np.integer]) -> FloatArray:
    """Unit normals at the vertices, shape (n, 3), on the side from which triangles turn anticlockwise."""
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    summed = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(summed, triangles[:, corner], faces)
    return np.asarray(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12))


def nearest_points(points: FloatArray, camera: Camera, *, mm_per_pixel: float) -> NDArray[np.int_]:
    """Which point each pixel shows: the nearest to the eye; -1 where there is none, shape (rows, columns)."""
    rows = max(round(camera.height_mm / mm_per_pixel), 1)
    columns = max(round(camera.width_mm / mm_per_pixel), 1)
    placed = camera.place(points)
    x, y = (np.floor(placed[:, axis] / mm_per_pixel).astype(int) for axis in (0, 1))
    order = np.argsort(-placed[:, 2], kind="stable")
    order = order[((x >= 0) & (x < columns) & (y >= 0) & (y < rows))[order]]
    shown = np.full((rows, columns), -1)
    shown[y[order], x[order]] = order  # the last one written, the nearest, stays
    # Where no point of the front fell on a pixel, one of the back shows through; it lies far behind its neighbours.
    depth = np.where(shown >= 0, placed[shown, 2], np.inf) if len(points) else np.full(shown.shape, np.inf)
    behind = depth > ndimage.minimum_filter(depth, size=3) + _THROUGH_PIXELS * mm_per_pixel
    return np.where(behind, -1, shown)


def shades(directions: FloatArray, camera: Camera) -> FloatArray:
    """Brightness of surfaces that face some way, lit from over the viewer's left shoulder, shape (n,).

    Which side of a triangle is out does not matter: what is seen faces the eye.
    """
    axes = np.stack([camera.right, camera.down, camera.into])
    facing = directions @ axes.T
    facing = np.where(facing[:, 2:] > 0, -facing, facing)
    return np.asarray(_AMBIENT + _DIFFUSE * np.clip(facing @ _LIGHT, 0, 1))
