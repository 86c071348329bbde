"""What was treated, and so takes no part when two examinations are compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from liverimg.core.boxes import box_of
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.registration.judgement import JudgementRules
from liverimg.registration.liver_view import LiverView

_MOST_POINTS = 80
_RIM_VOXELS = 2
_QUIET_MM = 4.0


def lesion_points(mask: BoolArray, grid: Grid) -> FloatArray:
    """Points spread over a lesion's border, shape (n, 3); voxel centres, at most eighty."""
    box = box_of(mask)
    if box is None:
        return np.empty((0, 3))
    part = mask[box]
    border = part & ~ndimage.binary_erosion(part)
    points = grid.index_to_lps_mm(np.argwhere(border) + [s.start for s in box])
    keep = np.random.default_rng(0).permutation(len(points))[:_MOST_POINTS]
    return np.asarray(points[np.sort(keep)])


def comparable(
    earlier: LiverView, lesions: Mapping[str, FloatArray], later: NDArray[np.float32], *, rules: JudgementRules
) -> BoolArray:
    """The liver and its border, less the lesions, what lies around them, and what is dark near them afterwards.

    Args:
        earlier: Before the treatment.
        lesions: Points on each lesion's border.
        later: The later image laid onto the earlier one.
        rules: How far around is left out.
    """
    region = ndimage.binary_dilation(earlier.liver, iterations=_RIM_VOXELS)
    if not lesions:
        return np.asarray(region & earlier.seen)
    out = np.zeros(region.shape, dtype=bool)
    spacing = float(earlier.grid.spacing_mm[0])
    dark = _dark(earlier, later, rules)
    for points in lesions.values():
        box, centres = _around(earlier.grid, points, rules.dark_reach_mm + 2 * spacing)
        middle = points.mean(axis=0)
        radius = float(np.linalg.norm(points - middle, axis=1).max())
        away = np.linalg.norm(centres - middle, axis=-1)
        # Asked only where it decides: in what is dark, and no farther from the middle than the rim can reach.
        asked = dark[box] | (away <= radius + rules.rim_mm + spacing)
        near = np.full(away.shape, np.inf)
        near[asked], _ = cKDTree(points).query(centres[asked])
        own = (near <= rules.rim_mm) | (away <= radius)
        zone = dark[box] & (near <= rules.dark_reach_mm)
        parts, _ = ndimage.label(zone | own)
        touched = np.unique(parts[own])
        zone &= np.isin(parts, touched[touched > 0])
        out[box] |= own | ndimage.binary_dilation(zone, iterations=max(1, round(0.5 * rules.rim_mm / spacing)))
    return np.asarray(region & ~out & earlier.seen)


def _dark(earlier: LiverView, later: NDArray[np.float32], rules: JudgementRules) -> BoolArray:
    """Tissue that is darker afterwards than the liver around, seen through a wide filter so that vessels vanish."""
    seen = np.isfinite(later)
    inside = earlier.liver & seen
    if not inside.any():
        return np.zeros(later.shape, dtype=bool)
    quiet = ndimage.gaussian_filter(np.nan_to_num(later), _QUIET_MM / float(earlier.grid.spacing_mm[0]))
    return np.asarray(inside & (quiet < float(np.median(quiet[inside])) - rules.dark_hu))


def _around(grid: Grid, points: FloatArray, beyond_mm: float) -> tuple[tuple[slice, ...], FloatArray]:
    index = grid.lps_mm_to_index(points)
    rim = beyond_mm / grid.spacing_mm
    low = np.clip(np.floor(index.min(axis=0) - rim), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + rim) + 1, 1, grid.shape).astype(int)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    axes = [np.arange(s.start, s.stop) for s in box]
    return box, grid.index_to_lps_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
