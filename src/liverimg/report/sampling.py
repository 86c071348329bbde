"""Values of a volume at places that lie on no lattice of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def sampled(array: NDArray[Any], index: NDArray[np.float64], *, order: int, outside: float) -> NDArray[Any]:
    """Values of a volume at places given by index; only the part around them is touched.

    Args:
        array: In array order (k, j, i).
        index: Fractional voxel indices, shape (3, ...).
        order: Of the spline: 0 nearest, 1 linear, 3 cubic.
        outside: What places beyond the volume have.

    Returns:
        Shape of ``index`` without its first axis; single precision, or the array's own kind for nearest values.
    """
    shape = np.array(array.shape)
    flat = index.reshape(3, -1)
    reach = 1 if order < 2 else 6  # a cubic spline's coefficients fade within some voxels
    low = np.clip(np.floor(flat.min(axis=1)).astype(int) - reach, 0, shape - 1)
    high = np.clip(np.ceil(flat.max(axis=1)).astype(int) + 1 + reach, low + 1, shape)
    part = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inner = index - low.reshape(3, *([1] * (index.ndim - 1)))
    if part.dtype == bool:
        part = part.view(np.uint8)
    kind = np.float32 if order else part.dtype
    return np.asarray(ndimage.map_coordinates(part, inner, order=order, output=kind, mode="constant", cval=outside))
