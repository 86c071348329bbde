"""Where voxels lie in the body as it was built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import Box, box_coordinates, index_boxes
from liverimg.phantom.deformation import Deformation

Offset = tuple[float, float, float]
FloatArray = NDArray[np.float64]

_ENDLESS_MM = 1e5


@dataclass(frozen=True, eq=False)
class Places:
    """Voxels of a grid, seen from the body as built.

    Attributes:
        grid: Of the examination.
        deformation: How the body lies at the examination.
    """

    grid: Grid
    deformation: Deformation | None = None
    _cache: dict[Offset, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def box(self, low_lps_mm: ArrayLike, high_lps_mm: ArrayLike, *, extra_voxels: int = 0) -> Box | None:
        """Voxels whose place may lie between two corners of the body as built; None when there are none."""
        margin_mm = extra_voxels * float(self.grid.spacing_mm.max())
        low = np.maximum(np.asarray(low_lps_mm, dtype=float), -_ENDLESS_MM) - margin_mm
        high = np.minimum(np.asarray(high_lps_mm, dtype=float), _ENDLESS_MM) + margin_mm
        return next((box for _, box in self.boxes(low[None], high[None])), None)

    def boxes(self, low_lps_mm: FloatArray, high_lps_mm: FloatArray) -> Iterator[tuple[int, Box]]:
        """Row number and voxels of each box, shape (n, 3), of the body as built that the grid may meet."""
        low, high = low_lps_mm, high_lps_mm
        if self.deformation is not None:
            low, high = self._boxes_before(low, high, self.deformation)
        first, last = index_boxes(self.grid, low, high)
        for row in np.flatnonzero((last >= first).all(axis=1)):
            k, j, i = (slice(int(a), int(b) + 1) for a, b in zip(first[row], last[row], strict=True))
            yield int(row), (k, j, i)

    @staticmethod
    def _boxes_before(low: FloatArray, high: FloatArray, deformation: Deformation) -> tuple[FloatArray, FloatArray]:
        """Boxes at the examination that hold boxes of the body as built."""
        half = (high - low) / 2
        centre = deformation.from_built((low + high) / 2, tolerance_mm=1e-3)
        turned = half @ np.abs(deformation.rotation)
        # The smooth part moves a corner at most this much differently from the centre.
        steep = deformation.steepness / (1 - deformation.steepness)
        extra = np.minimum(2 * deformation.most_mm, np.linalg.norm(half, axis=1) * steep)[:, None]
        return centre - turned - extra, centre + turned + extra

    def coordinates(self, box: Box, offset_kji: Offset = (0, 0, 0)) -> tuple[Any, Any, Any]:
        """x, y and z, in the body as built, of voxel centres shifted by part of a voxel: they broadcast."""
        if self.deformation is None:
            return box_coordinates(self.grid, box, offset_kji=offset_kji)
        built = self._built(offset_kji)
        return built[(0, *box)], built[(1, *box)], built[(2, *box)]

    def _built(self, offset_kji: Offset) -> NDArray[np.float32]:
        """x, y and z of every voxel in the body as built, shape (3, k, j, i); worked out once an offset."""
        assert self.deformation is not None
        if offset_kji not in self._cache:
            out = np.empty((3, *self.grid.shape), dtype=np.float32)
            for k in range(self.grid.shape[0]):
                box = (slice(k, k + 1), slice(0, self.grid.shape[1]), slice(0, self.grid.shape[2]))
                places = np.stack(np.broadcast_arrays(*box_coordinates(self.grid, box, offset_kji=offset_kji)), axis=-1)
                out[:, k] = np.moveaxis(self.deformation.to_built(places)[0], -1, 0)
            self._cache[offset_kji] = out
        return self._cache[offset_kji]

    def texture(self, *, seed: int) -> NDArray[np.float32]:
        """Unevenness of about unit standard deviation that is fixed in the body, on every grid the same."""
        rng = np.random.default_rng((seed, 77))
        shape = self.grid.shape
        out = np.zeros(shape, dtype=np.float32)
        scales = ((5.0, 0.75), (13.0, 0.65))
        lattices = [rng.standard_normal((64, 64, 64)).astype(np.float32) for _ in scales]
        for k in range(shape[0]):
            box = (slice(k, k + 1), slice(0, shape[1]), slice(0, shape[2]))
            points = np.stack([c.ravel() for c in np.broadcast_arrays(*self.coordinates(box))])
            for (scale_mm, weight), lattice in zip(scales, lattices, strict=True):
                # The lattice repeats far outside any organ; linear interpolation loses variance, hence 1.5.
                value = map_coordinates(lattice, points / scale_mm, order=1, mode="grid-wrap")
                out[k] += (1.5 * weight) * value.reshape(shape[1:])
        return out
