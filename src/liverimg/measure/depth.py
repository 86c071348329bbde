"""How deep a lesion lies under the skin."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from liverimg.core.grid import FloatArray
from liverimg.core.labels import LabelQuality, Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.closest import least_distances, search_tree
from liverimg.measure.proximity import Target
from liverimg.measure.size import SizeBand
from liverimg.measure.skin import Skin
from liverimg.measure.span import top_mm
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import drawn_in_mm, pitch_mm, structure_points

DEPTH_NAMES = ("depth_from_skin_near", "depth_from_skin_centre", "depth_from_skin_far")
# Straight ways in along the patient's own axes, LPS.
STRAIGHT = {
    "depth_from_skin_anterior": ("straight from the front", np.array([0.0, -1.0, 0.0])),
    "depth_from_skin_right": ("straight from the right", np.array([-1.0, 0.0, 0.0])),
}
_SKIN_SMOOTHING = 2.2  # of the finest spacing: skin is flat, so more smoothing costs nothing
_SAME_BLOCK = 2  # voxels: skin this near to a block's middle is well inside it
_FITTED_SLICES = 4.0  # a quadric across slices takes three of them, and one for their errors
_SAMPLE = 120  # surface points looked at in each pass for the deepest one
CUT_LESION = "the lesion touches the edge of the image, so part of it may lie outside the view"
_CLOSE_MM = 1.0  # deepest points this near to each other share one place on the skin
_GROUPS = 4
_LEAST_SLOPE = 0.2  # sine of the flattest angle at which a line is followed to the skin


def _nearest_surface(target: Target, skin: Skin) -> FloatArray:
    """Points of the lesion's surface that compete for the smallest depth."""
    points = target.surface.vertices_lps_mm
    rough = skin.rough_depths(points)
    faces, _ = skin.faces(points[rough <= rough.min() + 2 * skin.slack_mm])
    away = np.linalg.norm(faces - target.centre, axis=1)
    # A face farther from the lesion's outer ball than the nearest is from its inner ball can't win.
    faces = faces[away <= away.min() + target.outer_mm - target.inner_mm + 1e-6]
    slack = float(skin.grid.spacing_mm.max()) / 2
    gaps, which = least_distances(target.tree, faces, slack)
    chosen = np.unique(which[gaps <= gaps.min() + slack])
    return np.asarray(points[chosen])


