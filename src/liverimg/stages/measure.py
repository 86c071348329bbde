"""Measure: labels become numbers with bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from liverimg.core.study import Phase, Series, Study
from liverimg.files.result_records import measurements_to_record
from liverimg.files.tables import read_table, table_hashes
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.survey import survey
from liverimg.stages.artefacts import read_labels, read_quality, read_reference, read_study, reference_record
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace


@dataclass(frozen=True)
class Settings:
    """What counts as a lesion.

    Attributes:
        minimum_lesion_volume_ml: Connected tumour pieces below this volume are counted but not measured; None
            takes the value of ``measure.toml``.
    """

    minimum_lesion_volume_ml: float | None = None


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Measures every lesion and the liver."""
    series, volume = read_reference(workspace)
    labels = read_labels(workspace)
    quality = read_quality(workspace, labels)
    constants = MeasureSettings.from_table(read_table("measure"))
    if settings.minimum_lesion_volume_ml is not None:
        constants = replace(constants, minimum_lesion_volume_ml=settings.minimum_lesion_volume_ml)
    missing = phase_warnings(read_study(workspace), series)
    measured = survey(volume, labels, quality, settings=constants, sources=(series.series_instance_uid,))
    found = tuple(finding.sentence for finding in quality.findings)
    measured = replace(measured, warnings=quality.notes + found + measured.warnings + missing)
    progress(1.0)
    drawn = {
        "origin": quality.origin,
        "model": quality.model,
        "sha256": workspace.hash_of(Artefact.LABELS),
    }
    record = measurements_to_record(measured, study=reference_record(workspace), labels=drawn)
    draft.put_record(Artefact.MEASUREMENTS, "measurements", record)


def phase_warnings(study: Study, reference: Series) -> tuple[str, ...]:
    """What the study lacks of a triphasic examination, and an unknown phase of the series that was measured."""
    warnings = []
    if reference.phase is Phase.UNKNOWN:
        warnings.append(
            "The contrast phase of the measured series is unknown; give it with --phase if you know it, because "
            "what a model finds depends on it."
        )
    present = {s.phase for s in study.series}
    # What each phase of a triphasic examination may be stood in for by.
    wanted = {
        Phase.ARTERIAL: {Phase.ARTERIAL, Phase.EARLY_ARTERIAL},
        Phase.PORTAL_VENOUS: {Phase.PORTAL_VENOUS},
        Phase.DELAYED: {Phase.DELAYED, Phase.HEPATOBILIARY},
    }
    missing = [phase for phase, accepted in wanted.items() if not present & accepted]
    if missing:
        names = ", ".join(phase.replace("_", " ") for phase in missing)
        warnings.append(
            f"The study has no series known to be of this phase: {names}. A triphasic examination is the basis of "
            "a decision about ablation."
        )
    return tuple(warnings)


def depends_on(_settings: Settings) -> Mapping[str, str]:
    """The constants of the measurements."""
    return table_hashes("measure")


STAGE = Stage(
    name="measure",
    version=1,
    reads=(Artefact.STUDY, Artefact.VOLUMES, Artefact.LABELS, Artefact.LABEL_NAMES, Artefact.LABEL_QUALITY),
    writes=(Artefact.MEASUREMENTS,),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
