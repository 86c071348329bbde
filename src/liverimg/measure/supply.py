"""Whether a named tree supplies the liver, or whether a branch of it must be missing or drawn into another vessel.

Portal and hepatic veins reach every part of a liver. Where the left portal branch is not drawn, or was drawn under
another label, the subtree that lies furthest to the left is one of the right liver, and would be called left. The liver
itself tells: much of it then lies beyond that subtree. So it does where only a twig or a part of a tree was followed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray
from liverimg.core.labels import Structure
from liverimg.measure import hepatic_branches, portal_branches
from liverimg.measure.branch_rules import SupplyRules
from liverimg.measure.liver import LiverBody
from liverimg.measure.portal_branches import Marks
from liverimg.measure.trees import Cells

_APART_MM = 6.0  # between the places that stand for the liver
_LEFT_END = 0.95  # quantile of a branch's places that stands for its left end: a twig more or less does not matter


def liver_places(liver: LiverBody) -> FloatArray:
    """Places spread evenly through the liver, LPS mm, shape (n, 3)."""
    k, j, i = (max(1, round(_APART_MM / float(s))) for s in liver.grid.spacing_mm)
    index = np.argwhere(liver.mask[::k, ::j, ::i]) * (k, j, i)
    return np.asarray(liver.grid.index_to_lps_mm(index))


def believed(marks: Marks, cells: Cells, structure: Structure, places_lps_mm: FloatArray, rules: SupplyRules) -> Marks:
    """The marks as they are, or none with the reason where they name a tree that can't be the whole one.

    Args:
        marks: Of the portal vein or the hepatic veins.
        cells: Of the same tree.
        structure: Which of the two.
        places_lps_mm: Of the liver (:func:`liver_places`).
        rules: How much of the liver may lie beyond.
    """
    if marks.reason or not len(places_lps_mm):
        return marks
    portal = structure is Structure.PORTAL_VEIN
    most = rules.portal_most_unreached if portal else rules.hepatic_most_unreached
    doubt = _unreached(cells.points_lps_mm[marks.values > 0], places_lps_mm, rules.reach_mm, most)
    if not doubt:
        mark = portal_branches.LEFT if portal else hepatic_branches.MIDDLE
        share = _beyond(cells.points_lps_mm[(marks.values & mark) > 0], places_lps_mm)
        doubt = _left_branch_doubt(share, rules) if portal else _middle_vein_doubt(share, rules)
    return replace(marks, values=np.zeros_like(marks.values), reason=doubt) if doubt else marks


def _unreached(tree: FloatArray, liver: FloatArray, reach_mm: float, most: float) -> str:
    if not len(tree):
        return "nothing of it could be given a name"
    gap, _ = cKDTree(tree).query(liver, distance_upper_bound=reach_mm)
    share = float(np.mean(~np.isfinite(gap)))
    if share <= most:
        return ""
    return (
        f"{share:.0%} of the liver lies more than {reach_mm:.0f} mm from all that could be named: branches are missing "
        "or were drawn under another label, and those that are left could get each other's names"
    )


def _beyond(branch: FloatArray, liver: FloatArray) -> float:
    """Share of the liver that lies further to the left than a branch; all of it where there is none."""
    end = float(np.quantile(branch[:, 0], _LEFT_END)) if len(branch) else -np.inf
    return float(np.mean(liver[:, 0] > end))


def _left_branch_doubt(share: float, rules: SupplyRules) -> str:
    if share <= rules.most_beyond_left_branch:
        return ""
    return (
        f"{share:.0%} of the liver lies further to the left than what would be the left portal branch, so the true one "
        "may be missing or drawn under another label"
    )


def _middle_vein_doubt(share: float, rules: SupplyRules) -> str:
    if share >= rules.least_beyond_middle_vein:
        return ""
    return (
        f"what would be the middle hepatic vein runs as far to the left as a left one ({share:.0%} of the liver lie "
        "beyond it), so the true right vein may be missing"
    )
