"""Hepatic veins, portal tree and bile ducts for a training map: grown, or real ones told apart.

Points are in mm, components (x, y, z) to Left, Posterior, Superior, from the first voxel of the body map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import Capsules, near_distance
from liverimg.phantom.ducts import beside
from liverimg.phantom.inside import distance_of_mask, points_inside
from liverimg.phantom.vessels import Growth, grow_tree
from liverimg.training.anatomy.landmarks import Landmarks
from liverimg.training.anatomy.trunks import draw_variant, hepatic_trunks, portal_trunks

BoolArray = NDArray[np.bool_]

# Growth, drawn per liver: chosen so that the trees look like the real, visible ones of the training livers (share of
# the liver's volume, length per volume, radii; see docs/explanation/training-anatomy.md).
_NEAR_MM = (10.0, 27.0)
_LEAST_RADIUS_MM = (0.5, 1.0)
_PORTAL_RADIUS_MM = (5.5, 8.5)
# Real radii shrink less from trunk to twig than Murray's law says: radius' = at (radius / at) ** power.
_EVENED_AT_MM = 2.8
_EVENED_POWER = (0.55, 0.8)
_DILATED_SHARE = 0.45
_ARTERIES_SHARE = 0.6
_ARTERY_RATIO = (0.22, 0.35)
# Outside a vessel a path costs this much more: gaps in a real tree are bridged, but not gladly.
_GAP_COST = 12.0


@dataclass(frozen=True, eq=False)
class Trees:
    """The trees of one liver; ``ducts`` and ``arteries`` are None where they are too thin to be seen."""

    hepatic: Capsules
    portal: Capsules
    ducts: Capsules | None
    arteries: Capsules | None = None


def grow_trees(
    liver: BoolArray, grid: Grid, landmarks: Landmarks, *, rng: np.random.Generator, wide: float = 1.0
) -> Trees:
    """Grows interdigitating trees from the caval groove and from the hilum of a liver.

    Args:
        liver: Mask on ``grid``.
        grid: Standard order; its LPS millimetres count from the body map's first voxel.
        landmarks: Of the same map.
        rng: Source of chance.
        wide: The portal trunk's radius over a healthy one's; above 1 with portal hypertension.
    """
    inside = distance_of_mask(liver, grid)
    corner = grid.index_to_lps_mm(np.asarray(grid.shape) - 1)
    growth = _draw_growth(rng)
    hilum = landmarks.hilum[::-1]
    level = int(np.abs(landmarks.cava[:, 0] - landmarks.hilum[0]).argmin())
    trunks = hepatic_trunks(landmarks.cava_at_dome[::-1], landmarks.cava[level][::-1], inside, rng)
    power = rng.uniform(*_EVENED_POWER)
    hepatic = grow_tree(
        trunks.lines,
        signed_distance=inside,
        target_points=points_inside(inside, grid.origin_lps_mm, corner, rng=rng, per_ml=rng.uniform(0.5, 1.2)),
        rng=rng,
        trunk_radius_mm=trunks.radius_mm,
        growth=growth,
    )
    hepatic = _evened(hepatic, power)
    radius = (wide * _PORTAL_RADIUS_MM[0], wide * _PORTAL_RADIUS_MM[1])
    trunks = portal_trunks(hilum, inside, rng, variant=draw_variant(rng), radius_mm=radius)
    portal = grow_tree(
        trunks.lines,
        signed_distance=inside,
        target_points=points_inside(inside, grid.origin_lps_mm, corner, rng=rng, per_ml=rng.uniform(0.5, 1.2)),
        rng=rng,
        trunk_radius_mm=trunks.radius_mm,
        obstacle=near_distance(hepatic),
        growth=replace(growth, clearance_mm=rng.uniform(0.5, 2.0)),
    )
    portal = _evened(portal, power)
    ducts = grow_ducts(portal, hepatic, rng=rng)
    return Trees(hepatic, portal, ducts, grow_arteries(portal, hepatic, ducts, rng=rng))


def _draw_growth(rng: np.random.Generator) -> Growth:
    """How dense and how thick the trees of one liver are."""
    return Growth(
        near_mm=rng.uniform(*_NEAR_MM),
        taper_per_mm=rng.uniform(0.0005, 0.003),
        least_radius_mm=rng.uniform(*_LEAST_RADIUS_MM),
        most_steps=60,
    )


def _evened(tree: Capsules, power: float) -> Capsules:
    """The same tree with trunks thinner and twigs thicker."""
    start, end = (_EVENED_AT_MM * (r / _EVENED_AT_MM) ** power for r in (tree.radius_start_mm, tree.radius_end_mm))
    return replace(tree, radius_start_mm=start, radius_end_mm=end)


def grow_ducts(portal: Capsules, hepatic: Capsules, *, rng: np.random.Generator) -> Capsules | None:
    """Ducts beside a portal tree, dilated in nearly half of the patients; None where none can be seen."""
    if rng.random() >= _DILATED_SHARE:
        return None
    ducts = beside(
        portal,
        least_radius_mm=rng.uniform(1.9, 3.2),
        radius_ratio=rng.uniform(0.35, 0.9),
        gap_mm=rng.uniform(0.2, 1.0),
        towards=rng.normal((-0.5, -1.0, 0.2), 0.5),
        clear_of=(hepatic,),
    )
    return ducts if len(ducts) else None


def grow_arteries(
    portal: Capsules, hepatic: Capsules, ducts: Capsules | None, *, rng: np.random.Generator
) -> Capsules | None:
    """Hepatic arteries along the larger portal branches, on the other side than the ducts; None where too thin."""
    if rng.random() >= _ARTERIES_SHARE:
        return None
    arteries = beside(
        portal,
        least_radius_mm=rng.uniform(2.2, 3.2),
        radius_ratio=rng.uniform(*_ARTERY_RATIO),
        gap_mm=rng.uniform(0.3, 1.5),
        towards=rng.normal((0.8, -0.8, -0.2), 0.4),
        clear_of=(hepatic,) if ducts is None else (hepatic, ducts),
        rounds=6,
    )
    return arteries if len(arteries) else None


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
