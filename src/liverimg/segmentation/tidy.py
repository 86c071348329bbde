"""From what a network drew to labels that can be measured: one liver, no crumbs, tumours where livers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cc3d
import fill_voids
import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import box_of
from liverimg.core.labels import LIVER_CONTENTS, LabelMap, Structure
from liverimg.segmentation.morphology import largest_piece, near

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
    organ = labels.box(*_ONE_LIVER)
    if organ is None:
        return LabelMap(np.zeros_like(array), labels.grid, labels.structures, labels.lesions)
    _keep_one_liver(array[organ], labels)
    liver = np.isin(array[organ], _values(labels, *_ONE_LIVER))
    if liver.sum() * labels.grid.voxel_ml < rules.smallest_liver_ml:
        return LabelMap(np.zeros_like(array), labels.grid, labels.structures, labels.lesions)
    _drop_stray_tumours(array[organ], labels, liver, rules.tumour_reach_mm)
    for structure, smallest_ml in rules.smallest_fragment_ml.items():
        box = labels.boxes.get(labels.structures.get(structure, 0))
        if box is not None:
            _drop_crumbs(array[box], labels, structure, smallest_ml)
    return LabelMap(array, labels.grid, labels.structures, labels.lesions)


def _values(labels: LabelMap, *structures: Structure) -> list[int]:
    return [labels.structures[s] for s in structures if s in labels.structures]


def _keep_one_liver(array: NDArray[np.uint8], labels: LabelMap) -> None:
    """Drops the smaller pieces and fills the holes of the largest, in place; the array is a part of the labels."""
    largest = largest_piece(np.isin(array, _values(labels, *_ONE_LIVER)), connectivity=_FULL_NEIGHBOURHOOD)
    box = box_of(largest)
    if box is None:
        return
    liver = np.uint8(labels.structures[Structure.LIVER])
    np.copyto(array, np.uint8(0), where=(array == liver) & ~largest)
    filled = fill_voids.fill(np.ascontiguousarray(largest[box]))
    inside = array[box]
    np.copyto(inside, liver, where=filled & (inside == 0))


def _drop_stray_tumours(array: NDArray[np.uint8], labels: LabelMap, liver: NDArray[np.bool_], reach_mm: float) -> None:
    if Structure.TUMOUR not in labels.structures:
        return
    value = labels.structures[Structure.TUMOUR]
    tumour = np.ascontiguousarray(array == value)
    if not tumour.any():
        return
    largest = largest_piece(liver, connectivity=_FULL_NEIGHBOURHOOD)
    pieces, count = cc3d.connected_components(tumour, connectivity=_FULL_NEIGHBOURHOOD, return_N=True)
    kept = np.unique(pieces[largest & tumour])
    # Only pieces that are not even in part of this liver ask how far away it is.
    away = np.isin(pieces, np.setdiff1d(np.arange(1, count + 1), kept))
    pad = np.ceil(reach_mm / labels.grid.spacing_mm).astype(int) + 1
    box = box_of(away, pad=[int(n) for n in pad])
    if box is not None:
        reached = near(largest[box], reach_mm, spacing_mm=labels.grid.spacing_mm.tolist()) & away[box]
        array[away & ~np.isin(pieces, np.unique(pieces[box][reached]))] = 0


def _drop_crumbs(array: NDArray[np.uint8], labels: LabelMap, structure: Structure, smallest_ml: float) -> None:
    value = labels.structures[structure]
    # Padded: cc3d fails on arrays one voxel thick, such as two voxels with a gap between them.
    padded = np.pad(array == value, 1)
    pieces = cc3d.connected_components(padded, connectivity=_FULL_NEIGHBOURHOOD)[1:-1, 1:-1, 1:-1]
    own = pieces[padded[1:-1, 1:-1, 1:-1]]
    small = np.bincount(own, minlength=1) * labels.grid.voxel_ml < smallest_ml
    if not small[1:].any():
        return
    # A crumb of tumour, vein or duct in the liver is liver after all; elsewhere it is nothing.
    inside = structure in _ONE_LIVER and structure is not Structure.LIVER
    other = labels.structures[Structure.LIVER] if inside else 0
    array[padded[1:-1, 1:-1, 1:-1]] = np.where(small[own], np.uint8(other), np.uint8(value))