def _deepest_surface(target: Target, skin: Skin) -> list[FloatArray]:
    """Groups of the lesion's surface points that compete for the largest depth.

    Depths to voxel faces are off by up to half a voxel: which group is deepest is settled on the sub-voxel skin.
    """
    points = target.surface.vertices_lps_mm
    rough = skin.rough_depths(points)
    points = points[rough >= rough.max() - 2 * skin.slack_mm]
    sample = points[:: max(1, len(points) // _SAMPLE)]
    groups: list[FloatArray] = []
    for place in sample[np.argsort(-_depths(sample, skin), kind="stable")]:
        if all(np.linalg.norm(group[0] - place) > 2 * _CLOSE_MM for group in groups):
            close = np.linalg.norm(points - place, axis=1) <= _CLOSE_MM
            groups.append(np.concatenate([place[None], points[close]]))
            if len(groups) == _GROUPS:
                break
    return groups


def _depths(points: FloatArray, skin: Skin) -> FloatArray:
    """Distance from each point to the nearest skin face, rounded so that ties fall the same way."""
    faces, _ = skin.faces(points, of_each=True)
    return np.asarray(np.round(cdist(points, faces).min(axis=1), 6))


def measure_depth(subject: Subject, body: Body) -> tuple[Measured, ...]:
    """Depth of the lesion's nearest point, of its centre and of its farthest point, each to the nearest skin.

    The farthest point is the point of the lesion's surface whose nearest skin is farthest away.
    """
    lesion, target, quality, skin = subject.lesion, subject.target, subject.quality, body.skin
    if isinstance(skin, str):
        return tuple(NotMeasured(name, lesion.id, skin) for name in DEPTH_NAMES)
    if reason := skin_reason(quality):
        return tuple(NotMeasured(name, lesion.id, reason) for name in DEPTH_NAMES)
    starts = (
        ("near", [_nearest_surface(target, skin)], "the lesion's surface point nearest to the skin", True),
        ("centre", [np.asarray(lesion.centroid_lps_mm)[None]], "the lesion's centre of gravity", False),
        ("far", _deepest_surface(target, skin), "the lesion's surface point deepest inside", True),
    )
    tumour_mm = surface_error_mm(quality, Structure.TUMOUR)
    skin_mm = surface_error_mm(quality, Structure.SKIN, Structure.BODY)
    results: list[Measured] = []
    for name, groups, words, on_surface in starts:
        results.append(
            _depth(
                f"depth_from_skin_{name}",
                subject,
                body,
                skin,
                groups,
                words=words,
                error_mm=quadrature(skin_mm, tumour_mm if on_surface else tumour_mm / 2),
                wider_mm=target.between_slices_mm / 2 if on_surface else 0.0,
            )
        )
    return tuple(results)


def _depth(
    name: str,
    subject: Subject,
    body: Body,
    skin: Skin,
    groups: list[FloatArray],
    *,
    words: str,
    error_mm: float,
    wider_mm: float,
) -> Measured:
    lesion, bands, sources = subject.lesion, body.settings.bands, body.sources
    cut_off = lesion.touches_image_edge
    if cut_off and not name.endswith("near"):
        return NotMeasured(name, lesion.id, CUT_LESION)
    deepest = name.endswith("far")
    depth_mm, start, end = max((_to_skin(skin, group, deepest=deepest) for group in groups), key=lambda line: line[0])
    if deepest:
        # The nearest of many points sticks out as far as the mesh is drawn in; the deepest has no such choice.
        start = start - drawn_in_mm(lesion.grid.spacing_mm, subject.surface.area_mm2) * direction(start, end)
    depth_mm = float(np.linalg.norm(end - start))
    starts = np.concatenate(groups)
    if len(skin.cut):
        to_cut = float(search_tree(skin.cut).query(starts, workers=1)[0].min())
        if to_cut < depth_mm:
            reason = (
                f"skin not in view: the body runs out of the image {to_cut:.0f} mm from the lesion, nearer than "
                f"any skin that is seen ({depth_mm:.0f} mm)"
            )
            return NotMeasured(name, lesion.id, reason)
    method = f"shortest line from {words} to {skin.words}"
    # The centre of gravity of a crescent lies outside it.
    role = "tumour_centre" if name.endswith("centre") else "on_tumour"
    unseen = _beyond_last_slice(skin, start, end)
    if unseen is not None:
        method += "; it ends in the first or last slice, so nearer skin may lie beyond"
    share = {"near": bands.depth_near, "centre": bands.depth_centre, "far": bands.depth_far}[name.rsplit("_", 1)[-1]]
    half = quadrature(SizeBand.of(subject, body).lattice.half_mm(share, direction(start, end)), error_mm)
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


def _to_skin(skin: Skin, starts: FloatArray, *, deepest: bool) -> tuple[float, FloatArray, FloatArray]:
    """Shortest line to the sub-voxel skin around the nearest voxel face, from the nearest or the deepest point."""
    faces, voxels = skin.faces(starts, of_each=deepest)
    if deepest:
        # Deep inside, places next to each other may have their nearest skin far apart: each needs its own.
        own = voxels[cKDTree(faces).query(starts, workers=1)[1]]
    else:
        coarse = least_distances(search_tree(starts), faces, 0.0)[0]
        own = voxels[[int(np.argmin(np.round(coarse, 6)))]]
    points = _skin_around(skin, own)
    gaps, nearest = cKDTree(points).query(starts, workers=1)
    gaps = np.round(gaps, 9)
    best = int(np.argmax(gaps) if deepest else np.argmin(gaps))
    start, end = starts[best], points[nearest[best]]
    return float(gaps[best]), start, end if deepest else _fitted_end(start, end, points, skin)


def _fitted_end(start: FloatArray, end: FloatArray, points: FloatArray, skin: Skin) -> FloatArray:
    """The end of a shortest line, drawn back to what all of the skin around it says of its distance.

    The nearest of many points of the skin is the one that errs inward; a quadric through the distances of those
    around it has no such choice (:func:`liverimg.measure.span.top_mm`).
    It takes in what lies a pitch farther than the end at most; near the skin that is too little of it for a fit across
    slices, and the end stays.
    """
    depth_mm = float(np.linalg.norm(end - start))
    pitch_mm = float(np.prod(skin.grid.spacing_mm) ** (1 / 3))
    if math.sqrt(2 * depth_mm * pitch_mm) < _FITTED_SLICES / 2 * float(skin.grid.spacing_mm.max()):
        return end
    inward = direction(end, start)
    away = points - end
    nearer = depth_mm - np.linalg.norm(points - start, axis=1)
    unrolled = away + (nearer - away @ inward)[:, None] * inward
    return np.asarray(end + top_mm(unrolled, inward, pitch_mm) * inward)


def _skin_around(skin: Skin, voxels: NDArray[np.intp]) -> FloatArray:
    """Points of the sub-voxel skin around some of its voxels, LPS mm; what lies side by side is done once."""
    found, left = [], np.unique(voxels, axis=0)
    while len(left):
        region = skin.around(left[0])
        block = skin.block(region)
        k, j, i = block.shape
        grid = skin.grid.cropped([r.start for r in region], (k, j, i))
        found.append(structure_points(block, grid, smoothing=_SKIN_SMOOTHING))
        left = left[(np.abs(left - left[0]) > _SAME_BLOCK).any(axis=1)]
    return np.concatenate(found)


def measure_straight_depth(subject: Subject, body: Body) -> list[Measured]:
    """Depth of the lesion's centre of gravity along the patient's own axes: from the front and from the right."""
    return [
        depth_along(name, towards, subject, body, words=f"line from the lesion's centre of gravity {words}")
        for name, (words, towards) in STRAIGHT.items()
    ]


def depth_along(name: str, towards: FloatArray, subject: Subject, body: Body, *, words: str) -> Measured:
    """Length of a straight line from the lesion's centre of gravity to the skin.

    The band takes the grid and the skin's error along the line, so it is wider the flatter the line meets the skin.

    Args:
        name: Of the quantity.
        towards: Unit direction out of the body, LPS.
        subject: The lesion.
        body: The body it lies in.
        words: The line, for the method.
    """
    lesion, skin, quality = subject.lesion, body.skin, subject.quality
    reason = skin if isinstance(skin, str) else skin_reason(quality)
    if isinstance(skin, str) or reason:
        return NotMeasured(name, lesion.id, reason)
    if lesion.touches_image_edge:
        return NotMeasured(name, lesion.id, CUT_LESION)
    start = np.asarray(lesion.centroid_lps_mm)
    found = skin.along(start, towards)
    if found is None or _near_cut(found[1], skin):
        return NotMeasured(name, lesion.id, f"skin not in view: the {words} leaves the image before it leaves the body")
    length, end = found
    slope = max(skin.slope(end, towards), _LEAST_SLOPE)
    errors = surface_error_mm(quality, Structure.SKIN, Structure.BODY), surface_error_mm(quality, Structure.TUMOUR) / 2
    pitch = pitch_mm(skin.grid, body.band_spacing_mm, towards)
    half = quadrature(body.settings.band_line * pitch / slope, errors[0] / slope, errors[1])
    return banded(
        name,
        lesion.id,
        length,
        "mm",
        half=half,
        method=f"{words} to {skin.words}",
        points=(evidence("tumour_centre", start), evidence("on_skin", end)),
        sources=body.sources,
    )


def skin_reason(quality: LabelQuality) -> str:
    """Why the skin that was drawn can't be measured to; empty when it can."""
    return next((quality.not_visible[s] for s in (Structure.SKIN, Structure.BODY) if s in quality.not_visible), "")


def _near_cut(place: FloatArray, skin: Skin) -> bool:
    return len(skin.cut) > 0 and float(np.linalg.norm(skin.cut - place, axis=1).min()) < 2 * skin.outline.cell_mm
