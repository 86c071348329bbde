"""Labels as an RT Structure Set (PS3.3 A.19): closed planar contours on the images, for planning systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from liverimg.core.errors import GridMismatchError, InputRefusedError
from liverimg.core.grid import FloatArray
from liverimg.core.published import Equipment, Layer, ObjectStyle, Segment
from liverimg.dicom.outline import outlines
from liverimg.dicom.source import Source
from liverimg.dicom.stamp import Written, content_moment, finish, label_text, new_object, plain, stamp
from liverimg.dicom.write_seg import image_reference, whole_images

# PS3.4: the retired Detached Study Management class, which the attribute is still required to name.
_STUDY_CLASS: Final = "1.2.840.10008.3.1.2.3.1"
_DECIMALS: Final = 4
_COLOUR_DIGITS: Final = 16
_SHORT: Final = 16
_CONTOUR_DATA: Final = BaseTag(0x30060050)


def write_rtstruct(
    array: NDArray[np.uint8],
    segments: Sequence[Segment],
    source: Source,
    *,
    style: ObjectStyle,
    equipment: Equipment,
    beside: Sequence[Layer] = (),
) -> Written:
    """A structure set with one region for each segment that is outlined, under the segment's number.

    Implicit VR: a contour of some thousand points is longer than an explicit decimal string may be.

    Args:
        array: Segment values along (k, j, i) on ``source.grid``.
        segments: One for each value.
        source: The series that the labels lie on.
        style: Series and titles.
        equipment: Who writes.
        beside: Further segments, which may overlap these; their regions are numbered on.

    Raises:
        InputRefusedError: The labels lie on planes that were resampled, so that contours would lie on no image; or the
            series has no frame of reference.
        GridMismatchError: The array lies on another grid.
    """
    _check(array, source)
    regions = [(s, array, s.value) for s in segments if s.outlined]
    count = len(segments)
    for layer in beside:
        regions += [(replace(s, value=s.value + count), layer.array, s.value) for s in layer.segments if s.outlined]
        count += len(layer.segments)
    drawn = [segment for segment, _, _ in regions]
    if not drawn:
        raise InputRefusedError("no structure is labelled that planners outline; there is nothing to write")
    made = new_object(RTStructureSetStorage)
    made.Modality = "RTSTRUCT"
    made.OperatorsName = ""
    made.StructureSetLabel = style.label
    made.StructureSetDescription = plain(equipment.disclaimer)
    made.StructureSetDate, made.StructureSetTime = content_moment(source)
    made.FrameOfReferenceUID = source.grid.frame_of_reference_uid
    made.PositionReferenceIndicator = ""
    made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(source)]
    made.StructureSetROISequence = [_region(segment, source) for segment in drawn]
    made.ROIContourSequence = [_contours(where == value, segment, source) for segment, where, value in regions]
    made.RTROIObservationsSequence = [_observation(segment) for segment in drawn]
    made.ApprovalStatus = "UNAPPROVED"
    stamp(made, source, style=style, equipment=equipment)
    return finish(made, transfer_syntax=ImplicitVRLittleEndian)


def _check(array: NDArray[np.uint8], source: Source) -> None:
    """Refuses what contours can't be written of."""
    if array.shape != source.grid.shape:
        raise GridMismatchError(f"the segments have shape {array.shape}, the series they lie on {source.grid.shape}")
    if source.grid.frame_of_reference_uid is None:
        raise InputRefusedError(
            "the measured series has no frame of reference (FrameOfReferenceUID), which a structure set must name; use "
            "the segmentation or the surfaces instead"
        )
    if source.resampled:
        raise InputRefusedError(
            "the labels lie on planes that were resampled (tilted gantry or uneven slices), and contours belong on the "
            "images themselves; use the segmentation or the surfaces instead"
        )


