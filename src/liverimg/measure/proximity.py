"""How near a lesion lies to a vessel, a duct, an organ or the liver's own surface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from liverimg.core.boxes import Box
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.measure.closest import least_distances, search_tree
from liverimg.measure.lesions import LesionMask
from liverimg.measure.scene import Scene
from liverimg.measure.surface import DRAWN_IN_PIXELS, Relief, Surface, border_voxels, pitch_mm

_TOUCHING_VOXELS = 0.75  # nearer than this, in voxels, a centre and a surface count as neighbours
# And no farther apart than this share of the pitch between them: what lies in neighbouring thick slices need not touch.
_TOUCHING_PITCH = 0.3

_FIRST_REACH_MM = 25.0
_REACH_GROWTH = 2.5
_BLOCK_PAD = 4
_BLOCK_REACH = 14  # voxels: wider blocks hold mostly what is not near
_CANDIDATE_SLACK = 1.5  # of the widest spacing
_SMOOTHING_RANGE = (0.5, 1.5)  # of the finest spacing
_THICKNESS_REACH_MM = 3.0


@dataclass(frozen=True, eq=False)
class Nearest:
    """The shortest line between a lesion's surface and another.

    Attributes:
        distance_mm: Its length; 0 where the two touch.
        on_lesion: Its end on the lesion, LPS mm.
        on_structure: Its end on the structure, LPS mm.
        touching: Whether voxels of the two are neighbours, and the surfaces no farther apart than voxels can tell.
        unseen_mm: How much nearer a thin structure may come between slices: the gap that it can slip through.
    """

    distance_mm: float
    on_lesion: FloatArray
    on_structure: FloatArray
    touching: bool
    unseen_mm: float


@dataclass(frozen=True, eq=False)
class Target:
    """A lesion's surface prepared for many searches.

    Attributes:
        surface: The surface.
        tree: Search tree of its points.
        centre: Their mean, LPS mm.
        inner_mm: Distance from the centre to the nearest of them.
        outer_mm: Distance from the centre to the farthest of them.
        box: The lesion's bounding box in the scene.
        between_slices_mm: How much wider the lesion may be between slices than in any of them.
    """

    surface: Surface
    tree: cKDTree
    centre: FloatArray
    inner_mm: float
    outer_mm: float
    box: Box
    between_slices_mm: float

    @classmethod
    def of(cls, surface: Surface, lesion: LesionMask, *, between_slices_mm: float) -> Target:
        """Prepares a lesion's surface."""
        points = surface.vertices_lps_mm
        centre = points.mean(axis=0)
        radii = np.linalg.norm(points - centre, axis=1)
        k, j, i = (slice(s, s + n) for s, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
        tree = search_tree(points)
        inner, outer = float(radii.min()), float(radii.max())
        return cls(surface, tree, centre, inner, outer, (k, j, i), between_slices_mm)


class RegionSource(Protocol):
    """Gives a structure's mask in any region of the scene."""

    box: Box | None

    def __call__(self, region: Box) -> BoolArray:
        """The mask in the region."""
        ...


class MaskSource:
    """Gives a structure's mask in any region of the scene, without making the whole mask.

    Attributes:
        box: Where the structure lies; None when it has no voxel.
    """

    def __init__(self, scene: Scene, *structures: Structure) -> None:
        self._scene = scene
        self._structures = structures
        self.box = scene.box(*structures)

    def __call__(self, region: Box) -> BoolArray:
        """The mask in the region."""
        return self._scene.mask(region, *self._structures)


class OutsideSource:
    """The outside of a body whose mask is known in a box: for the distance to its surface from within.

    Attributes:
        box: The body's box and a rim around it, as far as the image reaches.
    """

    def __init__(self, body: BoolArray, box: Box, image_shape: tuple[int, int, int]) -> None:
        self._body = body
        self._start = tuple(b.start for b in box)
        k, j, i = (
            slice(max(0, b.start - _BLOCK_PAD), min(n, b.stop + _BLOCK_PAD))
            for b, n in zip(box, image_shape, strict=True)
        )
        self.box: Box | None = (k, j, i)

    def __call__(self, region: Box) -> BoolArray:
        """What is not body in the region."""
        outside = np.ones(tuple(r.stop - r.start for r in region), dtype=bool)
        here, there = [], []
        for r, start, size in zip(region, self._start, self._body.shape, strict=True):
            low, high = max(r.start, start), min(r.stop, start + size)
            if low >= high:
                return outside
            here.append(slice(low - r.start, high - r.start))
            there.append(slice(low - start, high - start))
        outside[tuple(here)] = ~self._body[tuple(there)]
        return outside


def nearest_to(target: Target, source: RegionSource, grid: Grid) -> Nearest | None:
    """The shortest line from a lesion to a structure, or None when the structure has no surface in view.

    The search region grows around the lesion until nothing outside it could be nearer, so the cost follows the
    distance and not the size of the scan.

    Args:
        target: The lesion.
        source: The structure.
        grid: Grid of the whole scene.
    """
    if source.box is None:
        return None
    # One voxel more than the structure's box, so that its border is seen as a border.
    everywhere = _grown(source.box, np.ones(3, dtype=int), grid)
    widest_mm = float(grid.spacing_mm.max())
    reach_mm = _FIRST_REACH_MM + _between_mm(target.box, source.box, grid)
    while True:
        region = _common(_grown(target.box, np.ceil(reach_mm / grid.spacing_mm).astype(int), grid), everywhere)
        whole = region == everywhere
        found = None if region is None else nearest_in(target, source(region), region, grid)
        if whole or (found and found.distance_mm + widest_mm <= reach_mm):
            return found
        # What was found bounds the search; the rest is for the surface around the nearest place.
        reach_mm = found.distance_mm + (_BLOCK_PAD + 2) * widest_mm if found else reach_mm * _REACH_GROWTH


def _between_mm(one: Box, other: Box, grid: Grid) -> float:
    """Widest gap between two boxes along any axis: nothing in them is nearer on a grid at right angles."""
    gaps = [max(a.start - b.stop, b.start - a.stop, 0) for a, b in zip(one, other, strict=True)]
    return float((np.array(gaps) * grid.spacing_mm).max())


def box_around(place_lps_mm: FloatArray, reach_mm: float, grid: Grid) -> Box:
    """The voxels within a distance of a place along each axis, as far as the image reaches."""
    at, steps = grid.lps_mm_to_index(place_lps_mm), reach_mm / grid.spacing_mm
    low = np.clip(np.floor(at - steps), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(at + steps) + 1, 1, grid.shape).astype(int)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _grown(box: Box, steps: NDArray[np.intp], grid: Grid) -> Box:
    k, j, i = (
        slice(max(0, b.start - int(s)), min(n, b.stop + int(s))) for b, s, n in zip(box, steps, grid.shape, strict=True)
    )
    return k, j, i


def _common(one: Box, other: Box) -> Box | None:
    k, j, i = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return None if min(b.stop - b.start for b in (k, j, i)) < 1 else (k, j, i)


def image_edge_mm(target: Target, grid: Grid) -> float:
    """Distance from the lesion's surface to the nearest edge of the image: what lies beyond is not in view."""
    index = grid.lps_mm_to_index(target.surface.vertices_lps_mm)
    below = (index + 0.5) * grid.spacing_mm
    above = (np.asarray(grid.shape) - 0.5 - index) * grid.spacing_mm
    return max(0.0, float(min(below.min(), above.min())))


def nearest_in(target: Target, mask: BoolArray, region: Box, grid: Grid) -> Nearest | None:
    """The shortest line from a lesion to what a region holds; None where it holds no border.

    Args:
        target: The lesion.
        mask: The structure in the region; what it does beyond is not known and no border.
        region: Where in the scene.
        grid: Grid of the whole scene.
    """
    border = border_voxels(mask)
    if len(border) == 0:
        return None
    start = np.array([r.start for r in region])
    centres = grid.index_to_lps_mm(border + start)
    from_centre = np.linalg.norm(centres - target.centre, axis=1)
    # A voxel that is farther from the lesion's outer ball than the nearest is from its inner ball can't win.
    near = from_centre <= from_centre.min() + (target.outer_mm - target.inner_mm) + 1e-6
    border, centres = border[near], centres[near]
    slack = _CANDIDATE_SLACK * float(grid.spacing_mm.max())
    distances, _ = least_distances(target.tree, centres, slack)
    chosen = distances <= distances.min() + slack
    candidates, distances = border[chosen], distances[chosen]
    near_enough = float(distances.min()) <= 2 * float(np.linalg.norm(grid.spacing_mm))
    touching = near_enough and _touches(target, candidates + start, grid)
    best: Nearest | None = None
    left = np.ones(len(candidates), dtype=bool)
    while left.any():
        # In blocks, the nearest first: one block around all candidates may hold a whole organ.
        first = int(np.argmin(np.where(left, distances, np.inf)))
        if best is not None and distances[first] - float(grid.spacing_mm.max()) > best.distance_mm:
            break
        mine = left & (np.abs(candidates - candidates[first]) <= _BLOCK_REACH).all(axis=1)
        left &= ~mine
        found = _in_block(target, candidates[mine], mask, start, grid)
        if best is None or round(found.distance_mm, 9) < round(best.distance_mm, 9):
            best = found
    if best is None:
        return None
    line = best.on_structure - best.on_lesion
    across_mm = pitch_mm(grid, grid.spacing_mm, line / max(best.distance_mm, 1e-9))
    return replace(best, touching=touching and best.distance_mm <= _TOUCHING_PITCH * across_mm)


def _in_block(
    target: Target, candidates: NDArray[np.intp], mask: BoolArray, start: NDArray[np.intp], grid: Grid
) -> Nearest:
    """The shortest line to the sub-voxel surface around some border voxels."""
    low = np.maximum(candidates.min(axis=0) - _BLOCK_PAD, 0)
    high = np.minimum(candidates.max(axis=0) + _BLOCK_PAD + 1, mask.shape)
    block = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    k, j, i = block.shape
    block_grid = grid.cropped(low + start, (k, j, i))
    relief = Relief.of(block, block_grid)
    inside = relief.inside_mm
    points = relief.points(smoothing=_smoothing(inside, block_grid))
    if len(points) == 0:
        points = grid.index_to_lps_mm(candidates + start)
    gaps, which = least_distances(target.tree, points, 0.0)
    best = int(np.argmin(np.round(gaps, 9)))
    on_lesion = target.surface.vertices_lps_mm[which[best]]
    unseen_mm = _unseen_mm(inside, block_grid, points[best])
    return Nearest(float(gaps[best]), on_lesion, points[best], False, unseen_mm)


def _smoothing(inside: NDArray[np.float32], grid: Grid) -> float:
    """Smoothing of the structure's surface, as a share of the finest spacing: more for a thicker structure."""
    radius = float(inside.max() / grid.spacing_mm.min())
    return float(np.clip(np.sqrt(2 * DRAWN_IN_PIXELS * radius), *_SMOOTHING_RANGE))


def _unseen_mm(inside: NDArray[np.float32], grid: Grid, place_lps_mm: FloatArray) -> float:
    """The widest spacing less the structure's thickness there: a thinner tube can pass unseen between centres."""
    spacing = grid.spacing_mm
    index = grid.lps_mm_to_index(place_lps_mm)
    reach = np.maximum(1, np.ceil(_THICKNESS_REACH_MM / spacing))
    low = np.clip(np.floor(index - reach), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index + reach) + 1, 1, grid.shape).astype(int)
    around = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    # The distance runs to the next voxel centre outside, up to one voxel beyond the surface.
    thickness = 2 * float(around.max() - spacing.min())
    return max(0.0, float(spacing.max()) - thickness)


def _touches(target: Target, indices: NDArray[np.intp], grid: Grid) -> bool:
    """Whether any of these voxels lies within a voxel's step of the lesion's surface."""
    index = grid.lps_mm_to_index(target.surface.vertices_lps_mm)
    # Nothing farther away counts, and a search that knows gives up at once.
    gaps, _ = search_tree(index).query(indices, p=np.inf, distance_upper_bound=1.0, workers=1)
    return bool(gaps.min() <= _TOUCHING_VOXELS)
