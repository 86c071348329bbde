"""How deep a lesion lies under the skin."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import fill_voids
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray, LabelQuality, Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.lesions import LesionMask
from liverimg.measure.proximity import Target
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.surface import pitch_mm, structure_points

IndexArray = NDArray[np.intp]

DEPTH_NAMES = ("depth_from_skin_near", "depth_from_skin_centre", "depth_from_skin_far")
_OUTLINE = (Structure.BODY, Structure.SKIN, Structure.FAT, Structure.MUSCLE)
_BLOCK_MM = 7.0
_BLOCK_LEAST_VOXELS = 3
_SKIN_SMOOTHING = 2.2  # of the finest spacing: skin is flat, so more smoothing costs nothing
_SAMPLE = 400  # surface points looked at in each pass for the deepest one
_SKIN_SAMPLE = 20_000


@dataclass(frozen=True, eq=False)
class Skin:
    """The outer surface of the body, as far as it is in view.

    Attributes:
        body: The largest piece of the labelled body, inner holes filled.
        grid: Its grid; the first axis runs to Superior.
        points: Middles of the voxel faces between body and air, LPS mm.
        voxels: For each point the index of a voxel beside it, shape (n, 3).
        cut: Body voxels on a lateral edge of the image, where the skin is not in view; LPS mm.
    """

    body: BoolArray
    grid: Grid
    points: FloatArray
    voxels: IndexArray
    cut: FloatArray


def find_skin(scene: Scene) -> Skin | str:
    """The skin, or the reason why there is none.

    Image edges are never skin. Whatever carries a label is body; holes (gas without a label) are filled slice by
    slice, and loose pieces (arms, table) are left out.
    """
    if not any(scene.labels.knows(s) for s in _OUTLINE):
        return "the outline of the body was not drawn, so the skin is unknown"
    if scene.box(*_OUTLINE) is None:
        return "no voxel is labelled as body, so the skin is unknown"
    body = np.asarray(cc3d.largest_k(scene.labels.array > 0, k=1, connectivity=6) > 0)
    for k in range(len(body)):
        body[k] = fill_voids.fill(body[k])
    voxels, points = _faces(body, scene.grid)
    if len(points) == 0:
        return "skin not in view: the body fills the image from edge to edge"
    return Skin(body, scene.grid, points, voxels, _cut_edges(body, scene.grid))


def _faces(body: BoolArray, grid: Grid) -> tuple[IndexArray, FloatArray]:
    voxels, middles = [], []
    for axis in range(3):
        lower = [slice(None)] * 3
        upper = [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        changes = body[tuple(lower)] != body[tuple(upper)]
        at = np.column_stack(np.unravel_index(np.flatnonzero(changes), changes.shape))
        step = np.zeros(3)
        step[axis] = 0.5
        voxels.append(at)
        middles.append(at + step)
    return np.concatenate(voxels), grid.index_to_lps_mm(np.concatenate(middles))


def _cut_edges(body: BoolArray, grid: Grid) -> FloatArray:
    found = []
    for axis in (1, 2):
        for end in (0, body.shape[axis] - 1):
            face = np.argwhere(np.take(body, end, axis=axis))
            found.append(np.insert(face, axis, end, axis=1))
    return grid.index_to_lps_mm(np.concatenate(found))


def _nearest_surface(target: Target, skin: Skin) -> FloatArray:
    """Points of the lesion's surface that compete for the smallest depth."""
    away = np.linalg.norm(skin.points - target.centre, axis=1)
    # A skin point farther from the lesion's outer ball than the nearest is from its inner ball can't win.
    near = skin.points[away <= away.min() + target.outer_mm - target.inner_mm + 1e-6]
    gaps, which = target.tree.query(near, workers=1)
    slack = float(skin.grid.spacing_mm.max()) / 2
    chosen = np.unique(which[gaps <= gaps.min() + slack])
    return np.asarray(target.surface.vertices_lps_mm[chosen])


