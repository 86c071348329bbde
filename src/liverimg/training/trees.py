"""Hepatic veins, portal tree and bile ducts for a training map: grown, or real ones told apart.

Points are in mm, components (x, y, z) to Left, Posterior, Superior, from the first voxel of the body map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import Capsules, near_distance
from liverimg.phantom.ducts import beside
from liverimg.phantom.inside import distance_of_mask, points_inside
from liverimg.phantom.vessels import Growth, SignedDistance, grow_tree
from liverimg.training.landmarks import Landmarks

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Where the three hepatic veins head from the cava, and how far (mm): Couinaud's planes seen from the cava.
_HEPATIC_HEADS = ((-75.0, 10.0, -45.0), (-25.0, -60.0, -50.0), (45.0, -45.0, -20.0))
_HEPATIC_RADIUS_MM = (3.2, 6.0)
_PORTAL_RADIUS_MM = (5.0, 7.5)
_DILATED_SHARE = 0.45
# Outside a vessel a path costs this much more: gaps in a real tree are bridged, but not gladly.
_GAP_COST = 12.0


@dataclass(frozen=True)
class Trees:
    """The trees of one liver; ``ducts`` is None where they are too thin to be seen."""

    hepatic: Capsules
    portal: Capsules
    ducts: Capsules | None


def grow_trees(liver: BoolArray, grid: Grid, landmarks: Landmarks, *, rng: np.random.Generator) -> Trees:
    """Grows interdigitating trees from the caval groove and from the hilum of a liver.

    Args:
        liver: Mask on ``grid``.
        grid: Standard order; its LPS millimetres count from the body map's first voxel.
        landmarks: Of the same map.
        rng: Source of chance.
    """
    inside = distance_of_mask(liver, grid)
    corner = grid.index_to_lps_mm(np.asarray(grid.shape) - 1)
    density = rng.uniform(0.5, 1.2)
    growth = Growth(
        near_mm=rng.uniform(7.0, 12.0),
        clearance_mm=rng.uniform(0.5, 2.0),
        taper_per_mm=rng.uniform(0.001, 0.004),
        least_radius_mm=0.7,
        most_steps=60,
    )
    cava, hilum = landmarks.cava_at_dome[::-1], landmarks.hilum[::-1]
    targets = points_inside(inside, grid.origin_lps_mm, corner, rng=rng, per_ml=density)
    hepatic = grow_tree(
        _hepatic_trunks(cava, inside, rng),
        signed_distance=inside,
        target_points=targets,
        rng=rng,
        trunk_radius_mm=float(rng.uniform(*_HEPATIC_RADIUS_MM)),
        growth=growth,
    )
    portal = grow_tree(
        _portal_trunks(hilum, inside, rng),
        signed_distance=inside,
        target_points=points_inside(inside, grid.origin_lps_mm, corner, rng=rng, per_ml=density),
        rng=rng,
        trunk_radius_mm=float(rng.uniform(*_PORTAL_RADIUS_MM)),
        obstacle=near_distance(hepatic),
        growth=growth,
    )
    return Trees(hepatic, portal, grow_ducts(portal, hepatic, rng=rng))


def grow_ducts(portal: Capsules, hepatic: Capsules, *, rng: np.random.Generator) -> Capsules | None:
    """Ducts beside a portal tree, dilated in nearly half of the patients; None where none can be seen."""
    if rng.random() >= _DILATED_SHARE:
        return None
    ducts = beside(
        portal,
        least_radius_mm=rng.uniform(1.4, 2.5),
        radius_ratio=rng.uniform(0.4, 1.0),
        gap_mm=rng.uniform(0.2, 1.0),
        towards=rng.normal((-0.5, -1.0, 0.2), 0.5),
        clear_of=(hepatic,),
    )
    return ducts if len(ducts) else None


def _into(start: FloatArray, wish: FloatArray, inside: SignedDistance, *, wall_mm: float = 8.0) -> FloatArray:
    """The furthest point on the way from ``start`` towards ``start + wish`` that lies well in the liver."""
    shares = np.linspace(1.0, 0.15, 18)[:, None]
    points = start + shares * wish
    good = np.flatnonzero(inside(points) < -wall_mm)
    return np.asarray(points[good[0] if len(good) else -1])


def _hepatic_trunks(cava: FloatArray, inside: SignedDistance, rng: np.random.Generator) -> list[FloatArray]:
    trunks = []
    for number, head in enumerate(_HEPATIC_HEADS):
        root = cava + rng.normal(0, 1.5, size=3) - np.array([0.0, 0.0, 4.5 * number])
        end = _into(root, np.asarray(head) * rng.uniform(0.7, 1.2) + rng.normal(0, 10, size=3), inside)
        bend = 0.5 * (root + end) + np.array([0.0, 0.0, 0.12 * float(np.linalg.norm(end - root))])
        trunks.append(np.array([root, bend, end]))
    return trunks


def _portal_trunks(hilum: FloatArray, inside: SignedDistance, rng: np.random.Generator) -> list[FloatArray]:
    below = hilum + rng.normal((22.0, 6.0, -48.0), 7.0)
    right = _into(hilum, rng.normal((-48.0, 6.0, 8.0), 8.0), inside)
    left = _into(hilum, rng.normal((32.0, -22.0, 14.0), 8.0), inside)
    umbilical = _into(left, rng.normal((2.0, -28.0, -2.0), 6.0), inside, wall_mm=6.0)
    main = np.array([below, 0.5 * (below + hilum) + rng.normal(0, 3, size=3), hilum])
    return [main, np.array([hilum, 0.5 * (hilum + right), right]), np.array([hilum, left, umbilical])]


def split_tree(
    vessels: BoolArray, liver: BoolArray, grid: Grid, landmarks: Landmarks, *, every: int = 2
) -> tuple[BoolArray, BoolArray]:
    """Tells hepatic from portal veins in a real merged tree, by which root blood reaches first.

    Travel is cheap in vessels and dear outside, so broken trees are bridged. One seed is the vena cava at the
    upper third of the liver, the other the hilum.

    Returns:
        Hepatic and portal masks, disjoint, their union the vessels.
    """
    small = vessels[::every, ::every, ::every].copy()
    for a, b, c in np.ndindex(every, every, every):
        part = vessels[a::every, b::every, c::every]
        small[: part.shape[0], : part.shape[1], : part.shape[2]] |= part
    depth = ndimage.distance_transform_edt(small)
    cost = np.where(small, 1.0 / np.maximum(depth, 1.0), _GAP_COST)
    # Outside the liver there is no short cut, but for the way from the cava and the hilum into it.
    near = ndimage.binary_dilation(liver[::every, ::every, ::every], iterations=3)
    cost = np.where(near, cost, 3 * _GAP_COST)
    arrival = []
    top = landmarks.cava[:, 0] >= landmarks.cava_at_dome[0] - 20.0
    top &= landmarks.cava[:, 0] <= landmarks.cava_at_dome[0] + 10.0
    for seeds in (landmarks.cava[top], landmarks.hilum[None]):
        index = np.rint(grid.lps_mm_to_index(seeds[:, ::-1]) / every).astype(int)
        index = np.clip(index, 0, np.array(cost.shape) - 1)
        arrival.append(MCP_Geometric(cost).find_costs([tuple(int(v) for v in row) for row in index])[0])
    hepatic_small = arrival[0] < arrival[1]
    hepatic = hepatic_small.repeat(every, 0).repeat(every, 1).repeat(every, 2)
    hepatic = hepatic[: vessels.shape[0], : vessels.shape[1], : vessels.shape[2]]
    return vessels & hepatic, vessels & ~hepatic
