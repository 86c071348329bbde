"""Structures as somebody else drew them, under the names they were given there, before they become labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray


@dataclass(frozen=True, eq=False)
class Drawing:
    """One structure.

    Attributes:
        name: What its author called it.
        mask: Gives its voxels on the grid of its :class:`Drawings`; read only when asked for, because a whole-body
            result holds more than a hundred.
        codes: What it is, as ``SCT:10200004`` or ``SRT:T-62000``; empty when nothing says so.
        region_codes: The organ that it lies in, in the same form.
        automatic: Whether an algorithm drew it and nobody corrected it; None when nothing says so.
        always_there: Whether it counts as looked for although it is empty.
    """

    name: str
    mask: Callable[[], BoolArray] = field(repr=False)
    codes: tuple[str, ...] = ()
    region_codes: tuple[str, ...] = ()
    automatic: bool | None = None
    always_there: bool = False


@dataclass(frozen=True, eq=False)
class Drawings:
    """Everything in one file or folder.

    Attributes:
        drawings: In the order of the file.
        grid: Where the voxels of each mask lie.
        notes: What a reader must know of how they were read.
    """

    drawings: tuple[Drawing, ...]
    grid: Grid
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Place:
    """Where labels from outside say that they lie; what is not said is empty or None.

    Attributes:
        grid: Their voxels, if they have any.
        frame_of_reference_uid: DICOM frame of reference.
        series_instance_uids: The series that they were drawn on.
        sop_instance_uids: The images that they were drawn on.
    """

    grid: Grid | None = None
    frame_of_reference_uid: str | None = None
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()
