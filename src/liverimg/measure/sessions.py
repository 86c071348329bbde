"""A lesion's target divided into compact pieces of a session's volume, clear of vessels and ducts.

The target is the tumour with a margin around it, as far as there is liver, less a keep-out around each vessel and duct
that is drawn. How it is cut is in :mod:`liverimg.measure.partition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label as connected

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import Point
from liverimg.core.sessions import KeepOut, SessionPiece, SessionPlan
from liverimg.measure.band import point
from liverimg.measure.distances import extent, near_mask
from liverimg.measure.lesions import LesionMask
from liverimg.measure.liver import LiverBody
from liverimg.measure.partition import LabelArray, cut
from liverimg.measure.scene import Scene

_HALF = 0.5


@dataclass(frozen=True)
class SessionSettings:
    """What the division rests on; values of ``data/sessions.toml``.

    Attributes:
        margin_mm: Around the tumour.
        smallest_ml: Of a session.
        largest_ml: Of a session.
        crumb_ml: Smaller parts are left over.
        days_apart: Fewest and most days between two sessions; handed on.
        keep_out_mm: Around each structure.
    """

    margin_mm: float
    smallest_ml: float
    largest_ml: float
    crumb_ml: float
    days_apart: tuple[float, float]
    keep_out_mm: Mapping[Structure, float]


@dataclass(frozen=True, eq=False)
class Division:
    """A plan with its voxels.

    Attributes:
        plan: Volumes and places.
        pieces: 0 outside, else the order of the piece, in the box.
        grid: Grid of the box.
        start_kji: Index of the box's first voxel in the label map in standard order.
    """

    plan: SessionPlan
    pieces: LabelArray
    grid: Grid
    start_kji: tuple[int, int, int]


def divide(
    lesion: LesionMask,
    scene: Scene,
    liver: LiverBody | None,
    *,
    settings: SessionSettings,
    entry_lps_mm: Point | None = None,
) -> Division:
    """Divides one lesion's target.

    Args:
        lesion: Which one; it has to lie wholly in view.
        scene: The labels.
        liver: The liver of anatomy, which the margin does not leave; None for no such limit.
        settings: Margin, volumes and keep-outs.
        entry_lps_mm: Where the beam enters: the piece that lies deepest from there comes first, because heated tissue
            shades what lies behind it (own choice). Without it the pieces go from head to foot.
    """
    reach = settings.margin_mm + max(settings.keep_out_mm.values(), default=0.0)
    box = _grown(lesion, scene.grid, reach)
    grid = scene.crop_grid(box)
    tumour = _placed(lesion.mask, lesion.start_kji, box)
    target = _target(tumour, grid, box, liver, settings.margin_mm)
    treatable = target.copy()
    keep_outs = []
    held = extent(target)
    for structure, distance_mm in settings.keep_out_mm.items():
        blocked, why = _keep_out(structure, scene, box, grid, distance_mm, held)
        removed_ml = float(np.count_nonzero(target & blocked)) * grid.voxel_ml
        keep_outs.append(KeepOut(structure.value, distance_mm, removed_ml, why))
        treatable &= ~blocked
    pieces, left_over = _divided(treatable, grid, settings)
    pieces = _ordered(pieces, grid, entry_lps_mm)
    plan = SessionPlan(
        lesion=lesion.id,
        margin_mm=settings.margin_mm,
        tumour_ml=lesion.volume_ml,
        target_ml=float(np.count_nonzero(target)) * grid.voxel_ml,
        tumour_kept_out_ml=float(np.count_nonzero(tumour & ~treatable)) * grid.voxel_ml,
        treatable_ml=float(np.count_nonzero(treatable)) * grid.voxel_ml,
        left_over_ml=left_over * grid.voxel_ml,
        keep_outs=tuple(keep_outs),
        pieces=tuple(_piece(n, pieces, tumour, grid, settings) for n in range(1, int(pieces.max()) + 1)),
        session_ml=(settings.smallest_ml, settings.largest_ml),
        days_apart=settings.days_apart,
        reason="" if pieces.any() else "the keep-outs around vessels and ducts leave nothing of the target",
    )
    start = (box[0].start, box[1].start, box[2].start)
    return Division(plan, pieces, grid, start)


def _grown(lesion: LesionMask, grid: Grid, reach_mm: float) -> Box:
    steps = np.ceil(reach_mm / grid.spacing_mm).astype(int) + 1
    k, j, i = (
        slice(max(0, start - int(step)), min(size, start + n + int(step)))
        for start, n, step, size in zip(lesion.start_kji, lesion.mask.shape, steps, grid.shape, strict=True)
    )
    return k, j, i


def _placed(mask: BoolArray, start_kji: tuple[int, ...], box: Box) -> BoolArray:
    """A mask from its own box in another: what lies outside that one is cut away."""
    placed = np.zeros([b.stop - b.start for b in box], dtype=bool)
    ours, theirs = [], []
    for start, n, b in zip(start_kji, mask.shape, box, strict=True):
        low, high = max(start, b.start), min(start + n, b.stop)
        if low >= high:
            return placed
        ours.append(slice(low - b.start, high - b.start))
        theirs.append(slice(low - start, high - start))
    placed[tuple(ours)] = mask[tuple(theirs)]
    return placed


def _target(tumour: BoolArray, grid: Grid, box: Box, liver: LiverBody | None, margin_mm: float) -> BoolArray:
    # Distances run between voxel centres; the tumour's surface lies half a voxel beyond its last centre.
    reach_mm = margin_mm + _HALF * float(grid.spacing_mm.min())
    near = np.zeros(tumour.shape, dtype=bool)
    around, distance = near_mask(tumour, grid.spacing_mm, reach_mm)
    near[around] = distance <= reach_mm
    if liver is None:
        return near
    start = tuple(b.start for b in liver.box)
    return np.asarray(tumour | (near & _placed(liver.mask, start, box)))


def _keep_out(
    structure: Structure, scene: Scene, box: Box, grid: Grid, distance_mm: float, held: Box
) -> tuple[BoolArray, str]:
    """What of the target's extent lies too near to a structure, in the box; and why nothing may be told.

    Args:
        structure: What to keep clear of.
        scene: The labels.
        box: Around the target and all that is near it.
        grid: Of the box.
        distance_mm: How far to keep away.
        held: Extent of the target in the box.
    """
    words = structure.value.replace("_", " ")
    if not scene.labels.knows(structure):
        return np.zeros(grid.shape, dtype=bool), f"the {words} was not looked for, so nothing is kept clear of it"
    mask = scene.mask(box, structure)
    if not mask.any():
        whole = scene.box(structure) is None
        return mask, f"the {words} was looked for and none is drawn: unknown, not far" if whole else ""
    reach_mm = distance_mm + _HALF * float(grid.spacing_mm.min())
    blocked = np.zeros(grid.shape, dtype=bool)
    # Nothing outside the target is asked for, and nothing beyond reach of it matters.
    steps = np.ceil(reach_mm / grid.spacing_mm).astype(int) + 1
    k, j, i = (slice(max(0, h.start - int(s)), h.stop + int(s)) for h, s in zip(held, steps, strict=True))
    if mask[k, j, i].any():
        around, distance = near_mask(mask[k, j, i], grid.spacing_mm, reach_mm)
        blocked[k, j, i][around] = distance < reach_mm
    return blocked, ""


def _divided(treatable: BoolArray, grid: Grid, settings: SessionSettings) -> tuple[LabelArray, int]:
    """Pieces numbered from 1, and how many voxels are crumbs."""
    parts, count = connected(treatable)
    pieces = np.zeros(treatable.shape, dtype=np.int32)
    left_over, taken = 0, 0
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    for n in range(1, count + 1):
        voxels = int(sizes[n])
        if voxels * grid.voxel_ml < settings.crumb_ml:
            left_over += voxels
            continue
        part = parts == n
        own = cut(part, grid, smallest_ml=settings.smallest_ml, largest_ml=settings.largest_ml)
        pieces[part] = own[part] + taken
        taken += int(own.max())
    return pieces, left_over


def _ordered(pieces: LabelArray, grid: Grid, entry_lps_mm: Point | None) -> LabelArray:
    """Pieces renumbered in the order of the sessions; numbers that lost all their voxels are dropped."""
    numbers = [int(n) for n in np.unique(pieces) if n]
    if not numbers:
        return pieces
    centroids = {n: grid.index_to_lps_mm(np.argwhere(pieces == n).mean(axis=0)) for n in numbers}
    if entry_lps_mm is None:
        order = sorted(numbers, key=lambda n: -float(centroids[n][2]))
    else:
        entry = np.asarray(entry_lps_mm)
        order = sorted(numbers, key=lambda n: -float(np.linalg.norm(centroids[n] - entry)))
    table = np.zeros(max(numbers) + 1, dtype=np.int32)
    table[order] = np.arange(1, len(order) + 1)
    return np.asarray(table[pieces])


def _piece(order: int, pieces: LabelArray, tumour: BoolArray, grid: Grid, settings: SessionSettings) -> SessionPiece:
    own = pieces == order
    places = grid.index_to_lps_mm(np.argwhere(own))
    centre = places.mean(axis=0)
    volume_ml = len(places) * grid.voxel_ml
    return SessionPiece(
        order=order,
        volume_ml=volume_ml,
        centroid_lps_mm=point(centre),
        reach_mm=float(np.linalg.norm(places - centre, axis=1).max()),
        share_of_tumour=float(np.count_nonzero(own & tumour)) / len(places),
        within_range=settings.smallest_ml <= volume_ml <= settings.largest_ml,
    )
