"""A region of voxels cut into compact, connected pieces of equal volume.

By a power diagram (Aurenhammer 1987): each voxel goes to the centre with the smallest squared distance less that
centre's weight; centres move to the pieces' centres of gravity (Lloyd) while the weights are adjusted until the
volumes are equal. Cells of such a diagram are convex, so the pieces are compact. What a hole or a bay cuts off from
its piece goes to the neighbour that it touches most.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label as connected

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.distances import extent

LabelArray = NDArray[np.int32]

_POINTS = 12_000  # centres and weights are found on this many voxels, then applied to all
_ROUNDS = 80
_DAMPING = 0.5  # of the step of the weights; larger ones swing
_BALANCED = 0.01  # of the wanted volume
_REPAIRS = 4


def cut(part: BoolArray, grid: Grid, *, smallest_ml: float, largest_ml: float) -> LabelArray:
    """As few pieces as keep the largest volume, more when they can't be cut so.

    Args:
        part: One connected region.
        grid: Its grid.
        smallest_ml: A piece should not be smaller.
        largest_ml: A piece should not be larger.

    Returns:
        0 outside, else the number of the piece from 1. A region smaller than ``smallest_ml`` is one piece. Where no
        count of pieces keeps both limits, the one with the fewest pieces outside them.
    """
    voxels = np.argwhere(part)
    volume_ml = len(voxels) * grid.voxel_ml
    fewest = math.ceil(volume_ml / largest_ml)
    most = max(fewest, math.floor(volume_ml / smallest_ml))
    best, best_faults = np.asarray(part, dtype=np.int32), np.inf
    for count in range(fewest, most + 1):
        pieces = part.astype(np.int32) if count == 1 else _cells(voxels, part, grid, count)
        volumes = np.bincount(pieces[part])[1:] * grid.voxel_ml
        faults = int(((volumes > largest_ml) | (volumes < smallest_ml)).sum())
        if faults < best_faults:
            best, best_faults = pieces, faults
        if not faults:
            break
    return best


def _cells(voxels: NDArray[np.intp], part: BoolArray, grid: Grid, count: int) -> LabelArray:
    places = grid.index_to_lps_mm(voxels)
    sample = places[:: max(1, len(places) // _POINTS)]
    centres, weights = _balanced(sample, count)
    cells = _nearest(places, centres, weights)
    pieces = np.zeros(part.shape, dtype=np.int32)
    pieces[tuple(voxels.T)] = cells + 1
    return _mended(pieces, count)


def _balanced(places: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Centres and weights of a power diagram with cells of equal volume."""
    centres = _spread(places, count)
    weights = np.zeros(count)
    wanted = len(places) / count
    scale = float(places.var(axis=0).sum()) / count ** (2 / 3)
    for _ in range(_ROUNDS):
        cells = _nearest(places, centres, weights)
        sizes = np.bincount(cells, minlength=count)
        weights += _DAMPING * scale * (wanted - sizes) / wanted
        filled = sizes > 0
        sums = np.stack([np.bincount(cells, weights=places[:, a], minlength=count) for a in range(3)], axis=1)
        centres[filled] = sums[filled] / sizes[filled, None]
        if np.abs(sizes - wanted).max() <= _BALANCED * wanted:
            break
    return centres, weights


def _spread(places: FloatArray, count: int) -> FloatArray:
    """Starting centres, each the place farthest from those before; the first lies farthest from the middle."""
    gaps = np.linalg.norm(places - places.mean(axis=0), axis=1)
    chosen = [int(np.argmax(gaps))]
    gaps = np.full(len(places), np.inf)
    while len(chosen) < count:
        gaps = np.minimum(gaps, np.linalg.norm(places - places[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(gaps)))
    return np.array(places[chosen], dtype=float)


def _nearest(places: FloatArray, centres: FloatArray, weights: FloatArray) -> NDArray[np.intp]:
    cost = np.stack([((places - c) ** 2).sum(axis=1) - w for c, w in zip(centres, weights, strict=True)], axis=1)
    return np.asarray(cost.argmin(axis=1))


def _mended(pieces: LabelArray, count: int) -> LabelArray:
    """Each piece in one part: what is cut off from it goes to the piece that it touches most."""
    whole, pieces = pieces, pieces[extent(pieces > 0)]
    for _ in range(_REPAIRS):
        mended = True
        for n in range(1, count + 1):
            parts, found = connected(pieces == n)
            sizes = np.bincount(parts.ravel())[1:]
            for m in range(1, found + 1):
                if m != int(np.argmax(sizes)) + 1:
                    mended = False
                    _give_away(pieces, parts == m, n)
        if mended:
            break
    return whole


def _give_away(pieces: LabelArray, fragment: BoolArray, owner: int) -> None:
    around = []
    for axis in range(3):
        for step in (1, -1):
            shifted = np.roll(fragment, step, axis=axis)
            edge = [slice(None)] * 3
            edge[axis] = slice(0, 1) if step == 1 else slice(-1, None)
            shifted[tuple(edge)] = False
            around.append(pieces[shifted & ~fragment])
    touched = np.concatenate(around)
    touched = touched[(touched > 0) & (touched != owner)]
    if len(touched):
        pieces[fragment] = np.bincount(touched).argmax()
