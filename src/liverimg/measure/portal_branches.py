"""Trunk, right and left branch of the portal vein."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.branch_rules import BranchRules, PortalRules
from liverimg.measure.strays import stray_cells, too_many_strays
from liverimg.measure.trees import Cells, IntArray, Tree, grown, pieces

TRUNK, RIGHT, LEFT = 1, 2, 4

_TUBE = 1.4  # of the trunk's radius: what hangs on it farther out is a branch too small for a name
_THICKEST = 0.9  # quantile of a stem's radii that stands for its thickness
_ENDS = (0.05, 0.95)  # quantiles of the tree's places from right to left that stand for its width
_ON_TUBE_MM = 1.5  # about half a cell: what lies no farther out than the trunk's wall
_CLEAR_MM = 0.75  # about a quarter of a cell: where a branch has left the trunk
_LEAST_RADIUS_MM = 0.7


@dataclass(frozen=True, eq=False)
class Marks:
    """A mark for each cell, or why there are none; ``tree`` is what was followed."""

    values: IntArray
    reason: str
    tree: Tree | None = None


def mark_portal(cells: Cells, inside: BoolArray, rules: BranchRules) -> Marks:
    """Marks each cell as trunk, right or left branch, or as none of them.

    The stem is the thickest part outside the liver; the tree is followed from its far end. The left branch is the
    subtree whose places in the liver lie furthest to the left of all the rest (the split with the largest variance
    between its two sides). The trunk ends where the way to it parts from the ways to the right.

    Args:
        cells: The portal vein.
        inside: Which cells lie in the liver.
        rules: When there are names.
    """
    own = rules.portal
    nothing = np.zeros(len(cells), dtype=np.int64)
    root = _stem_end(cells, inside, own)
    if isinstance(root, str):
        return Marks(nothing, root)
    if cells.points_lps_mm[root, 2] > np.median(cells.points_lps_mm[inside, 2]):
        return Marks(nothing, "what would be the portal vein's stem lies above most of the tree, where veins drain")
    tree = grown(cells, np.array([root]))
    length = np.where(inside, branch_length_mm(cells), 0.0)
    stray = stray_cells(tree, rules.stray)
    if doubt := too_many_strays(tree, stray, rules.stray):
        return Marks(nothing, doubt, tree)
    reached = np.isfinite(tree.path_mm) & ~stray
    if length[reached].sum() < own.least_reached * length[~stray].sum():
        return Marks(nothing, "the portal tree is drawn in pieces, most of which do not hang on its stem", tree)
    length = np.where(reached, length, 0.0)
    x = cells.points_lps_mm[:, 0]
    total = tree.downstream(np.stack([length, length * x], axis=1))
    split = _left_branch(tree, total, x[length > 0], own)
    if isinstance(split, str):
        return Marks(nothing, split, tree)
    marks = _marked(tree, total, split, inside, own)
    return replace(marks, values=np.where(stray, 0, marks.values))


def branch_length_mm(cells: Cells) -> FloatArray:
    """How much centre line each cell stands for: its volume over the cross-section there."""
    return cells.volume_mm3 / (np.pi * np.maximum(cells.radius_mm, _LEAST_RADIUS_MM) ** 2)


def _stem_end(cells: Cells, inside: BoolArray, rules: PortalRules) -> int | str:
    """The far end of the thickest part outside the liver, or why there is none."""
    main = cells.piece == 0
    outer = np.flatnonzero(main & ~inside)
    inner = np.flatnonzero(main & inside)
    if len(inner) == 0:
        return "no part of the portal vein is drawn inside the liver"
    if len(outer) == 0:
        return "the portal vein's stem outside the liver is not drawn"
    gap, _ = cKDTree(cells.points_lps_mm[inner]).query(cells.points_lps_mm[outer])
    part = pieces(cells, outer)
    best, end = 0.0, -1
    for number in range(int(part.max()) + 1):
        mine = part == number
        thickness = float(np.quantile(cells.radius_mm[outer[mine]], _THICKEST))
        if gap[mine].max() >= rules.least_stem_mm and thickness > best:
            best, end = thickness, int(outer[mine][int(np.argmax(gap[mine]))])
    if end < 0:
        return f"less than {rules.least_stem_mm:.0f} mm of the portal vein's stem is drawn outside the liver"
    return end


def _left_branch(tree: Tree, total: FloatArray, x: FloatArray, rules: PortalRules) -> int | str:
    """First cell of the left branch, or why it can't be told."""
    size, middle = total[:, 0], total[:, 1] / np.maximum(total[:, 0], 1e-9)
    root = int(tree.order[0])
    rest_size = np.maximum(total[root, 0] - size, 1e-9)
    rest_middle = (total[root, 1] - total[:, 1]) / rest_size
    share = size / total[root, 0]
    apart = middle - rest_middle
    possible = (share >= rules.left_least_share) & (share <= rules.left_most_share) & (apart > 0)
    if not possible.any():
        return "no branch of the portal tree runs to the left"
    score = np.where(possible, share * (1 - share) * apart**2, 0.0)
    best = int(np.argmax(score))
    wide = float(np.quantile(x, _ENDS[1]) - np.quantile(x, _ENDS[0]))
    if apart[best] < rules.least_apart * wide:
        return "no branch of the portal tree stands out as the left one"
    while tree.parent[best] >= 0 and size[tree.parent[best]] <= size[best] * (1 + rules.least_side):
        best = int(tree.parent[best])
    return best


