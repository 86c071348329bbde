"""A study folder de-identified into another folder: every file read, cleaned, checked and written under a new name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from liverimg.core.errors import DicomRefusedError, InputRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.deidentify import Deidentifier
from liverimg.dicom.deidentify_names import Pseudonyms
from liverimg.dicom.deidentify_pixels import burned_in_problem, clean_pixel_bytes, mask_ultrasound, picture_regions
from liverimg.dicom.deidentify_record import Cleaned, CleanedFile, Wishes
from liverimg.dicom.deidentify_rules import DeidentifyRules
from liverimg.dicom.file_meta import inflate, looks_like_dicom, read_meta
from liverimg.dicom.frame import Progress
from liverimg.dicom.headers import files_below, read_file
from liverimg.dicom.identity import identity_pattern
from liverimg.dicom.tags import PARSER_ERRORS, quiet
from liverimg.dicom.ultrasound_header import UltrasoundHeader, read_ultrasound_header

_HEAD_BYTES: Final = 1 << 16
_DOCUMENT_CLASS: Final = "1.2.840.10008.5.1.4.1.1.104."
_DICOMDIR_CLASS: Final = "1.2.840.10008.1.3.10"
# Attributes whose words are looked for in every text that stays.
_NAMES: Final = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName",
    "AccessionNumber", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "RequestingPhysician",
    "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord", "InstitutionName", "StudyID", "PatientBirthDate",
)  # fmt: skip


def deidentify_folder(
    study: Path, out: Path, *, wishes: Wishes, rules: DeidentifyRules, progress: Progress | None = None
) -> Cleaned:
    """De-identifies every DICOM file below ``study`` into ``out``.

    Args:
        study: Files of one patient; links are not followed.
        out: An empty folder that nobody looks at yet: the caller puts it in place when all is well.
        wishes: Options.
        rules: From ``deidentify.toml``.
        progress: Called with (files done, files in all).

    Raises:
        InputRefusedError: No folder, no DICOM, several patients, or nothing that may be passed on.
    """
    if not study.is_dir():
        raise InputRefusedError("the study folder does not exist or is not a folder: give the folder of one study")
    with quiet():
        return _deidentify_folder(study, out, wishes, rules, progress)


def _deidentify_folder(
    study: Path, out: Path, wishes: Wishes, rules: DeidentifyRules, progress: Progress | None
) -> Cleaned:
    left_out: Counter[tuple[str, str]] = Counter()
    paths = [path for path in files_below(study) if _may_be_read(path, left_out)]
    original_id, words = _whose(paths)
    names = Pseudonyms.of_patient(
        wishes.salt,
        original_id,
        uid_salt=wishes.uid_salt,
        patient_id=wishes.patient_id,
        keep_dates=wishes.keep_dates,
    )
    cleaner = Deidentifier(rules, names, identity_pattern(words))
    files: list[CleanedFile] = []
    names_given = _Names()
    for done, path in enumerate(paths):
        try:
            made, entry = _one_file(path, cleaner, wishes, rules)
            written = _written(made)
        except DicomRefusedError as refusal:
            left_out[str(refusal.code), str(refusal)] += 1
        except PARSER_ERRORS:
            left_out[str(Code.UNREADABLE), "a damaged file that could not be read or written again"] += 1
        else:
            # Outside: a full disk is no fault of the file's.
            name = names_given.next(str(made.get("SeriesInstanceUID") or ""))
            _write(out / name, written)
            files.append(replace(entry, name=name))
        if progress is not None:
            progress(done + 1, len(paths))
    counted = tuple((code, reason, count) for (code, reason), count in sorted(left_out.items()))
    if not files:
        shown = ", ".join(f"{code} ({count})" for code, _, count in counted) or "nothing was found"
        raise InputRefusedError(f"no file of the study can be passed on, expected at least one; refused: {shown}")
    offset_s = None if names.offset is None else names.offset.total_seconds()
    return Cleaned(tuple(files), counted, names.patient_id, offset_s, original_id, dict(cleaner.uids))


def _may_be_read(path: Path, left_out: Counter[tuple[str, str]]) -> bool:
    """Whether the file is DICOM of a size that can be unpacked; no link is followed."""
    refused = (str(Code.NOT_DICOM), "not a DICOM file: left aside")
    try:
        if path.is_symlink() or not path.is_file():
            left_out[refused] += 1
            return False
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if not looks_like_dicom(head):
                left_out[refused] += 1
                return False
            meta = read_meta(head)
            if meta.transfer_syntax == DeflatedExplicitVRLittleEndian:
                stream.seek(meta.dataset_offset)
                inflate(stream.read())
    except DicomRefusedError as refusal:
        left_out[str(refusal.code), str(refusal)] += 1
        return False
    except PARSER_ERRORS:
        left_out[str(Code.UNREADABLE), "a damaged file that could not be read or written again"] += 1
        return False
    return True


def _whose(paths: Sequence[Path]) -> tuple[str, set[str]]:
    """The one patient's ID, and every word that stands for him or her or for somebody around."""
    ids: set[str] = set()
    patient_names: set[str] = set()
    words: set[str] = set()
    for path in paths:
        try:
            dataset = dcmread(path, force=True, stop_before_pixels=True, specific_tags=list(_NAMES))
            values = {name: str(dataset.get(name) or "") for name in _NAMES}
        except PARSER_ERRORS:
            continue
        words |= {value for value in values.values() if value}
        ids |= {values["PatientID"].strip().casefold()} - {""}
        patient_names |= {" ".join(values["PatientName"].replace("^", " ").split()).casefold()} - {""}
    patients = max(len(ids), len(patient_names))
    if patients > 1:
        raise DicomRefusedError(
            Code.SEVERAL_PATIENTS,
            f"the folder holds files of {patients} patients, expected one: separate them first",
        )
    return next(iter(ids or patient_names), ""), words


