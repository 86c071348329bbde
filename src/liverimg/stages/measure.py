"""Measure: labels become numbers with bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liverimg.core.study import Phase, Series, Study
from liverimg.files.result_records import measurements_to_record
from liverimg.files.tables import read_table, read_toml, table_hashes
from liverimg.files.transducers import choose_transducer
from liverimg.files.window_records import windows_to_record
from liverimg.measure.acquired import Acquired
from liverimg.measure.approach import Approach, ApproachSettings
from liverimg.measure.growth import with_growth
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.survey import survey_with_windows
from liverimg.stages.artefacts import (
    read_labels,
    read_quality,
    read_reference,
    read_segment_map,
    reference_index,
    reference_record,
)
from liverimg.stages.companions import read_phases
from liverimg.stages.earlier import earlier_of
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace


@dataclass(frozen=True)
class Settings:
    """What counts as a lesion.

    Attributes:
        minimum_lesion_volume_ml: Connected tumour pieces below this volume are counted but not measured; None
            takes the value of ``measure.toml``.
        transducer: Name of the transducer for the acoustic window; None takes the table's first.
        transducers: A table of transducers of one's own: a path in a recipe or on the command line. It is read at once
            and kept as it was written, so that a later ``measure`` needs no file and no path reaches a record; None
            takes ``transducers.toml``.
        resect: Couinaud segments that a planner wants to resect, besides the standard resections.
        earlier: What is kept of an earlier study (:func:`liverimg.stages.earlier.read_earlier`), to tell growth.
    """

    minimum_lesion_volume_ml: float | None = None
    transducer: str | None = None
    transducers: Any = None
    resect: tuple[int, ...] = ()
    earlier: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Reads an own table, and refuses a transducer that there is not, before any work is done."""
        if self.transducers is not None and not isinstance(self.transducers, Mapping):
            # The one place where a frozen value is completed: from here on it holds a table and no path.
            object.__setattr__(self, "transducers", read_toml(Path(self.transducers)))
        choose_transducer(self.transducer, self.transducers)


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Measures every lesion and the liver."""
    series, volume = read_reference(workspace)
    labels = read_labels(workspace)
    quality = read_quality(workspace, labels)
    constants = MeasureSettings.from_table(read_table("measure"))
    if settings.minimum_lesion_volume_ml is not None:
        constants = replace(constants, minimum_lesion_volume_ml=settings.minimum_lesion_volume_ml)
    if settings.resect:
        own = constants.segments.with_resection("chosen", settings.resect)
        constants = replace(constants, segments=own)
    study = read_final_study(workspace)
    missing = study.warnings + phase_warnings(study, study.series[reference_index(workspace)])
    least_view = float(read_table("segmentation")["phases"]["least_view"])
    phases, left_out = read_phases(workspace, least_view=least_view, reference_volume=volume)
    device = choose_transducer(settings.transducer, settings.transducers)
    measured, windows = survey_with_windows(
        volume,
        labels,
        quality,
        settings=constants,
        approach=Approach(device, ApproachSettings.from_table(read_table("acoustics"))),
        phases=phases,
        sources=(series.series_instance_uid,),
        acquired=Acquired.of(series),
        segments=read_segment_map(workspace, labels.grid),
    )
    if settings.earlier is not None:
        measured = with_growth(measured, earlier_of(settings.earlier, workspace), settings=constants)
    found = tuple(finding.sentence for finding in quality.findings)
    measured = replace(measured, warnings=quality.notes + found + measured.warnings + missing + left_out)
    progress(1.0)
    drawn = {
        "origin": quality.origin,
        "model": quality.model,
        "sha256": workspace.hash_of(Artefact.LABELS),
    }
    record = measurements_to_record(measured, study=reference_record(workspace), labels=drawn)
    draft.put_record(Artefact.MEASUREMENTS, "measurements", record)
    draft.put_record(Artefact.WINDOW, "window", windows_to_record(windows, device, study=reference_record(workspace)))


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


def depends_on(settings: Settings) -> Mapping[str, str]:
    """The constants of the measurements, and the table of transducers; one of one's own is among the settings."""
    bundled = () if settings.transducers is not None else ("transducers",)
    return table_hashes("measure", "segmentation", "acoustics", *bundled)


STAGE = Stage(
    name="measure",
    version=3,
    reads=(
        Artefact.STUDY,
        Artefact.VOLUMES,
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.LABEL_QUALITY,
        Artefact.PHASES,
    ),
    writes=(Artefact.MEASUREMENTS, Artefact.WINDOW),
    reads_if_there=(Artefact.SEGMENTS,),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