def _marked(tree: Tree, total: FloatArray, left: int, inside: BoolArray, rules: PortalRules) -> Marks:
    cells, points, radius = tree.cells, tree.cells.points_lps_mm, tree.cells.radius_mm
    nothing = np.zeros(len(cells), dtype=np.int64)
    size, whole = total[:, 0], float(total[tree.order[0], 0])
    way = tree.way_to(heaviest_tip(tree, size, left))
    on_way = np.zeros(len(cells), dtype=bool)
    on_way[way] = True
    line = cKDTree(points[way])
    left_from = int(np.flatnonzero(way == left)[0])
    given, rights = {int(tree.order[0]): TRUNK}, []
    for top in _sides(tree, size, way[:left_from], on_way, least=rules.least_side * whole):
        branch = descent(tree, size, top)
        gap, at = line.query(points[branch])
        clear = np.flatnonzero(gap > radius[way[at]] + _CLEAR_MM)
        if len(clear) == 0:
            continue
        leaves_at = int(at[clear[0]])
        runs_right = total[top, 1] / total[top, 0] < points[way[leaves_at], 0] - rules.least_turn_mm
        mark = RIGHT if runs_right else 0
        given[int(branch[clear[0]])] = mark
        if mark:
            rights.append((leaves_at, float(size[top]), branch[clear[0] :]))
    if not rights:
        return Marks(nothing, "no branch of the portal tree runs to the right of where the left one leaves", tree)
    left_from = max(left_from, max(at for at, _, _ in rights) + 1)
    left_from = min(left_from, len(way) - 1)
    given[int(way[left_from])] = LEFT
    first = min(at for at, _, _ in rights)
    if tree.path_mm[way[left_from]] - tree.path_mm[way[first]] > rules.shared_stem_mm:
        given[int(way[min(first + 1, left_from - 1)])] = 0
    marks = tree.inherited(given)
    # What hangs on the trunk, too small to be a branch of its own, is trunk only within its width.
    gap, at = line.query(points)
    thin = (marks == TRUNK) & inside & (gap > _TUBE * radius[way[at]] + _ON_TUBE_MM)
    marks = np.where(thin, 0, marks)
    doubt = _doubt(tree, size, (way, left_from), rights, rules)
    return Marks(nothing if doubt else marks, doubt, tree)


def _sides(tree: Tree, size: FloatArray, way: IntArray, on_way: BoolArray, *, least: float) -> list[int]:
    """First cells of what hangs on a way and is large enough."""
    hangs = np.flatnonzero((size >= least) & ~on_way & (tree.parent >= 0))
    return [int(n) for n in hangs[np.isin(tree.parent[hangs], way)]]


def descent(tree: Tree, size: FloatArray, top: int) -> IntArray:
    """From a cell outward, always into the largest subtree."""
    found = [top]
    children = _children(tree)
    while found[-1] in children:
        found.append(max(children[found[-1]], key=lambda n: (size[n], -n)))
    return np.array(found, dtype=np.int64)


def heaviest_tip(tree: Tree, size: FloatArray, top: int) -> int:
    """Where that descent ends."""
    return int(descent(tree, size, top)[-1])


def _children(tree: Tree) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for node in tree.order.tolist():
        up = int(tree.parent[node])
        if up >= 0:
            found.setdefault(up, []).append(node)
    return found


def _doubt(
    tree: Tree,
    size: FloatArray,
    left: tuple[IntArray, int],
    rights: list[tuple[int, float, IntArray]],
    rules: PortalRules,
) -> str:
    """Why the names can't be trusted; empty when they can. ``left`` is the way to the left and where it begins."""
    way, left_from = left
    whole = float(size[tree.order[0]])
    right_share = sum(s for _, s, _ in rights) / whole
    if right_share < rules.right_least_share:
        return f"only {right_share:.0%} of the portal tree runs to the right of where the left branch leaves"
    points = tree.cells.points_lps_mm
    ahead = way[left_from:][tree.path_mm[way[left_from:]] <= tree.path_mm[way[left_from]] + rules.look_ahead_mm]
    _, _, branch = max(rights, key=lambda r: r[1])
    other = branch[tree.path_mm[branch] <= tree.path_mm[branch[0]] + rules.look_ahead_mm]
    if points[ahead[-1], 0] - points[other[-1], 0] < rules.least_turn_mm:
        return "right and left branch of the portal vein do not run apart"
    return ""
