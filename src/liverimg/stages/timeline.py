"""Timeline: the results of several studies of one patient, put in order and held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from liverimg.assess.course import local_findings, responses
from liverimg.assess.targets import Choice
from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.measurement import Lesion, Measured, MeasurementSet
from liverimg.core.response import LesionResponse, StudyResponse, Treatment
from liverimg.core.study import Study
from liverimg.core.timeline import Course, CourseStudy, LesionCourse, LesionVisit, StudyKind, StudyVerdict
from liverimg.core.tracking import tracking_uid
from liverimg.files.records import Record
from liverimg.files.response_records import response_from_record
from liverimg.files.result_records import measurements_from_record, quantity_from_record
from liverimg.files.tables import read_table
from liverimg.stages.artefacts import read_study
from liverimg.stages.baseline import date_of
from liverimg.workspace import Artefact, Workspace

_EXPECTED = "expected output folders of 'liverimg pre', 'post' or 'ceus'"
_BEFORE = (
    "axial_long_diameter",
    "axial_short_diameter",
    "volume",
    "viable_diameter",
    "viable_area",
    "viable_volume",
)  # fmt: skip
_AFTER = (
    *_BEFORE,
    "minimal_ablation_margin",
    "ablation_margin_median",
    "npv_ratio",
    "uncovered_tumour_volume",
    "iodised_oil_share",
)  # fmt: skip
_OF_ZONE = ("volume", "non_enhancing_volume", "axial_long_diameter", "axial_short_diameter", "craniocaudal_extent")
_OF_ULTRASOUND = ("ceus_long_diameter", "ceus_short_diameter", "ceus_non_enhancing_area", "ceus_ellipsoid_volume")


@dataclass(frozen=True, eq=False)
class Visit:
    """One folder of results.

    Attributes:
        name: Of the folder, for sentences.
        study: What was ingested.
        day: When it was made.
        kind: What it was assessed as.
        measured: Numbers of a study before treatment.
        response: Of a CT or MR after treatment.
        record: The record that it was read from.
    """

    name: str
    study: Study
    day: date
    kind: StudyKind
    record: Record
    measured: MeasurementSet | None = None
    response: StudyResponse | None = None

    @property
    def uid(self) -> str:
        """DICOM UID of the study."""
        return self.study.study_instance_uid

    @property
    def baseline_uid(self) -> str | None:
        """The study that it was held against; its own when it is one before treatment; None when not known."""
        if self.kind is StudyKind.BEFORE:
            return self.uid
        row = self.record["baseline"]
        return None if row is None else str(row["study_instance_uid"])


def course_of(folders: Sequence[Path]) -> Course:
    """Reads the folders and puts them in order.

    Args:
        folders: Output folders of ``liverimg pre``, ``post`` and ``ceus`` of one patient, in any order.

    Raises:
        UsageError: A folder holds no such results, a study is there twice or has no date, or studies were held against
            different baselines.
        InputRefusedError: Studies are of different patients.
    """
    if not folders:
        raise UsageError(f"no folder was given; {_EXPECTED}")
    visits = sorted((_read(folder) for folder in folders), key=lambda v: (v.day, _ORDER[v.kind]))
    _refuse_twice(visits)
    same = _same_patient(visits)
    baseline = _baseline(visits)
    return _course(visits, baseline, same)


_ORDER = {kind: n for n, kind in enumerate(StudyKind)}


def _read(folder: Path) -> Visit:
    workspace = Workspace(folder)
    if not workspace.path(Artefact.STUDY).is_file():
        raise UsageError(f"{folder} holds no study.json; {_EXPECTED}")
    study = read_study(workspace)
    day = date_of(study)
    if day is None:
        raise UsageError(f"the study in {folder} has no date, so it has no place in a timeline; leave it out")
    if workspace.path(Artefact.RESPONSE).is_file():
        record = workspace.record(Artefact.RESPONSE, "response")
        return Visit(folder.name, study, day, StudyKind.AFTER, record, response=response_from_record(record))
    if workspace.path(Artefact.PERFUSION).is_file():
        record = workspace.record(Artefact.PERFUSION, "perfusion")
        return Visit(folder.name, study, day, StudyKind.ULTRASOUND, record)
    if workspace.path(Artefact.MEASUREMENTS).is_file():
        record = workspace.record(Artefact.MEASUREMENTS, "measurements")
        return Visit(folder.name, study, day, StudyKind.BEFORE, record, measured=measurements_from_record(record))
    raise UsageError(
        f"{folder} holds a study that was not assessed (no measurements.json, response.json or perfusion.json); "
        f"{_EXPECTED}"
    )


def _refuse_twice(visits: Sequence[Visit]) -> None:
    for one, other in pairwise(sorted(visits, key=lambda v: v.uid)):
        if one.uid == other.uid:
            raise UsageError(
                f"{one.name} and {other.name} hold results of one and the same study; give each study once"
            )


def _same_patient(visits: Sequence[Visit]) -> bool | None:
    checks = {visit.study.patient_check for visit in visits}
    known = checks - {None}
    if len(known) > 1:
        first = next(v for v in visits if v.study.patient_check is not None)
        other = next(v for v in visits if v.study.patient_check not in (None, first.study.patient_check))
        raise InputRefusedError(
            f"{first.name} and {other.name} are of different patients (their PatientIDs differ); give the studies of "
            "one patient"
        )
    return None if None in checks else True


def _baseline(visits: Sequence[Visit]) -> Visit:
    """The one study that all others were held against."""
    before = [v for v in visits if v.kind is StudyKind.BEFORE]
    held = {v.baseline_uid: v.name for v in visits if v.kind is StudyKind.AFTER}
    if len(held) > 1:
        one, other = list(held.values())[:2]
        raise UsageError(
            f"{one} and {other} were held against different baselines, so their lesions have different names; run "
            "'liverimg post' on both with the same --baseline"
        )
    if not before:
        raise UsageError(
            "no study from before treatment is among the folders; add the output folder of its 'liverimg pre'"
        )
    wanted = next(iter(held), before[0].uid)
    found = next((v for v in before if v.uid == wanted), None)
    stray = next((v for v in before if v.uid != wanted), None)
    if found is None or stray is not None:
        name = (stray or before[0]).name
        against = "the baseline that the others were held against" if held else "the only study from before treatment"
        raise UsageError(
            f"{name} is a study from before treatment, but not {against}; give that baseline and the studies after it"
        )
    early = next((v for v in visits if v.day < found.day), None)
    if early is not None:
        raise UsageError(
            f"{early.name} was made {(found.day - early.day).days} days before the baseline {found.name}; give the "
            "baseline and what was made after it"
        )
    return found


def _course(visits: Sequence[Visit], baseline: Visit, same: bool | None) -> Course:
    table = read_table("response")
    after = [(n, v) for n, v in enumerate(visits) if v.response is not None]
    assert baseline.measured is not None
    lesions = tuple(_lesion(lesion, baseline, visits, table) for lesion in baseline.measured.lesions)
    found = responses(
        [v.response for _, v in after if v.response is not None],
        table,
        choices=[_choice(v.response, table) for _, v in after if v.response is not None],
    )
    index = {-1: visits.index(baseline), **{n: place for n, (place, _) in enumerate(after)}}
    verdicts = tuple(
        StudyVerdict(
            place,
            reached.criteria,
            tuple((name, index[n]) for name, n in sorted(reached.nadir_at.items())),
            reached.not_applied,
        )
        for (place, _), reached in zip(after, found, strict=True)
    )
    return Course(
        same_patient=same,
        treatments=_treatments(visits),
        studies=tuple(_study(visit, baseline) for visit in visits),
        lesions=lesions,
        verdicts=verdicts,
        warnings=_warnings(visits, same),
    )


def _choice(response: StudyResponse, table: Mapping[str, Any]) -> Choice:
    most = int(read_table("measure")["recist_targets_per_organ"]["value"])
    kind = response.treatments[-1].kind if response.treatments else None
    return Choice(most, ablated=kind is None or table["treatment"][kind]["group"] == "ablation")


def _lesion(found: Lesion, baseline: Visit, visits: Sequence[Visit], table: Mapping[str, Any]) -> LesionCourse:
    name = found.id
    own = [
        (n, v.response, lesion)
        for n, v in enumerate(visits)
        if v.response is not None
        for lesion in v.response.lesions
        if lesion.id == name
    ]
    local = dict(zip((n for n, _, _ in own), local_findings([(r, now) for _, r, now in own], table), strict=True))
    rows = [LesionVisit(visits.index(baseline), None, tuple(q for q in found.quantities if q.name in _BEFORE))]
    rows += [LesionVisit(n, now.fate, _after(now, response), local[n]) for n, response, now in own]
    rows += [
        LesionVisit(n, None, _of_ultrasound(v.record))
        for n, v in enumerate(visits)
        if v.kind is StudyKind.ULTRASOUND and (v.record["baseline"] or {}).get("target") == name
    ]
    uid = tracking_uid(baseline.uid, name, centroid_lps_mm=found.centroid_lps_mm)
    return LesionCourse(name, uid, tuple(sorted(rows, key=lambda row: row.study)))


def _after(lesion: LesionResponse, response: StudyResponse) -> tuple[Measured, ...]:
    own = tuple(q for q in lesion.quantities if q.name in _AFTER)
    zone = next((part for part in response.zones if part.id == lesion.zone), None)
    return own if zone is None else (*own, *(q for q in zone.quantities if q.name in _OF_ZONE))


def _of_ultrasound(record: Mapping[str, Any]) -> tuple[Measured, ...]:
    rows = [*record["quantities"], *(q for plane in record["planes"] for q in plane["quantities"])]
    return tuple(quantity_from_record(row) for row in rows if row["name"] in _OF_ULTRASOUND)


def _study(visit: Visit, baseline: Visit) -> CourseStudy:
    response = visit.response
    modality = "US" if visit.kind is StudyKind.ULTRASOUND else str(visit.record["study"]["modality"])
    return CourseStudy(
        kind=visit.kind,
        study_instance_uid=visit.uid,
        day=visit.day,
        modality=modality,
        days=(visit.day - baseline.day).days,
        timepoint=None if response is None else response.timepoint,
        new_lesion=None if response is None else response.new_lesion,
        candidates=() if response is None else tuple(part.id for part in response.candidates),
        warnings=tuple(visit.record["warnings"]),
    )


def _treatments(visits: Sequence[Visit]) -> tuple[Treatment, ...]:
    named = {t for v in visits if v.response is not None for t in v.response.treatments}
    return tuple(sorted(named, key=lambda t: (t.day, t.kind or "")))


def _warnings(visits: Sequence[Visit], same: bool | None) -> tuple[str, ...]:
    found = []
    if same is None:
        found.append("Whether all studies are of one patient can't be checked: a study has no PatientID.")
    if any(v.kind is StudyKind.ULTRASOUND and v.baseline_uid is None for v in visits):
        found.append("An ultrasound study was assessed without a baseline, so its area belongs to no lesion here.")
    if not any(v.response is not None for v in visits):
        found.append("No CT or MR after treatment is among the studies, so there is no response.")
    return tuple(found)
