"""The liver's outermost film, where a voxel holds liver and what lies around it: no enhancement can be read there.

A voxel half in the liver and half in fat is as dark as dead tissue, and where phases don't lie exactly on each other a
rise seems to be missing. Read like other places, the film makes zones run along the surface of the liver and joins
zones that lie far apart. What is true of the liver right beneath is the best that can be said of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray


@dataclass(frozen=True, eq=False)
class Film:
    """Places near the surface of a liver, and for each of them the nearest place beneath.

    Attributes:
        places: Flat indices of the film's voxels.
        beneath: Flat index of the nearest voxel of the liver that is no film, for each of them.
    """

    places: NDArray[np.intp] = field(repr=False)
    beneath: NDArray[np.intp] = field(repr=False)

    @classmethod
    def of(cls, liver: BoolArray, grid: Grid, thick_mm: float) -> Film:
        """The film of a liver.

        Args:
            liver: With all that lies in it.
            grid: Of the array.
            thick_mm: Thickness; along an axis with wider voxels it is one voxel.
        """
        spacing = tuple(min(float(s), thick_mm) for s in grid.spacing_mm)
        depth = edt.edt(np.ascontiguousarray(liver), anisotropy=spacing)
        film = liver & (depth <= thick_mm)
        deep = liver & ~film
        nothing = np.zeros(0, dtype=np.intp)
        if not film.any() or not deep.any():
            return cls(nothing, nothing)
        near = distance_transform_edt(~deep, sampling=grid.spacing_mm, return_distances=False, return_indices=True)
        places = np.flatnonzero(film)
        index = tuple(axis.ravel()[places] for axis in near)
        return cls(places, np.asarray(np.ravel_multi_index(index, liver.shape)))

    def told(self, mask: BoolArray) -> BoolArray:
        """A mask in which the film says what lies beneath it."""
        out = np.array(mask)
        out.ravel()[self.places] = mask.ravel()[self.beneath]
        return out
