"""The longest line in one axial slice that stays inside a surface, as mRECIST measures what enhances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial.distance import pdist, squareform

from liverimg.measure.surface import Surface, contours

_MOST_POINTS = 240  # of one contour; more don't lengthen the longest line
_BATCH = 512  # lines looked at together, the longest first
_ON_LINE = 48  # places along a line at which the map is asked
_ASTRAY = 0.25  # of a pixel: how far a line may leave the part, for the roughness of its contour


def longest_inside(surface: Surface) -> NDArray[np.float64] | None:
    """The longest line in one axial plane that stays inside a surface, end points in LPS mm, shape (2, 3)."""
    best, ends = 0.0, None
    pixel = float(surface.spacing_mm[1:].min())
    for k in range(0, surface.level.shape[0], surface.steps[0]):
        plane = surface.level[k]
        if plane.max() <= 0:
            continue
        lines = [line[:-1] for line in contours(plane) if len(line) > 2]
        if not lines:
            continue
        index = np.concatenate(lines)
        index = index[:: max(1, -(-len(index) // _MOST_POINTS))]
        places = surface.grid.index_to_lps_mm(np.column_stack([np.full(len(index), float(k)), index]))
        # The level is d * (2 * d_max - d): this is what it comes to a little outside.
        astray = -2 * float(np.sqrt(plane.max())) * _ASTRAY * pixel
        found = _longest_line(plane, index, places, best, astray)
        if found is not None:
            ends = places[list(found)]
            best = float(np.linalg.norm(ends[1] - ends[0]))
    if ends is None:
        return None
    return ends if tuple(np.round(ends[0], 6)) <= tuple(np.round(ends[1], 6)) else ends[::-1]


def _longest_line(
    plane: NDArray[np.float32], index: NDArray[np.float64], places: NDArray[np.float64], best: float, astray: float
) -> tuple[int, int] | None:
    lengths = np.triu(np.round(squareform(pdist(places)), 9), 1)
    first, second = np.nonzero(lengths > best)
    order = np.argsort(-lengths[first, second], kind="stable")
    along = np.linspace(0, 1, _ON_LINE)[:, None, None]
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        a, b = index[first[batch]], index[second[batch]]
        levels = map_coordinates(plane, np.moveaxis(a + along * (b - a), -1, 0), order=1, mode="nearest")
        inside = np.flatnonzero(levels.min(axis=0) >= astray)
        if len(inside):
            chosen = batch[inside[0]]
            return int(first[chosen]), int(second[chosen])
    return None
