"""``timeline.json``: the course of one patient."""

from __future__ import annotations

from dataclasses import asdict

from liverimg.core.response import Timepoint
from liverimg.core.timeline import Course, CourseStudy, LesionCourse, LesionVisit, StudyVerdict
from liverimg.files.records import Record
from liverimg.files.response_records import criterion_to_record
from liverimg.files.result_records import classification_to_record, quantity_to_record

SCHEMA_VERSION = "1.0"


def timeline_to_record(course: Course) -> Record:
    """``timeline.json``."""
    return {
        "record": "timeline",
        "schema_version": SCHEMA_VERSION,
        "same_patient": course.same_patient,
        "treatments": [{"date": t.day.isoformat(), "kind": t.kind} for t in course.treatments],
        "studies": [_study(study) for study in course.studies],
        "lesions": [_lesion(lesion) for lesion in course.lesions],
        "verdicts": [_verdict(verdict) for verdict in course.verdicts],
        "warnings": list(course.warnings),
    }


def _study(study: CourseStudy) -> Record:
    return {
        "kind": study.kind.value,
        "study_instance_uid": study.study_instance_uid,
        "study_date": study.day.isoformat(),
        "modality": study.modality,
        "days": study.days,
        "timepoint": None if study.timepoint is None else _timepoint(study.timepoint),
        "new_lesion": study.new_lesion,
        "candidates": list(study.candidates),
        "warnings": list(study.warnings),
    }


def _timepoint(time: Timepoint) -> Record:
    return {"days": time.days, "windows": list(time.windows), "statement": time.statement, "bias": time.bias}


def _lesion(lesion: LesionCourse) -> Record:
    return {
        "id": lesion.id,
        "tracking_uid": lesion.tracking_uid,
        "visits": [_visit(visit) for visit in lesion.visits],
    }


def _visit(visit: LesionVisit) -> Record:
    return {
        "study": visit.study,
        "fate": None if visit.fate is None else visit.fate.value,
        "quantities": [quantity_to_record(q) for q in visit.quantities],
        "local": None if visit.local is None else classification_to_record(visit.local),
    }


def _verdict(verdict: StudyVerdict) -> Record:
    return {
        "study": verdict.study,
        "criteria": [criterion_to_record(found) for found in verdict.criteria],
        "nadir_study": dict(verdict.nadir_study),
        "not_applied": [asdict(row) for row in verdict.not_applied],
    }
