"""Bile ducts: thinner companions of the portal tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverimg.phantom.capsules import Capsules, distance, near_distance
from liverimg.phantom.vessels import SignedDistance, unit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def beside(
    tree: Capsules,
    *,
    least_radius_mm: float,
    radius_ratio: float,
    gap_mm: float,
    towards: ArrayLike,
    clear_of: Sequence[Capsules] = (),
    clearance_mm: float = 0.3,
    rounds: int = 12,
) -> Capsules:
    """Ducts that run along a portal tree.

    Each node moves to one side of its portal branch; nodes that come too near any vessel are pushed off it
    along the distance's gradient, and pieces that still touch are left out (the duct is interrupted there).

    Args:
        tree: The portal tree.
        least_radius_mm: Only branches at least this thick are accompanied.
        radius_ratio: Duct radius as a share of the portal radius; above 0.5 the ducts are dilated.
        gap_mm: Between the two surfaces.
        towards: Side on which the ducts lie, an LPS direction.
        clear_of: Other vessels to avoid.
        clearance_mm: Least gap to any vessel in the result.
        rounds: Of pushing.
    """
    part = tree.select(_connected(tree, tree.radius_end_mm >= least_radius_mm))
    first, second, nodes, portal_radius = _nodes(part)
    tangent = np.zeros_like(nodes)
    along = unit(part.end_lps_mm - part.start_lps_mm)
    np.add.at(tangent, first, along)
    np.add.at(tangent, second, along)
    tangent = unit(tangent)
    side = np.asarray(towards, dtype=float)
    side = side - tangent * (tangent @ side)[:, None]
    radius = portal_radius * radius_ratio
    moved = nodes + unit(side) * (portal_radius + radius + gap_mm)[:, None]
    obstacles = [near_distance(vessel) for vessel in (tree, *clear_of)]
    needed = radius + clearance_mm + 0.2
    for turn in range(rounds):
        if turn < rounds - 3:
            moved = _relaxed(moved, first, second)
        moved = moved + _push(moved, needed, obstacles)
        middle_push = _push(0.5 * (moved[first] + moved[second]), needed[first], obstacles)
        np.add.at(moved, first, middle_push)
        np.add.at(moved, second, middle_push)
    ducts = Capsules(moved[first], moved[second], radius[first], radius[second], part.parent, part.generation)
    return ducts.select(_clear(ducts, (tree, *clear_of), clearance_mm))


def _clear(ducts: Capsules, vessels: Sequence[Capsules], clearance_mm: float) -> NDArray[np.bool_]:
    """Ducts whose surface keeps its distance from every vessel at five places along each."""
    clear = np.ones(len(ducts), dtype=bool)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = ducts.start_lps_mm * (1 - share) + ducts.end_lps_mm * share
        thick = ducts.radius_start_mm * (1 - share) + ducts.radius_end_mm * share
        for vessel in vessels:
            clear &= distance(at, vessel) - thick >= clearance_mm
    return clear


def _nodes(tree: Capsules) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Node numbers of both ends of each capsule, the nodes' places and their radii."""
    roots = np.flatnonzero(tree.parent < 0)
    first = np.empty(len(tree), dtype=np.int64)
    first[roots] = np.arange(len(roots))
    inner = tree.parent >= 0
    first[inner] = tree.parent[inner] + len(roots)
    second = np.arange(len(tree)) + len(roots)
    nodes = np.concatenate([tree.start_lps_mm[roots], tree.end_lps_mm])
    return first, second, nodes, np.concatenate([tree.radius_start_mm[roots], tree.radius_end_mm])


def _relaxed(nodes: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Each node half way to the mean of its neighbours; ends stay."""
    total, count = np.zeros_like(nodes), np.zeros(len(nodes))
    for a, b in ((first, second), (second, first)):
        np.add.at(total, a, nodes[b])
        np.add.at(count, a, 1)
    mean = total / np.maximum(count, 1)[:, None]
    return np.asarray(np.where((count > 1)[:, None], 0.5 * (nodes + mean), nodes))


def _connected(tree: Capsules, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    keep = keep.copy()
    for row in range(len(tree)):
        if tree.parent[row] >= 0 and not keep[tree.parent[row]]:
            keep[row] = False
    return keep


def _push(points: FloatArray, needed_mm: FloatArray, obstacles: Sequence[SignedDistance]) -> FloatArray:
    """Displacement that brings each point ``needed_mm`` away from every obstacle's surface."""
    push = np.zeros_like(points)
    for obstacle in obstacles:
        lack = needed_mm - obstacle(points)
        short = lack > 0
        if short.any():
            at, h = points[short], 0.05
            slope = np.stack([obstacle(at + h * axis) - obstacle(at - h * axis) for axis in np.eye(3)], axis=1)
            push[short] += unit(slope) * lack[short, None]
    return push
