"""From what a network drew to labels that can be measured: one liver, no crumbs, tumours where livers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cc3d
import edt
import fill_voids
import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, LabelMap, Structure

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
    _keep_one_liver(array, labels)
    liver = np.isin(array, [labels.structures[s] for s in _ONE_LIVER if s in labels.structures])
    if liver.sum() * labels.grid.voxel_ml < rules.smallest_liver_ml:
        return LabelMap(np.zeros_like(array), labels.grid, labels.structures, labels.lesions)
    _drop_stray_tumours(array, labels, liver, rules.tumour_reach_mm)
    for structure, smallest_ml in rules.smallest_fragment_ml.items():
        if structure in labels.structures:
            _drop_crumbs(array, labels, structure, smallest_ml)
    return LabelMap(array, labels.grid, labels.structures, labels.lesions)


def _keep_one_liver(array: NDArray[np.uint8], labels: LabelMap) -> None:
    values = [labels.structures[s] for s in _ONE_LIVER if s in labels.structures]
    whole = np.isin(array, values)
    if not whole.any():
        return
    largest = cc3d.largest_k(whole, k=1, connectivity=_FULL_NEIGHBOURHOOD).astype(bool)
    liver = labels.structures[Structure.LIVER]
    array[(array == liver) & ~largest] = 0
    box = _bounding_box(largest)
    filled = fill_voids.fill(largest[box])
    inside = array[box]
    inside[filled & (inside == 0)] = liver


def _drop_stray_tumours(array: NDArray[np.uint8], labels: LabelMap, liver: NDArray[np.bool_], reach_mm: float) -> None:
    if Structure.TUMOUR not in labels.structures:
        return
    value = labels.structures[Structure.TUMOUR]
    tumour = array == value
    if not tumour.any():
        return
    largest = cc3d.largest_k(liver, k=1, connectivity=_FULL_NEIGHBOURHOOD).astype(bool)
    pieces, count = cc3d.connected_components(tumour, connectivity=_FULL_NEIGHBOURHOOD, return_N=True)
    near = within(largest, labels.grid, reach_mm)
    kept = np.unique(pieces[near & tumour])
    strays = np.setdiff1d(np.arange(1, count + 1), kept)
    array[np.isin(pieces, strays)] = 0


def _drop_crumbs(array: NDArray[np.uint8], labels: LabelMap, structure: Structure, smallest_ml: float) -> None:
    value = labels.structures[structure]
    pieces = cc3d.connected_components(array == value, connectivity=_FULL_NEIGHBOURHOOD)
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


def _bounding_box(mask: NDArray[np.bool_], pad: NDArray[np.int_] | None = None) -> tuple[slice, slice, slice]:
    pad = np.zeros(3, dtype=int) if pad is None else pad
    slices = []
    for axis in range(3):
        occupied = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        start = max(0, int(occupied[0]) - int(pad[axis]))
        slices.append(slice(start, min(mask.shape[axis], int(occupied[-1]) + 1 + int(pad[axis]))))
    return slices[0], slices[1], slices[2]
