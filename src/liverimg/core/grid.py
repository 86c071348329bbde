"""The voxel grid: where an array lies in the patient.

Array axes are (k, j, i) and the affine is in the same order, so ``spacing_mm[a]`` always belongs to
``shape[a]``. Patient coordinates are DICOM's LPS in millimetres: x grows to the patient's Left, y to the
Posterior, z to the Superior (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_MM3_PER_ML = 1000.0


def _frozen(array: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    frozen = np.array(array, dtype=np.float64)
    if frozen.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, got {frozen.shape}")
    frozen.setflags(write=False)
    return frozen


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular voxel grid in patient space.

    Attributes:
        shape: Number of voxels along k, j, i.
        affine: 4 x 4, takes a voxel-centre index (k, j, i, 1) to LPS millimetres (x, y, z, 1).
        frame_of_reference_uid: DICOM frame of reference, or None when unknown.
    """

    shape: tuple[int, int, int]
    affine: FloatArray = field(repr=False)
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"a grid has three positive sizes (k, j, i), got {self.shape}")
        affine = _frozen(self.affine, (4, 4))
        if not np.isfinite(affine).all():
            raise ValueError("the affine holds NaN or infinity")
        if not np.array_equal(affine[3], (0, 0, 0, 1)):
            raise ValueError("the last row of an affine is 0 0 0 1")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise ValueError("the affine is singular: two grid axes coincide")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_axes(
        cls,
        shape: tuple[int, int, int],
        *,
        spacing_mm: ArrayLike,
        directions: ArrayLike = ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
        origin_lps_mm: ArrayLike = (0, 0, 0),
        frame_of_reference_uid: str | None = None,
    ) -> Grid:
        """Builds a grid from spacings, unit directions and the centre of its first voxel.

        Args:
            shape: Number of voxels along k, j, i.
            spacing_mm: Distance between voxel centres along k, j, i.
            directions: One LPS unit vector per array axis, in the order k, j, i.
            origin_lps_mm: Centre of voxel (0, 0, 0).
            frame_of_reference_uid: DICOM frame of reference, if known.
        """
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(directions, dtype=float).T * np.asarray(spacing_mm, dtype=float)
        affine[:3, 3] = origin_lps_mm
        return cls(shape, affine, frame_of_reference_uid)

    @property
    def spacing_mm(self) -> FloatArray:
        """Distance between voxel centres along k, j, i, shape (3,)."""
        return self._spacing_mm.copy()

    @property
    def directions(self) -> FloatArray:
        """Unit LPS direction of each array axis, one row per axis k, j, i, shape (3, 3)."""
        return np.asarray((self.affine[:3, :3] / self.spacing_mm).T)

    @property
    def origin_lps_mm(self) -> FloatArray:
        """Centre of voxel (0, 0, 0)."""
        return np.asarray(self.affine[:3, 3])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, right for sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / _MM3_PER_ML)

    @property
    def centre_lps_mm(self) -> FloatArray:
        """Centre of the whole grid."""
        return self.index_to_lps_mm((np.asarray(self.shape) - 1) / 2)

    def index_to_lps_mm(self, index_kji: ArrayLike) -> FloatArray:
        """Takes voxel indices, shape (..., 3), to LPS millimetres, shape (..., 3)."""
        index = np.asarray(index_kji, dtype=float)
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def lps_mm_to_index(self, lps_mm: ArrayLike) -> FloatArray:
        """Takes LPS millimetres, shape (..., 3), to fractional voxel indices (k, j, i)."""
        return np.asarray((np.asarray(lps_mm, dtype=float) - self.affine[:3, 3]) @ self._inverse.T)

    @property
    def indices_per_mm(self) -> FloatArray:
        """By how much each index changes at most over a way of one millimetre, shape (3,); right for sheared grids."""
        return np.asarray(np.linalg.norm(self._inverse, axis=1))

    @cached_property
    def _spacing_mm(self) -> FloatArray:
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @cached_property
    def _inverse(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.affine[:3, :3]))

    def is_orthogonal(self, *, tolerance: float = 1e-3) -> bool:
        """Whether the three axes stand at right angles (cosines below the tolerance)."""
        cosines = self.directions @ self.directions.T
        return bool(np.abs(cosines - np.eye(3)).max() <= tolerance)

    def fits_in_space(self, other: Grid, *, tolerance_mm: float = 0.01) -> bool:
        """Whether both grids have the same shape and the same voxel centres, whatever their frames."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, 8).T
        apart = np.linalg.norm(self.index_to_lps_mm(corners) - other.index_to_lps_mm(corners), axis=1)
        return bool(apart.max() <= tolerance_mm)

    def is_same_as(self, other: Grid, *, tolerance_mm: float = 0.01) -> bool:
        """Whether both grids are one place: same frame of reference, same shape, same voxel centres.

        Two unknown frames of reference are not the same: nothing says that the patient lay still.
        """
        if self.frame_of_reference_uid is None or self.frame_of_reference_uid != other.frame_of_reference_uid:
            return False
        return self.fits_in_space(other, tolerance_mm=tolerance_mm)

    def cropped(self, start_kji: ArrayLike, shape: tuple[int, int, int]) -> Grid:
        """The grid of ``array[start:start + shape]``."""
        affine = np.array(self.affine)
        affine[:3, 3] = self.index_to_lps_mm(start_kji)
        return Grid(shape, affine, self.frame_of_reference_uid)

    def resampled(self, spacing_mm: ArrayLike) -> Grid:
        """A grid over the same box of space with another spacing; voxel edges, not centres, are kept.

        The last voxel along an axis may reach less than one voxel beyond the old edge.
        """
        new_spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=float), (3,))
        ratio = new_spacing / self.spacing_mm
        k, j, i = (int(n) for n in np.maximum(1, np.ceil(np.asarray(self.shape) / ratio - 1e-6)))
        affine = np.array(self.affine)
        affine[:3, :3] = self.affine[:3, :3] * ratio
        affine[:3, 3] = self.index_to_lps_mm((ratio - 1) / 2)
        return Grid((k, j, i), affine, self.frame_of_reference_uid)
