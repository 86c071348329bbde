"""Where the skin is."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import fill_voids
import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.measure.scene import Scene

IndexArray = NDArray[np.intp]

_OUTLINE = (Structure.BODY, Structure.SKIN, Structure.FAT, Structure.MUSCLE)


@dataclass(frozen=True, eq=False)
class Skin:
    """The outer surface of the body, as far as it is in view.

    Attributes:
        body: The largest piece of the labelled body, inner holes filled.
        grid: Its grid; the first axis runs to Superior.
        points: Middles of the voxel faces between body and air, LPS mm.
        voxels: For each point the index of a voxel beside it, shape (n, 3).
        cut: Body voxels on a lateral edge of the image, where the skin is not in view; LPS mm.
    """

    body: BoolArray
    grid: Grid
    points: FloatArray
    voxels: IndexArray
    cut: FloatArray


def find_skin(scene: Scene) -> Skin | str:
    """The skin, or the reason why there is none.

    Image edges are never skin. Whatever carries a label is body; holes (gas without a label) are filled slice by
    slice, and loose pieces (arms, table) are left out.
    """
    if not any(scene.labels.knows(s) for s in _OUTLINE):
        return "the outline of the body was not drawn, so the skin is unknown"
    if scene.box(*_OUTLINE) is None:
        return "no voxel is labelled as body, so the skin is unknown"
    body = np.asarray(cc3d.largest_k(scene.labels.array > 0, k=1, connectivity=6) > 0)
    for k in range(len(body)):
        body[k] = fill_voids.fill(body[k])
    voxels, points = _faces(body, scene.grid)
    if len(points) == 0:
        return "skin not in view: the body fills the image from edge to edge"
    return Skin(body, scene.grid, points, voxels, _cut_edges(body, scene.grid))


def _faces(body: BoolArray, grid: Grid) -> tuple[IndexArray, FloatArray]:
    voxels, middles = [], []
    for axis in range(3):
        lower = [slice(None)] * 3
        upper = [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        changes = body[tuple(lower)] != body[tuple(upper)]
        at = np.column_stack(np.unravel_index(np.flatnonzero(changes), changes.shape))
        step = np.zeros(3)
        step[axis] = 0.5
        voxels.append(at)
        middles.append(at + step)
    return np.concatenate(voxels), grid.index_to_lps_mm(np.concatenate(middles))


def _cut_edges(body: BoolArray, grid: Grid) -> FloatArray:
    found = []
    for axis in (1, 2):
        for end in (0, body.shape[axis] - 1):
            face = np.argwhere(np.take(body, end, axis=axis))
            found.append(np.insert(face, axis, end, axis=1))
    return grid.index_to_lps_mm(np.concatenate(found))
