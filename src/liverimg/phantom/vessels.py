"""Growing vessel trees inside any liver, from an implicit function or from a mask.

Space colonisation (Runions 2005): points that want blood pull the nearest twig towards them, step by step,
until every point lies close to a twig. Radii then follow Murray's law from the twigs down: at each fork the
cubes of the children's radii sum to the cube of the parent's. Trees that grow later keep clear of the earlier
ones, so hepatic and portal veins interdigitate as they do in a liver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from liverimg.phantom.capsules import NO_PARENT, Capsules

FloatArray = NDArray[np.float64]
SignedDistance = Callable[[NDArray[Any]], NDArray[Any]]
"""Points (n, 3) in LPS mm to signed distance (n,) in mm, negative inside."""

_MOST_CHILDREN = 2


@dataclass(frozen=True)
class Growth:
    """How a tree grows.

    Attributes:
        step_mm: Length of one twig.
        near_mm: A point is served once a twig comes this near; sets how dense the tree is.
        reach_mm: Points further away than this do not pull.
        wall_mm: Twigs stay this far inside the liver's surface.
        clearance_mm: Least gap between the surfaces of this tree and of the obstacles.
        inertia: How much a twig keeps its direction, against 1 for the pull.
        taper_per_mm: Share of its radius that a vessel loses per millimetre between forks.
        least_radius_mm: Thinner twigs are cut off.
        most_steps: Rounds of growth.
    """

    step_mm: float = 4.0
    near_mm: float = 9.0
    reach_mm: float = 60.0
    wall_mm: float = 3.0
    clearance_mm: float = 1.5
    inertia: float = 0.6
    taper_per_mm: float = 0.002
    least_radius_mm: float = 0.6
    most_steps: int = 90


@dataclass
class _Wood:
    """The growing tree: nodes, each linked to its parent node."""

    points: list[FloatArray] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    fixed: list[bool] = field(default_factory=list)

    def add(self, point: FloatArray, parent: int, *, fixed: bool) -> int:
        self.points.append(point)
        self.parent.append(parent)
        self.children.append(0)
        self.fixed.append(fixed)
        if parent >= 0:
            self.children[parent] += 1
        return len(self.points) - 1


def grow_tree(
    trunks: Sequence[ArrayLike],
    *,
    signed_distance: SignedDistance,
    target_points: ArrayLike,
    rng: np.random.Generator,
    trunk_radius_mm: float | Sequence[float],
    obstacle: SignedDistance | None = None,
    growth: Growth | None = None,
) -> Capsules:
    """Grows one vascular tree.

    Args:
        trunks: Polylines (n, 3) in LPS mm that are given, not grown, such as the portal trunk with its left
            and right branch, or the three hepatic veins. A trunk whose first point lies on a node of an
            earlier one continues it; otherwise it is a root. They may run outside the liver.
        signed_distance: Liver, negative inside.
        target_points: Points that want blood, shape (n, 3): see :func:`liverimg.phantom.inside.points_inside`.
        rng: Source of chance; the same state gives the same tree.
        trunk_radius_mm: Radius at each root, in the order of the trunks that are roots, or one for all.
        obstacle: Signed distance to what the tree must keep clear of (other trees, tumours).
        growth: How it grows.

    Returns:
        The tree. Murray's law holds at every node between the end of the parent and the starts of its children.
    """
    rules = growth or Growth()
    wood = _planted(trunks, step_mm=rules.step_mm)
    targets = np.asarray(target_points, dtype=float).reshape(-1, 3)
    _colonise(wood, targets, signed_distance, obstacle, rng, rules)
    points, parent, fixed = _smoothed(wood), np.array(wood.parent), np.array(wood.fixed)
    while True:
        tree = _with_radii(points, parent, trunk_radius_mm, rules)
        keep = np.ones(len(points), dtype=bool)
        keep[parent >= 0] = _kept(tree, fixed[parent >= 0], obstacle, rules)
        if keep.all():
            return tree
        # What is left shares the whole flow, grows a little thicker and is judged again.
        new_number = np.cumsum(keep) - 1
        points, parent, fixed = points[keep], parent[keep], fixed[keep]
        parent = np.where(parent >= 0, new_number[parent], NO_PARENT)


def _planted(trunks: Sequence[ArrayLike], *, step_mm: float) -> _Wood:
    wood = _Wood()
    for trunk in trunks:
        line = resampled(np.asarray(trunk, dtype=float), step_mm=step_mm)
        node = NO_PARENT
        if wood.points:
            gaps = np.linalg.norm(np.array(wood.points) - line[0], axis=1)
            nearest = int(gaps.argmin())
            node = nearest if gaps[nearest] < 0.75 * step_mm else NO_PARENT
        if node == NO_PARENT:
            node = wood.add(line[0], NO_PARENT, fixed=True)
        for point in line[1:]:
            node = wood.add(point, node, fixed=True)
    return wood


def resampled(line: FloatArray, *, step_mm: float) -> FloatArray:
    """A polyline with points every ``step_mm``, ends kept, corners rounded by a Catmull-Rom spline."""
    if len(line) > 2:
        padded = np.concatenate([[2 * line[0] - line[1]], line, [2 * line[-1] - line[-2]]])
        t = np.linspace(0, 1, 9)[:-1, None]
        pieces = []
        for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
            curve = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
            pieces.append(0.5 * curve)
        line = np.concatenate([*pieces, line[-1:]])
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    count = max(2, round(lengths[-1] / step_mm) + 1)
    at = np.linspace(0, lengths[-1], count)
    return np.stack([np.interp(at, lengths, line[:, c]) for c in range(3)], axis=1)


def _colonise(  # one loop, one story
    wood: _Wood,
    targets: FloatArray,
    signed_distance: SignedDistance,
    obstacle: SignedDistance | None,
    rng: np.random.Generator,
    rules: Growth,
) -> None:
    for _ in range(rules.most_steps):
        nodes = np.array(wood.points)
        gap, nearest = cKDTree(nodes).query(targets)
        waiting = gap > rules.near_mm
        targets = targets[waiting]
        pulled = gap[waiting] < rules.reach_mm
        if not pulled.any():
            return
        puller, owner = targets[pulled], nearest[waiting][pulled]
        pull = puller - nodes[owner]
        pull /= np.linalg.norm(pull, axis=1, keepdims=True)
        total = np.zeros_like(nodes)
        np.add.at(total, owner, pull)
        tips = np.unique(owner)
        tips = tips[np.array(wood.children)[tips] < _MOST_CHILDREN]
        if len(tips) == 0:
            return
        new = _next_points(wood, nodes, tips, total[tips], rng, rules)
        allowed = signed_distance(new) < -rules.wall_mm
        if obstacle is not None:
            allowed &= obstacle(new) > rules.clearance_mm + rules.least_radius_mm
        # A twig that would end beside an existing node only thickens the bundle.
        allowed &= cKDTree(nodes).query(new)[0] > 0.7 * rules.step_mm
        if not allowed.any():
            return
        for tip, point in zip(tips[allowed], new[allowed], strict=True):
            wood.add(point, int(tip), fixed=False)


def _next_points(
    wood: _Wood, nodes: FloatArray, tips: NDArray[Any], pull: FloatArray, rng: np.random.Generator, rules: Growth
) -> FloatArray:
    parent = np.array(wood.parent)[tips]
    heading = np.where((parent >= 0)[:, None], nodes[tips] - nodes[parent], 0.0)
    # A side branch leaves its parent; only the first child keeps going straight.
    heading[np.array(wood.children)[tips] > 0] = 0
    wanted = unit(pull) + rules.inertia * unit(heading) + rng.normal(0, 0.12, size=pull.shape)
    return np.asarray(nodes[tips] + rules.step_mm * unit(wanted))


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors of length 1 along the last axis; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1))


def _smoothed(wood: _Wood, *, rounds: int = 3) -> FloatArray:
    """Takes the zigzag out: each grown node moves towards the middle of its parent and its children."""
    points, parent = np.array(wood.points), np.array(wood.parent)
    child = np.flatnonzero(parent >= 0)
    count = np.bincount(parent[child], minlength=len(points)).astype(float)
    movable = ~np.array(wood.fixed) & (count > 0)
    for _ in range(rounds):
        total = np.zeros_like(points)
        np.add.at(total, parent[child], points[child])
        middle = 0.5 * total / np.maximum(count, 1)[:, None] + 0.5 * points[parent]
        points[movable] = 0.5 * points[movable] + 0.5 * middle[movable]
    return points


def _with_radii(
    points: FloatArray, parent: NDArray[Any], trunk_radius_mm: float | Sequence[float], rules: Growth
) -> Capsules:
    """Radii by Murray's law from the twigs down, scaled so that each root has its given radius."""
    child = np.flatnonzero(parent >= 0)  # one capsule per node that has a parent
    mother = parent[child]
    row_of = np.full(len(points) + 1, NO_PARENT)
    row_of[child] = np.arange(len(child))
    length = np.linalg.norm(points[child] - points[mother], axis=1)
    swell = np.exp(rules.taper_per_mm * length)
    cubes = np.zeros(len(points))  # sum of the cubes of the radii that leave each node
    start, end = np.ones(len(child)), np.ones(len(child))
    for row in range(len(child) - 1, -1, -1):  # a node is always added after its parent
        if cubes[child[row]] > 0:
            end[row] = np.cbrt(cubes[child[row]])
        start[row] = end[row] * swell[row]
        cubes[mother[row]] += start[row] ** 3
    roots = np.flatnonzero(parent < 0)
    scale = np.zeros(len(points))
    scale[roots] = np.broadcast_to(np.asarray(trunk_radius_mm, dtype=float), len(roots)) / np.cbrt(cubes[roots])
    forks = np.bincount(mother, minlength=len(points)) > 1
    generation = np.zeros(len(points), dtype=np.int64)
    for node, up in zip(child, mother, strict=True):
        scale[node] = scale[up]
        generation[node] = generation[up] + int(forks[up])
    return Capsules(
        points[mother],
        points[child],
        start * scale[child],
        end * scale[child],
        row_of[mother],
        generation[child],
    )


def _kept(
    tree: Capsules, fixed: NDArray[np.bool_], obstacle: SignedDistance | None, rules: Growth
) -> NDArray[np.bool_]:
    """Capsules that stay: given ones, and those thick enough and clear that hang on one that stays."""
    keep = fixed | (tree.radius_end_mm >= rules.least_radius_mm)
    if obstacle is not None:
        for share in (0.0, 0.5, 1.0):
            at = tree.start_lps_mm * (1 - share) + tree.end_lps_mm * share
            radius = tree.radius_start_mm * (1 - share) + tree.radius_end_mm * share
            keep &= fixed | (obstacle(at) - radius >= rules.clearance_mm)
    for row in range(len(tree)):
        if tree.parent[row] >= 0 and not keep[tree.parent[row]]:
            keep[row] = False
    return keep
