"""Right, middle and left hepatic vein."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.branch_rules import BranchRules, HepaticRules
from liverimg.measure.portal_branches import Marks, branch_length_mm
from liverimg.measure.strays import stray_cells, too_many_strays
from liverimg.measure.trees import CELL_MM, Cells, IntArray, Tree, grown, pieces

RIGHT, MIDDLE, LEFT = 1, 2, 4

_TOUCH_MM = 1.5 * CELL_MM
_MIDDLE_OF_CAVA = 0.7  # of its radius: cells that are its middle
_FORK = 0.03  # of the whole: subtrees that differ by less are one vein, a little farther out
_LEVEL_MM = 4.0
_SLAB_MM = 8.0
_MOST_CANDIDATES = 16
_FULL_TURN_DEG = 360.0
_WORDS = ("right", "middle", "left")


def mark_hepatic(cells: Cells, inside: BoolArray, cava: Cells | None, rules: BranchRules) -> Marks:
    """Marks each cell with the veins whose blood it may carry: a common trunk carries the marks of both.

    The trees are followed from where the label touches the vena cava. The veins are the three disjoint subtrees,
    starting near it, whose places in the liver lie in the most distinct directions around it (the largest scatter
    between them); by angle they are right, middle and left.

    Args:
        cells: The hepatic veins.
        inside: Which cells lie in the liver.
        cava: The vena cava; None when it has no voxel.
        rules: When there are names.
    """
    own = rules.hepatic
    nothing = np.zeros(len(cells), dtype=np.int64)
    mouths = _mouths(cells, cava, own)
    if isinstance(mouths, str):
        return Marks(nothing, mouths)
    tree = grown(cells, mouths)
    # Weighed by length times width: a left vein may be a stem with few branches, the twigs are many.
    length = np.where(inside, branch_length_mm(cells) * cells.radius_mm, 0.0)
    stray = stray_cells(tree, rules.stray)
    if doubt := too_many_strays(tree, stray, rules.stray):
        return Marks(nothing, doubt, tree)
    reached = np.isfinite(tree.path_mm) & ~stray
    if length[reached].sum() < own.least_reached * length[~stray].sum() or not length[reached].any():
        return Marks(nothing, "the hepatic veins are drawn in pieces, most of which do not reach the vena cava", tree)
    length = np.where(reached, length, 0.0)
    away = (cells.points_lps_mm - cells.points_lps_mm[mouths].mean(axis=0))[:, :2]
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    total = tree.downstream(np.column_stack([length, length[:, None] * away]))
    veins = _three_veins(tree, total, float(length.sum()), own)
    if isinstance(veins, str):
        return Marks(nothing, veins, tree)
    doubt = _doubt(np.array([vein.angle_deg for vein in veins]), own)
    return Marks(nothing if doubt else np.where(stray, 0, _marked(tree, veins)), doubt, tree)


def _mouths(cells: Cells, cava: Cells | None, rules: HepaticRules) -> IntArray | str:
    """The cell at the end of each mouth of a thick vein in the vena cava, or why there are none."""
    if cava is None:
        return "the vena cava, into which the hepatic veins run, is not drawn"
    gap, _ = cKDTree(cava.points_lps_mm).query(cells.points_lps_mm, distance_upper_bound=_TOUCH_MM)
    touching = np.flatnonzero(np.isfinite(gap))
    if len(touching) == 0:
        return "no hepatic vein is drawn as far as the vena cava"
    part = pieces(cells, touching)
    patches = [touching[part == n] for n in range(int(part.max()) + 1)]
    widest = np.array([cells.radius_mm[patch].max() for patch in patches])
    # In each patch the blood leaves where it lies nearest to the middle of the cava.
    middle = cKDTree(cava.points_lps_mm[cava.radius_mm >= _MIDDLE_OF_CAVA * cava.radius_mm.max()])
    ends = [int(patch[int(np.argmin(middle.query(cells.points_lps_mm[patch])[0]))]) for patch in patches]
    return np.array([end for end, w in zip(ends, widest, strict=True) if w >= rules.main_mouth * widest.max()])


@dataclass(frozen=True, eq=False)
class _Vein:
    """A subtree: its first cells, its centre line's length and the sum of its unit directions around the cava."""

    first: IntArray
    size: float
    along: FloatArray
    level_mm: float

    @property
    def worth(self) -> float:
        """What it adds to the scatter between subtrees."""
        return float(self.along @ self.along) / max(self.size, 1e-9)

    @property
    def angle_deg(self) -> float:
        """Around the cava: 0 to the back, 90 to the right, 180 to the front, 270 to the left."""
        return _angle_deg(self.along)


