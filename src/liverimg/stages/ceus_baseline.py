"""The study from before the ablation: whether it is the same patient, and the lesion that was treated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.measurement import Lesion
from liverimg.core.study import Study
from liverimg.files.records import Record
from liverimg.files.result_records import measurements_from_record
from liverimg.stages.artefacts import read_study
from liverimg.workspace import Artefact, Workspace, hash_file


@dataclass(frozen=True)
class Baseline:
    """What is taken from the study before the ablation.

    Attributes:
        study: It.
        lesions: Its lesions with their diameters.
        same_patient: True where the PatientIDs agree as far as they are kept; None where one study has none.
    """

    study: Study
    lesions: tuple[Lesion, ...]
    same_patient: bool | None


def read_baseline(folder: Path, now: Study) -> Baseline:
    """Reads the baseline.

    Raises:
        UsageError: No results of ``liverimg pre``.
        InputRefusedError: Of another patient.
    """
    check_folder(folder)
    workspace = Workspace(folder)
    study = read_study(workspace)
    same = (
        None if study.patient_check is None or now.patient_check is None else study.patient_check == now.patient_check
    )
    if same is False:
        raise InputRefusedError(
            "the baseline is of another patient than the study (their PatientIDs differ); give the results of this "
            "patient's study from before the ablation"
        )
    record = workspace.record(Artefact.MEASUREMENTS, "measurements")
    return Baseline(study, measurements_from_record(record).lesions, same)


def check_folder(folder: Path) -> None:
    """Refuses a folder that holds no measured study.

    Raises:
        UsageError: It doesn't.
    """
    workspace = Workspace(folder)
    for artefact in (Artefact.STUDY, Artefact.MEASUREMENTS):
        if not workspace.path(artefact).is_file():
            raise UsageError(
                f"--baseline {folder} holds no {artefact.value}; give the output folder of a finished 'liverimg pre'"
            )


def baseline_hashes(folder: Path | None) -> dict[str, str]:
    """What the results depend on."""
    if folder is None:
        return {}
    check_folder(folder)
    workspace = Workspace(folder)
    return {f"baseline_{a.name.lower()}": hash_file(workspace.path(a)) for a in (Artefact.STUDY, Artefact.MEASUREMENTS)}


def baseline_record(baseline: Baseline | None, target: str | None) -> Record | None:
    """The baseline as ``perfusion.json`` names it."""
    if baseline is None:
        return None
    only = baseline.lesions[0].id if len(baseline.lesions) == 1 else None
    return {
        "study_instance_uid": baseline.study.study_instance_uid,
        "study_date": baseline.study.study_date,
        "target": target or only,
        "same_patient": baseline.same_patient,
    }
