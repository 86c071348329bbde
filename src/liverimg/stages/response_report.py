"""Response report: both studies on the same anatomy, the painted margin, and everything that was found, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import liverimg
from liverimg.core.study import Series, Study
from liverimg.core.volume import Volume
from liverimg.files.alignment_records import alignment_from_record
from liverimg.files.catalogue import item_titles, quantity_rows
from liverimg.files.response_records import read_margins, response_from_record
from liverimg.files.tables import read_table, structure_styles, table_hashes
from liverimg.measure.ablation_margin import MarginSettings
from liverimg.report.margin_surface import MarginSurface
from liverimg.report.response_content import Examination, ResponseContent, laid_over, with_titles
from liverimg.report.response_page import render_response_page
from liverimg.report.templating import TEMPLATES
from liverimg.stages.artefacts import read_labels, read_reference, read_series, reference_index
from liverimg.stages.baseline import baseline_hashes, read_baseline
from liverimg.stages.companions import choose_phases
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.stage import Progress, Stage
from liverimg.stages.zone_files import read_zones
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree


@dataclass(frozen=True)
class Settings:
    """What the study is held against.

    Attributes:
        baseline: Output folder of ``liverimg pre`` on the study before treatment.
    """

    baseline: Path


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Writes the one page."""
    study = read_final_study(workspace)
    baseline = read_baseline(settings.baseline, study, beside=workspace)
    series, volume = read_reference(workspace)
    labels = read_labels(workspace)
    zones = read_zones(workspace, labels)
    record = workspace.record(Artefact.RESPONSE, "response")
    response = response_from_record(record)
    words = laid_over(read_table("report_strings"), read_table("response_strings"))
    words |= {"item": item_titles()}
    progress(0.1)
    content = ResponseContent(
        before=Examination(baseline.study, baseline.series, baseline.reference, baseline.labels),
        now=Examination(study, series, volume, labels, _other_phases(workspace, study)),
        response=response,
        alignment=alignment_from_record(workspace.record(Artefact.ALIGNMENT, "alignment")),
        zones=zones,
        margins=_margins(workspace, record),
        limits_mm=MarginSettings.from_table(read_table("margin")).share_limits_mm,
        structures={s: (style.title, style.colour) for s, style in structure_styles().items()},
        strings=with_titles(words, response, quantity_rows()),
        provenance=(
            ("Software", f"liverimg {liverimg.__version__}"),
            *((f"Hash of {name}", (workspace.hash_of(a) or "")[:16]) for name, a in _HASHED),
        ),
        notices=_notices(workspace),
    )
    draft.put_text(Artefact.RESPONSE_REPORT, render_response_page(content))


def _other_phases(workspace: Workspace, study: Study) -> tuple[tuple[Series, Volume], ...]:
    """What the study shows in other phases, where it lies in the same frame of reference."""
    reference = reference_index(workspace)
    least_view = float(read_table("segmentation")["phases"]["least_view"])
    chosen, _ = choose_phases(study, reference, least_view=least_view)
    return tuple(read_series(workspace, index) for index in chosen.values() if index != reference)


_HASHED = (("the labels", Artefact.LABELS), ("the zones", Artefact.ZONES), ("the results", Artefact.RESPONSE))


def _margins(workspace: Workspace, record: Mapping[str, Any]) -> dict[str, MarginSurface]:
    files = {row["id"]: row["margins"] for row in record["lesions"] if row["margins"]}
    return {name: MarginSurface(**read_margins(workspace.folder / file)) for name, file in files.items()}


def _notices(workspace: Workspace) -> tuple[str, ...]:
    drawn = (("labels", Artefact.LABELS, "segment"), ("zones", Artefact.ZONES, "zones"))
    edited = [name for name, artefact, by in drawn if workspace.is_edited(artefact, by=by)]
    if not edited:
        return ()
    return (f"The {' and the '.join(edited)} were corrected by hand; every number here follows the correction.",)


def depends_on(settings: Settings) -> Mapping[str, str]:
    """The words, colours and templates of the page, and the baseline."""
    tables = (
        "report_strings",
        "response_strings",
        "structures",
        "margin",
        "quantities",
        "segmentation",
        "clinical_items",
    )
    return table_hashes(*tables) | baseline_hashes(settings.baseline) | {"templates": hash_tree(TEMPLATES)}


STAGE = Stage(
    name="response_report",
    version=2,
    reads=(
        Artefact.STUDY,
        Artefact.VOLUMES,
        Artefact.PHASES,
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.ZONES,
        Artefact.ZONE_NAMES,
        Artefact.ALIGNMENT,
        Artefact.RESPONSE,
        Artefact.MARGINS,
    ),
    writes=(Artefact.RESPONSE_REPORT,),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
