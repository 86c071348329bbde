"""Register: where the liver and the lesions of the baseline lie in the study after the ablation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liverimg.core.labels import LIVER_CONTENTS, BoolArray, LabelMap, Structure
from liverimg.files.alignment_records import alignment_to_record
from liverimg.files.tables import read_table, table_hashes
from liverimg.measure.lesions import find_lesions
from liverimg.measure.liver import TREES_IN_LIVER
from liverimg.registration.align import AlignRules, align
from liverimg.stages.artefacts import read_labels, read_reference, reference_index, reference_record
from liverimg.stages.baseline import Baseline, baseline_hashes, read_baseline
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace


@dataclass(frozen=True)
class Settings:
    """What the study is laid onto.

    Attributes:
        baseline: Output folder of ``liverimg pre`` on the study before the ablation.
    """

    baseline: Path


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Lays the baseline onto the study, lesion by lesion.

    The series that the labels were drawn on are compared, whatever their phases: another phase would lie off its own
    labels by a breath, and edges are compared, which all phases have.
    """
    now = read_final_study(workspace)
    baseline = read_baseline(settings.baseline, now, beside=workspace)
    series, (_, volume) = now.series[reference_index(workspace)], read_reference(workspace)
    labels = read_labels(workspace)
    progress(0.1)
    found = align(
        baseline.reference,
        volume,
        liver_earlier=whole_liver(baseline.labels),
        liver_later=whole_liver(labels),
        lesions=lesion_masks(baseline),
        rules=AlignRules.from_table(read_table("registration")),
        treated_later=labels.mask(Structure.ABLATION_ZONE) if labels.has(Structure.ABLATION_ZONE) else None,
    )
    progress(0.95)
    then = baseline.study.series[reference_index(Workspace(settings.baseline))]
    found = replace(found, matched=(then.phase.value, series.phase.value))
    record = alignment_to_record(
        found, earlier=reference_record(Workspace(settings.baseline)), later=reference_record(workspace)
    )
    draft.put_record(Artefact.ALIGNMENT, "alignment", record)


def whole_liver(labels: LabelMap) -> BoolArray:
    """The liver with what lies in it: lesions, zones, vessels and ducts."""
    return labels.mask(*LIVER_CONTENTS, *TREES_IN_LIVER)


def lesion_masks(baseline: Baseline) -> dict[str, BoolArray]:
    """Each measured lesion's voxels on the grid of the baseline's labels."""
    least_ml = float(read_table("measure")["minimum_lesion_volume_ml"]["value"])
    masks = {}
    for lesion in find_lesions(baseline.labels, minimum_volume_ml=least_ml):
        whole = np.zeros(baseline.labels.grid.shape, dtype=bool)
        box = tuple(slice(s, s + n) for s, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
        whole[box] = lesion.mask
        masks[lesion.id] = whole
    return masks


def depends_on(settings: Settings) -> Mapping[str, str]:
    """The rules and the baseline."""
    return table_hashes("registration", "measure") | baseline_hashes(settings.baseline)


STAGE = Stage(
    name="register",
    version=1,
    reads=(Artefact.STUDY, Artefact.VOLUMES, Artefact.LABELS, Artefact.LABEL_NAMES, Artefact.PHASES),
    writes=(Artefact.ALIGNMENT,),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
