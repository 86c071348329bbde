"""The smallest margin of a pair's lesion by the motion that was found, and what it truly is.

The zone is drawn where it truly lies in the later examination, so that what is off is the motion's part, the slices'
and the voxels'. Truth is measured between dense points on both true surfaces, in the later examination. A zone that
has shrunk is there as it is seen; ``margin_before_shrinking`` is what the margin was, which nothing in the images
tells of.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from liverimg.core.alignment import PlaceMotion
from liverimg.core.grid import Grid
from liverimg.core.measurement import Measurement
from liverimg.files.tables import read_table
from liverimg.measure.ablation_margin import Ablated, MarginSettings, measure_ablation_margin
from liverimg.measure.surface import Surface, blob_surface
from liverimg.phantom.deformation import Deformation
from liverimg.phantom.ellipsoids import signed_distance
from liverimg.phantom.solids import Ellipsoid
from registration_pairs import Pair, surface_points

_DENSE = 30_000
_ROOM_MM = 12.0


def margin_row(pair: Pair, place: PlaceMotion) -> dict[str, float]:
    """Smallest margin, its band and the truth, in mm; ``place`` has a motion."""
    tumour = _surface_of(pair.tumours[place.name], pair.earlier.grid)
    zone = _zone_surface(pair, place.name)
    tumour_ml = float(np.count_nonzero(pair.tumours[place.name])) * pair.earlier.grid.voxel_ml
    outline_error_mm = 0.0  # both are drawn exactly
    case = Ablated(place.name, tumour, zone, place.motion, place.error_mm, outline_error_mm, tumour_ml)
    found, _ = measure_ablation_margin(case, MarginSettings.from_table(read_table("margin")))
    least = next(m for m in found if m.name == "minimal_ablation_margin")
    assert isinstance(least, Measurement)
    return {
        "radius_mm": float(np.mean(pair.shapes[place.name].radii)),
        "margin": least.value,
        "margin_low": least.low,
        "margin_high": least.high,
        "margin_true": _true_margin(pair, place.name, pair.seen_motion),
        "margin_before_shrinking": _true_margin(pair, place.name, pair.motion),
    }


def _true_margin(pair: Pair, name: str, zone_motion: Deformation) -> float:
    """From the tumour's surface, moved as it truly moved, to the zone's, which ``zone_motion`` brought there."""
    shape = pair.zones[name]
    border = zone_motion.from_built(surface_points(shape, _DENSE), tolerance_mm=1e-3)
    points = pair.motion.from_built(surface_points(pair.shapes[name], _DENSE // 10), tolerance_mm=1e-3)
    away = cKDTree(border).query(points)[0]
    inside = signed_distance(zone_motion.to_built(points), shape) < 0
    return float(np.where(inside, away, -away).min())


def _zone_surface(pair: Pair, name: str) -> Surface:
    """Of the zone's voxels in the later examination's slices."""
    shape, grid = pair.zones[name], pair.later.grid
    border = pair.seen_motion.from_built(surface_points(shape), tolerance_mm=1e-3) + pair.offset_mm
    index = grid.lps_mm_to_index(border)
    rim = _ROOM_MM / grid.spacing_mm
    low = np.floor(index.min(axis=0) - rim).astype(int)
    high = np.ceil(index.max(axis=0) + rim).astype(int)
    around = _box(grid, low, high)
    axes = [np.arange(n) for n in around.shape]
    places = around.index_to_lps_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)) - pair.offset_mm
    built = pair.seen_motion.to_built(places)
    return blob_surface(_inside(built, shape), around)


def _box(grid: Grid, low: np.ndarray, high: np.ndarray) -> Grid:
    """The same lattice from one voxel to another; it may reach beyond the examination."""
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.index_to_lps_mm(low)
    k, j, i = (int(n) for n in high - low)
    return replace(grid, shape=(k, j, i), affine=affine)


def _inside(points: np.ndarray, shape: Ellipsoid) -> np.ndarray:
    local = (points - np.array(shape.centre)) @ shape.frame.T / np.array(shape.radii)
    return np.asarray(np.square(local).sum(axis=-1) <= 1)


def _surface_of(mask: np.ndarray, grid: Grid) -> Surface:
    index = np.argwhere(mask)
    low, high = index.min(axis=0) - 2, index.max(axis=0) + 3
    around = _box(grid, low, high)
    cut = np.zeros(around.shape, dtype=bool)
    cut[tuple((index - low).T)] = True
    return blob_surface(cut, around)
