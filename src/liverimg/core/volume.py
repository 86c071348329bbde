"""Images that lie somewhere in the patient; a loop that lies nowhere is in :mod:`liverimg.core.cine`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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
