"""Assess: measurements and clinical data are held against published rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liverimg.assess.eligibility import assess_eligibility
from liverimg.core.assessment import Assessment, Finding
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


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Applies every table to the measurements."""
    measured = measurements_from_record(workspace.record(Artefact.MEASUREMENTS, "measurements"))
    tables = []
    findings: list[Finding] = []
    conflicts: list[str] = []
    for name in settings.criteria:
        path = _table_path(name)
        criteria = load_criteria(read_toml(path), file_name=path.name)
        assessment = assess_eligibility(measured, criteria, clinical=settings.clinical)
        findings += assessment.findings
        conflicts += assessment.conflicts
        tables.append(
            {
                "id": criteria.id,
                "title": criteria.title,
                "edition": criteria.edition,
                "sha256": hash_file(path),
            }
        )
    progress(1.0)
    record = assessment_to_record(
        Assessment(tuple(findings), tuple(conflicts)), study=reference_record(workspace), criteria=tables
    )
    draft.put_record(Artefact.ASSESSMENT, "assessment", record)


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
