"""Labels as a DICOM Segmentation (PS3.3 A.51), frame for frame on the images that they were drawn on.

highdicom builds the object on stand-ins for the images that carry their geometry and nothing else; afterwards the
references are put in: each frame names the image that it lies on, a frame of a multi-frame image by its number. Labels
on planes that were resampled (a tilted gantry, uneven slices) carry the geometry of those planes; their frames then
name the images that they came from, and say that the places differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid
from pydicom.valuerep import format_number_as_ds

from liverimg.core.catalogue import CodedConcept
from liverimg.core.errors import GridMismatchError, InputRefusedError
from liverimg.core.published import Equipment, ObjectStyle, Segment
from liverimg.dicom.source import Plane, Scan, Source, SourceImage
from liverimg.dicom.stamp import Written, finish, label_text, plain, put_moment, stamp
from liverimg.dicom.tags import quiet

_STAND_IN: Final = "2.25.{}"
_NOWHERE: Final = "2.25.3"
_ORTHOGONAL: Final = 1e-4


def write_seg(
    array: NDArray[np.uint8],
    segments: Sequence[Segment],
    source: Source,
    *,
    style: ObjectStyle,
    equipment: Equipment,
    label_map: bool = False,
) -> Written:
    """A SEG file of all segments.

    Args:
        array: Segment values along (k, j, i), 0 for none; on ``source.grid``.
        segments: One for each value, from 1 without gaps, each with at least one voxel.
        source: The series that the labels lie on.
        style: Series and titles.
        equipment: Who writes.
        label_map: Write a Label Map Segmentation (one compressed frame a slice) instead of a binary one (one frame a
            slice and segment), which every viewer reads.

    Raises:
        InputRefusedError: No segments, or rows and columns that are not at right angles.
        GridMismatchError: The array lies on another grid.
    """
    _check(array, segments, source)
    stand_ins = [_stand_in(source, plane, k) for k, plane in enumerate(source.planes)]
    kind = SegmentationTypeValues.LABELMAP if label_map else SegmentationTypeValues.BINARY
    with quiet():
        seg = Segmentation(
            source_images=stand_ins,
            pixel_array=array,
            segmentation_type=kind,
            segment_descriptions=[_description(segment) for segment in segments],
            series_instance_uid="2.25.1",
            series_number=style.series_number,
            sop_instance_uid="2.25.1",
            instance_number=1,
            manufacturer=equipment.manufacturer,
            manufacturer_model_name=equipment.model,
            software_versions=equipment.version,
            device_serial_number=equipment.model,
            content_description=label_text(equipment.disclaimer),
            content_label=style.label,
            transfer_syntax_uid=RLELossless if label_map else ExplicitVRLittleEndian,
            omit_empty_frames=True,
        )
    _put_references(seg, source)
    if source.grid.frame_of_reference_uid is None:
        # The images that the frames name say where they lie (PS3.3 table A.51-1: the module is conditional).
        del seg.FrameOfReferenceUID
        del seg.PositionReferenceIndicator
    stamp(seg, source, style=style, equipment=equipment)
    put_moment(seg, source)
    seg.ContentCreatorName = ""
    return finish(seg, transfer_syntax=RLELossless if label_map else ExplicitVRLittleEndian)


def _check(array: NDArray[np.uint8], segments: Sequence[Segment], source: Source) -> None:
    if array.shape != source.grid.shape or len(source.planes) != source.grid.shape[0]:
        raise GridMismatchError(f"the segments have shape {array.shape}, the series they lie on {source.grid.shape}")
    if [s.value for s in segments] != list(range(1, len(segments) + 1)):
        raise ValueError("segments are numbered from 1 without gaps")
    _refuse_crooked(source)
    if not segments:
        raise InputRefusedError("no structure is labelled, expected at least one; there is nothing to write")


def _refuse_crooked(source: Source) -> None:
    if abs(float(np.dot(source.row_lps, source.column_lps))) > _ORTHOGONAL:
        raise InputRefusedError(
            "rows and columns of the measured series are not at right angles, which no segmentation can say"
        )


def _stand_in(source: Source, plane: Plane, k: int) -> Dataset:
    """An image with the geometry of a plane, and no one's name on it."""
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = _STAND_IN.format(k + 1)
    made.StudyInstanceUID, made.SeriesInstanceUID = "2.25.1", "2.25.2"
    made.FrameOfReferenceUID = source.grid.frame_of_reference_uid or _NOWHERE
    made.PositionReferenceIndicator = ""
    made.Rows, made.Columns = source.grid.shape[1:]
    spacing = source.grid.spacing_mm
    made.PixelSpacing = [decimal(spacing[1]), decimal(spacing[2])]
    made.SliceThickness = decimal(source.thickness_mm or float(spacing[0]))
    made.ImageOrientationPatient = [decimal(v) for v in (*source.row_lps, *source.column_lps)]
    made.ImagePositionPatient = [decimal(v) for v in plane.position_lps_mm]
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(made, keyword, "")
    made.StudyDate = made.StudyTime = None
    if source.lossy:
        made.LossyImageCompression = "01"
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in source.header:
                setattr(made, keyword, source.header.get(keyword))
    return made


