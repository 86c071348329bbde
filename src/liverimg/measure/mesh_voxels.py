"""Which voxels of a grid lie inside a closed surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.mesh import Mesh

# Shifts of the rows in voxels, so small that they change nothing and that no row runs through a vertex or an edge.
_ASIDE = (7.548776e-7, 5.698402e-7)


def voxels_inside(mesh: Mesh, grid: Grid) -> BoolArray:
    """Voxels whose centres lie inside a closed surface, by counting how often a row of voxels crosses it.

    Args:
        mesh: Closed; it may leave the grid.
        grid: Any, oblique and left-handed ones too.

    Returns:
        Shape ``grid.shape``; all False where the surface and the grid do not meet.
    """
    vertices = grid.lps_mm_to_index(mesh.vertices_lps_mm)
    vertices[:, :2] += _ASIDE
    corners = vertices[mesh.faces]
    rows, along = _crossings(corners, grid.shape[0], grid.shape[1])
    # A voxel lies inside when an odd number of crossings lies before it.
    first = np.clip(np.ceil(along), 0, grid.shape[2]).astype(np.int64)
    inside = np.zeros((grid.shape[0] * grid.shape[1], grid.shape[2] + 1), dtype=np.uint8)
    np.add.at(inside, (rows, first), 1)
    np.cumsum(inside, axis=1, out=inside, dtype=np.uint8)
    return np.asarray((inside[:, :-1] & 1).astype(bool).reshape(grid.shape))


def _crossings(corners: FloatArray, slices: int, lines: int) -> tuple[NDArray[np.int64], FloatArray]:
    """Row and place along it of each crossing of a row (k, j) of voxels with a triangle.

    Args:
        corners: Array indices of the triangles' corners, shape (m, 3, 3).
        slices: Length of axis k.
        lines: Length of axis j.
    """
    low = np.maximum(np.ceil(corners[:, :, :2].min(axis=1)).astype(np.int64), 0)
    high = np.minimum(np.floor(corners[:, :, :2].max(axis=1)).astype(np.int64), [slices - 1, lines - 1])
    counts = np.maximum(high - low + 1, 0)
    found_rows, found_along = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for step_k in range(int(counts[:, 0].max(initial=0))):
        for step_j in range(int(counts[:, 1].max(initial=0))):
            here = (counts[:, 0] > step_k) & (counts[:, 1] > step_j)
            place = low[here] + (step_k, step_j)
            hit, along = _meet(corners[here], place.astype(float))
            found_rows.append(place[hit, 0] * lines + place[hit, 1])
            found_along.append(along[hit])
    return np.concatenate(found_rows), np.concatenate(found_along)


def _meet(corners: FloatArray, place: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Whether the row at each place goes through its triangle, and where along the row."""
    a, b, c = (corners[:, n, :2] - place for n in range(3))
    weights = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], axis=1)
    total = weights.sum(axis=1)
    hit = np.asarray(((weights > 0).all(axis=1) | (weights < 0).all(axis=1)) & (total != 0))
    along = np.zeros(len(corners))
    along[hit] = (weights[hit] * corners[hit, :, 2]).sum(axis=1) / total[hit]
    return hit, along


def _cross(one: FloatArray, other: FloatArray) -> FloatArray:
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
