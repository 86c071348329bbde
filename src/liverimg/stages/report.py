"""Report: everything that was found, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import liverimg
from liverimg.core.labels import LabelQuality
from liverimg.files.catalogue import item_titles
from liverimg.files.result_records import assessment_from_record, measurements_from_record
from liverimg.files.tables import read_table, structure_styles, table_hashes
from liverimg.files.window_records import windows_from_record
from liverimg.report.content import ReportContent
from liverimg.report.page import TEMPLATES, render_page
from liverimg.stages.artefacts import read_labels, read_quality, read_reference, reference_index
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree

_ORIGINS = {
    "model": "drawn by the model",
    "external": "given with --labels, drawn elsewhere",
    "external_model": "drawn by a model of another program",
    "edited": "corrected by hand after they were drawn",
}


@dataclass(frozen=True)
class Settings:
    """The page has no settings yet."""


def run(workspace: Workspace, draft: Draft, _settings: Settings, progress: Progress) -> None:
    """Writes the one page."""
    study = read_final_study(workspace)
    volume = read_reference(workspace)[1]
    labels = read_labels(workspace)
    quality = read_quality(workspace, labels)
    assessment_record = workspace.record(Artefact.ASSESSMENT, "assessment")
    windows, transducer = windows_from_record(workspace.record(Artefact.WINDOW, "window"))
    progress(0.1)
    content = ReportContent(
        study=study,
        reference=study.series[reference_index(workspace)],
        volume=volume,
        labels=labels,
        quality=quality,
        measurements=measurements_from_record(workspace.record(Artefact.MEASUREMENTS, "measurements")),
        assessment=assessment_from_record(assessment_record),
        structures={s: (style.title, style.colour) for s, style in structure_styles().items()},
        strings={**read_table("report_strings"), "item": item_titles()},
        windows=windows,
        transducer=transducer,
        provenance=_provenance(
            workspace, quality, [f"{c['title']}, {c['edition']}" for c in assessment_record["criteria"]]
        ),
        criteria={c["id"]: c["title"] for c in assessment_record["criteria"]},
        notices=_notices(quality),
    )
    draft.put_text(Artefact.REPORT, render_page(content))


def _provenance(workspace: Workspace, quality: LabelQuality, criteria: list[str]) -> tuple[tuple[str, str], ...]:
    # Nothing here depends on when or where the run took place: the same study gives the same page.
    model = [("Model", quality.model)] if quality.model is not None else []
    return (
        ("Software", f"liverimg {liverimg.__version__}"),
        ("Labels", _ORIGINS[quality.origin]),
        *model,
        *(("Rules", name) for name in criteria),
        ("Hash of the labels", (workspace.hash_of(Artefact.LABELS) or "")[:16]),
    )


def _notices(quality: LabelQuality) -> tuple[str, ...]:
    if quality.origin != "edited":
        return ()
    return ("The labels were corrected by hand after they were drawn; every number here follows the correction.",)


def depends_on(_settings: Settings) -> Mapping[str, str]:
    """The words, colours and templates of the page."""
    return table_hashes("report_strings", "structures", "clinical_items") | {"templates": hash_tree(TEMPLATES)}


STAGE = Stage(
    name="report",
    version=3,
    reads=(
        Artefact.STUDY,
        Artefact.VOLUMES,
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.LABEL_QUALITY,
        Artefact.MEASUREMENTS,
        Artefact.WINDOW,
        Artefact.ASSESSMENT,
    ),
    reads_if_there=(Artefact.PHASES,),
    writes=(Artefact.REPORT,),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
