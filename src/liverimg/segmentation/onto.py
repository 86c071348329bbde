"""An image of another phase on the reference's grid, for models that want all phases as channels of one grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.volume import Volume


def onto_grid(volume: Volume, grid: Grid) -> Volume:
    """Interpolates a volume linearly at the voxel centres of another grid in the same frame of reference.

    Nothing is registered: a liver that moved between two breath-holds stays where it was. Outside of the volume its
    smallest value stands.

    Args:
        volume: The image.
        grid: Where it is wanted.
    """
    if volume.grid.fits_in_space(grid):
        return Volume(volume.array, grid, volume.quantity)
    start = volume.grid.lps_mm_to_index(grid.index_to_lps_mm((0, 0, 0)))
    steps = np.stack([volume.grid.lps_mm_to_index(grid.index_to_lps_mm(unit)) - start for unit in np.eye(3)], axis=1)
    array = ndimage.affine_transform(
        volume.array.astype(np.float32),
        steps,
        offset=start,
        output_shape=grid.shape,
        order=1,
        mode="constant",
        cval=float(volume.array.min()),
    )
    return Volume(array.astype(np.float32), grid, volume.quantity)
