"""View: a finished study made into what the viewer's server gives away, read from the folder when it is asked for.

The folder is only read, but for two things: how the page was left is remembered beside the provenance, and corrected
labels are kept when the viewer was started for that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.labels import LabelMap
from liverimg.files import nifti
from liverimg.files.records import Record
from liverimg.files.tables import read_table
from liverimg.stages.artefacts import read_labels
from liverimg.stages.view_keep import keep_labels, keep_look
from liverimg.stages.view_scene import read_scene, shown_zones
from liverimg.stages.view_surfaces import SurfaceShelf
from liverimg.viewer.page import POLICY, page_files
from liverimg.viewer.site import Answer, Kept, Site
from liverimg.workspace import Artefact, Workspace

_NIFTI = "application/octet-stream"
_JSON = "application/json"
_DRAWN = (Artefact.STUDY, Artefact.LABELS, Artefact.LABEL_NAMES)
_FINISHED = (Artefact.MEASUREMENTS, Artefact.RESPONSE)
_LOOK_BYTES = 1 << 16
# What a NIfTI header and its extensions may add to the voxels.
_HEADER_BYTES = 1 << 16


def site_of(folder: Path, *, editable: bool = False) -> Site:
    """Everything that the page about a study may ask for.

    Args:
        folder: Output folder of a finished ``liverimg pre`` or ``liverimg post``.
        editable: Whether labels may be corrected on the page.

    Raises:
        UsageError: The folder holds no finished study.
        InputRefusedError: The study has no volume, or one of its files is a link that leads out of the folder.
    """
    workspace = Workspace(folder)
    study = _finished(workspace)
    gives: dict[str, Callable[[], Answer]] = dict(page_files(read_table("viewer_strings"), editable=editable))
    names = [str(row["file"]) for row in study["volumes"]]
    for number, name in enumerate(names, start=1):
        inside(folder, name)
        gives[f"volume-{number}.nii.gz"] = partial(_volume, folder, name)
    gives["scene.json"] = lambda: Answer(read_scene(workspace, editable=editable).record(), _JSON)
    gives["labels.nii.gz"] = partial(_labels, workspace)
    gives["zones.nii.gz"] = partial(_zones, workspace)
    shelf = SurfaceShelf(workspace)
    gives["surfaces.json"] = lambda: Answer(shelf.record(), _JSON)
    for number in range(shelf.places):
        gives[f"surface-{number}.mz3"] = partial(_surface, shelf, number)
    keeps = {"look.json": Kept(_LOOK_BYTES, partial(keep_look, workspace))}
    if editable:
        voxels = int(np.prod(read_labels(workspace).grid.shape))
        keeps["labels.nii.gz"] = Kept(voxels + _HEADER_BYTES, partial(keep_labels, workspace))
    return Site(gives, keeps, POLICY)


def _finished(workspace: Workspace) -> Record:
    folder = workspace.folder
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give the output folder of a finished 'liverimg pre' or 'post'")
    missing = [a.value for a in _DRAWN if not workspace.path(a).is_file()]
    if not missing and not any(workspace.path(a).is_file() for a in _FINISHED):
        missing = [" or ".join(a.value for a in _FINISHED)]
    if missing:
        raise UsageError(
            f"{folder} holds no finished study (no {missing[0]}); run 'liverimg pre STUDY --out {folder}' first"
        )
    for artefact in (*_DRAWN, *_FINISHED, Artefact.ZONES, Artefact.ZONE_NAMES, Artefact.PHASES):
        if workspace.path(artefact).exists():
            inside(folder, artefact.value)
    record = workspace.record(Artefact.STUDY, "study")
    if record["reference_volume"] is None:
        raise InputRefusedError(
            "the study holds no CT or MR volume, only ultrasound, so there are no slices to show; open perfusion.html"
        )
    return record


def inside(folder: Path, name: str) -> Path:
    """A file of the folder.

    Raises:
        InputRefusedError: It lies somewhere else, or a link leads there.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise InputRefusedError(
            f"{Path(name).name} is not a file of the output folder itself; put the file there instead of a link"
        )
    return path


def _volume(folder: Path, name: str) -> Answer:
    return Answer(inside(folder, name).read_bytes(), _NIFTI)


def _labels(workspace: Workspace) -> Answer:
    inside(workspace.folder, Artefact.LABELS.value)
    tag = workspace.hash_of(Artefact.LABELS) or ""
    labels = read_labels(workspace)
    return Answer(nifti.label_bytes(labels.array, labels.grid), _NIFTI, tag)


def _zones(workspace: Workspace) -> Answer:
    labels: LabelMap = read_labels(workspace)
    zones = shown_zones(workspace, labels)
    if zones is None:
        raise InputRefusedError("no ablation zones belong to this study")
    return Answer(nifti.label_bytes(zones.array, zones.grid), _NIFTI)


def _surface(shelf: SurfaceShelf, number: int) -> Answer:
    return Answer(shelf.surface(number), _NIFTI)
