"""Questions to an archive, and its answers as rows: the same for DIMSE and DICOMweb (PS3.4 annex C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pydicom.dataset import Dataset

from liverimg.core.errors import UsageError
from liverimg.dicom.tags import PARSER_ERRORS
from liverimg.pacs.names import require_uid

Row = Mapping[str, "str | list[str]"]


class Level(StrEnum):
    """What an answer is about."""

    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"


_STUDY_KEYS: Final = (
    "StudyInstanceUID", "PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription",
    "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
_SERIES_KEYS: Final = (
    "StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription",
    "NumberOfSeriesRelatedInstances",
)  # fmt: skip
_IMAGE_KEYS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber")
KEYS: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: _STUDY_KEYS,
    Level.SERIES: _SERIES_KEYS,
    Level.IMAGE: _IMAGE_KEYS,
}
# As JSON and tables name them.
NAMES: Final[Mapping[str, str]] = {
    "StudyInstanceUID": "study_instance_uid",
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "AccessionNumber": "accession_number",
    "StudyDescription": "study_description",
    "ModalitiesInStudy": "modalities",
    "NumberOfStudyRelatedSeries": "series",
    "NumberOfStudyRelatedInstances": "instances",
    "SeriesInstanceUID": "series_instance_uid",
    "Modality": "modality",
    "SeriesNumber": "series_number",
    "SeriesDescription": "series_description",
    "NumberOfSeriesRelatedInstances": "instances",
    "SOPInstanceUID": "sop_instance_uid",
    "SOPClassUID": "sop_class_uid",
    "InstanceNumber": "instance_number",
}
_LEVEL_NAMES: Final = {Level.STUDY: "STUDY", Level.SERIES: "SERIES", Level.IMAGE: "IMAGE"}
# What may narrow a question down at each level (PS3.4 section C.6.2.1).
_FILTERS: Final[Mapping[Level, frozenset[str]]] = {
    Level.STUDY: frozenset(_STUDY_KEYS),
    Level.SERIES: frozenset(("StudyInstanceUID", "SeriesInstanceUID", "Modality")),
    Level.IMAGE: frozenset(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")),
}


@dataclass(frozen=True)
class Query:
    """A question.

    Attributes:
        level: What to ask for.
        matching: Values by DICOM keyword; ``*`` and ``?`` match, dates may be ranges (20260101-20260630).
    """

    level: Level = Level.STUDY
    matching: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what no archive would answer.

        Raises:
            UsageError: A key that this level does not have, or no study to look into.
        """
        strange = sorted(set(self.matching) - _FILTERS[self.level])
        if strange:
            names = ", ".join(sorted(NAMES[k] for k in _FILTERS[self.level]))
            raise UsageError(
                f"{NAMES.get(strange[0], strange[0])} can't be asked for at the level {self.level}; expected: {names}"
            )
        if self.level is not Level.STUDY:
            require_uid(self.matching.get("StudyInstanceUID", ""), what=f"the study of a question for {self.level}")
        if self.level is Level.IMAGE:
            require_uid(self.matching.get("SeriesInstanceUID", ""), what="the series of a question for images")


def identifier(query: Query) -> Dataset:
    """The question as a C-FIND identifier."""
    asked = Dataset()
    asked.QueryRetrieveLevel = _LEVEL_NAMES[query.level]
    for keyword in KEYS[query.level]:
        setattr(asked, keyword, query.matching.get(keyword, ""))
    if not all(value.isascii() for value in query.matching.values()):
        asked.SpecificCharacterSet = "ISO_IR 192"
    return asked


def row(answer: Dataset, level: Level) -> Row:
    """An answer as plain values; what is missing or can't be read is left out."""
    found: dict[str, str | list[str]] = {}
    for keyword in KEYS[level]:
        value = _value(answer, keyword)
        if keyword == "ModalitiesInStudy":
            found[NAMES[keyword]] = [str(v) for v in (value if isinstance(value, list) else [value]) if v]
        elif value not in (None, ""):
            found[NAMES[keyword]] = str(value)
    return found


def _value(answer: Dataset, keyword: str) -> Any:
    try:
        value = answer.get(keyword)
        return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
    except PARSER_ERRORS:
        return None
