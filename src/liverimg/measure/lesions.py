"""Which voxels are which lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.core.measurement import Point
from liverimg.measure.parts import numbered_parts
from liverimg.measure.scene import boxes_of
from liverimg.measure.surface import stack_axis


@dataclass(frozen=True, eq=False)
class LesionMask:
    """One lesion's voxels, cut out of the label map.

    Attributes:
        id: ``L1``, ``L2``, ... by falling volume, or the reader's own name.
        mask: The lesion in its bounding box.
        grid: Grid of the bounding box.
        start_kji: Index of the box's first voxel in the label map.
        volume_ml: Number of voxels times their volume.
        centroid_lps_mm: Mean of the voxel centres.
        touches_image_edge: Whether part of the lesion may lie outside the image.
    """

    id: str
    mask: BoolArray = field(repr=False)
    grid: Grid
    start_kji: tuple[int, int, int]
    volume_ml: float
    centroid_lps_mm: Point
    touches_image_edge: bool

    @property
    def slices(self) -> int:
        """How many slices cross the lesion."""
        return int(self.mask.shape[stack_axis(self.grid.spacing_mm)])


def find_lesions(labels: LabelMap, *, minimum_volume_ml: float) -> tuple[LesionMask, ...]:
    """Lesions of a label map: 26-connected parts of the tumour label, and those that a reader numbered apart.

    Two tumours that touch under one label are one lesion; a reader keeps them apart by numbering them. The order
    depends on volume and place in the patient only, so a flipped or permuted array gives the same ids.

    Args:
        labels: The label map; without a tumour in it there are no lesions.
        minimum_volume_ml: Unnumbered parts smaller than this are left out.
    """
    return split_by_size(labels, boxes_of(labels), minimum_volume_ml=minimum_volume_ml)[0]


def split_by_size(
    labels: LabelMap, boxes: Mapping[int, Box], *, minimum_volume_ml: float
) -> tuple[tuple[LesionMask, ...], int]:
    """As :func:`find_lesions`, and how many parts were left out for being too small.

    Args:
        labels: The label map.
        boxes: Bounding box of each label value that occurs.
        minimum_volume_ml: Unnumbered parts smaller than this are left out.
    """
    named = [
        _cut(labels, labels.array[boxes[value]] == value, boxes[value], name)
        for name, value in sorted(labels.lesions.items())
        if value in boxes
    ]
    parts = _components(labels, boxes)
    large = [part for part in parts if part.volume_ml >= minimum_volume_ml]
    free = (f"L{n}" for n in count(1) if f"L{n}" not in labels.lesions)
    numbered = [replace(part, id=name) for part, name in zip(large, free, strict=False)]
    return (*named, *numbered), len(parts) - len(large)


def _components(labels: LabelMap, boxes: Mapping[int, Box]) -> list[LesionMask]:
    """Unnamed lesions by falling volume, then from head to foot, back to front, left to right."""
    box = boxes.get(labels.structures.get(Structure.TUMOUR, 0))
    if box is None:
        return []
    value = labels.structures[Structure.TUMOUR]
    parts = numbered_parts(labels.array[box] == value)
    found = []
    for number, part_box in enumerate(find_objects(parts), start=1):
        k, j, i = (slice(b.start + p.start, b.start + p.stop) for b, p in zip(box, part_box, strict=True))
        found.append(_cut(labels, parts[part_box] == number, (k, j, i), ""))
    return sorted(found, key=_largest_first)


def _largest_first(lesion: LesionMask) -> tuple[float, ...]:
    x, y, z = lesion.centroid_lps_mm
    return (-round(lesion.volume_ml, 6), -round(z, 3), -round(y, 3), -round(x, 3))


def _cut(labels: LabelMap, mask: NDArray[np.bool_], box: Box, name: str) -> LesionMask:
    start = (box[0].start, box[1].start, box[2].start)
    k, j, i = mask.shape
    grid = labels.grid.cropped(start, (k, j, i))
    centre = grid.index_to_lps_mm(np.argwhere(mask).mean(axis=0))
    ends = [b.start == 0 or b.stop == n for b, n in zip(box, labels.grid.shape, strict=True)]
    return LesionMask(
        id=name,
        mask=mask,
        grid=grid,
        start_kji=start,
        volume_ml=float(np.count_nonzero(mask)) * labels.grid.voxel_ml,
        centroid_lps_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        touches_image_edge=any(ends),
    )
