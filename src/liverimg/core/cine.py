"""Ultrasound loops: frames over time that lie nowhere in the patient.

A cine never gets a :class:`~liverimg.core.grid.Grid`, so it can't be fused with CT or yield a volume by mistake.
What a file does not say stays unknown, and the reason stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.volume import read_only


class Pane(StrEnum):
    """What one of the pictures in a frame shows. UNKNOWN is an honest answer."""

    CONTRAST = "contrast"
    B_MODE = "b_mode"
    UNKNOWN = "unknown"


class ClockZero(StrEnum):
    """What the zero of a clip's clock is."""

    USER = "user"
    CONTRAST_TAG = "contrast_tag"
    ANNOTATION = "annotation"
    SIGNAL_ONSET = "signal_onset"
    OTHER_CLIP = "other_clip"
    FIRST_FRAME = "first_frame"


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the last ones excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def __post_init__(self) -> None:
        if self.bottom <= self.top or self.right <= self.left:
            raise ValueError(f"an empty box: rows {self.top}..{self.bottom}, columns {self.left}..{self.right}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing the last two axes of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def holds(self, other: Box) -> bool:
        """Whether ``other`` lies inside, edges included."""
        return (
            self.top <= other.top
            and other.bottom <= self.bottom
            and self.left <= other.left
            and other.right <= self.right
        )


@dataclass(frozen=True, eq=False)
class Cine:
    """One picture over time. Ultrasound has no patient space, so a cine has no grid and yields no volume.

    Attributes:
        array: Grey levels, shape (t, j, i), read-only; display levels (log-compressed echo), not echo power.
        times_s: Time of each frame after the clock's zero, shape (t,), never decreasing; None when unknown.
        spacing_mm: Pixel spacing along j and i, or None when the image is not calibrated: then there are pixels only.
        pane: What the picture shows.
        unknown: What could not be known, by name (``spacing``, ``times``, ``pane``, ``clock``), and why.
    """

    array: NDArray[Any] = field(repr=False)
    times_s: NDArray[np.float64] | None = field(repr=False)
    spacing_mm: tuple[float, float] | None
    pane: Pane = Pane.UNKNOWN
    unknown: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or 0 in self.array.shape:
            raise ValueError(f"a cine has frames, rows and columns; its array has shape {self.array.shape}")
        if self.spacing_mm is not None and not (
            len(self.spacing_mm) == 2 and all(np.isfinite(mm) and mm > 0 for mm in self.spacing_mm)
        ):
            raise ValueError(f"a pixel spacing is two positive lengths in mm, not {self.spacing_mm}")
        if self.times_s is not None:
            times_s = np.asarray(self.times_s, dtype=np.float64)
            if times_s.shape != (len(self.array),):
                raise ValueError(f"{len(self.array)} frames but {times_s.size} times")
            if not np.isfinite(times_s).all() or (np.diff(times_s) < 0).any():
                raise ValueError("times of frames are finite and never decrease")
            object.__setattr__(self, "times_s", read_only(times_s))
        object.__setattr__(self, "array", read_only(self.array))


@dataclass(frozen=True)
class Region:
    """One item of SequenceOfUltrasoundRegions, as the file says it (PS3.3 C.8.5.5).

    Attributes:
        spatial_format: 0 none, 1 two-dimensional, 2 M-mode, 3 spectral, 4 wave form, 5 graphics.
        data_type: 1 tissue, 2 colour flow, ...
        flags: RegionFlags.
        corners_xy: Min X0, Min Y0, Max X1, Max Y1 in pixels; all of them included.
        units_xy: PhysicalUnits in X and Y; 3 is cm, the only spatial one.
        deltas_xy: PhysicalDelta in X and Y, in those units; None when unreadable. May be negative.
    """

    spatial_format: int
    data_type: int
    flags: int
    corners_xy: tuple[int, int, int, int]
    units_xy: tuple[int, int]
    deltas_xy: tuple[float, float] | None


@dataclass(frozen=True)
class Clock:
    """Where the zero of a clip's times lies.

    Attributes:
        zero: What it is: the start of injection where a tag, an annotation or the user says so, the arrival of
            contrast for SIGNAL_ONSET, and nothing but the first frame where none of them helps.
        zero_s: Seconds from the clip's first frame to the zero; negative when it lies before.
        uncertainty_s: Half the width of the interval in which it lies; None when nobody can say.
        detail: One sentence for a person.
    """

    zero: ClockZero
    zero_s: float
    uncertainty_s: float | None
    detail: str


@dataclass(frozen=True)
class DroppedFrames:
    """Frames that show nothing new.

    Attributes:
        first: Index of the first one, counted from 0 in the stored clip.
        last: Index of the last one.
        same_as: Index of the frame that they repeat.
    """

    first: int
    last: int
    same_as: int


@dataclass(frozen=True)
class Picture:
    """One pane of a clip: where it lies in the stored frames, what it shows, and its scale.

    Attributes:
        pane: What it shows.
        pane_evidence: What that rests on, or why it is unknown.
        box: Its pixels in the stored frame.
        spacing_mm: Pixel spacing along j and i, or None.
        spacing_detail: Which region it comes from, or why there is none.
        colour_map: Display colour (red, green, blue) of each of the 256 grey levels where the picture is tinted;
            None for a grey one.
    """

    pane: Pane
    pane_evidence: tuple[str, ...]
    box: Box
    spacing_mm: tuple[float, float] | None
    spacing_detail: str
    colour_map: tuple[tuple[int, int, int], ...] | None = None


@dataclass(frozen=True)
class Clip:
    """A loop, or a series of stills, as it was received; its frames are the cines of its pictures.

    Attributes:
        series_instance_uid: DICOM UID.
        sop_instance_uids: One for a loop, one per still.
        description: SeriesDescription, cleaned.
        flags: Oddities, as documented codes.
        acquired_at: When the first frame was acquired, ``YYYYMMDDHHMMSS``, or None.
        stored_frames: Number of frames in the file or files.
        stored_shape: Rows and columns of a stored frame.
        kept_frames: Index in the stored clip of each frame of the cines; empty before pixels are read.
        times_s: Seconds of each stored frame after the first, or None.
        times_detail: Which tag they come from, or why there are none.
        clock: Where the zero lies; None before pixels are read.
        dropped: Repeated frames that were left out.
        regions: As the file gives them.
        pictures: One or two; empty before pixels are read.
        dynamic_range_db: Echo power between black and white as the file says it (DynamicRange), or None.
    """

    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    description: str
    flags: tuple[str, ...]
    acquired_at: str | None
    stored_frames: int
    stored_shape: tuple[int, int]
    times_s: tuple[float, ...] | None
    times_detail: str
    kept_frames: tuple[int, ...] = ()
    clock: Clock | None = None
    dropped: tuple[DroppedFrames, ...] = ()
    regions: tuple[Region, ...] = ()
    pictures: tuple[Picture, ...] = ()
    dynamic_range_db: float | None = None

    def picture(self, pane: Pane) -> Picture | None:
        """The picture that shows ``pane``, or None."""
        return next((p for p in self.pictures if p.pane is pane), None)

    def cine_of(self, picture: Picture, array: NDArray[Any]) -> Cine:
        """The cine of one of the clip's pictures.

        Args:
            picture: One of ``pictures``.
            array: Its frames, shape (t, j, i), as many as ``kept_frames``.
        """
        unknown: dict[str, str] = {}
        times_s = None
        if self.times_s is None:
            unknown["times"] = self.times_detail
        else:
            zero_s = self.clock.zero_s if self.clock is not None else 0.0
            times_s = np.asarray(self.times_s)[list(self.kept_frames)] - zero_s
        if picture.spacing_mm is None:
            unknown["spacing"] = picture.spacing_detail
        if picture.pane is Pane.UNKNOWN:
            unknown["pane"] = "; ".join(picture.pane_evidence)
        if self.clock is None or self.clock.zero is ClockZero.FIRST_FRAME:
            unknown["clock"] = self.clock.detail if self.clock is not None else "pixels were not read"
        return Cine(array, times_s, picture.spacing_mm, picture.pane, unknown)
