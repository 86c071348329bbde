"""Response: zones, margins and what is left, lesion by lesion, held against criteria of response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from liverimg.core.errors import UsageError
from liverimg.core.measurement import Lesion
from liverimg.core.response import LesionResponse, StudyResponse, Treatment
from liverimg.core.side_by_side import side_by_side
from liverimg.files.response_records import response_to_record, write_margins
from liverimg.files.tables import read_table, table_hashes
from liverimg.measure.treatment.cover import Cover
from liverimg.stages.artefacts import reference_record
from liverimg.stages.baseline import baseline_hashes, baseline_record, read_baseline
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.response_inputs import Inputs, read_inputs
from liverimg.stages.response_lesions import lesion_response
from liverimg.stages.response_parts import candidate_parts, focus_parts, zone_parts
from liverimg.stages.response_study import criteria_of, new_lesion_of, timepoint, warnings_of
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace


@dataclass(frozen=True)
class Settings:
    """What the study is held against, and what is known of the treatment.

    Attributes:
        baseline: Output folder of ``liverimg pre`` on the study before treatment.
        treatments: ``date`` as YYYY-MM-DD and ``kind``, or no kind, of each treatment.
    """

    baseline: Path
    treatments: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Refuses dates that are none and unknown kinds, before any work is done."""
        self.given()

    def given(self) -> tuple[Treatment, ...]:
        """The treatments in order of their dates.

        Raises:
            UsageError: No date, or a kind that ``response.toml`` does not know.
        """
        known = read_table("response")["treatment"]
        return tuple(sorted((_treatment(row, known) for row in self.treatments), key=lambda t: t.day))


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Measures zones and margins, and says how the disease responded."""
    study = read_final_study(workspace)
    baseline = read_baseline(settings.baseline, study, beside=workspace)
    treatments = settings.given()
    given = read_inputs(workspace, study, baseline, treatments, timepoint(study, treatments))
    draft.path(Artefact.MARGINS).mkdir()
    given.prepare()
    answered = side_by_side(lambda lesion: _answered(lesion, given, draft), baseline.lesions)
    files = {found.id: file for found, file in answered if file}
    progress(len(answered) / (len(answered) + 1))
    response = _whole(tuple(found for found, _ in answered), given)
    record = response_to_record(
        response,
        study=reference_record(workspace),
        baseline=baseline_record(baseline),
        labels=_drawn_by(given, workspace, Workspace(settings.baseline)),
        margin_files=files,
    )
    progress(1.0)
    draft.put_record(Artefact.RESPONSE, "response", record)


def _answered(lesion: Lesion, given: Inputs, draft: Draft) -> tuple[LesionResponse, str]:
    """What became of a lesion, and the file of its margins; empty without margins."""
    found, cover = lesion_response(lesion, given)
    return found, "" if cover is None or cover.margins is None else _put_margins(draft, found, cover)


def _whole(lesions: tuple[LesionResponse, ...], given: Inputs) -> StudyResponse:
    candidates = candidate_parts(given)
    new_lesion = new_lesion_of(candidates, given)
    criteria, not_applied = criteria_of(lesions, new_lesion, given)
    return StudyResponse(
        treatments=given.treatments,
        timepoint=given.timepoint,
        lesions=lesions,
        zones=zone_parts(given),
        foci=focus_parts(given),
        candidates=candidates,
        new_lesion=new_lesion,
        criteria=criteria,
        not_applied=not_applied,
        warnings=warnings_of(lesions, candidates, given),
    )


def _put_margins(draft: Draft, lesion: LesionResponse, cover: Cover) -> str:
    assert cover.margins is not None and cover.zone is not None
    name = f"{lesion.id}.npz"
    margins = cover.margins
    arrays: dict[str, NDArray[Any]] = {
        "vertices_before_lps_mm": margins.before_lps_mm,
        "vertices_lps_mm": margins.points_lps_mm,
        "triangles": margins.faces,
        "margin_mm": margins.margin_mm,
        "nearest_on_zone_lps_mm": margins.nearest_lps_mm,
        "zone_vertices_lps_mm": cover.zone.vertices_lps_mm,
        "zone_triangles": cover.zone.faces,
    }
    write_margins(draft.path(Artefact.MARGINS, name), arrays)
    return f"{Artefact.MARGINS.value}/{name}"


def _drawn_by(given: Inputs, workspace: Workspace, before: Workspace) -> dict[str, Any]:
    return {
        "origin": given.quality.origin,
        "model": given.quality.model,
        "sha256": workspace.hash_of(Artefact.LABELS),
        "zones_sha256": workspace.hash_of(Artefact.ZONES),
        "baseline_sha256": before.hash_of(Artefact.LABELS),
    }


def _treatment(row: Mapping[str, Any], known: Mapping[str, Any]) -> Treatment:
    kind = row.get("kind")
    if kind is not None and kind not in known:
        raise UsageError(f"a treatment of the kind {kind!r} is not known; expected one of: {', '.join(known)}")
    try:
        return Treatment(date.fromisoformat(str(row.get("date"))), kind)
    except ValueError:
        raise UsageError(f"a treatment on {row.get('date')!r}: expected a date such as 2026-01-31") from None


def depends_on(settings: Settings) -> Mapping[str, str]:
    """The rules and the baseline."""
    tables = table_hashes("response", "margin", "measure", "segmentation")
    return tables | baseline_hashes(settings.baseline)


STAGE = Stage(
    name="response",
    version=2,
    reads=(
        Artefact.STUDY,
        Artefact.VOLUMES,
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.LABEL_QUALITY,
        Artefact.PHASES,
        Artefact.ALIGNMENT,
        Artefact.ZONES,
        Artefact.ZONE_NAMES,
    ),
    writes=(Artefact.RESPONSE, Artefact.MARGINS),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
