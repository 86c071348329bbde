"""The surroundings that measurements need and that grey values alone can tell: body, lung and gas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cc3d
import fill_voids
import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume
from liverimg.segmentation.morphology import largest_piece, near

_FACES = 6
# Near is told from far on voxels of about this size.
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
    added: dict[Structure, NDArray[np.bool_]] = {}
    body = body_mask(volume, rules)
    if volume.quantity is Quantity.HU:
        added |= _lung_and_gas(volume, body, rules.ct)
    added[Structure.BODY] = body
    for structure, mask in added.items():
        if structure in structures and labels.has(structure):
            continue
        structures.setdefault(structure, values[structure])
        np.copyto(array, np.uint8(structures[structure]), where=mask & (array == 0))
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
    return _fill_slices(largest_piece(opened, connectivity=_FACES), volume.grid)


def _opened(mask: NDArray[np.bool_], grid: Grid, radius_mm: float) -> NDArray[np.bool_]:
    """Morphological opening by a ball; what stays keeps its own border to the voxel."""
    coarse, spacing_mm = _coarse(mask, grid)
    core = ~near(~coarse, radius_mm, spacing_mm=spacing_mm)
    if not core.any():
        return np.zeros_like(mask)
    return mask & _spread(near(core, radius_mm + _COARSE_MM, spacing_mm=spacing_mm), grid)


def _deeper(mask: NDArray[np.bool_], grid: Grid, depth_mm: float) -> NDArray[np.bool_]:
    """Voxels farther than so much from the mask's outside; the image border is no outside."""
    coarse, spacing_mm = _coarse(mask, grid)
    return _spread(~near(~coarse, depth_mm, spacing_mm=spacing_mm), grid)


def _coarse(mask: NDArray[np.bool_], grid: Grid) -> tuple[NDArray[np.bool_], list[float]]:
    """Every n-th voxel, and the spacing of those.

    It only decides what is near, exact to about a coarse voxel: at full resolution that would take most of the time of
    the whole step.
    """
    stride = _stride(grid)
    spacing_mm = [float(s * n) for s, n in zip(grid.spacing_mm, stride, strict=True)]
    return np.ascontiguousarray(mask[tuple(slice(None, None, n) for n in stride)]), spacing_mm


def _stride(grid: Grid) -> tuple[int, ...]:
    return tuple(max(1, int(_COARSE_MM / s)) for s in grid.spacing_mm)


def _spread(coarse: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Each of every n-th voxel for the n from it on, shape ``grid.shape``: the way back from :func:`_coarse`."""
    stride = _stride(grid)
    # Neighbours in memory first: what is repeated later is copied in longer runs.
    for axis in (2, 1, 0):
        if stride[axis] > 1:
            coarse = np.repeat(coarse, stride[axis], axis=axis)[(slice(None),) * axis + (slice(grid.shape[axis]),)]
    return coarse


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
    air &= _deeper(body, volume.grid, table["opening_mm"])
    pieces = cc3d.connected_components(air, connectivity=_FACES, binary_image=True)
    own, values = pieces[air], volume.array[air]
    sizes = np.bincount(own, minlength=1)
    is_lung = np.zeros(len(sizes), dtype=bool)
    for piece in np.flatnonzero(sizes[1:] >= table["smallest_lung_ml"] / volume.grid.voxel_ml) + 1:
        is_lung[piece] = np.median(values[own == piece]) > table["lung_median_hu"]
    lung = np.zeros_like(air)
    lung[air] = is_lung[own]
    return {Structure.LUNG: lung, Structure.GAS: air & ~lung}
