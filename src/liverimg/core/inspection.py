"""What a look at a study folder shows: its series, its volumes as they were acquired, and pictures of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from liverimg.core.study import Study
from liverimg.core.volume import read_only


@dataclass(frozen=True)
class ListedSeries:
    """One SeriesInstanceUID of the folder, used or not.

    Attributes:
        series_instance_uid: DICOM UID.
        number: SeriesNumber as the scanner counts, or None.
        modality: As the header says; "" when it does not.
        description: SeriesDescription, cleaned, without the patient's name and number.
        images: Slices or frames.
        acquired_at: Earliest acquisition as ``YYYYMMDDHHMMSS``, or None.
    """

    series_instance_uid: str
    number: int | None
    modality: str
    description: str
    images: int
    acquired_at: str | None


@dataclass(frozen=True)
class AcquiredSlices:
    """The slices of one volume as the scanner made them, before any correction.

    Attributes:
        count: How many.
        matrix: Rows and columns.
        thickness_mm: SliceThickness, or None.
        least_gap_mm: Least distance between neighbouring slices, along their normal.
        most_gap_mm: Greatest one.
        after_injection_s: From ContrastBolusStartTime to the first slice; None when unknown or implausible.
    """

    count: int
    matrix: tuple[int, int]
    thickness_mm: float | None
    least_gap_mm: float
    most_gap_mm: float
    after_injection_s: float | None


@dataclass(frozen=True)
class ClipScale:
    """How large a pixel of an ultrasound clip is, as far as its header tells.

    Attributes:
        spacing_mm: Along j and i, or None.
        detail: Where it comes from, or why there is none.
    """

    spacing_mm: tuple[float, float] | None
    detail: str


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small picture, square pixels, free of writing.

    Attributes:
        grey: Shape (rows, columns), 8 bit, read-only.
        plane: ``axial``, ``coronal``, ``sagittal`` or ``frame``.
        letters: Where the left, right, upper and lower edge look in the patient (``R``, ``L``, ``A``, ``P``, ``H``,
            ``F``; two letters for an oblique plane); empty for ultrasound, which lies nowhere in the patient.
        detail: What is shown, one short sentence.
    """

    grey: NDArray[Any] = field(repr=False)
    plane: str
    letters: tuple[str, str, str, str] | tuple[()]
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "grey", read_only(self.grey))


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of one volume or clip, or why there is none."""

    shown: tuple[Thumbnail, ...] = ()
    why_none: str = ""


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that a look at a study folder says.

    Attributes:
        study: What can be used, what can't and why.
        listing: Every series of the folder that holds images.
        slices: One for each of ``study.series``.
        scales: One for each of ``study.clips``.
        pixels_read: Whether the pixels were read, so that damage would be known.
        volume_pictures: One for each of ``study.series``; empty without pixels.
        clip_pictures: One for each of ``study.clips``; empty without pixels.
    """

    study: Study
    listing: tuple[ListedSeries, ...]
    slices: tuple[AcquiredSlices, ...]
    scales: tuple[ClipScale, ...]
    pixels_read: bool = False
    volume_pictures: tuple[Pictures, ...] = ()
    clip_pictures: tuple[Pictures, ...] = ()
