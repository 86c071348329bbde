"""Labels drawn by another program that the user has installed: it runs on a copy, and its result is read back."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from liverimg.core.drawing import Drawings
from liverimg.core.errors import GridMismatchError, InputRefusedError, ModelRefusedError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Modality, Phase, Series
from liverimg.core.volume import Volume
from liverimg.files import nifti
from liverimg.files.nifti_masks import names_in_header, read_named_values
from liverimg.files.tables import read_table, structure_styles
from liverimg.segmentation.external import Combined, combine
from liverimg.segmentation.nnunet import ChannelNames
from liverimg.segmentation.onto import onto_grid
from liverimg.segmentation.tool_job import Job, Tool, run_job
from liverimg.segmentation.tools import plan_tool
from liverimg.stages.companions import read_companions
from liverimg.stages.external_labels import assumed_error_mm, name_rules
from liverimg.workspace import Workspace

# Tubes end somewhere in the liver; where a model loses them is not where they end.
_TUBES = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)


def draw_with_tool(
    workspace: Workspace,
    series: Series,
    volume: Volume,
    *,
    model: Path,
    device: str,
    table: Mapping[str, Any],
) -> tuple[LabelMap, LabelQuality]:
    """Runs another program on the reference and reads what it drew, untidied.

    Args:
        workspace: After ingest.
        series: The reference.
        volume: Its voxels.
        model: Name of the tool, such as ``totalsegmentator`` or ``nnunet:Dataset003_Liver``.
        device: ``auto``, ``cpu`` or ``cuda``.
        table: ``segmentation.toml``.

    Raises:
        UsageError: The program or its weights are not there.
        ModelRefusedError: It failed, took too long or left something else than labels.
        InputRefusedError: It was made for another modality, or wants a phase that the study lacks.
    """
    tool = plan_tool(model, series.modality, _channel_names(), device=device)
    timeout_s = float(table["external_model"]["run"]["timeout_minutes"]) * 60
    found = []
    for job in tool.jobs:
        images = _images(job, workspace, series, volume, least_view=float(table["phases"]["least_view"]))
        # The name of the folder, and all in it, says nothing of the patient.
        with tempfile.TemporaryDirectory(prefix="liverimg-") as temporary:
            work = Path(temporary)
            (work / "in").mkdir()
            for name, image in images.items():
                nifti.write_volume(work / "in" / name, image)
            found.append(_read(job, run_job(job, work, timeout_s=timeout_s), volume))
    values = {s: style.value for s, style in structure_styles().items()}
    drawings = Drawings(tuple(d for one in found for d in one.drawings), volume.grid)
    try:
        combined = combine(drawings, name_rules(), values, on=volume.grid, lesions_apart=False)
    except InputRefusedError as error:
        raise ModelRefusedError(f"what {tool.name} drew can't be used: {error}") from error
    return combined.labels, _quality(combined, tool, _several_phases(tool))


def tool_hash(model: Path) -> str:
    """What the results of a tool depend on: its version, its model and the weights that lie there."""
    texts = []
    for modality in (Modality.CT, Modality.MR):
        try:
            texts.append(plan_tool(model, modality, _channel_names(), device="cpu").key)
        except ModelRefusedError:
            raise
        except InputRefusedError:
            # Made for the other modality; whether that is a fault shows once the reference is known.
            continue
    return sha256("\n".join(texts).encode()).hexdigest()


def _channel_names() -> ChannelNames:
    return ChannelNames.from_table(read_table("label_names")["channels"])


def _images(job: Job, workspace: Workspace, series: Series, volume: Volume, *, least_view: float) -> dict[str, Volume]:
    """What to put into each input file: the reference, or a phase of the study on the reference's grid."""
    wanted = [phase for _, phase in job.inputs if phase not in (None, series.phase)]
    others: dict[Phase, Volume] = {}
    if wanted:
        others = read_companions(workspace, [p for p in wanted if p is not None], least_view=least_view)
    images = {}
    for name, phase in job.inputs:
        if phase is None or phase is series.phase:
            images[name] = volume
        elif phase in others:
            images[name] = onto_grid(others[phase], volume.grid)
        else:
            raise InputRefusedError(
                f"{job.title} wants the {phase.replace('_', ' ')} phase, which the study does not hold in the same "
                "frame of reference; name a phase with --phase if you know it, or another --model"
            )
    return images


def _read(job: Job, result: Path, volume: Volume) -> Drawings:
    """The labels of one run, in memory: the file goes away with its folder."""
    try:
        names = job.names if job.names is not None else names_in_header(result)
        if not names:
            raise InputRefusedError(f"{result.name} does not name its labels in the header; update the program")
        drawings = read_named_values(result, names, on=volume.grid)
        # Asked once, the whole label map is read and kept.
        drawings.drawings[0].mask()
    except GridMismatchError as error:
        raise ModelRefusedError(
            f"{job.title} returned labels on another grid than the image that it was given; report it to its makers"
        ) from error
    except InputRefusedError as error:
        raise ModelRefusedError(f"what {job.title} returned can't be read: {error}") from error
    return drawings


def _several_phases(tool: Tool) -> bool:
    return any(len(job.inputs) > 1 for job in tool.jobs)


def _quality(combined: Combined, tool: Tool, several_phases: bool) -> LabelQuality:
    labels = combined.labels
    drawn = frozenset(s for s in labels.structures if labels.has(s))
    incomplete = {
        s: f"an upper bound: how much of it {tool.name} misses is unknown here"
        for s in _TUBES
        if s in labels.structures
    }
    notes = [
        f"{tool.name} drew the labels. How far its outlines lie from the true edges is unknown here: the bands use an "
        "assumed error, not a measured one, and each lesion, and each absence of one, has to be confirmed.",
        tool.licence,
    ]
    if several_phases:
        notes.append("Its phases were laid over each other by patient coordinates alone, without registration.")
    quality = LabelQuality(
        origin="external_model",
        surface_error_mm=assumed_error_mm(drawn),
        surface_error_assumed=True,
        not_visible={
            s: f"{tool.name} did not find it on this image; it may still be there"
            for s in labels.structures
            if s not in drawn
        },
        incomplete={**incomplete, **combined.incomplete},
        notes=tuple(notes),
        model=tool.name,
    )
    return replace(quality, notes=(*quality.notes, *combined.notes))
