"""Writing a contrast clip as an Ultrasound Multi-frame Image: two panes, regions, frame times, a clock.

Only for synthetic patients, as :mod:`liverimg.dicom.write`. The contrast pane is tinted as scanners do, by colours
whose luma is the grey level, so that a reader gets back what was drawn; JPEG at high quality, as most clips come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from liverimg.dicom.write import IMPLEMENTATION_UID, StudyHeader, add_patient_and_study, check_name, uid_from

_GAP_PX: Final = 8
_TISSUE: Final = 1
_TWO_DIMENSIONAL: Final = 1
_CENTIMETRE: Final = 3
_QUALITY: Final = 95
# A direction in colour that changes no luma (0.299 R + 0.587 G + 0.114 B), and how far the tint goes along it.
_TINT: Final = np.array([1.0, 0.0, -0.299 / 0.114])
_MOST_TINT: Final = 22.0


@dataclass(frozen=True)
class ClipHeader:
    """What the file says of a clip.

    Attributes:
        number: SeriesNumber.
        series_instance_uid: See :func:`liverimg.dicom.write.uid_from`.
        description: SeriesDescription.
        acquired_at: ``HHMMSS`` of the first frame.
        contrast_start_time: ``HHMMSS`` of the injection, empty for none.
        contrast_agent: ContrastBolusAgent, empty for none.
        times_s: Of each frame; None writes no time at all.
        spacing_mm: Pixel spacing along rows and columns; None writes no regions.
        dynamic_range_db: DynamicRange (retired); None leaves it out.
    """

    number: int
    series_instance_uid: str
    description: str
    acquired_at: str
    contrast_start_time: str
    contrast_agent: str
    times_s: NDArray[np.float64] | None
    spacing_mm: tuple[float, float] | None
    dynamic_range_db: float | None


def write_clip(
    panes: Sequence[NDArray[np.uint8]], path: Path, *, study: StudyHeader, clip: ClipHeader, tinted: bool = True
) -> Path:
    """Writes one multi-frame object.

    Args:
        panes: Grey levels, shape (t, j, i): contrast and B-mode side by side, or a single picture.
        path: The file; its folder is made when absent.
        study: Shared by all series of the study.
        clip: Of this clip.
        tinted: Whether the first pane is shown in a tint.
    """
    check_name(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames, boxes = _beside(panes, tinted=tinted)
    dataset = _header(frames, study, clip)
    if clip.spacing_mm is not None:
        dataset.SequenceOfUltrasoundRegions = [_region(box, clip.spacing_mm) for box in boxes]
    encoded = []
    for frame in frames:
        stream = BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=_QUALITY, subsampling="4:2:2")
        encoded.append(stream.getvalue())
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


def _beside(
    panes: Sequence[NDArray[np.uint8]], *, tinted: bool
) -> tuple[NDArray[np.uint8], list[tuple[int, int, int, int]]]:
    """Frames in colour, shape (t, j, i, 3), and each pane's left, top, right and bottom pixel."""
    parts, boxes, left = [], [], 0
    for n, pane in enumerate(panes):
        if n:
            parts.append(np.zeros((*pane.shape[:2], _GAP_PX, 3), dtype=np.uint8))
            left += _GAP_PX
        colour = _tinted(pane) if tinted and n == 0 else np.repeat(pane[..., None], 3, axis=-1)
        parts.append(colour)
        boxes.append((left, 0, left + pane.shape[2] - 1, pane.shape[1] - 1))
        left += pane.shape[2]
    return np.concatenate(parts, axis=2), boxes


def _tinted(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brown in the middle of the scale, black and white at its ends; the luma is the grey level."""
    level = grey[..., None].astype(np.float32)
    amount = np.minimum(_MOST_TINT, np.minimum(level / -_TINT[2], (255 - level) / _TINT[0]))
    return np.asarray(np.clip(np.rint(level + amount * _TINT), 0, 255), dtype=np.uint8)


def _header(frames: NDArray[np.uint8], study: StudyHeader, clip: ClipHeader) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = UID(uid_from(clip.series_instance_uid, "clip"))
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "LIVERIMG"
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    add_patient_and_study(made, study)
    made.Modality, made.Manufacturer = "US", "liverimg phantom"
    made.SeriesInstanceUID, made.SeriesNumber = clip.series_instance_uid, str(clip.number)
    made.SeriesDescription = clip.description
    made.SeriesDate = made.AcquisitionDate = made.ContentDate = study.study_date
    made.SeriesTime = made.AcquisitionTime = made.ContentTime = clip.acquired_at
    made.InstanceNumber = "1"
    made.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    made.BurnedInAnnotation = "NO"
    made.PatientOrientation = ""
    if clip.contrast_agent:
        made.ContrastBolusAgent, made.ContrastBolusRoute = clip.contrast_agent, "IV"
    if clip.contrast_start_time:
        made.ContrastBolusStartTime = clip.contrast_start_time
    if clip.dynamic_range_db is not None:
        made.add_new(0x00185030, "DS", f"{clip.dynamic_range_db:g}")
    if clip.times_s is not None:
        steps_ms = np.concatenate(([0.0], np.diff(clip.times_s) * 1000))
        made.FrameTimeVector = [f"{step:.6g}" for step in steps_ms]
        made.FrameIncrementPointer = 0x00181065
    made.Rows, made.Columns, made.NumberOfFrames = frames.shape[1], frames.shape[2], str(len(frames))
    made.SamplesPerPixel, made.PlanarConfiguration = 3, 0
    made.PhotometricInterpretation = "YBR_FULL_422"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_10918_1"
    return made


def _region(box: tuple[int, int, int, int], spacing_mm: tuple[float, float]) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = _TWO_DIMENSIONAL, _TISSUE, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = _CENTIMETRE
    item.PhysicalDeltaX, item.PhysicalDeltaY = spacing_mm[1] / 10, spacing_mm[0] / 10
    return item
