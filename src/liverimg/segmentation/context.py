"""The surroundings that measurements need and that grey values alone can tell: body, lung and gas."""

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
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume

_FACES = 6
# Distance maps that only tell near from far are made on voxels of about this size.
_COARSE_MM = 1.5


@dataclass(frozen=True)
class ContextRules:
    """Thresholds of the surroundings; see ``segmentation.toml`` for what they mean."""

    ct: Mapping[str, float]
    mr: Mapping[str, float]

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> ContextRules:
        """From the ``context`` part of ``segmentation.toml``."""
        return cls(ct=dict(table["ct"]), mr=dict(table["mr"]))


def add_context(labels: LabelMap, volume: Volume, rules: ContextRules, values: Mapping[Structure, int]) -> LabelMap:
    """Labels the rest of the body, and on CT its lungs and gas. Nothing that was drawn is overwritten.

    Args:
        labels: What was drawn so far.
        volume: The image, on the same grid.
        rules: Thresholds.
        values: Value of each structure that may be added.
    """
    array = np.array(labels.array)
    structures = dict(labels.structures)
    free = array == 0
    added: dict[Structure, NDArray[np.bool_]] = {}
    body = body_mask(volume, rules)
    if volume.quantity is Quantity.HU:
        added |= _lung_and_gas(volume, body, rules.ct)
    added[Structure.BODY] = body
    for structure, mask in added.items():
        if structure in structures and labels.has(structure):
            continue
        structures.setdefault(structure, values[structure])
        array[free & mask & (array == 0)] = structures[structure]
    return LabelMap(array, labels.grid, structures, labels.lesions)


def body_mask(volume: Volume, rules: ContextRules) -> NDArray[np.bool_]:
    """Everything inside the skin: the largest solid piece without table and sheets, its holes filled per slice."""
    if volume.quantity is Quantity.HU:
        table, threshold = rules.ct, rules.ct["skin_threshold_hu"]
    else:
        table = rules.mr
        threshold = float(np.percentile(volume.array, 99)) * rules.mr["skin_share_of_p99"]
    # Peeled before it is filled: air between the back and a curved table would count as body otherwise.
    opened = _opened(volume.array > threshold, volume.grid, table["opening_mm"])
    if not opened.any():
        return opened
    # What is left of arms lying apart from the trunk goes here too.
    largest = np.asarray(cc3d.largest_k(opened, k=1, connectivity=_FACES), dtype=bool)
    return _fill_slices(largest, volume.grid)


def _opened(mask: NDArray[np.bool_], grid: Grid, radius_mm: float) -> NDArray[np.bool_]:
    """Morphological opening by a ball; what stays keeps its own border to the voxel."""
    core = _depth_mm(mask, grid) > radius_mm
    reach_mm = radius_mm + _COARSE_MM
    return np.asarray(mask & (_depth_mm(~core, grid) <= reach_mm)) if core.any() else np.zeros_like(mask)


def _depth_mm(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    """Distance of each voxel of the mask to the outside, exact to about a coarse voxel; the image border is no outside.

    The map is made on every n-th voxel, because it only decides what is near: at full resolution it would
    take most of the time of the whole step.
    """
    stride = tuple(max(1, int(_COARSE_MM / s)) for s in grid.spacing_mm)
    coarse = np.ascontiguousarray(mask[tuple(slice(None, None, n) for n in stride)])
    spacing = tuple(float(s * n) for s, n in zip(grid.spacing_mm, stride, strict=True))
    depth_mm: NDArray[np.float32] = edt.edt(coarse, anisotropy=spacing, black_border=False)
    for axis, (n, size) in enumerate(zip(stride, mask.shape, strict=True)):
        if n > 1:
            depth_mm = np.take(depth_mm, np.arange(size) // n, axis=axis)
    return depth_mm


def _fill_slices(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Fills holes in each axial slice: airways and bowel that leave the top or bottom of the image too."""
    orientation = Orientation.of(grid)
    turned = np.array(orientation.turn(mask), dtype=bool, order="C")
    for index in range(turned.shape[0]):
        turned[index] = fill_voids.fill(turned[index])
    return np.ascontiguousarray(orientation.turn_back(turned))


def _lung_and_gas(
    volume: Volume, body: NDArray[np.bool_], table: Mapping[str, float]
) -> dict[Structure, NDArray[np.bool_]]:
    air = body & (volume.array < table["gas_threshold_hu"])
    # The outermost shell is partial volume of the skin, not gas.
    air &= _depth_mm(body, volume.grid) > table["opening_mm"]
    pieces, count = cc3d.connected_components(air, connectivity=_FACES, return_N=True)
    lung = np.zeros_like(air)
    smallest = table["smallest_lung_ml"] / volume.grid.voxel_ml
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    for piece in np.flatnonzero(sizes[1:] >= smallest) + 1:
        where = pieces == piece
        if np.median(volume.array[where]) > table["lung_median_hu"]:
            lung |= where
    return {Structure.LUNG: lung, Structure.GAS: air & ~lung}