def _frame_of_reference(source: Source) -> Dataset:
    series: dict[str, list[Dataset]] = {}
    for image in whole_images(source):
        series.setdefault(image.series_instance_uid, []).append(image_reference(image))
    study = Dataset()
    study.ReferencedSOPClassUID = _STUDY_CLASS
    study.ReferencedSOPInstanceUID = str(source.header.StudyInstanceUID)
    study.RTReferencedSeriesSequence = []
    for uid, images in series.items():
        one = Dataset()
        one.SeriesInstanceUID, one.ContourImageSequence = uid, images
        study.RTReferencedSeriesSequence.append(one)
    made = Dataset()
    made.FrameOfReferenceUID = source.grid.frame_of_reference_uid
    made.RTReferencedStudySequence = [study]
    return made


def _region(segment: Segment, source: Source) -> Dataset:
    made = Dataset()
    made.ROINumber = segment.value
    made.ReferencedFrameOfReferenceUID = source.grid.frame_of_reference_uid
    made.ROIName = label_text(segment.label)
    algorithm = segment.algorithm
    made.ROIGenerationAlgorithm = (
        "MANUAL" if algorithm is None else "SEMIAUTOMATIC" if algorithm.corrected else "AUTOMATIC"
    )
    if algorithm is not None:
        made.ROIGenerationDescription = label_text(f"{algorithm.name} {algorithm.version}")
    return made


def _contours(mask: NDArray[np.bool_], segment: Segment, source: Source) -> Dataset:
    made = Dataset()
    made.ROIDisplayColor = [int(segment.colour[n : n + 2], _COLOUR_DIGITS) for n in (1, 3, 5)]
    made.ReferencedROINumber = segment.value
    found: list[Dataset] = []
    for k in np.flatnonzero(mask.any(axis=(1, 2))).tolist():
        plane = source.planes[k]
        for line in outlines(mask[k]):
            one = Dataset()
            (image,) = plane.images
            one.ContourImageSequence = [image_reference(image, frame=image.frame)]
            one.ContourGeometricType = "CLOSED_PLANAR"
            one.NumberOfContourPoints = len(line)
            one.ContourNumber = len(found) + 1
            one[_CONTOUR_DATA] = _decimals(_on_image(line, k, source))
            # Says that the numbers are encoded as they shall be written, so that nobody parses them again.
            one.set_original_encoding(True, True, one._character_set)
            found.append(one)
    made.ContourSequence = found
    return made


def _on_image(line: FloatArray, k: int, source: Source) -> FloatArray:
    """Points of a line in LPS mm, in the plane of the image as its own header places it."""
    spacing = source.grid.spacing_mm
    steps = line * spacing[1:]
    return np.asarray(
        np.array(source.planes[k].position_lps_mm)
        + steps[:, :1] * np.array(source.column_lps)
        + steps[:, 1:] * np.array(source.row_lps)
    )


def _decimals(points: FloatArray) -> RawDataElement:
    """ContourData as it goes to the file: some hundred thousand numbers, which nobody need look at one by one."""
    # Adding 0.0 turns -0.0 into 0.0.
    numbers = (np.round(points, _DECIMALS) + 0.0).ravel().tolist()
    text = "\\".join([f"{v:.{_DECIMALS}f}".rstrip("0").rstrip(".") for v in numbers])
    value = (text + " " * (len(text) % 2)).encode("ascii")
    return RawDataElement(_CONTOUR_DATA, "DS", len(value), value, 0, is_implicit_VR=True, is_little_endian=True)


def _observation(segment: Segment) -> Dataset:
    made = Dataset()
    made.ObservationNumber = segment.value
    made.ReferencedROINumber = segment.value
    made.ROIObservationLabel = label_text(segment.target, most_bytes=_SHORT)
    made.RTROIInterpretedType = segment.roi_type
    made.ROIInterpreter = ""
    made.RTROIIdentificationCodeSequence = [_code_item(segment)]
    return made


def _code_item(segment: Segment) -> Dataset:
    made = Dataset()
    made.CodeValue = segment.kind.value
    made.CodingSchemeDesignator = segment.kind.scheme
    made.CodeMeaning = label_text(segment.kind.meaning)
    return made
