"""Assess: measurements and clinical data are held against published rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liverimg.assess.eligibility import assess_eligibility, clinical_items
from liverimg.core.assessment import Assessment, Finding
from liverimg.core.criteria import CriteriaSet
from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import MeasurementSet
from liverimg.files.bundled import package_data
from liverimg.files.result_records import assessment_to_record, measurements_from_record
from liverimg.files.tables import load_criteria, read_toml
from liverimg.stages.artefacts import reference_record
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_file


@dataclass(frozen=True)
class Settings:
    """Which rules, and what is known of the patient beside the images.

    Attributes:
        criteria: Names of tables in ``data/criteria``.
        clinical: Clinical items by name, from ``--clinical``; see ``docs/reference/clinical-file.md``.
    """

    criteria: tuple[str, ...]
    clinical: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses clinical items that no rule asks for or can judge, before any work is done or remembered."""
        tables = [_load(name) for name in self.criteria]
        _refuse_unknown(self.clinical, [item for table in tables for item in clinical_items(table)])
        for table in tables:
            assess_eligibility(MeasurementSet((), (), ()), table, clinical=self.clinical)


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Applies every table to the measurements."""
    measured = measurements_from_record(workspace.record(Artefact.MEASUREMENTS, "measurements"))
    tables = []
    findings: list[Finding] = []
    conflicts: list[str] = []
    for name in settings.criteria:
        criteria = _load(name)
        assessment = assess_eligibility(measured, criteria, clinical=settings.clinical)
        findings += assessment.findings
        conflicts += assessment.conflicts
        tables.append(
            {
                "id": criteria.id,
                "title": criteria.title,
                "edition": criteria.edition,
                "sha256": hash_file(_table_path(name)),
            }
        )
    progress(1.0)
    record = assessment_to_record(
        Assessment(tuple(findings), tuple(conflicts)), study=reference_record(workspace), criteria=tables
    )
    draft.put_record(Artefact.ASSESSMENT, "assessment", record)


def _refuse_unknown(clinical: Mapping[str, Any], known: list[str]) -> None:
    """A misspelt item would otherwise be passed over in silence, and its rule left undetermined."""
    unknown = [key for key in clinical if key not in known]
    if unknown and known:
        raise RecordInvalidError(
            f"the clinical file has {', '.join(unknown)}, which no rule asks for; "
            f"expected some of: {', '.join(dict.fromkeys(known))}"
        )


def _load(name: str) -> CriteriaSet:
    path = _table_path(name)
    return load_criteria(read_toml(path), file_name=path.name)


def _table_path(name: str) -> Path:
    return package_data("criteria", f"{name}.toml")


def depends_on(settings: Settings) -> Mapping[str, str]:
    """Content of each table of rules."""
    return {name: hash_file(_table_path(name)) for name in settings.criteria}


STAGE = Stage(
    name="assess",
    version=1,
    reads=(Artefact.STUDY, Artefact.MEASUREMENTS),
    writes=(Artefact.ASSESSMENT,),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
