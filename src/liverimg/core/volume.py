"""Images: a volume that lies somewhere in the patient, and a cine that lies nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import Grid


class Quantity(StrEnum):
    """What a voxel value means."""

    HU = "HU"
    MR_SIGNAL = "MR_SIGNAL"
    US_INTENSITY = "US_INTENSITY"


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, or a view of it, that cannot be written to."""
    view = array.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image on a grid.

    Attributes:
        array: Voxel values, shape ``grid.shape``, read-only.
        grid: Where the voxels lie.
        quantity: What a value means; Hounsfield units for CT.
    """

    array: NDArray[Any] = field(repr=False)
    grid: Grid
    quantity: Quantity

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GridMismatchError(f"the array has shape {self.array.shape}, its grid {self.grid.shape}")
        object.__setattr__(self, "array", read_only(self.array))


@dataclass(frozen=True, eq=False)
class Cine:
    """An ultrasound loop. Ultrasound has no patient space, so a cine has no grid and yields no volume.

    Attributes:
        array: Frames, shape (t, j, i) or (t, j, i, channel), read-only.
        times_s: Time of each frame after the clock's zero, shape (t,).
        spacing_mm: Pixel spacing along j and i, or None when the image is not calibrated.
    """

    array: NDArray[Any] = field(repr=False)
    times_s: NDArray[np.float64] = field(repr=False)
    spacing_mm: tuple[float, float] | None

    def __post_init__(self) -> None:
        if len(self.times_s) != len(self.array):
            raise ValueError(f"{len(self.array)} frames but {len(self.times_s)} times")
        object.__setattr__(self, "array", read_only(self.array))
