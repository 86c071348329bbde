"""What a zone network is shown: a crop of the later study around the place of a treated lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ZoneView:
    """A crop on isotropic voxels.

    Attributes:
        grid: Of the crop.
        quantity: What the values mean.
        values: Of each phase that there is, shape ``grid.shape``; NaN out of its view.
        levels: The living liver's own median in each of these phases.
        liver: The liver with all that lies in it.
        place_mm: Distance to the border of the places where the treated lesions lie now, positive inside.
    """

    grid: Grid
    quantity: Quantity
    values: Mapping[Phase, FloatArray] = field(repr=False)
    levels: Mapping[Phase, float]
    liver: BoolArray = field(repr=False)
    place_mm: FloatArray = field(repr=False)
