"""Writing a volume as a classic CT or MR series: one file a slice, the same bytes every time.

Only for synthetic patients: a name that does not start with PHANTOM^ is refused. Geometry goes out as
ImagePositionPatient and ImageOrientationPatient (PS3.3 C.7.6.2.1.1), the clock of the contrast agent as
ContrastBolusStartTime beside AcquisitionTime, so that a reader can work out each phase for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    PYDICOM_ROOT_UID,
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    MRImageStorage,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

from liverimg.core.errors import UsageError
from liverimg.core.grid import Grid
from liverimg.core.study import Modality
from liverimg.core.volume import Volume

IMPLEMENTATION_UID: Final = UID(PYDICOM_ROOT_UID + "20261121.1")
_CT_INTERCEPT: Final = -1024
_MOST_STORED: Final = 4095  # 12 bits
_NAME_PREFIX: Final = "PHANTOM^"


@dataclass(frozen=True)
class StudyHeader:
    """What all series of a study share.

    Attributes:
        patient_name: Starts with ``PHANTOM^``.
        patient_id: Any id.
        study_instance_uid: See :func:`uid_from`.
        study_date: ``YYYYMMDD``.
        study_time: ``HHMMSS``.
        description: StudyDescription.
    """

    patient_name: str
    patient_id: str
    study_instance_uid: str
    study_date: str
    study_time: str
    description: str = ""


@dataclass(frozen=True)
class SeriesHeader:
    """What the slices of one series share.

    Attributes:
        modality: CT or MR.
        number: SeriesNumber.
        series_instance_uid: See :func:`uid_from`.
        description: SeriesDescription.
        acquisition_time: ``HHMMSS`` of the volume.
        contrast_agent: ContrastBolusAgent, empty for none.
        contrast_start_time: ``HHMMSS`` of the start of injection, empty for none.
        image_type: ImageType.
        slice_thickness_mm: SliceThickness; the spacing when None.
        more: Further elements by DICOM keyword.
    """

    modality: Modality
    number: int
    series_instance_uid: str
    description: str
    acquisition_time: str
    contrast_agent: str = ""
    contrast_start_time: str = ""
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    slice_thickness_mm: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


_CT_ELEMENTS: Final[Mapping[str, Any]] = {
    "KVP": "120",
    "XRayTubeCurrent": "220",
    "Exposure": "150",
    "ConvolutionKernel": "B30f",
    "RescaleType": "HU",
    "ManufacturerModelName": "Analytic abdomen CT",
}
_MR_ELEMENTS: Final[Mapping[str, Any]] = {
    "ScanningSequence": "GR",
    "SequenceVariant": ["SP", "SK"],
    "ScanOptions": "FS",
    "MRAcquisitionType": "3D",
    "RepetitionTime": "4.2",
    "EchoTime": "1.9",
    "EchoTrainLength": "1",
    "FlipAngle": "10",
    "MagneticFieldStrength": "1.5",
    "ImagedNucleus": "1H",
    "ManufacturerModelName": "Analytic abdomen MR",
}


def uid_from(*sources: object) -> str:
    """A UID that depends on nothing but its sources."""
    return str(generate_uid(prefix=PYDICOM_ROOT_UID, entropy_srcs=[repr(s) for s in sources]))


def write_series(
    volume: Volume, folder: Path, *, study: StudyHeader, series: SeriesHeader, compressed: bool = True
) -> tuple[Path, ...]:
    """Writes one file a slice into a folder, the last slice of the array as InstanceNumber 1 (head first).

    Args:
        volume: HU for CT, signal for MR; rounded to whole numbers and clipped to 12 bits. Its grid has a frame of
            reference and is orthogonal.
        folder: Made when absent; the files are ``I0001.dcm`` and so on.
        study: Shared by all series of the study.
        series: Shared by all slices.
        compressed: JPEG-LS lossless, or plain explicit little endian.

    Returns:
        The files in the order of the array's first axis.
    """
    _check(volume.grid, study)
    folder.mkdir(parents=True, exist_ok=True)
    stored = stored_values(volume, series.modality)
    paths: list[Path] = []
    count = volume.grid.shape[0]
    for k in range(count):
        dataset = _slice_header(volume.grid, k, study, series)
        dataset.InstanceNumber = str(count - k)
        _add_pixels(dataset, stored[k], compressed=compressed)
        path = folder / f"I{count - k:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return tuple(paths)


def stored_values(volume: Volume, modality: Modality) -> NDArray[np.uint16]:
    """Values as they are stored: HU + 1024 for CT, the signal itself for MR, rounded and clipped to 12 bits."""
    offset = -_CT_INTERCEPT if modality is Modality.CT else 0
    return np.asarray(np.clip(np.rint(volume.array) + offset, 0, _MOST_STORED), dtype=np.uint16)


def check_name(study: StudyHeader) -> None:
    """Refuses a patient who is not synthetic."""
    if not study.patient_name.startswith(_NAME_PREFIX):
        raise UsageError(f"only synthetic patients are written: the name has to start with {_NAME_PREFIX}")


def _check(grid: Grid, study: StudyHeader) -> None:
    check_name(study)
    if grid.frame_of_reference_uid is None or not grid.is_orthogonal():
        raise UsageError("a series is written from an orthogonal grid with a frame of reference; resample it first")


def _slice_header(grid: Grid, k: int, study: StudyHeader, series: SeriesHeader) -> FileDataset:
    is_ct = series.modality is Modality.CT
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage if is_ct else MRImageStorage
    meta.MediaStorageSOPInstanceUID = UID(uid_from(series.series_instance_uid, k))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "LIVERIMG"
    # The preamble stays zero: anything else could make the file executable (PS3.10 section 7.1).
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    add_patient_and_study(dataset, study)
    _add_series(dataset, study, series)
    _add_plane(dataset, grid, k, series)
    for keyword, value in {**(_CT_ELEMENTS if is_ct else _MR_ELEMENTS), **series.more}.items():
        setattr(dataset, keyword, value)
    if is_ct:
        dataset.RescaleIntercept = str(_CT_INTERCEPT)
        dataset.RescaleSlope = "1"
        dataset.WindowCenter, dataset.WindowWidth = "50", "400"
    return dataset


def add_patient_and_study(dataset: FileDataset, study: StudyHeader) -> None:
    """Who and when: the same for every object of the study."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = study.patient_name
    dataset.PatientID = study.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Synthetic: no patient"
    dataset.StudyInstanceUID = study.study_instance_uid
    dataset.StudyDate = study.study_date
    dataset.StudyTime = study.study_time
    dataset.StudyID = "1"
    dataset.StudyDescription = study.description
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def _add_series(dataset: FileDataset, study: StudyHeader, series: SeriesHeader) -> None:
    dataset.Modality = series.modality.value
    dataset.Manufacturer = "liverimg phantom"
    dataset.SeriesInstanceUID = series.series_instance_uid
    dataset.SeriesNumber = str(series.number)
    dataset.SeriesDescription = series.description
    dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = study.study_date
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = series.acquisition_time
    dataset.AcquisitionNumber = str(series.number)
    dataset.ImageType = list(series.image_type)
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.PatientPosition = "HFS"
    dataset.BurnedInAnnotation = "NO"
    if series.contrast_agent:
        dataset.ContrastBolusAgent = series.contrast_agent
        dataset.ContrastBolusRoute = "IV"
    if series.contrast_start_time:
        dataset.ContrastBolusStartTime = series.contrast_start_time


def _add_plane(dataset: FileDataset, grid: Grid, k: int, series: SeriesHeader) -> None:
    rows, columns = grid.directions[1], grid.directions[2]
    spacing = grid.spacing_mm
    position = grid.index_to_lps_mm((k, 0, 0))
    dataset.FrameOfReferenceUID = grid.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    # The first three cosines run along a row, as the column index grows (PS3.3 C.7.6.2.1.1).
    dataset.ImageOrientationPatient = [_decimal(v) for v in (*columns, *rows)]
    dataset.ImagePositionPatient = [_decimal(v) for v in position]
    dataset.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[2])]
    thickness = spacing[0] if series.slice_thickness_mm is None else series.slice_thickness_mm
    dataset.SliceThickness = _decimal(thickness)
    if series.modality is Modality.MR:
        dataset.SpacingBetweenSlices = _decimal(spacing[0])
    dataset.SliceLocation = _decimal(float(position @ grid.directions[0]))


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters; 0 for what is only rounding error."""
    return format_number_as_ds(0.0 if abs(value) < 1e-12 else float(value))


def _add_pixels(dataset: FileDataset, stored: NDArray[np.uint16], *, compressed: bool) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.ascontiguousarray(stored).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    if compressed:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
