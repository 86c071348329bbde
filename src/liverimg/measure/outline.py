"""The body on a coarse grid: apart from arms, table and blankets, holes filled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cc3d
import fill_voids
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.distances import to_mask_mm, to_outside_mm
from liverimg.measure.parts import numbered_parts

IndexArray = NDArray[np.intp]

_CELL_MM = 3.0
_REGROWN_MM = 4.0  # an opened body has lost its convex corners by less than this
_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
_RIM_CELLS = 1.5  # what lies so near to the rim of a round view is cut off by it


@dataclass(frozen=True, eq=False)
class Outline:
    """What is body, in cells of several voxels.

    Attributes:
        state: ``OUTSIDE``, ``BORDER`` (each voxel decides for itself) or ``WHOLE``, one value a cell.
        factor: Voxels of the scan a cell, along k, j, i.
        cell_mm: Diagonal of a cell.
        border_kji: Indices of the border cells, shape (n, 3).
        depth_mm: Distance from each cell to the nearest cell of air, good to a cell or so; 0 outside the body.
        cut_kji: Voxel indices of places where a lateral edge of the view cuts the body off, shape (n, 3).
    """

    OUTSIDE = 0
    BORDER = 1
    WHOLE = 2

    state: NDArray[np.uint8] = field(repr=False)
    factor: tuple[int, int, int]
    cell_mm: float
    border_kji: IndexArray = field(repr=False)
    depth_mm: NDArray[np.float32] = field(repr=False)
    cut_kji: IndexArray = field(repr=False)


def coarse_outline(
    source: NDArray[Any],
    level: float,
    grid: Grid,
    *,
    detach_mm: float,
    seeds_kji: IndexArray,
    view: NDArray[Any] | None,
) -> Outline | None:
    """Finds the body; None when there is no tissue at all.

    Tissue is opened by a ball of the radius ``detach_mm``, so that what touches the body only along a narrow bridge
    falls off; the piece that holds the seeds (the largest without any) is grown back within the tissue.

    Args:
        source: The scan, first axis to Superior.
        level: Tissue is above.
        grid: Of the scan.
        detach_mm: Bridges narrower than twice this are cut.
        seeds_kji: Voxels known to be body, shape (n, 3).
        view: A CT, to see whether the view is a disc within a padded square; None for a rectangle.
    """
    spacing = grid.spacing_mm
    factor = np.maximum(1, np.round(_CELL_MM / spacing)).astype(int)
    cells = [np.minimum(np.arange(0, n, f) + f // 2, n - 1) for n, f in zip(grid.shape, factor, strict=True)]
    tissue = np.asarray(source[np.ix_(*cells)] > level)
    if not tissue.any():
        return None
    body = _main_piece(_without_holes(tissue), spacing * factor, detach_mm, seeds_kji // factor)
    for k in range(len(body)):
        body[k] = fill_voids.fill(body[k])
    # The edge of the view is no border: it is taken for more of the same.
    padded = np.pad(body, 1, mode="edge")
    inner = (slice(1, -1),) * 3
    grown, shrunk = binary_dilation(padded, _NEIGHBOURS)[inner], binary_erosion(padded, _NEIGHBOURS)[inner]
    state = grown.astype(np.uint8) * Outline.BORDER
    state[shrunk] = Outline.WHOLE
    a, b, c = (int(f) for f in factor)
    return Outline(
        state=state,
        factor=(a, b, c),
        cell_mm=float(np.linalg.norm(spacing * factor)),
        border_kji=np.argwhere(state == Outline.BORDER),
        depth_mm=to_outside_mm(body, spacing * factor),
        cut_kji=_cut(body, grid.shape, factor, is_round=view is not None and _is_round(view)),
    )


def _without_holes(tissue: BoolArray) -> BoolArray:
    """Tissue with all air that has no way to a lateral edge of the view.

    Not slice by slice: the air between an arm and the body is closed in some slices, but not in all.
    """
    air = numbered_parts(~tissue, by_faces=True)
    outer = np.zeros(int(air.max()) + 1, dtype=bool)
    for side in (air[:, 0], air[:, -1], air[:, :, 0], air[:, :, -1]):
        outer[np.unique(side)] = True
    outer[0] = False
    return np.asarray(~outer[air])


def _main_piece(tissue: BoolArray, spacing_mm: FloatArray, detach_mm: float, seeds: IndexArray) -> BoolArray:
    """The tissue around the largest ball-opened piece, or around the one that holds the seeds."""
    pieces = numbered_parts(to_outside_mm(tissue, spacing_mm) > detach_mm, by_faces=True)
    counts = np.bincount(pieces.ravel())[1:]
    if len(counts) == 0:  # nothing as thick as that: opening is no way to tell pieces apart
        return np.asarray(cc3d.largest_k(tissue, k=1, connectivity=6) > 0)
    held = [n for n in (_piece_at(pieces, seed, spacing_mm, detach_mm) for seed in seeds) if n]
    chosen = int(np.bincount(held).argmax()) if held else int(counts.argmax()) + 1
    near = to_mask_mm(pieces == chosen, spacing_mm) <= detach_mm + _REGROWN_MM
    return np.asarray(cc3d.largest_k(tissue & near, k=1, connectivity=6) > 0)


def _piece_at(pieces: NDArray[Any], seed: IndexArray, spacing_mm: FloatArray, reach_mm: float) -> int:
    """The piece nearest to a cell within reach; 0 for none."""
    half = np.ceil(2 * reach_mm / spacing_mm).astype(int)
    low = np.maximum(seed - half, 0)
    window = pieces[tuple(slice(a, b) for a, b in zip(low, seed + half + 1, strict=True))]
    found = np.argwhere(window > 0)
    if len(found) == 0:
        return 0
    away = np.linalg.norm((found + low - seed) * spacing_mm, axis=1)
    return int(window[tuple(found[int(np.argmin(np.round(away, 6)))])])


def _cut(body: BoolArray, shape: tuple[int, int, int], factor: IndexArray, *, is_round: bool) -> IndexArray:
    found = []
    for axis in (1, 2):
        for end in (0, body.shape[axis] - 1):
            face = np.argwhere(np.take(body, end, axis=axis)) * np.delete(factor, axis)
            found.append(np.insert(face, axis, 0 if end == 0 else shape[axis] - 1, axis=1))
    if is_round:
        _, height, width = shape
        j = (np.arange(body.shape[1]) + 0.5) * factor[1] - height / 2
        i = (np.arange(body.shape[2]) + 0.5) * factor[2] - width / 2
        rim = np.hypot(j[:, None], i) >= min(height, width) / 2 - _RIM_CELLS * factor[1]
        found.append(np.argwhere(body & rim) * factor + factor // 2)
    return np.concatenate(found)


def _is_round(view: NDArray[Any]) -> bool:
    """Whether the corners of all slices hold one and the same value, the padding around a disc."""
    corners = view[:, [0, 0, 1, -1, -1, -2], [0, -1, 1, 0, -1, -2]]
    return bool((corners == corners.flat[0]).all())
