"""Parts of a vessel label that belong to another vessel, by their width.

Blood vessels grow thinner away from where their blood enters or leaves (Murray, PNAS 1926;12:207). Where two trees are
drawn under one label they touch at thin branches, and behind such a bridge the way grows wide again. What lies behind
is no part of the tree that is being followed.
"""

from __future__ import annotations

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.branch_rules import StrayRules
from liverimg.measure.trees import CELL_MM, NO_PARENT, Cells, Tree

_CUBE = 3.1  # cells: way of a vessel through a cell and its neighbours


def rough_width_mm(cells: Cells) -> FloatArray:
    """Width of the vessel around each cell, from the volume of the cell and its neighbours."""
    total = np.array(cells.volume_mm3)
    a, b = cells.links[:, 0], cells.links[:, 1]
    total += np.bincount(a, weights=cells.volume_mm3[b], minlength=len(cells))
    total += np.bincount(b, weights=cells.volume_mm3[a], minlength=len(cells))
    return np.asarray(2 * np.sqrt(total / (np.pi * _CUBE * CELL_MM)))


def stray_cells(tree: Tree, rules: StrayRules) -> BoolArray:
    """Cells behind a bridge: what hangs on a place beyond which the way grows clearly wider.

    Args:
        tree: Followed from its root.
        rules: How much wider.
    """
    width = rough_width_mm(tree.cells)
    parent, count = tree.parent, len(tree.cells)
    narrowest = np.full(count, np.inf)
    bridge = np.full(count, NO_PARENT, dtype=np.int64)
    starts = np.zeros(count, dtype=bool)
    for node in tree.order.tolist():
        up = int(parent[node])
        if up >= 0:
            narrowest[node], bridge[node] = narrowest[up], bridge[up]
        if tree.path_mm[node] >= rules.least_way_mm and width[node] < narrowest[node]:
            narrowest[node], bridge[node] = width[node], node
        wider = width[node] >= rules.wider * narrowest[node]
        if wider and width[node] - narrowest[node] >= 2 * rules.wider_mm:
            starts[bridge[node]] = True
    stray = np.zeros(count, dtype=bool)
    for node in tree.order.tolist():
        up = int(parent[node])
        stray[node] = starts[node] or (up >= 0 and bool(stray[up]))
    return stray


def too_many_strays(tree: Tree, stray: BoolArray, rules: StrayRules) -> str:
    """Why a tree with these parts has no names at all; empty when it may have some."""
    reached = np.isfinite(tree.path_mm)
    share = float(tree.cells.volume_mm3[stray].sum() / tree.cells.volume_mm3[reached].sum())
    if share <= rules.most_share:
        return ""
    return (
        f"{share:.0%} of it lies behind narrow bridges beyond which it grows wider, as where portal and hepatic veins "
        "are drawn under one label"
    )
