"""CEUS report: what contrast ultrasound showed, on one page, and its maps as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import liverimg
from liverimg.core.rows import filled
from liverimg.files.perfusion_records import read_maps
from liverimg.files.result_records import quantity_from_record
from liverimg.files.tables import read_table, table_hashes
from liverimg.measure.perfusion.phases import BubblePhase
from liverimg.measure.perfusion.settings import PhaseSettings
from liverimg.report.ceus_page import TEMPLATES, CeusContent, render_ceus_page
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree


@dataclass(frozen=True)
class Settings:
    """The page has no settings."""


def run(workspace: Workspace, draft: Draft, _settings: Settings, progress: Progress) -> None:
    """Writes the one page."""
    record = workspace.record(Artefact.PERFUSION, "perfusion")
    quantities = {row["id"]: tuple(quantity_from_record(q) for q in row["quantities"]) for row in record["planes"]}
    quantities[""] = tuple(quantity_from_record(q) for q in record["quantities"])
    maps = {row["id"]: read_maps(workspace.folder / row["maps"]) for row in record["planes"] if row["maps"]}
    progress(0.3)
    content = CeusContent(
        record=record,
        quantities=quantities,
        maps=maps,
        phases=_phases(),
        strings=read_table("ceus_strings"),
        provenance=(
            ("Software", f"liverimg {liverimg.__version__}"),
            ("Hash of the results", (workspace.hash_of(Artefact.PERFUSION) or "")[:16]),
        ),
    )
    draft.put_text(Artefact.PERFUSION_REPORT, render_ceus_page(content))


def _phases() -> tuple[tuple[float, float, str], ...]:
    limits = filled(PhaseSettings, read_table("ceus")["phase"], "ceus phase")
    return (
        (limits.arterial_from_s, limits.arterial_to_s, BubblePhase.ARTERIAL.value),
        (limits.arterial_to_s, limits.portal_to_s, BubblePhase.PORTAL.value),
        (limits.portal_to_s, float("inf"), BubblePhase.LATE.value),
    )


def depends_on(_settings: Settings) -> Mapping[str, str]:
    """The words, phases and templates of the page."""
    return table_hashes("ceus_strings", "ceus") | {"templates": hash_tree(TEMPLATES)}


STAGE = Stage(
    name="ceus_report",
    version=1,
    reads=(Artefact.PERFUSION, Artefact.PERFUSION_MAPS),
    writes=(Artefact.PERFUSION_REPORT,),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
