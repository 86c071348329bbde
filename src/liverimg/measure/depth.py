"""How deep a lesion lies under the skin."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from liverimg.core.grid import FloatArray
from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.lesions import LesionMask
from liverimg.measure.proximity import Target
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.skin import Skin
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import pitch_mm, structure_points

DEPTH_NAMES = ("depth_from_skin_near", "depth_from_skin_centre", "depth_from_skin_far")
_BLOCK_MM = 7.0
_BLOCK_LEAST_VOXELS = 3
_SKIN_SMOOTHING = 2.2  # of the finest spacing: skin is flat, so more smoothing costs nothing
_SAMPLE = 400  # surface points looked at in each pass for the deepest one
_SKIN_SAMPLE = 20_000


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


def measure_depth(subject: Subject, body: Body) -> tuple[Measured, ...]:
    """Depth of the lesion's nearest point, of its centre and of its farthest point, each to the nearest skin.

    The farthest point is the point of the lesion's surface whose nearest skin is farthest away.
    """
    lesion, target, quality, skin = subject.lesion, subject.target, subject.quality, body.skin
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
                settings=body.settings,
                sources=body.sources,
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
