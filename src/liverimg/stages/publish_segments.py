"""Labels as segments: one a structure, one a lesion, zone or focus, with codes and tracking UIDs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from liverimg.core.catalogue import CodedConcept
from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelQuality, Structure
from liverimg.core.published import Algorithm, Layer, Segment
from liverimg.files.tables import structure_styles
from liverimg.measure.lesions import LesionMask
from liverimg.stages.publish_content import concepts

_LARGEST_VALUE = 255


@dataclass(frozen=True, eq=False)
class Piece:
    """What becomes one segment.

    Attributes:
        structure: What it is.
        voxels: Where it is.
        target: What results call it.
        label: For readers.
        tracking_uid: The same in every object.
        algorithm: What drew it; None for a person.
        in_organ: Whether it lies in the organ that such a structure usually lies in.
        is_lesion: Whether it is one thing by itself, as measured.
    """

    structure: Structure
    voxels: BoolArray = field(repr=False)
    target: str
    label: str
    tracking_uid: str
    algorithm: Algorithm | None
    in_organ: bool = True
    is_lesion: bool = False


def layer_of(pieces: Iterable[Piece], grid: Grid, table: Mapping[str, Any]) -> Layer:
    """Numbers the pieces that have a voxel of their own; where two overlap, the earlier one keeps the voxel.

    Raises:
        InputRefusedError: More pieces than a segmentation can number.
    """
    array = np.zeros(grid.shape, dtype=np.uint8)
    segments: list[Segment] = []
    for piece in pieces:
        free = piece.voxels & (array == 0)
        if not free.any():
            continue
        if len(segments) == _LARGEST_VALUE:
            raise InputRefusedError(
                f"the labels hold more than {_LARGEST_VALUE} structures and lesions; number fewer apart"
            )
        array[free] = len(segments) + 1
        segments.append(_segment(len(segments) + 1, piece, table))
    return Layer(array, tuple(segments))


def _segment(number: int, piece: Piece, table: Mapping[str, Any]) -> Segment:
    row, style = table["structure"][piece.structure.value], structure_styles()[piece.structure]
    inside = row.get("inside")
    return Segment(
        value=number,
        target=piece.target,
        label=piece.label,
        category=CodedConcept(**table["category"][row["category"]]),
        kind=CodedConcept("SCT", style.sct, row["meaning"]),
        region=None if inside is None or not piece.in_organ else concepts(table)[Structure(inside)],
        tracking_uid=piece.tracking_uid,
        colour=style.colour,
        algorithm=piece.algorithm,
        roi_type=row.get("roi_type", ""),
        is_lesion=piece.is_lesion,
        outlined=bool(row.get("outlined", True)),
    )


def whole_mask(lesion: LesionMask, grid: Grid) -> BoolArray:
    """A lesion's voxels on the grid of the labels."""
    whole = np.zeros(grid.shape, dtype=bool)
    box = tuple(slice(s, s + n) for s, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
    whole[box] = lesion.mask
    return whole


def algorithm_of(quality: LabelQuality) -> Algorithm | None:
    """Who drew the labels: None for a person; a model that a person corrected is named as such."""
    if quality.model is None and quality.origin in ("external", "edited"):
        return None
    model = quality.model or "unknown program"
    name, _, version = model.rpartition(" ")
    known = bool(name) and version[:1].isdigit()
    return Algorithm(name if known else model, version if known else "", quality.origin == "edited")