class _Names:
    """File names of our own making: ``series02/00013.dcm``."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._series: dict[str, int] = {}

    def next(self, series_uid: str) -> str:
        number = self._series.setdefault(series_uid, len(self._series) + 1)
        self._counts[series_uid] = self._counts.get(series_uid, 0) + 1
        return f"series{number:02d}/{self._counts[series_uid]:05d}.dcm"


def _one_file(path: Path, cleaner: Deidentifier, wishes: Wishes, rules: DeidentifyRules) -> tuple[Dataset, CleanedFile]:
    """One file read and cleaned, and what was done to it."""
    dataset = dcmread(path, force=True)
    sop_class = _with_kind(dataset)
    _refuse_kind(sop_class)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    before = len(dataset)
    masked = 0
    has_pixels = any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
    if has_pixels:
        masked = _clean_pixels(path, dataset, wishes, rules)
    made = cleaner.clean(dataset, masked=masked > 0)
    if masked and made.get("BurnedInAnnotation") != "YES":
        made.BurnedInAnnotation = "NO"
    return made, CleanedFile(
        name="",
        kind=UID(sop_class).name,
        modality=str(made.get("Modality") or ""),
        pixels="masked" if masked else "unchanged" if has_pixels else "none",
        masked_pixels=masked,
        attributes_before=before,
        attributes_after=len(made),
    )


def _with_kind(dataset: FileDataset) -> str:
    """The SOP class; from the file's head or its modality, and an instance UID made up, where the data set has none."""
    meta = dataset.file_meta
    if not dataset.get("SOPClassUID"):
        by_modality = {"CT": CTImageStorage, "MR": MRImageStorage}.get(str(dataset.get("Modality", "")), "")
        dataset.SOPClassUID = meta.get("MediaStorageSOPClassUID") or by_modality
    if not dataset.get("SOPInstanceUID"):
        dataset.SOPInstanceUID = meta.get("MediaStorageSOPInstanceUID") or generate_uid(None)
    return str(dataset.SOPClassUID).strip("\0 ")


def _refuse_kind(sop_class: str) -> None:
    if sop_class == _DICOMDIR_CLASS:
        raise DicomRefusedError(Code.NOT_DICOM, "a directory of DICOM files: left aside, as it names the patient")
    if sop_class.startswith(_DOCUMENT_CLASS):
        raise DicomRefusedError(
            Code.ENCAPSULATED_DOCUMENT, "a document inside DICOM, such as a PDF, whose text can't be cleaned"
        )


def _clean_pixels(path: Path, dataset: FileDataset, wishes: Wishes, rules: DeidentifyRules) -> int:
    """Masks, refuses or tidies the pixels in place; returns how many pixels of a frame were painted black."""
    header = _ultrasound_header(path, dataset, wishes)
    has_regions = header is not None and bool(picture_regions(header))
    problem = burned_in_problem(dataset, rules.table["burned_in"], has_regions=has_regions)
    if problem is not None and not wishes.accept_burned_in:
        raise DicomRefusedError(Code.BURNED_IN_TEXT, problem)
    masked = 0
    if header is not None and has_regions:
        masked = mask_ultrasound(header, dataset, rules.table["burned_in"])
    clean_pixel_bytes(dataset)
    return masked


def _ultrasound_header(path: Path, dataset: Dataset, wishes: Wishes) -> UltrasoundHeader | None:
    """The header of an ultrasound image; None for anything else."""
    if str(dataset.get("Modality", "")).upper() != "US":
        return None
    try:
        frames, _ = read_file(path)
        return read_ultrasound_header(frames[0])
    except DicomRefusedError as refusal:
        if wishes.accept_burned_in:
            return None
        reason = f"ultrasound whose writing can't be masked: {refusal}"
        raise DicomRefusedError(Code.BURNED_IN_TEXT, reason) from refusal


def _written(made: Dataset) -> bytes:
    """The file's bytes, with an empty preamble; the transfer syntax decides the encoding."""
    if made.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        # Read whole, so written plain: what unpacks to something else than it seems helps nobody.
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    FileDataset("", made, file_meta=made.file_meta, preamble=b"\0" * 128).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
