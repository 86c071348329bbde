"""Segment: the reference volume becomes labels, by a model or from a file the user gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Modality
from liverimg.core.volume import Volume
from liverimg.files import nifti
from liverimg.files.tables import read_table, structure_styles, table_hashes
from liverimg.segmentation.context import ContextRules, add_context
from liverimg.segmentation.quality import QualityRules, inspect_labels
from liverimg.segmentation.tools import names_a_tool
from liverimg.stages.artefacts import SEGMENT, put_labels, read_reference
from liverimg.stages.by_model import Drawn, draw
from liverimg.stages.by_tool import draw_with_tool, tool_hash
from liverimg.stages.external_labels import read_external, read_segments
from liverimg.stages.label_sources import content_hashes
from liverimg.stages.phase_looks import look_at_phases
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree


@dataclass(frozen=True)
class Settings:
    """Who draws the labels.

    Attributes:
        model: Folder of the MONAI bundle, or one for each modality of the reference series; or the name of another
            program that the user has installed, as ``liverimg.segmentation.tools`` lists them.
        labels: File or folder with labels drawn elsewhere, used instead of the model; see
            ``docs/how-to/use-your-own-labels.md``.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    model: Path | Mapping[str, Path]
    labels: Path | None = None
    device: str = field(default="auto", metadata={"key": False})

    def model_for(self, modality: Modality) -> Path:
        """The bundle for a reference of that modality.

        Raises:
            InputRefusedError: The recipe names none.
        """
        if isinstance(self.model, Path):
            return self.model
        if modality not in self.model:
            raise InputRefusedError(
                f"the reference series is {modality}, and the recipe names models for {' and '.join(self.model)} only; "
                "give the labels with --labels, or a recipe with another model"
            )
        return self.model[modality]


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Draws, tidies, adds the surroundings, and says how far the result can be trusted."""
    series, volume = read_reference(workspace)
    values = {s: style.value for s, style in structure_styles().items()}
    table = read_table("segmentation")
    if settings.labels is not None:
        drawn = Drawn(*read_external(settings.labels, series, values))
    else:
        model = settings.model_for(series.modality)
        if names_a_tool(model):
            drawn = Drawn(*draw_with_tool(workspace, series, volume, model=model, device=settings.device, table=table))
        else:
            drawn = draw(workspace, series, volume, model=model, device=settings.device, table=table, progress=progress)
    if not drawn.labels.has(Structure.LIVER):
        raise InputRefusedError(
            f"no liver in view: none was found in the {series.phase} {series.modality} series that was chosen as "
            "reference; check with liverimg inspect which series that is, or give the labels with --labels"
        )
    labels = add_context(drawn.labels, volume, ContextRules.from_table(table["context"]), values)
    quality = _inspected(drawn, labels, volume, QualityRules.from_table(table["quality"]))
    phases, findings = look_at_phases(workspace, labels, volume, drawn.phases)
    draft.put_record(Artefact.PHASES, "phases", phases)
    quality = replace(quality, findings=(*quality.findings, *findings))
    put_labels(draft, labels, quality, confidence=drawn.confidence)
    segments = None if settings.labels is None else read_segments(settings.labels, series)
    if segments is not None:
        nifti.write_label_values(draft.path(Artefact.SEGMENTS), segments, labels.grid)


def _inspected(drawn: Drawn, labels: LabelMap, volume: Volume, rules: QualityRules) -> LabelQuality:
    """What the labels' maker said of them, and what a look at the image adds."""
    found = inspect_labels(
        labels,
        volume,
        rules,
        confidence=drawn.confidence,
        phases=drawn.phases,
        by_model=drawn.quality.origin != "external",
    )
    return replace(
        drawn.quality,
        not_visible={**drawn.quality.not_visible, **found.not_visible, **drawn.unproven},
        findings=(*found.findings, *drawn.quality.findings),
    )


def depends_on(settings: Settings) -> Mapping[str, str]:
    """Content of the label file, or of the model and its rules."""
    tables = table_hashes("segmentation", "structures", "phases", "phase_image")
    if settings.labels is None:
        if isinstance(settings.model, Path):
            return {"model": _model_hash(settings.model)} | tables
        return {f"model_{modality}": _model_hash(folder) for modality, folder in settings.model.items()} | tables
    return content_hashes(settings.labels) | tables


def _model_hash(model: Path) -> str:
    return tool_hash(model) if names_a_tool(model) else hash_tree(model)


STAGE = Stage(
    name=SEGMENT,
    version=4,
    reads=(Artefact.STUDY, Artefact.VOLUMES),
    writes=(
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.LABEL_QUALITY,
        Artefact.CONFIDENCE,
        Artefact.PHASES,
        Artefact.SEGMENTS,
    ),
    settings=Settings,
    run=run,
    depends_on=depends_on,
    editable=(Artefact.LABELS, Artefact.LABEL_NAMES),
)
