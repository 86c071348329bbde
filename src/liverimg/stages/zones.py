"""Zones: what the ablation left in the later study, by rule, by model, or as labels from elsewhere have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liverimg.core.alignment import Alignment
from liverimg.core.errors import UsageError
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import Measurement
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.core.zones import ZoneMap
from liverimg.files.alignment_records import alignment_from_record
from liverimg.files.tables import read_table, table_hashes
from liverimg.measure.lesions import find_lesions
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.by_model import MODEL, find_zones_by_model
from liverimg.measure.zones.drawn import zones_as_drawn
from liverimg.measure.zones.find import find_zones
from liverimg.measure.zones.finish import RULE
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Treated
from liverimg.stages.artefacts import read_labels, read_quality
from liverimg.stages.baseline import Baseline, baseline_hashes, read_baseline
from liverimg.stages.companions import read_phases
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.stage import Progress, Stage
from liverimg.stages.zone_files import put_zones
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree

METHODS = (RULE, MODEL)
_CONTRAST = ("contrast_to_liver_", "relative_contrast_to_liver_")


@dataclass(frozen=True)
class Settings:
    """Where the zones come from.

    Attributes:
        baseline: Output folder of ``liverimg pre`` on the study before the ablation.
        by: ``rule`` or ``model``, even where the labels hold ablation zones; None takes those, and where there are
            none draws by rule.
        model: Bundle of the zone network.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    baseline: Path
    by: str | None = None
    model: Path | None = None
    device: str = field(default="auto", metadata={"key": False})

    def __post_init__(self) -> None:
        """Refuses what can't be done, before any work is."""
        if self.by not in (None, *METHODS):
            raise UsageError(f"zones can't be drawn by {self.by!r}; expected {' or '.join(METHODS)}")
        if self.by == MODEL and self.model is None:
            raise UsageError(
                'zones are to be drawn by a model, and the recipe names none; add model = "zone_post" under '
                "[settings.zones]"
            )


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Draws each lesion's zone and the residual foci at its border."""
    baseline = read_baseline(settings.baseline, read_final_study(workspace), beside=workspace)
    alignment = alignment_from_record(workspace.record(Artefact.ALIGNMENT, "alignment"))
    treated = treated_lesions(baseline, alignment)
    rules = ZoneRules.from_tables(read_table("zones"), read_table("measure"))
    labels = read_labels(workspace)
    if labels.has(Structure.ABLATION_ZONE) and settings.by is None:
        found = zones_as_drawn(labels, read_quality(workspace, labels), treated, rules)
    else:
        least_view = float(read_table("segmentation")["phases"]["least_view"])
        phases, _ = read_phases(workspace, least_view=least_view)
        image = next(one.volume for one in phases.values() if one.is_reference)
        found = _found(image, labels, phases, treated, rules, settings)
    progress(1.0)
    put_zones(draft, found)


def _found(
    image: Volume,
    labels: LabelMap,
    phases: Mapping[Phase, PhaseImage],
    treated: tuple[Treated, ...],
    rules: ZoneRules,
    settings: Settings,
) -> ZoneMap:
    """The zones by the method that was asked for."""
    if settings.by != MODEL or settings.model is None:
        return find_zones(image, labels, phases, treated, rules)
    # Torch takes seconds to import: only here, and not when the rule draws.
    from liverimg.segmentation.zones.bundle import open_zone_network

    network = open_zone_network(settings.model, device=settings.device)
    return find_zones_by_model(image, labels, phases, treated, rules, network)


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
    """The rules, the baseline, and the model where one draws."""
    model = {"zone_model": hash_tree(settings.model)} if settings.by == MODEL and settings.model is not None else {}
    return table_hashes("zones", "measure", "segmentation") | baseline_hashes(settings.baseline) | model


STAGE = Stage(
    name="zones",
    version=3,
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