def _three_veins(tree: Tree, total: FloatArray, whole: float, rules: HepaticRules) -> list[_Vein] | str:
    """The three veins in the order of their angles, or why they can't be told."""
    candidates = _candidates(tree, total, whole, rules)
    above = [set(np.concatenate([tree.way_to(int(n)) for n in v.first]).tolist()) for v in candidates]
    found: list[tuple[float, tuple[int, ...]]] = []
    for three in combinations(range(len(candidates)), 3):
        if any(above[a].intersection(candidates[b].first.tolist()) for a, b in permutations(three, 2)):
            continue
        found.append((sum(candidates[n].worth for n in three), three))
    if not found:
        return "the hepatic veins do not part into three near the vena cava"
    found.sort(reverse=True)
    score, best = found[0]
    veins = sorted((candidates[n] for n in best), key=lambda v: v.angle_deg)
    if sum(v.size for v in veins) < rules.least_covered * whole:
        return "three hepatic veins would leave out too much of what is drawn"
    for other_score, other in found[1:]:
        if other_score * rules.clearly_better < score:
            break
        angles = sorted(candidates[n].angle_deg for n in other)
        if max(abs(a - v.angle_deg) for a, v in zip(angles, veins, strict=True)) > rules.least_angle_deg:
            return "the hepatic veins can be parted into three in more than one way"
    return veins


def _candidates(tree: Tree, total: FloatArray, whole: float, rules: HepaticRules) -> list[_Vein]:
    """Subtrees large enough to be a vein, where each parts from another; those that start nearest to the cava first."""
    found: list[_Vein] = []
    for level in np.arange(0.0, rules.longest_common_trunk_mm, _LEVEL_MM):
        for first in tree.crossings(float(level), slab_mm=_SLAB_MM):
            sums = total[first].sum(axis=0)
            if sums[0] < rules.least_vein * whole:
                continue
            known = {n for v in found if sums[0] > v.size - _FORK * whole for n in v.first.tolist()}
            if any(known.intersection(tree.way_to(int(n)).tolist()) for n in first):
                continue  # the same vein a little farther out
            found.append(_Vein(first, float(sums[0]), sums[1:], float(level)))
    return sorted(found, key=lambda v: -v.size)[:_MOST_CANDIDATES]


def _angle_deg(along: FloatArray) -> float:
    return float(np.degrees(np.arctan2(-along[0], along[1])) % _FULL_TURN_DEG)


def _doubt(angles: FloatArray, rules: HepaticRules) -> str:
    if np.diff(angles).min() < rules.least_angle_deg:
        return "two of the hepatic veins run in the same direction around the vena cava"
    for angle, (low, high), word in zip(angles, rules.sectors_deg, _WORDS, strict=True):
        if not low <= angle <= high:
            return f"what would be the {word} hepatic vein does not run where that vein runs"
    return ""


def _marked(tree: Tree, veins: list[_Vein]) -> IntArray:
    given = {int(n): 0 for n in np.flatnonzero(tree.parent < 0)}
    for vein, bit in zip(veins, (RIGHT, MIDDLE, LEFT), strict=True):
        # All that lies between the vein and the cava carries its blood, and perhaps that of another vein as well.
        for node in set(np.concatenate([tree.way_to(int(n)) for n in vein.first]).tolist()):
            given[node] = given.get(node, 0) | bit
    marks = tree.inherited(given)
    return _common_trunks(tree, marks, [tree.way_to(int(vein.first[0])) for vein in veins])


def _common_trunks(tree: Tree, marks: IntArray, ways: list[IntArray]) -> IntArray:
    """Two ways may run side by side through one common trunk: it belongs to both."""
    cells, points = tree.cells, tree.cells.points_lps_mm
    for a, b in combinations(range(3), 2):
        if len(ways[a]) < 2 or len(ways[b]) < 2:
            continue
        gap, at = cKDTree(points[ways[b]]).query(points[ways[a]])
        together = np.flatnonzero(gap <= cells.radius_mm[ways[b][at]] + CELL_MM / 2)
        if len(together) == 0:
            continue
        trunk = ways[a][: int(together[-1]) + 1]
        near, which = cKDTree(points[trunk]).query(points)
        both = 1 << a | 1 << b
        common = (near <= cells.radius_mm[trunk[which]] + CELL_MM / 2) & (marks & both > 0)
        marks = np.where(common, marks | both, marks)
    return marks
