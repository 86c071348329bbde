"""CEUS: clips become curves, maps and the non-enhancing area, with bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.files.perfusion_records import perfusion_to_record, write_maps
from liverimg.files.records import Record
from liverimg.files.tables import read_table, table_hashes
from liverimg.measure.perfusion.across import against_target, ellipsoid_volume
from liverimg.measure.perfusion.result import assess_plane
from liverimg.measure.perfusion.settings import PerfusionSettings
from liverimg.stages.artefacts import read_study
from liverimg.stages.baseline import MeasuredBaseline, baseline_record, measured_hashes, read_measured
from liverimg.stages.ceus_planes import NotUsed, Plane, planes_of
from liverimg.stages.ceus_rows import plane_maps, plane_row
from liverimg.stages.cines import read_clips
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace

_DYNAMIC_RANGES_DB = (10.0, 150.0)


@dataclass(frozen=True)
class Settings:
    """What is known beside the files.

    Attributes:
        dynamic_range_db: Of the display, as the user knows it; None takes the file's, else assumes one.
        planes: Name of the plane that a clip shows, by SeriesInstanceUID: clips of one name are joined.
        baseline: Results of the study before the ablation.
        target: The baseline's lesion that was treated.
    """

    dynamic_range_db: float | None = None
    planes: Mapping[str, str] = field(default_factory=dict)
    baseline: Path | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        low, high = _DYNAMIC_RANGES_DB
        if self.dynamic_range_db is not None and not low <= self.dynamic_range_db <= high:
            raise UsageError(f"a dynamic range of {self.dynamic_range_db:g} dB: expected {low:g} to {high:g}")


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Assesses every plane and what they say together."""
    table = read_table("ceus")
    limits = PerfusionSettings.from_table(table)
    study = read_study(workspace)
    baseline = read_measured(settings.baseline, study) if settings.baseline is not None else None
    clips = read_clips(workspace)
    planes, not_used = planes_of(clips, names=settings.planes, dynamic_range_db=settings.dynamic_range_db)
    _refuse_nothing(planes, not_used, len(clips))
    results, rows = [], []
    draft.path(Artefact.PERFUSION_MAPS).mkdir()
    for n, plane in enumerate(planes, start=1):
        result = assess_plane(plane.given, settings=limits)
        results.append(result)
        maps = None
        if result.reading is not None:
            maps = f"{Artefact.PERFUSION_MAPS.value}/{plane.given.id}.npz"
            write_maps(draft.path(Artefact.PERFUSION_MAPS, f"{plane.given.id}.npz"), plane_maps(plane, result))
        rows.append(plane_row(plane, result, maps))
        progress(n / len(planes))
    zone = (
        ellipsoid_volume(results, settings=limits),
        *against_target(results, baseline.lesions if baseline else None, target=settings.target),
    )
    warnings = [str(table["bias"]["text"]), *(w for r in results for w in r.warnings)]
    if baseline is not None and baseline.same_patient is None:
        warnings.append("Whether the baseline is of the same patient can't be checked: a study has no PatientID.")
    warnings += [f"A clip was not used: {entry.reason}." for entry in not_used]
    record = perfusion_to_record(
        study={"study_instance_uid": study.study_instance_uid, "study_date": study.study_date},
        baseline=_treated(baseline, settings.target),
        planes=rows,
        not_used=[{"series_instance_uid": e.series_instance_uid, "reason": e.reason} for e in not_used],
        quantities=zone,
        warnings=warnings,
    )
    draft.put_record(Artefact.PERFUSION, "perfusion", record)


def _treated(baseline: MeasuredBaseline | None, target: str | None) -> Record | None:
    """The baseline and the lesion that was treated, as the record names them."""
    if baseline is None:
        return None
    only = baseline.lesions[0].id if len(baseline.lesions) == 1 else None
    return {**baseline_record(baseline), "target": target or only}


def _refuse_nothing(planes: tuple[Plane, ...], not_used: tuple[NotUsed, ...], clips: int) -> None:
    if planes:
        return
    if not clips:
        raise InputRefusedError("the study holds no ultrasound clip; expected a loop of contrast beside B-mode")
    more = f" (and {len(not_used) - 1} more)" if len(not_used) > 1 else ""
    raise InputRefusedError(f"no clip of the study can be assessed: {not_used[0].reason}{more}")


def depends_on(settings: Settings) -> Mapping[str, str]:
    """The limits, and the baseline."""
    return table_hashes("ceus") | measured_hashes(settings.baseline)


STAGE = Stage(
    name="ceus",
    version=1,
    reads=(Artefact.STUDY, Artefact.CINES),
    writes=(Artefact.PERFUSION, Artefact.PERFUSION_MAPS),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
