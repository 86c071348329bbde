"""The study from before the ablation: whether it belongs to this one, and what was found in it.

It is the output folder of a finished ``liverimg pre`` and only ever read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Lesion, Measured
from liverimg.core.study import Phase, Series, Study
from liverimg.core.volume import Volume
from liverimg.files.records import Record
from liverimg.files.result_records import measurements_from_record
from liverimg.files.tables import read_table
from liverimg.measure.phases import PhaseImage
from liverimg.stages.artefacts import read_labels, read_quality, read_reference
from liverimg.stages.companions import read_phases
from liverimg.stages.phase_looks import read_final_study
from liverimg.workspace import Artefact, Workspace, hash_file, hash_tree

_MEASURED = (Artefact.STUDY, Artefact.MEASUREMENTS)
_DRAWN = (Artefact.LABELS, Artefact.LABEL_NAMES, Artefact.LABEL_QUALITY)


@dataclass(frozen=True)
class MeasuredBaseline:
    """What is known of the study before the ablation without looking at its images.

    Attributes:
        study: It, with the phases that all evidence gives.
        lesions: Its lesions with what was measured of them.
        organs: What was measured of the liver and other organs.
        same_patient: True where the PatientIDs agree as far as they are kept; None where one study has none.
        days: From it to the study after the ablation; None when a date is not known.
    """

    study: Study
    lesions: tuple[Lesion, ...]
    organs: tuple[Measured, ...]
    same_patient: bool | None
    days: int | None


@dataclass(frozen=True)
class Baseline(MeasuredBaseline):
    """The same with its labels, and its images once somebody asks for them.

    Attributes:
        workspace: Where it lies.
        labels: On the grid of its reference series.
        quality: How far they can be trusted.
    """

    workspace: Workspace
    labels: LabelMap
    quality: LabelQuality

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.workspace.folder

    @cached_property
    def _reference(self) -> tuple[Series, Volume]:
        return read_reference(self.workspace)

    @property
    def series(self) -> Series:
        """The series that its labels lie on."""
        return self._reference[0]

    @property
    def reference(self) -> Volume:
        """The voxels of that series."""
        return self._reference[1]

    @cached_property
    def phases(self) -> dict[Phase, PhaseImage]:
        """Its images by contrast phase, the reference among them."""
        least_view = float(read_table("segmentation")["phases"]["least_view"])
        return read_phases(self.workspace, least_view=least_view, reference_volume=self.reference)[0]

    def lesion(self, name: str) -> Lesion | None:
        """One lesion by its id; None when the baseline has none of that id."""
        return next((lesion for lesion in self.lesions if lesion.id == name), None)


def read_measured(folder: Path, now: Study, *, beside: Workspace | None = None) -> MeasuredBaseline:
    """Reads the numbers of the baseline, after checking that it may serve as one.

    Args:
        folder: Output folder of a finished ``liverimg pre``.
        now: The study after the ablation.
        beside: The folder of that study, which keeps what is read here for the next who asks.

    Raises:
        UsageError: No results of ``liverimg pre``, the same study, or a later one.
        InputRefusedError: Of another patient.
    """
    check_folder(folder, _MEASURED)
    workspace = _opened(folder, beside)
    study = read_final_study(workspace)
    record = workspace.record(Artefact.MEASUREMENTS, "measurements")
    found = measurements_from_record(record)
    return MeasuredBaseline(
        study, found.lesions, found.organs, same_patient=_same_patient(study, now), days=_days(study, now)
    )


def read_baseline(folder: Path, now: Study, *, beside: Workspace | None = None) -> Baseline:
    """Reads numbers and labels of the baseline, after checking that it may serve as one.

    Args:
        folder: Output folder of a finished ``liverimg pre``.
        now: The study after the ablation.
        beside: The folder of that study, which keeps what is read here for the next who asks.

    Raises:
        UsageError: No results of ``liverimg pre``, the same study, a later one, or labels that were changed since
            they were measured.
        InputRefusedError: Of another patient, without a liver or without a tumour.
    """
    check_finished(folder)
    measured = read_measured(folder, now, beside=beside)
    workspace = _opened(folder, beside)
    drawn_as = workspace.record(Artefact.MEASUREMENTS, "measurements")["labels"]["sha256"]
    if drawn_as != workspace.hash_of(Artefact.LABELS):
        raise UsageError(
            "the labels of the baseline were changed after they were measured, so its lesions are not those that were "
            "measured; run 'liverimg measure' on the baseline's folder first"
        )
    labels = read_labels(workspace)
    if not labels.has(Structure.TUMOUR) or not measured.lesions:
        raise InputRefusedError(
            "the baseline has no tumour drawn, so there is nothing that the ablation could be held against; draw the "
            "tumour in the baseline's labels and run 'liverimg measure' on its folder"
        )
    if not labels.has(Structure.LIVER):
        raise InputRefusedError(
            "the baseline has no liver drawn, so the two studies can't be laid onto each other; draw it in the "
            "baseline's labels and run 'liverimg measure' on its folder"
        )
    quality = read_quality(workspace, labels)
    return Baseline(**vars(measured), workspace=workspace, labels=labels, quality=quality)


def _opened(folder: Path, beside: Workspace | None) -> Workspace:
    return Workspace(folder) if beside is None else beside.beside(folder)


def check_folder(folder: Path, artefacts: tuple[Artefact, ...] = _MEASURED) -> None:
    """Refuses a folder that holds no measured study.

    Raises:
        UsageError: It doesn't.
    """
    workspace = Workspace(folder)
    for artefact in artefacts:
        if not workspace.path(artefact).is_file():
            raise UsageError(
                f"--baseline {folder} holds no {artefact.value}; give the output folder of a finished 'liverimg pre'"
            )


def check_finished(folder: Path) -> None:
    """Refuses, before any work is done, a folder that can't serve as a baseline for a CT or MR.

    Raises:
        UsageError: It holds no measured study with labels.
    """
    check_folder(folder, (*_MEASURED, *_DRAWN))


def measured_hashes(folder: Path | None) -> dict[str, str]:
    """What results depend on that use the numbers of a baseline alone."""
    return _hashes(folder, _MEASURED)


def baseline_hashes(folder: Path) -> dict[str, str]:
    """What results depend on that use numbers, labels and images of a baseline."""
    files = _hashes(folder, (*_MEASURED, *_DRAWN))
    workspace = Workspace(folder)
    for artefact in (Artefact.PHASES, Artefact.SEGMENTS):
        if workspace.path(artefact).is_file():
            files[f"baseline_{artefact.name.lower()}"] = hash_file(workspace.path(artefact))
    return files | {"baseline_volumes": hash_tree(workspace.path(Artefact.VOLUMES))}


def baseline_record(baseline: MeasuredBaseline) -> Record:
    """The baseline as results name it."""
    return {
        "study_instance_uid": baseline.study.study_instance_uid,
        "study_date": baseline.study.study_date,
        "same_patient": baseline.same_patient,
        "days": baseline.days,
    }


def same_patient(one: Study, other: Study) -> bool | None:
    """Whether two studies may be of one patient; None where one of them has no PatientID."""
    if one.patient_check is None or other.patient_check is None:
        return None
    return one.patient_check == other.patient_check


def date_of(study: Study) -> date | None:
    """The study's date; None when it has none that can be read."""
    try:
        return date.fromisoformat(study.study_date) if study.study_date else None
    except ValueError:
        return None


def _hashes(folder: Path | None, artefacts: tuple[Artefact, ...]) -> dict[str, str]:
    if folder is None:
        return {}
    check_folder(folder, artefacts)
    workspace = Workspace(folder)
    return {f"baseline_{a.name.lower()}": hash_file(workspace.path(a)) for a in artefacts}


def _same_patient(study: Study, now: Study) -> bool | None:
    same = same_patient(study, now)
    if same is False:
        raise InputRefusedError(
            "the baseline is of another patient than the study (their PatientIDs differ); give the results of this "
            "patient's study from before the ablation"
        )
    return same


def _days(study: Study, now: Study) -> int | None:
    if study.study_instance_uid == now.study_instance_uid:
        raise UsageError(
            "--baseline holds the results of this very study; give those of the study from before the ablation"
        )
    then, later = date_of(study), date_of(now)
    if then is None or later is None:
        return None
    if later < then:
        raise UsageError(
            f"the baseline was made {(then - later).days} days after the study; exchange the two, or give the results "
            "of the study from before the ablation"
        )
    return (later - then).days
