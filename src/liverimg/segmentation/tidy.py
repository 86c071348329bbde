"""From what a network drew to labels that can be measured: one liver, no crumbs, tumours where livers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cc3d
import edt
import fill_voids
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, LabelMap, Structure

Box = tuple[slice, slice, slice]

_FULL_NEIGHBOURHOOD = 26
# Vessels, ducts and tumours lie inside the liver: it is one piece only together with them.
_ONE_LIVER = (*LIVER_CONTENTS, Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)


@dataclass(frozen=True)
class TidyRules:
    """How labels are tidied.

    Attributes:
        smallest_fragment_ml: Per structure, connected pieces below this volume are dropped.
        tumour_reach_mm: A tumour piece farther than this from the liver is dropped.
        smallest_liver_ml: Below this no liver is in view.
    """

    smallest_fragment_ml: Mapping[Structure, float]
    tumour_reach_mm: float
    smallest_liver_ml: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> TidyRules:
        """From the ``tidy`` part of ``segmentation.toml``."""
        return cls(
            smallest_fragment_ml={Structure(s): float(v) for s, v in table["smallest_fragment_ml"].items()},
            tumour_reach_mm=float(table["tumour_reach_mm"]),
            smallest_liver_ml=float(table["smallest_liver_ml"]),
        )


def tidy(labels: LabelMap, rules: TidyRules) -> LabelMap:
    """Keeps the largest liver with its holes filled, drops crumbs and tumours away from it.

    Args:
        labels: As drawn.
        rules: What counts as a crumb.

    Returns:
        New labels on the same grid. Without a liver of credible size the array is all zero.
    """
    array = np.array(labels.array)
    # Everything happens in boxes: most of a scan is far from any structure.
    boxes = {value: box for value, box in enumerate(find_objects(array), start=1) if box is not None}
    organ = _common([boxes[v] for v in _values(labels, *_ONE_LIVER) if v in boxes])
    if organ is None:
        return LabelMap(np.zeros_like(array), labels.grid, labels.structures, labels.lesions)
    _keep_one_liver(array[organ], labels)
    liver = np.isin(array[organ], _values(labels, *_ONE_LIVER))
    if liver.sum() * labels.grid.voxel_ml < rules.smallest_liver_ml:
        return LabelMap(np.zeros_like(array), labels.grid, labels.structures, labels.lesions)
    _drop_stray_tumours(array[organ], labels, liver, rules.tumour_reach_mm)
    for structure, smallest_ml in rules.smallest_fragment_ml.items():
        box = boxes.get(labels.structures.get(structure, 0))
        if box is not None:
            _drop_crumbs(array[box], labels, structure, smallest_ml)
    return LabelMap(array, labels.grid, labels.structures, labels.lesions)


def _values(labels: LabelMap, *structures: Structure) -> list[int]:
    return [labels.structures[s] for s in structures if s in labels.structures]


def _common(boxes: Sequence[Box]) -> Box | None:
    """The box around all of them."""
    if not boxes:
        return None
    k, j, i = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
    return k, j, i


def _keep_one_liver(array: NDArray[np.uint8], labels: LabelMap) -> None:
    """Drops the smaller pieces and fills the holes of the largest, in place; the array is a part of the labels."""
    whole = np.isin(array, _values(labels, *_ONE_LIVER))
    if not whole.any():
        return
    largest = cc3d.largest_k(np.ascontiguousarray(whole), k=1, connectivity=_FULL_NEIGHBOURHOOD).astype(bool)
    liver = labels.structures[Structure.LIVER]
    array[(array == liver) & ~largest] = 0
    box = _bounding_box(largest)
    filled = fill_voids.fill(np.ascontiguousarray(largest[box]))
    inside = array[box]
    inside[filled & (inside == 0)] = liver


def _drop_stray_tumours(array: NDArray[np.uint8], labels: LabelMap, liver: NDArray[np.bool_], reach_mm: float) -> None:
    if Structure.TUMOUR not in labels.structures:
        return
    value = labels.structures[Structure.TUMOUR]
    tumour = np.ascontiguousarray(array == value)
    if not tumour.any():
        return
    largest = cc3d.largest_k(np.ascontiguousarray(liver), k=1, connectivity=_FULL_NEIGHBOURHOOD).astype(bool)
    pieces, count = cc3d.connected_components(tumour, connectivity=_FULL_NEIGHBOURHOOD, return_N=True)
    near = within(largest, labels.grid, reach_mm)
    kept = np.unique(pieces[near & tumour])
    strays = np.setdiff1d(np.arange(1, count + 1), kept)
    array[np.isin(pieces, strays)] = 0


def _drop_crumbs(array: NDArray[np.uint8], labels: LabelMap, structure: Structure, smallest_ml: float) -> None:
    value = labels.structures[structure]
    # Padded: cc3d fails on arrays one voxel thick, such as two voxels with a gap between them.
    padded = np.pad(array == value, 1)
    pieces = cc3d.connected_components(padded, connectivity=_FULL_NEIGHBOURHOOD)[1:-1, 1:-1, 1:-1]
    small = np.bincount(pieces.ravel()) * labels.grid.voxel_ml < smallest_ml
    small[0] = False
    # A crumb of tumour, vein or duct in the liver is liver after all; elsewhere it is nothing.
    inside = structure in _ONE_LIVER and structure is not Structure.LIVER
    array[small[pieces]] = labels.structures[Structure.LIVER] if inside else 0


def within(mask: NDArray[np.bool_], grid: Grid, distance_mm: float) -> NDArray[np.bool_]:
    """Voxels whose centre lies within a distance of the mask's voxel centres, the mask itself included."""
    if not mask.any():
        return np.zeros_like(mask)
    pad = np.ceil(distance_mm / grid.spacing_mm).astype(int) + 1
    box = _bounding_box(mask, pad=pad)
    result = np.zeros_like(mask)
    outside_mm = edt.edt(np.ascontiguousarray(~mask[box]), anisotropy=tuple(grid.spacing_mm), black_border=False)
    result[box] = outside_mm <= distance_mm
    return result


def _bounding_box(mask: NDArray[np.bool_], pad: NDArray[np.int_] | None = None) -> Box:
    pad = np.zeros(3, dtype=int) if pad is None else pad
    slices = []
    for axis in range(3):
        occupied = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        start = max(0, int(occupied[0]) - int(pad[axis]))
        slices.append(slice(start, min(mask.shape[axis], int(occupied[-1]) + 1 + int(pad[axis]))))
    return slices[0], slices[1], slices[2]
