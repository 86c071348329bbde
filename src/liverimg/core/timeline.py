"""The course of one patient: every study in order, every lesion through all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.measurement import Measured, find
from liverimg.core.response import CriterionResponse, Fate, Timepoint, Treatment


class StudyKind(StrEnum):
    """What a study of the course was assessed as."""

    BEFORE = "before"
    AFTER = "after"
    ULTRASOUND = "ultrasound"


@dataclass(frozen=True)
class CourseStudy:
    """One study of the course.

    Attributes:
        kind: Before treatment, after it, or contrast ultrasound after it.
        study_instance_uid: DICOM UID.
        day: When it was made.
        modality: CT, MR or US.
        days: Since the baseline.
        timepoint: When it was made, counted from the last treatment; None for the baseline and for ultrasound.
        new_lesion: Whether it shows a new lesion; None where nobody said.
        candidates: Tumours that may be new, by name.
        warnings: What a reader must know of it.
    """

    kind: StudyKind
    study_instance_uid: str
    day: date
    modality: str
    days: int
    timepoint: Timepoint | None = None
    new_lesion: bool | None = None
    candidates: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LesionVisit:
    """One lesion in one study.

    Attributes:
        study: Index of the study in the course.
        fate: What became of it; None in the baseline and in ultrasound.
        quantities: What was measured of it and of its zone there.
        local: Complete ablation, residual tumour or local progression, in view of the studies before; None where that
            was not asked.
    """

    study: int
    fate: Fate | None
    quantities: tuple[Measured, ...]
    local: Classification | None = None

    def quantity(self, name: str, *, target: str) -> Measured:
        """The quantity of that name; NotMeasured when nobody asked for it."""
        return find(self.quantities, name, target=target)


@dataclass(frozen=True)
class LesionCourse:
    """One lesion through all studies.

    Attributes:
        id: Its name in the baseline.
        tracking_uid: The same in every study.
        visits: In the order of the studies; a study that says nothing of it has none.
    """

    id: str
    tracking_uid: str
    visits: tuple[LesionVisit, ...]


@dataclass(frozen=True)
class StudyVerdict:
    """The response of one study by each criterion, against the baseline and the nadir of the course.

    Attributes:
        study: Index of the study in the course.
        criteria: Each with its sums.
        nadir_study: Index of the study that each criterion's nadir was reached in, by the criterion's id.
        not_applied: Criteria that could not be asked, and why.
    """

    study: int
    criteria: tuple[CriterionResponse, ...]
    nadir_study: tuple[tuple[str, int], ...]
    not_applied: tuple[NotApplied, ...] = ()


@dataclass(frozen=True)
class Course:
    """The course of one patient.

    Attributes:
        same_patient: True where every study's PatientID agrees as far as it is kept; None where one has none.
        treatments: All that were named, in order.
        studies: In order of their dates.
        lesions: Of the baseline.
        verdicts: One per CT or MR after treatment.
        warnings: What a reader must know of the course as a whole.
    """

    same_patient: bool | None
    treatments: tuple[Treatment, ...]
    studies: tuple[CourseStudy, ...]
    lesions: tuple[LesionCourse, ...]
    verdicts: tuple[StudyVerdict, ...]
    warnings: tuple[str, ...] = ()
