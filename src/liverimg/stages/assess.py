"""Assess: measurements and clinical data are held against published rules, and targets divided into sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from liverimg.assess.clinical import Clinical, read_clinical
from liverimg.assess.eligibility import assess_eligibility
from liverimg.core.assessment import Assessment
from liverimg.core.criteria import CriteriaSet
from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import MeasurementSet
from liverimg.core.vocabulary import Vocabulary
from liverimg.files import nifti
from liverimg.files.catalogue import lesion_sites, vocabulary
from liverimg.files.criteria import bundled_criteria, load_criteria, own_criteria
from liverimg.files.result_records import assessment_to_record, measurements_from_record
from liverimg.files.tables import table_hashes
from liverimg.stages import session_plans
from liverimg.stages.artefacts import reference_record
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace


@dataclass(frozen=True)
class Settings:
    """Which rules, and what is known of the patient beside the images.

    Attributes:
        criteria: Names of tables in ``data/criteria``, in the order that results show them.
        own: Tables of the user's own: paths in a recipe or on the command line. They are read at once and kept as
            they were written, with the hash of the file, so that a later ``measure`` needs no file and no path
            reaches a record.
        clinical: Clinical items by name, from ``--clinical``; see ``docs/reference/clinical-file.md``.
    """

    criteria: tuple[str, ...]
    own: tuple[Any, ...] = ()
    clinical: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reads own tables, and refuses rules or clinical items that can't be judged, before any work is done."""
        # The one place where a frozen value is completed: from here on it holds tables and no paths.
        object.__setattr__(self, "own", tuple(_own_table(given) for given in self.own))
        tables = self.tables()
        ids = [table.id for table in tables]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise RecordInvalidError(f"two criteria tables have the id {twice[0]!r}; give one of them another id")
        clinical = read_clinical(self.clinical, self.words(), sites=lesion_sites())
        for table in tables:
            assess_eligibility(MeasurementSet((), (), ()), table, clinical=clinical, vocabulary=vocabulary())

    def tables(self) -> tuple[CriteriaSet, ...]:
        """Every table, the program's own first."""
        own = (replace(load_criteria(row["table"]), sha256=str(row["sha256"])) for row in self.own)
        return (*(bundled_criteria(name) for name in self.criteria), *own)

    def words(self) -> Vocabulary:
        """What the clinical file may name: the program's items and those of the own tables."""
        words = vocabulary()
        items = {item.key: item for table in self.tables() for item in table.items}
        return replace(words, items={**words.items, **items})


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Applies every table to the measurements."""
    measured = measurements_from_record(workspace.record(Artefact.MEASUREMENTS, "measurements"))
    study = reference_record(workspace)
    clinical = read_clinical(
        settings.clinical, settings.words(), sites=lesion_sites(), study_date=_date(study["study_date"])
    )
    tables = settings.tables()
    assessment = assess_all(measured, tables, clinical)
    progress(0.5)
    for table in tables:
        if table.id == session_plans.CRITERIA:
            found = session_plans.session_plans(workspace, measured, table, sites=dict(clinical.sites))
            assessment = replace(assessment, sessions=found.plans)
            if found.labels.any():
                nifti.write_label_values(draft.path(Artefact.SESSIONS), found.labels, found.grid)
    progress(1.0)
    used = [{"id": t.id, "title": t.title, "edition": t.edition, "sha256": t.sha256} for t in tables]
    record = assessment_to_record(assessment, study=study, criteria=used)
    draft.put_record(Artefact.ASSESSMENT, "assessment", record)


def assess_all(measured: MeasurementSet, tables: tuple[CriteriaSet, ...], clinical: Clinical) -> Assessment:
    """What all tables say together."""
    each = [assess_eligibility(measured, table, clinical=clinical, vocabulary=vocabulary()) for table in tables]
    return Assessment(
        findings=tuple(f for one in each for f in one.findings),
        conflicts=tuple(dict.fromkeys(c for one in each for c in one.conflicts)),
        classifications=tuple(c for one in each for c in one.classifications),
        not_applied=tuple(n for one in each for n in one.not_applied),
    )


def _own_table(given: Any) -> Mapping[str, Any]:
    """A table with the hash of its file; one that an earlier run kept is taken as it is."""
    if isinstance(given, Mapping):
        return given
    table, sha256 = own_criteria(Path(given))
    return {"table": table, "sha256": sha256}


def _date(dicom_date: str | None) -> date | None:
    try:
        return date.fromisoformat(dicom_date) if dicom_date else None
    except ValueError:
        return None


def depends_on(settings: Settings) -> Mapping[str, str]:
    """Content of each table of rules, and of the tables that say what their names mean."""
    hashes = {table.id: table.sha256 for table in settings.tables()}
    return {**hashes, **table_hashes("clinical_items", "quantities", "sessions", "measure")}


STAGE = Stage(
    name="assess",
    version=3,
    reads=(Artefact.STUDY, Artefact.LABELS, Artefact.LABEL_NAMES, Artefact.MEASUREMENTS),
    writes=(Artefact.ASSESSMENT, Artefact.SESSIONS),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
