"""View: what the page may leave in the folder: how it was left, and corrected labels."""

from __future__ import annotations

import json

import numpy as np

from liverimg.core.errors import InputRefusedError, RecordInvalidError
from liverimg.core.labels import LabelMap
from liverimg.files import nifti
from liverimg.stages.artefacts import read_labels
from liverimg.stages.view_scene import LOOK, look_from_record
from liverimg.viewer.site import Answer
from liverimg.workspace import Artefact, Workspace

_JSON = "application/json"
_DRAFT = "view"


def keep_look(workspace: Workspace, body: bytes, _tag: str) -> Answer:
    """Remembers which layers are switched off and how the labels are drawn.

    Raises:
        RecordInvalidError: The page sent something else.
    """
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RecordInvalidError(f"what the page sent is no JSON ({type(error).__name__})") from error
    if not isinstance(record, dict):
        raise RecordInvalidError("what the page sent is no JSON object")
    look = look_from_record(record)
    workspace.remember(LOOK, {"hidden": list(look.hidden or ()), "opacity": look.opacity, "outline": look.outline})
    return Answer(b"{}", _JSON)


def keep_labels(workspace: Workspace, body: bytes, tag: str) -> Answer:
    """Puts corrected labels in the place of those that they were made from, whole or not at all.

    What was corrected counts as edited from then on: it is never drawn over, and ``liverimg measure`` follows it.

    Args:
        workspace: Not at work.
        body: A NIfTI file on the labels' grid.
        tag: Of the labels that the page was given.

    Raises:
        InputRefusedError: It holds values without a name, or the labels were changed by someone else meanwhile.
        GridMismatchError: It lies on another grid.
        WorkspaceError: A run is at work in the folder.
    """
    with workspace.locked(), workspace.draft(_DRAFT) as draft:
        if tag != workspace.hash_of(Artefact.LABELS):
            raise InputRefusedError(
                "the labels were changed since the page was loaded, by somebody else or by a run; load the page again"
            )
        before = read_labels(workspace)
        sent = draft.folder / ("sent.nii.gz" if body[:2] == b"\x1f\x8b" else "sent.nii")
        sent.write_bytes(body)
        after = nifti.read_labels(sent, before.structures, lesions=before.lesions, on=before.grid)
        changed = _changed(before, after)
        if changed:
            sent.unlink()
            nifti.write_labels(draft.path(Artefact.LABELS), after)
            draft.replace(Artefact.LABELS)
        said = {"changed": changed, "tag": workspace.hash_of(Artefact.LABELS)}
    return Answer(json.dumps(said).encode(), _JSON)


def _changed(before: LabelMap, after: LabelMap) -> int:
    """Number of voxels that differ, after making sure that each value has a name."""
    named = {0, *before.structures.values(), *before.lesions.values(), *np.unique(before.array).tolist()}
    nameless = set(np.unique(after.array).tolist()) - named
    if nameless:
        raise InputRefusedError(f"the value {min(nameless)} has no name in labels.json; paint with one that has")
    return int(np.count_nonzero(before.array != after.array))
