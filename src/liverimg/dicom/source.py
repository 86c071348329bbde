"""The scan that published objects refer to: whose it is, and which image lies in which plane of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from liverimg.core.errors import DicomRefusedError, InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.study import Series
from liverimg.dicom.codes import Code
from liverimg.dicom.file_meta import inflate
from liverimg.dicom.frame import Frame, PixelBlock, Triple
from liverimg.dicom.stack import Stack, axes_of
from liverimg.dicom.study import StudyHeaders
from liverimg.dicom.tags import PARSER_ERRORS, quiet

_SAME_MM: Final = 0.01
# Slices bracket a plane; one that lies this near, in millimetres, is the plane's own.
_ON_SLICE_MM: Final = 0.01


@dataclass(frozen=True)
class SourceImage:
    """An image, or one frame of a multi-frame image.

    Attributes:
        sop_class_uid: What kind of object it is.
        sop_instance_uid: Which one.
        series_instance_uid: Its series.
        frame: Number of the frame from 1; None in an object of one frame.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    frame: int | None


class Scan(Protocol):
    """What published objects refer to: images of one study, and whose they are."""

    @property
    def header(self) -> Dataset:
        """Of its first image, without pixels: carries the patient's identity, so it is never shown."""

    @property
    def images(self) -> tuple[SourceImage, ...]:
        """Every image, or frame of one, once."""

    @property
    def frame_of_reference_uid(self) -> str | None:
        """The space that its places lie in; None where it has none or does not say."""


