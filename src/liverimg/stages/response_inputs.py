"""Everything that the response rests on, read once: the baseline, the study, zones, motions, constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from liverimg.core.alignment import Alignment
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.response import Timepoint, Treatment
from liverimg.core.study import Series, Study
from liverimg.core.volume import Volume
from liverimg.core.zones import ZoneMap
from liverimg.files.alignment_records import alignment_from_record
from liverimg.files.tables import read_table
from liverimg.measure.ablation_margin import MarginSettings
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body
from liverimg.measure.treatment.before import Before
from liverimg.measure.treatment.cover import Carried
from liverimg.measure.treatment.match import Matched, match_tumours
from liverimg.measure.treatment.parts import Drawn, drawn_parts
from liverimg.stages.artefacts import (
    read_labels,
    read_quality,
    read_reference,
    read_segment_map,
    read_study,
    reference_index,
)
from liverimg.stages.baseline import Baseline
from liverimg.stages.companions import read_phases
from liverimg.stages.zone_files import read_zones
from liverimg.workspace import Artefact, Workspace

_LEAST_VIEW = "least_view"


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is read.

    Attributes:
        workspace: Of the study after treatment.
        study: It.
        series: Its reference series.
        labels: On that series' grid.
        quality: How far they can be trusted.
        zones: Ablation zones and foci.
        alignment: The baseline laid onto the study.
        baseline: The study before treatment.
        treatments: As a person gave them.
        timepoint: When the study was made.
    """

    workspace: Workspace
    study: Study
    series: Series
    labels: LabelMap
    quality: LabelQuality
    zones: ZoneMap
    alignment: Alignment
    baseline: Baseline
    treatments: tuple[Treatment, ...]
    timepoint: Timepoint

    @cached_property
    def table(self) -> Mapping[str, Any]:
        """``response.toml``."""
        return read_table("response")

    @cached_property
    def constants(self) -> MeasureSettings:
        """Of measurements."""
        return MeasureSettings.from_table(read_table("measure"))

    @cached_property
    def margins(self) -> MarginSettings:
        """Of margins."""
        return MarginSettings.from_table(read_table("margin"))

    @cached_property
    def before(self) -> Before:
        """The baseline's lesions, vessels and segments."""
        series = self.baseline.study.series[reference_index(Workspace(self.baseline.folder))]
        sources = (series.series_instance_uid,)
        labels = self.baseline.labels
        body = Body.of(
            labels,
            self.baseline.quality,
            settings=self.constants,
            sources=sources,
            segments=read_segment_map(Workspace(self.baseline.folder), labels.grid),
            with_skin=False,
        )
        return Before.of(body)

    @cached_property
    def later(self) -> Body:
        """The study after treatment, by its labels alone: its lesions, nothing of what is around them."""
        return Body.of(
            self.labels,
            self.quality,
            settings=self.constants,
            sources=self.sources,
            with_liver=False,
            with_skin=False,
        )

    @cached_property
    def later_in_phases(self) -> Body:
        """The same with its images; only what reads enhancement asks for it."""
        volume: Volume = read_reference(self.workspace)[1]
        least_view = float(read_table("segmentation")["phases"][_LEAST_VIEW])
        phases, _ = read_phases(self.workspace, least_view=least_view, reference_volume=volume)
        return Body.of(
            self.labels, self.quality, settings=self.constants, image=volume, phases=phases, sources=self.sources
        )

    @cached_property
    def parts(self) -> dict[str, Drawn]:
        """Zones and foci as bodies."""
        return drawn_parts(self.zones)

    @cached_property
    def carried(self) -> dict[str, Carried | None]:
        """How each lesion of the baseline moved; None where that is not known."""
        found: dict[str, Carried | None] = {}
        for name in self.before.subjects:
            place = self.alignment.of_lesion(name)
            known = place is not None and place.motion is not None and place.error_mm is not None
            found[name] = Carried(place.motion, place.error_mm) if place is not None and known else None  # type: ignore[arg-type]
        return found

    @cached_property
    def matched(self) -> Matched:
        """Tumours of the study, by what they belong to."""
        surfaces = {name: subject.surface for name, subject in self.before.subjects.items()}
        return match_tumours(self.later.lesions, surfaces, self.carried, self.zones, self.parts)

    def prepare(self) -> None:
        """Works out what every lesion's answer needs, before several are worked out side by side."""
        _ = self.table, self.constants, self.margins, self.parts, self.carried, self.matched

    @property
    def sources(self) -> tuple[str, ...]:
        """The series that the numbers of this study are measured on."""
        return (self.series.series_instance_uid,)

    @property
    def kind(self) -> str | None:
        """Kind of the last treatment before the study; None when not given."""
        return self.treatments[-1].kind if self.treatments else None

    @property
    def by_person(self) -> bool:
        """Whether a person drew or corrected the tumours."""
        return self.quality.by_person(Structure.TUMOUR)

    def why_not_placed(self, lesion_id: str) -> str:
        """Why the place of a lesion is not known; empty where it is."""
        if self.carried.get(lesion_id) is not None:
            return ""
        place = self.alignment.of_lesion(lesion_id)
        return (place.reason if place is not None else "") or "where it lies in this study could not be found"


def read_inputs(
    workspace: Workspace, study: Study, baseline: Baseline, treatments: tuple[Treatment, ...], timepoint: Timepoint
) -> Inputs:
    """Reads what the response rests on, beyond the study's own record and the baseline."""
    labels = read_labels(workspace)
    return Inputs(
        workspace=workspace,
        study=study,
        series=read_study(workspace).series[reference_index(workspace)],
        labels=labels,
        quality=read_quality(workspace, labels),
        zones=read_zones(workspace, labels),
        alignment=alignment_from_record(workspace.record(Artefact.ALIGNMENT, "alignment")),
        baseline=baseline,
        treatments=treatments,
        timepoint=timepoint,
    )
