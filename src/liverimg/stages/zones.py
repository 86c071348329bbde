"""Zones: what the ablation left in the later study, drawn by rule or taken as labels from elsewhere have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from liverimg.core.alignment import Alignment
from liverimg.core.labels import Structure
from liverimg.core.measurement import Measurement
from liverimg.core.study import Phase
from liverimg.files.alignment_records import alignment_from_record
from liverimg.files.tables import read_table, table_hashes
from liverimg.measure.lesions import find_lesions
from liverimg.measure.zones.drawn import zones_as_drawn
from liverimg.measure.zones.find import find_zones
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Treated
from liverimg.stages.artefacts import read_labels, read_quality, read_reference
from liverimg.stages.baseline import Baseline, baseline_hashes, read_baseline
from liverimg.stages.companions import read_phases
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.stage import Progress, Stage
from liverimg.stages.zone_files import put_zones
from liverimg.workspace import Artefact, Draft, Workspace

_CONTRAST = ("contrast_to_liver_", "relative_contrast_to_liver_")


@dataclass(frozen=True)
class Settings:
    """Where the zones come from.

    Attributes:
        baseline: Output folder of ``liverimg pre`` on the study before the ablation.
        by_rule: Draw by rule although the labels hold ablation zones.
    """

    baseline: Path
    by_rule: bool = False


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Draws each lesion's zone and the residual foci at its border."""
    baseline = read_baseline(settings.baseline, read_final_study(workspace))
    alignment = alignment_from_record(workspace.record(Artefact.ALIGNMENT, "alignment"))
    treated = treated_lesions(baseline, alignment)
    rules = ZoneRules.from_tables(read_table("zones"), read_table("measure"))
    labels = read_labels(workspace)
    if labels.has(Structure.ABLATION_ZONE) and not settings.by_rule:
        found = zones_as_drawn(labels, read_quality(workspace, labels), treated, rules)
    else:
        _, image = read_reference(workspace)
        least_view = float(read_table("segmentation")["phases"]["least_view"])
        phases, _ = read_phases(workspace, least_view=least_view)
        found = find_zones(image, labels, phases, treated, rules)
    progress(1.0)
    put_zones(draft, found)


def treated_lesions(baseline: Baseline, alignment: Alignment) -> tuple[Treated, ...]:
    """The baseline's lesions with how each of them moved and how it took up contrast."""
    least_ml = float(read_table("measure")["minimum_lesion_volume_ml"]["value"])
    result = []
    for lesion in find_lesions(baseline.labels, minimum_volume_ml=least_ml):
        place = alignment.of_lesion(lesion.id)
        result.append(
            Treated(
                lesion.id,
                lesion.mask,
                lesion.grid,
                motion=None if place is None else place.motion,
                error_mm=0.0 if place is None or place.error_mm is None else place.error_mm,
                reason="the studies were aligned without it" if place is None else place.reason,
                contrast=_contrast(baseline, lesion.id),
            )
        )
    return tuple(result)


def _contrast(baseline: Baseline, name: str) -> dict[Phase, float]:
    """The lesion's contrast to the liver by phase, as it was measured before."""
    lesion = baseline.lesion(name)
    found = {}
    for quantity in () if lesion is None else lesion.quantities:
        for prefix in _CONTRAST:
            if quantity.name.startswith(prefix) and isinstance(quantity, Measurement):
                found[Phase(quantity.name.removeprefix(prefix))] = quantity.value
    return found


def depends_on(settings: Settings) -> Mapping[str, str]:
    """The rules and the baseline."""
    return table_hashes("zones", "measure", "segmentation") | baseline_hashes(settings.baseline)


STAGE = Stage(
    name="zones",
    version=2,
    reads=(
        Artefact.STUDY,
        Artefact.VOLUMES,
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.LABEL_QUALITY,
        Artefact.PHASES,
        Artefact.ALIGNMENT,
    ),
    writes=(Artefact.ZONES, Artefact.ZONE_NAMES),
    settings=Settings,
    run=run,
    depends_on=depends_on,
    editable=(Artefact.ZONES, Artefact.ZONE_NAMES),
)
