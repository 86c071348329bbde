"""Which of many points lie nearest to a surface, without the distance of each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray

_SAMPLE = 64  # points whose distances bound the least of all
# Search trees leave out what lies at the bound itself: it is widened by more than rounding can take away.
_WIDER = 1e-6


def search_tree(points: FloatArray) -> cKDTree:
    """A search tree of surface points, shape (n, 3).

    Cells halved in the middle keep near to cubes, and their boxes are left as wide as the cells: on surfaces both make
    for quicker trees and quicker searches than medians and shrunken boxes, which are meant for scattered points.
    """
    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def distances_within(tree: cKDTree, points: FloatArray, most_mm: float) -> tuple[FloatArray, NDArray[np.intp]]:
    """Distance of each point to the nearest of a tree's, exact up to a bound; infinite for those beyond it.

    A tree gives up a point as soon as nothing within the bound is left, which is at once for most of those far away.

    Args:
        tree: Of the surface's points.
        points: Shape (n, 3).
        most_mm: The bound.

    Returns:
        The distances, some of them a little above the bound; and the index of the nearest, ``tree.n`` for the others.
    """
    gaps, which = tree.query(points, distance_upper_bound=most_mm * (1 + _WIDER) + _WIDER, workers=1)
    return np.asarray(gaps), np.asarray(which)


def least_distances(tree: cKDTree, points: FloatArray, slack_mm: float) -> tuple[FloatArray, NDArray[np.intp]]:
    """As :func:`distances_within`, exact up to the least distance of all points and a slack.

    Args:
        tree: Of the surface's points.
        points: Shape (n, 3), at least one.
        slack_mm: By how much more than the least a distance may be to be told.
    """
    # The least distance of a few is a bound for the least of all.
    few, _ = tree.query(points[:: max(1, len(points) // _SAMPLE)], workers=1)
    return distances_within(tree, points, float(few.min()) + slack_mm)