def _deepest_surface(target: Target, skin: Skin) -> FloatArray:
    """The point of the lesion's surface whose nearest skin is farthest away; each pass looks closer."""
    points = target.surface.vertices_lps_mm
    spread_mm = float(np.sqrt(target.surface.area_mm2))
    while True:
        sample = points[:: max(1, len(points) // _SAMPLE)]
        deepest = sample[[int(np.argmax(_depths(sample, skin)))]]
        if len(sample) == len(points):
            return deepest
        spread_mm *= 2 / np.sqrt(_SAMPLE)
        points = points[np.linalg.norm(points - deepest, axis=1) <= 2 * spread_mm]


def _depths(points: FloatArray, skin: Skin) -> FloatArray:
    """Distance from each point to the nearest skin face, rounded so that ties fall the same way."""
    centre = points.mean(axis=0)
    reach = float(np.linalg.norm(points - centre, axis=1).max())
    away = np.linalg.norm(skin.points - centre, axis=1)
    near = skin.points[away <= away.min() + 2 * reach]
    near = near[:: max(1, len(near) // _SKIN_SAMPLE)]
    return np.asarray(np.round(cdist(points, near).min(axis=1), 6))


def measure_depth(
    lesion: LesionMask,
    target: Target,
    skin: Skin | str,
    quality: LabelQuality,
    *,
    settings: MeasureSettings,
    sources: tuple[str, ...] = (),
) -> tuple[Measured, ...]:
    """Depth of the lesion's nearest point, of its centre and of its farthest point, each to the nearest skin.

    The farthest point is the point of the lesion's surface whose nearest skin is farthest away.
    """
    if isinstance(skin, str):
        return tuple(NotMeasured(name, lesion.id, skin) for name in DEPTH_NAMES)
    for structure in (Structure.SKIN, Structure.BODY):
        if structure in quality.not_visible:
            return tuple(NotMeasured(n, lesion.id, quality.not_visible[structure]) for n in DEPTH_NAMES)
    starts = (
        ("near", _nearest_surface(target, skin), "the lesion's surface point nearest to the skin", True),
        ("centre", np.asarray(lesion.centroid_lps_mm)[None], "the lesion's centre of gravity", False),
        ("far", _deepest_surface(target, skin), "the lesion's surface point deepest inside", True),
    )
    tumour_mm = surface_error_mm(quality, Structure.TUMOUR)
    skin_mm = surface_error_mm(quality, Structure.SKIN, Structure.BODY)
    results: list[Measured] = []
    for name, points, words, on_surface in starts:
        results.append(
            _depth(
                f"depth_from_skin_{name}",
                lesion,
                skin,
                points,
                words=words,
                error_mm=quadrature(skin_mm, tumour_mm if on_surface else tumour_mm / 2),
                settings=settings,
                sources=sources,
                wider_mm=target.between_slices_mm / 2 if on_surface else 0.0,
            )
        )
    return tuple(results)


def _depth(
    name: str,
    lesion: LesionMask,
    skin: Skin,
    starts: FloatArray,
    *,
    words: str,
    error_mm: float,
    settings: MeasureSettings,
    sources: tuple[str, ...],
    wider_mm: float,
) -> Measured:
    cut_off = lesion.touches_image_edge
    if cut_off and not name.endswith("near"):
        reason = "the lesion touches the edge of the image, so part of it may lie outside the view"
        return NotMeasured(name, lesion.id, reason)
    depth_mm, start, end = _to_skin(skin, starts)
    if len(skin.cut):
        to_cut = float(cKDTree(skin.cut).query(starts, workers=1)[0].min())
        if to_cut < depth_mm:
            reason = (
                f"skin not in view: the body runs out of the image {to_cut:.0f} mm from the lesion, nearer than "
                f"any skin that is seen ({depth_mm:.0f} mm)"
            )
            return NotMeasured(name, lesion.id, reason)
    pitch = pitch_mm(skin.grid, skin.grid.spacing_mm, direction(start, end))
    method = f"shortest line from {words} to the border between body and air"
    # The centre of gravity of a crescent lies outside it.
    role = "tumour_centre" if name.endswith("centre") else "on_tumour"
    unseen = _beyond_last_slice(skin, start, end)
    if unseen is not None:
        method += "; it ends in the first or last slice, so nearer skin may lie beyond"
    half = quadrature(settings.band_depth * pitch, error_mm)
    # Between slices the lesion may be wider than in any of them, so nearer in front and deeper behind.
    at_least = depth_mm - half - (wider_mm if name.endswith("near") else 0.0)
    at_most = depth_mm + half + (wider_mm if name.endswith("far") else 0.0)
    return banded(
        name,
        lesion.id,
        depth_mm,
        "mm",
        half=half,
        method=method,
        points=(evidence(role, start), evidence("on_skin", end)),
        sources=sources,
        at_least=0.0 if cut_off else min(at_least, at_least if unseen is None else unseen),
        at_most=at_most,
    )


def _beyond_last_slice(skin: Skin, start: FloatArray, end: FloatArray) -> float | None:
    """Distance from the start to the end slice in which the skin point lies, None when it lies in another."""
    last = skin.grid.shape[0] - 1
    here = float(skin.grid.lps_mm_to_index(start)[0])
    there = float(skin.grid.lps_mm_to_index(end)[0])
    if 0.5 < there < last - 0.5:
        return None
    gap = here + 0.5 if there <= 0.5 else last + 0.5 - here
    return max(0.0, gap * float(skin.grid.spacing_mm[0]))


def _to_skin(skin: Skin, starts: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Shortest line from any of the points to the sub-voxel skin around their nearest voxel face."""
    middle = starts.mean(axis=0)
    away = np.linalg.norm(skin.points - middle, axis=1)
    near = np.flatnonzero(away <= away.min() + 2 * float(np.linalg.norm(starts - middle, axis=1).max()) + 1e-6)
    coarse = cKDTree(starts).query(skin.points[near], workers=1)[0]
    place = skin.voxels[near[int(np.argmin(np.round(coarse, 6)))]]
    half = np.maximum(np.ceil(_BLOCK_MM / skin.grid.spacing_mm), _BLOCK_LEAST_VOXELS).astype(int)
    low = np.maximum(place - half, 0)
    high = np.minimum(place + half + 2, skin.grid.shape)
    block = skin.body[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    k, j, i = block.shape
    points = structure_points(block, skin.grid.cropped(low, (k, j, i)), smoothing=_SKIN_SMOOTHING)
    gaps, nearest = cKDTree(points).query(starts, workers=1)
    best = int(np.argmin(np.round(gaps, 9)))
    return float(gaps[best]), starts[best], points[nearest[best]]