def decimal(value: float) -> str:
    """A decimal string of at most 16 characters; 0 for what is only rounding error."""
    return format_number_as_ds(0.0 if abs(value) < 1e-12 else float(value))


def code(concept: CodedConcept) -> Code:
    """A concept as pydicom writes it."""
    return Code(concept.value, concept.scheme, label_text(concept.meaning))


def _description(segment: Segment) -> SegmentDescription:
    algorithm = segment.algorithm
    kind = "MANUAL" if algorithm is None else "SEMIAUTOMATIC" if algorithm.corrected else "AUTOMATIC"
    identification = None
    if algorithm is not None:
        identification = AlgorithmIdentificationSequence(
            name=label_text(algorithm.name),
            family=codes.cid7162.ArtificialIntelligence if algorithm.learned else codes.cid7162.NeighborhoodAnalysis,
            version=label_text(algorithm.version or "unknown"),
        )
    return SegmentDescription(
        segment_number=segment.value,
        segment_label=label_text(segment.label),
        segmented_property_category=code(segment.category),
        segmented_property_type=code(segment.kind),
        algorithm_type=kind,
        algorithm_identification=identification,
        tracking_uid=segment.tracking_uid,
        tracking_id=plain(segment.target),
        anatomic_regions=None if segment.region is None else [code(segment.region)],
        display_color=CIELabColor.from_string(segment.colour),
    )


def _put_references(seg: Any, source: Source) -> None:
    """Names of the images in the places of their stand-ins, and a dimension UID that follows from them."""
    planes = {_STAND_IN.format(k + 1): plane for k, plane in enumerate(source.planes)}
    for item in seg.PerFrameFunctionalGroupsSequence:
        for derivation in item.DerivationImageSequence:
            (stand_in,) = derivation.SourceImageSequence
            plane = planes[str(stand_in.ReferencedSOPInstanceUID)]
            purpose = stand_in.PurposeOfReferenceCodeSequence
            derivation.SourceImageSequence = [
                _source_item(image, purpose, moved=source.resampled) for image in plane.images
            ]
    seg.SourceImageSequence = [image_reference(image) for image in whole_images(source)]
    seg.ReferencedSeriesSequence = series_references(source)
    uid = generate_uid(entropy_srcs=["dimensions", *planes, str(source.header.StudyInstanceUID)])
    seg.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for index in seg.DimensionIndexSequence:
        index.DimensionOrganizationUID = uid


def _source_item(image: SourceImage, purpose: Any, *, moved: bool) -> Dataset:
    made = image_reference(image, frame=image.frame)
    made.PurposeOfReferenceCodeSequence = purpose
    made.SpatialLocationsPreserved = "NO" if moved else "YES"
    return made


def image_reference(image: SourceImage, *, frame: int | None = None) -> Dataset:
    """A reference to an image, or to one frame of it."""
    made = Dataset()
    made.ReferencedSOPClassUID = image.sop_class_uid
    made.ReferencedSOPInstanceUID = image.sop_instance_uid
    if frame is not None:
        made.ReferencedFrameNumber = frame
    return made


def whole_images(source: Scan) -> tuple[SourceImage, ...]:
    """Every object that holds an image of the source, once."""
    return tuple({image.sop_instance_uid: image for image in source.images}.values())


def series_references(source: Source) -> list[Dataset]:
    """The images by series; a volume that was split over two series has two."""
    by_series: dict[str, list[Dataset]] = {}
    for image in whole_images(source):
        by_series.setdefault(image.series_instance_uid, []).append(image_reference(image))
    made = []
    for uid, images in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ReferencedInstanceSequence = images
        made.append(series)
    return made
