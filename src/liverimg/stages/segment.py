"""Segment: the reference volume becomes labels, by a model or from a file the user gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Series
from liverimg.core.volume import Volume
from liverimg.files import nifti, records
from liverimg.files.study_records import label_names_from_record
from liverimg.files.tables import read_table, structure_styles, table_hashes
from liverimg.segmentation.context import ContextRules, add_context
from liverimg.segmentation.tidy import TidyRules, tidy
from liverimg.stages.artefacts import SEGMENT, put_labels, read_reference
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_file, hash_tree

if TYPE_CHECKING:
    from liverimg.segmentation.bundle import Bundle

# What the study is about: measured however unsure, with a band that says how unsure.
_ALWAYS_MEASURED = (Structure.LIVER, Structure.TUMOUR)


@dataclass(frozen=True)
class Settings:
    """Who draws the labels.

    Attributes:
        model: Folder of the MONAI bundle.
        labels: NIfTI file with labels drawn elsewhere; used instead of the model. Its names come from a
            ``labels.json`` (or ``<name>.json``) beside it, or else from our own table.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    model: Path
    labels: Path | None = None
    device: str = field(default="auto", metadata={"key": False})


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Draws, tidies, adds the surroundings, and says how far the result can be trusted."""
    series, volume = read_reference(workspace)
    values = {s: style.value for s, style in structure_styles().items()}
    table = read_table("segmentation")
    if settings.labels is not None:
        labels, quality = _external(settings.labels, volume, values)
    else:
        labels, quality = _by_model(settings, series, volume, table, progress)
    if not labels.has(Structure.LIVER):
        raise InputRefusedError(
            f"no liver in view: none was found in the {series.phase} {series.modality} series that was chosen as "
            "reference; check with liverimg inspect which series that is, or give the labels with --labels"
        )
    labels = add_context(labels, volume, ContextRules.from_table(table["context"]), values)
    put_labels(draft, labels, quality)


def _by_model(
    settings: Settings, series: Series, volume: Volume, table: Mapping[str, Any], progress: Progress
) -> tuple[LabelMap, LabelQuality]:
    # Torch takes seconds to import: only here, and not when the labels come from a file.
    from liverimg.segmentation.bundle import open_bundle
    from liverimg.segmentation.infer import segment_volume

    bundle = open_bundle(settings.model, device=settings.device)
    if series.modality not in bundle.modalities:
        raise InputRefusedError(
            f"the reference series is {series.modality}, and the model {bundle.name} was made for "
            f"{' and '.join(bundle.modalities)}; give the labels with --labels, or a recipe with another model"
        )
    segmentation = segment_volume(volume, bundle, progress=progress)
    labels = tidy(segmentation.labels, TidyRules.from_table(table["tidy"]))
    not_visible = {
        structure: "the model did not find it on this image; it may still be there"
        for structure in labels.structures
        if not labels.has(structure)
    }
    return labels, LabelQuality(
        origin="model",
        surface_error_mm=bundle.surface_error_mm,
        not_visible=not_visible | dict(bundle.unproven),
        incomplete=_incomplete(bundle, float(table["trust"]["least_hold_out_dice"])),
        notes=_lesion_note(bundle),
        model=f"{bundle.name} {bundle.version}",
    )


def _incomplete(bundle: Bundle, least_dice: float) -> dict[Structure, str]:
    """Structures that the model outlines too poorly for what it did not draw to mean anything."""
    return {
        structure: (
            f"an upper bound: the model misses parts of it (Dice {dice:.2f} on hold-out cases, at least "
            f"{least_dice:.2f} is asked for)"
        )
        for structure, dice in bundle.hold_out_dice.items()
        if structure not in _ALWAYS_MEASURED and dice < least_dice
    }


def _lesion_note(bundle: Bundle) -> tuple[str, ...]:
    if bundle.lesion_recall is None or bundle.false_lesions_per_case is None:
        return ()
    return (
        f"The model {bundle.name} drew the tumours. On hold-out cases, all of them synthetic, it found "
        f"{bundle.lesion_recall:.0%} of the tumours above 10 mm and drew {bundle.false_lesions_per_case:.1f} lesions "
        "per case where none is: each lesion here, and each absence of one, has to be confirmed on the images.",
    )


def _external(path: Path, volume: Volume, values: Mapping[Structure, int]) -> tuple[LabelMap, LabelQuality]:
    structures: dict[Structure, int] = dict(values)
    lesions: dict[str, int] = {}
    beside = names_beside(path)
    if beside is not None:
        record = records.load(beside)
        records.check(record, "labels", beside.name)
        structures, lesions = label_names_from_record(record)
    labels = nifti.read_labels(path, structures, lesions=lesions, on=volume.grid)
    if beside is None:
        # Without a list of names only what was drawn counts as looked for.
        structures = {s: v for s, v in structures.items() if labels.has(s)}
        labels = LabelMap(labels.array, labels.grid, structures, lesions)
    return labels, LabelQuality(origin="external")


def names_beside(path: Path) -> Path | None:
    """The file that names the values of a label file: ``<name>.json``, else ``labels.json`` in its folder."""
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    for candidate in (path.with_name(f"{stem}.json"), path.with_name("labels.json")):
        if candidate.is_file():
            return candidate
    return None


def depends_on(settings: Settings) -> Mapping[str, str]:
    """Content of the label file, or of the model and its rules."""
    tables = table_hashes("segmentation", "structures")
    if settings.labels is None:
        return {"model": hash_tree(settings.model)} | tables
    if not settings.labels.is_file():
        raise InputRefusedError(f"{settings.labels} does not exist; --labels wants a NIfTI file (.nii or .nii.gz)")
    beside = names_beside(settings.labels)
    return {"labels": hash_file(settings.labels)} | ({"names": hash_file(beside)} if beside else {}) | tables


STAGE = Stage(
    name=SEGMENT,
    version=1,
    reads=(Artefact.STUDY, Artefact.VOLUMES),
    writes=(Artefact.LABELS, Artefact.LABEL_NAMES, Artefact.LABEL_QUALITY),
    settings=Settings,
    run=run,
    depends_on=depends_on,
    editable=(Artefact.LABELS, Artefact.LABEL_NAMES),
)