@dataclass(frozen=True)
class Plane:
    """One plane of the labels.

    Attributes:
        position_lps_mm: Centre of its first pixel.
        images: The image that it is, or those that it was resampled from.
    """

    position_lps_mm: Triple
    images: tuple[SourceImage, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """The series that the labels lie on.

    Attributes:
        header: Of its first image, without pixels: carries the patient's identity, so it is never shown.
        grid: Of the labels.
        row_lps: Direction along a row, as the images give it.
        column_lps: Direction along a column.
        planes: One for each index along array axis k.
        resampled: Whether the planes are not the images as acquired, but were resampled from them.
        lossy: Whether an image went through lossy compression.
        thickness_mm: SliceThickness of the images, if they say one.
    """

    header: Dataset = field(repr=False)
    grid: Grid
    row_lps: Triple
    column_lps: Triple
    planes: tuple[Plane, ...] = field(repr=False)
    resampled: bool
    lossy: bool
    thickness_mm: float | None

    @property
    def images(self) -> tuple[SourceImage, ...]:
        """Every image once, in the order of the planes."""
        return tuple(dict.fromkeys(image for plane in self.planes for image in plane.images))

    @property
    def frame_of_reference_uid(self) -> str | None:
        """Of the grid that the labels lie on."""
        return self.grid.frame_of_reference_uid


def find_source(headers: StudyHeaders, series: Series, *, study_instance_uid: str, patient_check: str | None) -> Source:
    """The stack of a study folder that a series of ``study.json`` was made from.

    Args:
        headers: Of the study folder that objects shall be written for.
        series: The reference, as it was ingested.
        study_instance_uid: As it was ingested.
        patient_check: As it was ingested.

    Raises:
        InputRefusedError: Another study or patient, or a folder without that series.
    """
    check_study(headers, study_instance_uid=study_instance_uid, patient_check=patient_check)
    stack = _stack_of(headers, series)
    header = read_header(stack.frames[0].pixels)
    sop_class = str(header.get("SOPClassUID", ""))
    return Source(
        header=header,
        grid=series.grid,
        row_lps=_direction(stack.frames, "row_lps"),
        column_lps=_direction(stack.frames, "column_lps"),
        planes=_planes(stack, sop_class),
        resampled=stack.regularisation is not None,
        lossy=any(frame.lossy for frame in stack.frames),
        thickness_mm=stack.frames[0].thickness_mm,
    )


def check_study(headers: StudyHeaders, *, study_instance_uid: str, patient_check: str | None) -> None:
    """Refuses a study folder that results were not made from.

    Args:
        headers: Of the study folder.
        study_instance_uid: As it was ingested.
        patient_check: As it was ingested.

    Raises:
        InputRefusedError: Another study or patient, or a study without a UID.
    """
    if not study_instance_uid:
        raise InputRefusedError(
            "the study has no StudyInstanceUID, so no archive could file objects under it; expected a study with one"
        )
    if headers.study.study_instance_uid != study_instance_uid:
        raise InputRefusedError(
            "--study holds another study than the results were made from; give the folder that they were made from"
        )
    if headers.study.patient_check != patient_check:
        raise InputRefusedError(
            "--study belongs to another patient than the results (PatientID differs); give the folder that they were "
            "made from"
        )


def _stack_of(headers: StudyHeaders, series: Series) -> Stack:
    for found, stack in zip(headers.study.series, headers.stacks, strict=True):
        if (
            found.series_instance_uid == series.series_instance_uid
            and found.sop_instance_uids == series.sop_instance_uids
            # Two phases of one multi-frame object share all of these but their place in the list.
            and found.number == series.number
            and stack.grid.fits_in_space(series.grid, tolerance_mm=_SAME_MM)
            and not stack.frames[0].made_up_series_uid
        ):
            return stack
    raise InputRefusedError(
        f"--study does not hold the images that the results refer to (series {series.series_instance_uid}, "
        f"{len(series.sop_instance_uids)} images); give the folder that they were made from, unchanged"
    )


def read_header(block: PixelBlock) -> Dataset:
    """The header of a file, without its pixels.

    Raises:
        DicomRefusedError: Damaged, or a deflated file that grows without bound.
    """
    try:
        with quiet():
            if block.transfer_syntax == DeflatedExplicitVRLittleEndian:
                inflate(block.path.read_bytes())
            return dcmread(block.path, stop_before_pixels=True, force=True)
    except PARSER_ERRORS as error:
        raise DicomRefusedError(Code.UNREADABLE, "a file of the measured series can no longer be read") from error


def _direction(frames: Sequence[Frame], name: str) -> Triple:
    """The direction that all frames share; their mean where the decimals of some were rounded otherwise."""
    given = {getattr(frame, name) for frame in frames}
    if len(given) == 1:
        x, y, z = given.pop()
        return float(x), float(y), float(z)
    row, column, _ = axes_of(tuple(frames))
    x, y, z = row if name == "row_lps" else column
    return float(x), float(y), float(z)


def _image(frame: Frame, sop_class: str) -> SourceImage:
    number = frame.number + 1 if frame.pixels.frames > 1 or frame.number else None
    return SourceImage(sop_class, frame.sop_instance_uid, frame.series_instance_uid, number)


def _planes(stack: Stack, sop_class: str) -> tuple[Plane, ...]:
    images = [_image(frame, sop_class) for frame in stack.frames]
    plan = stack.regularisation
    if plan is None:
        positions = [frame.position_lps_mm or (0.0, 0.0, 0.0) for frame in stack.frames]
        return tuple(Plane(p, (image,)) for p, image in zip(positions, images, strict=True))
    planes = []
    for k in range(stack.grid.shape[0]):
        x, y, z = stack.grid.index_to_lps_mm((k, 0, 0))
        depth_mm = k * float(stack.grid.spacing_mm[0])
        after = int(np.clip(np.searchsorted(plan.depth_mm, depth_mm - _ON_SLICE_MM), 0, len(images) - 1))
        between = abs(float(plan.depth_mm[after]) - depth_mm) > _ON_SLICE_MM and after > 0
        made_of = (images[after - 1], images[after]) if between else (images[after],)
        planes.append(Plane((float(x), float(y), float(z)), made_of))
    return tuple(planes)
