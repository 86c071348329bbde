"""Where a liver is: random points in it, and signed distance from a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates

from liverimg.core.grid import Grid
from liverimg.phantom.vessels import SignedDistance

FloatArray = NDArray[np.float64]


def points_inside(
    signed_distance: SignedDistance,
    low_lps_mm: ArrayLike,
    high_lps_mm: ArrayLike,
    *,
    rng: np.random.Generator,
    per_ml: float = 1.0,
    wall_mm: float = 3.0,
) -> FloatArray:
    """Random points inside a liver: what a tree grows towards, shape (n, 3).

    Args:
        signed_distance: Negative inside.
        low_lps_mm: Lowest corner of a box around the liver.
        high_lps_mm: Highest corner.
        rng: Source of chance.
        per_ml: Points per millilitre.
        wall_mm: Least depth under the surface.
    """
    low, high = np.asarray(low_lps_mm, dtype=float), np.asarray(high_lps_mm, dtype=float)
    count = int(np.prod(high - low) / 1000 * per_ml)
    points = rng.uniform(low, high, size=(count, 3))
    return np.asarray(points[signed_distance(points) < -wall_mm])


def distance_of_mask(mask: NDArray[np.bool_], grid: Grid) -> SignedDistance:
    """Signed distance function of a mask on an orthogonal grid, by distance transform and linear interpolation."""
    spacing = tuple(grid.spacing_mm)
    if mask.any():
        outside = distance_transform_edt(~mask, sampling=spacing)
        field_mm = (outside - distance_transform_edt(mask, sampling=spacing)).astype(np.float32)
        # Voxel centres next to the surface lie half a voxel from it, on both sides.
        field_mm -= np.sign(field_mm) * np.float32(0.5 * min(spacing))
    else:
        field_mm = np.full(mask.shape, np.inf, dtype=np.float32)

    def signed_distance(points: NDArray[Any]) -> NDArray[Any]:
        index = grid.lps_mm_to_index(points).T
        return np.asarray(map_coordinates(field_mm, index, order=1, mode="nearest"), dtype=float)

    return signed_distance
