"""Ultrasound clips that published objects refer to: images without a place in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from liverimg.core.cine import Clip
from liverimg.core.errors import InputRefusedError
from liverimg.dicom.source import SourceImage, check_study, read_header
from liverimg.dicom.study import StudyHeaders
from liverimg.dicom.ultrasound import ClipSource


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips that were assessed.

    Attributes:
        header: Of the first one, without pixels: carries the patient's identity, so it is never shown.
        images: Every object of theirs, whole.
    """

    header: Dataset = field(repr=False)
    images: tuple[SourceImage, ...]

    @property
    def frame_of_reference_uid(self) -> str | None:
        """None: ultrasound frames lie nowhere in the patient."""
        return None


def find_clips(
    headers: StudyHeaders, clips: Sequence[Clip], *, study_instance_uid: str, patient_check: str | None
) -> Clips:
    """The files of a study folder that clips were read from.

    Args:
        headers: Of the study folder that objects shall be written for, read with the rules of ultrasound.
        clips: As they were ingested, at least one.
        study_instance_uid: As it was ingested.
        patient_check: As it was ingested.

    Raises:
        InputRefusedError: Another study or patient, or a folder without these clips.
    """
    check_study(headers, study_instance_uid=study_instance_uid, patient_check=patient_check)
    found = [_source_of(headers, clip) for clip in clips]
    images: list[SourceImage] = []
    for source in found:
        for one in source.headers:
            sop_class = str(read_header(one.frame.pixels).get("SOPClassUID", ""))
            images.append(SourceImage(sop_class, one.frame.sop_instance_uid, one.frame.series_instance_uid, None))
    return Clips(read_header(found[0].headers[0].frame.pixels), tuple(dict.fromkeys(images)))


def _source_of(headers: StudyHeaders, clip: Clip) -> ClipSource:
    for source in headers.clips:
        same = source.clip.series_instance_uid == clip.series_instance_uid
        if same and source.clip.sop_instance_uids == clip.sop_instance_uids:
            return source
    raise InputRefusedError(
        f"--study does not hold the clip that the results refer to (series {clip.series_instance_uid}); give the "
        "folder that they were made from, unchanged"
    )
