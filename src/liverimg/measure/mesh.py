"""Closed surfaces of structures for planners: vertices and triangles in patient coordinates.

Lesions have a surface of their own kind, the one that their size is measured on
(:func:`liverimg.measure.surface.blob_surface`). Everything else is a level of a signed distance, smoothed without
letting a voxel centre change sides. The level half-way between voxel centres would cut the corners of a thin vessel and
lose up to a quarter of it, so the level is moved until the surface holds the volume of the voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.measure import marching_cubes

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.distances import to_other_side_mm
from liverimg.measure.surface import blob_surface

_PAD = 3
_SIDE_KEPT = 0.05  # of the finest spacing: how near the unmoved surface may come to a voxel centre
_VOLUME_SHARE = 0.005  # how near the volume within the surface comes to that of the voxels
_MOST_ROUNDS = 8
_FARTHEST = 0.9  # of the finest spacing: how far the surface may move for that, short of the next voxel centre
_MM3_PER_ML = 1000.0


@dataclass(frozen=True, eq=False)
class Mesh:
    """A closed surface; its triangles turn counter-clockwise as seen from outside.

    Attributes:
        vertices_lps_mm: Shape (n, 3).
        faces: Indices of vertices, shape (m, 3).
    """

    vertices_lps_mm: FloatArray = field(repr=False)
    faces: NDArray[np.int32] = field(repr=False)

    @property
    def volume_ml(self) -> float:
        """Volume within it, by the divergence theorem; negative where the triangles turn the wrong way round."""
        a, b, c = (self.vertices_lps_mm[self.faces[:, n]] - self.vertices_lps_mm.mean(axis=0) for n in range(3))
        return float(np.einsum("na,na->", a, np.cross(b, c)) / 6 / _MM3_PER_ML)

    @property
    def area_mm2(self) -> float:
        """Area of all triangles."""
        a, b, c = (self.vertices_lps_mm[self.faces[:, n]] for n in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def lesion_mesh(mask: BoolArray, grid: Grid) -> Mesh:
    """The surface that a lesion's diameters are measured on.

    Args:
        mask: At least one voxel.
        grid: Of the mask.
    """
    surface = blob_surface(mask, grid)
    return _outward(surface.vertices_lps_mm, surface.faces)


def structure_mesh(mask: BoolArray, grid: Grid, *, pitch_mm: float, smoothing: float) -> Mesh | None:
    """The surface of any other structure, closed where it meets the edge of the image.

    Args:
        mask: The structure.
        grid: Its grid.
        pitch_mm: About how far apart the points of the surface lie; never finer than the voxels.
        smoothing: Standard deviation of the smoothing as a share of the finest spacing.

    Returns:
        None where the mask is empty.
    """
    filled = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not len(filled[0]):
        return None
    low = np.array([int(f[0]) for f in filled])
    part = mask[tuple(slice(int(f[0]), int(f[-1]) + 1) for f in filled)]
    steps = np.maximum(1, np.floor(pitch_mm / grid.spacing_mm + 1e-6)).astype(int)
    # So wide that the coarser lattice too has an outermost layer that lies outside.
    pad = _PAD + steps
    field_mm = _smooth_distance(np.pad(part, [(int(p), int(p)) for p in pad]), grid.spacing_mm, smoothing)
    coarse = field_mm[:: steps[0], :: steps[1], :: steps[2]]
    if not (coarse > 0).any():
        # Too thin for the pitch: every voxel counts.
        coarse, steps = field_mm, np.ones(3, dtype=int)
    wanted_ml = float(np.count_nonzero(part)) * grid.voxel_ml
    farthest_mm = _FARTHEST * float(grid.spacing_mm.min())
    level_mm = 0.0
    for _ in range(_MOST_ROUNDS):
        vertices, faces, _, _ = marching_cubes(coarse, level_mm)  # type: ignore[no-untyped-call]
        index = np.asarray(vertices, dtype=float) * steps - pad + low
        mesh = _outward(grid.index_to_lps_mm(index), np.asarray(faces))
        missing_ml = wanted_ml - mesh.volume_ml
        if abs(missing_ml) <= _VOLUME_SHARE * wanted_ml:
            break
        moved_mm = level_mm - missing_ml * _MM3_PER_ML / mesh.area_mm2
        level_mm = float(np.clip(moved_mm, -farthest_mm, farthest_mm))
    return mesh


def _smooth_distance(mask: BoolArray, spacing_mm: FloatArray, smoothing: float) -> NDArray[np.float32]:
    """Signed distance to the border in mm, positive inside, smoothed; every voxel centre keeps its side."""
    distance = to_other_side_mm(mask, spacing_mm)
    finest = float(spacing_mm.min())
    smooth = gaussian_filter(np.asarray(distance, dtype=np.float32), smoothing * finest / spacing_mm)
    # Where smoothing would take a voxel to the other side, as in a vessel one voxel wide, it is left out.
    kept = np.where(mask, smooth, -smooth) >= _SIDE_KEPT * finest
    return np.asarray(np.where(kept, smooth, distance), dtype=np.float32)


def _outward(vertices: FloatArray, faces: NDArray[np.int32]) -> Mesh:
    """Turns the triangles so that they enclose a positive volume, whichever hand the grid's axes have."""
    mesh = Mesh(vertices, faces)
    return mesh if mesh.volume_ml >= 0 else Mesh(vertices, faces[:, [0, 2, 1]])
