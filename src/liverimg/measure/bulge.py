"""How far a lesion bulges out of the liver: the signed distance to the capsule below zero.

A lesion counts as liver, so the capsule as drawn runs around it. Where it would run without the lesion is led on from
the ring of capsule around it: a quadratic surface is fitted to the ring by least squares and interpolated across. How
far the lesion's outermost point lies beyond that surface is the exophytic part.
"""

from __future__ import annotations

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.measure.closest import distances_within
from liverimg.measure.overlap import Overlap
from liverimg.measure.proximity import Target, box_around
from liverimg.measure.subject import Body
from liverimg.measure.surface import pitch_mm, structure_points

_CLEAR_PITCHES = 1.5  # of the widest spacing: capsule nearer to the lesion than this runs over it
_CLEAR_SHARE = 0.15  # of the lesion's radius: what stands between is drawn up to it
_RING_SHARE = 0.8  # of the lesion's radius: width of the ring
_RING_MM = (8.0, 20.0)
_SMOOTHING = 1.0  # of the finest spacing
_SECTORS = 12
_LEAST_SECTORS = 10  # of them must hold capsule: less is no ring, and the surface would be guessed
_TERMS = 6
_RING_EDGE = 0.9  # quantile of the ring's distances from its middle: farther out nothing is led on
_SPREAD = 3.0  # standard deviations of the ring around its surface: livers are no quadratic surfaces in between


def bulge_of(target: Target, body: Body, on_capsule_lps_mm: FloatArray, *, half_mm: float) -> Overlap:
    """How far a lesion that touches the capsule lies beyond it.

    Args:
        target: The lesion.
        body: With a liver.
        on_capsule_lps_mm: Where the two touch.
        half_mm: Half width of the band of their distance.
    """
    unknown = "the two touch; too little of the capsule is seen around the lesion to tell whether it bulges"
    if body.liver is None:
        raise AssertionError("a distance to the capsule belongs to a liver")
    points = target.surface.vertices_lps_mm
    radius = (target.inner_mm + target.outer_mm) / 2
    clear = max(_CLEAR_PITCHES * float(body.scene.grid.spacing_mm.max()), _CLEAR_SHARE * radius)
    width = float(np.clip(_RING_SHARE * radius, *_RING_MM))
    capsule = _capsule_points(body, target.centre, target.outer_mm + clear + width)
    # A lesion in a thin lobe has capsule on its other side as well: the ring is what hangs on the place of contact.
    capsule = capsule[np.linalg.norm(capsule - on_capsule_lps_mm, axis=1) <= target.outer_mm + clear + width]
    gaps, _ = distances_within(target.tree, capsule, clear + width)
    chosen = capsule[(gaps > clear) & (gaps <= clear + width)]
    fitted = _fit(chosen, on_capsule_lps_mm, target.centre)
    if fitted is None:
        return Overlap(0.0, 0.0, half_mm, unknown)
    frame, weights, spread = fitted
    local = (points - on_capsule_lps_mm) @ frame.T
    lateral = np.linalg.norm(local[:, :2], axis=1)
    reach = float(np.quantile(np.linalg.norm(((chosen - on_capsule_lps_mm) @ frame.T)[:, :2], axis=1), _RING_EDGE))
    local = local[lateral <= reach]
    if len(local) == 0:
        return Overlap(0.0, 0.0, half_mm, unknown)
    height = local[:, 2] - _terms(local) @ weights
    best = int(np.argmax(height))
    x, y = local[best, :2]
    slope = np.hypot(weights[1] + 2 * weights[3] * x + weights[4] * y, weights[2] + weights[4] * x + 2 * weights[5] * y)
    depth = max(0.0, float(height[best]) / float(np.hypot(1.0, slope)))
    half = float(np.hypot(half_mm, _SPREAD * spread))
    # The end of a lesion is known to half a voxel at best.
    if depth <= max(half, pitch_mm(body.scene.grid, body.scene.grid.spacing_mm, frame[2]) / 2):
        return Overlap(0.0, 0.0, depth + half, "the two touch; the lesion does not stand out of the liver")
    words = "the lesion stands out of the liver, beyond the capsule led on over it from the ring around"
    return Overlap(depth, depth - half, depth + half, words)


def _capsule_points(body: Body, centre: FloatArray, reach_mm: float) -> FloatArray:
    """Sub-voxel points of the liver's surface within a reach."""
    liver, grid = body.liver, body.scene.grid
    if liver is None:
        raise AssertionError("asked for with a liver only")
    region = box_around(centre, reach_mm, grid)
    mask = np.zeros(tuple(r.stop - r.start for r in region), dtype=bool)
    ours, theirs = [], []
    for r, b in zip(region, liver.box, strict=True):
        low, high = max(r.start, b.start), min(r.stop, b.stop)
        ours.append(slice(low - r.start, max(low, high) - r.start))
        theirs.append(slice(low - b.start, max(low, high) - b.start))
    mask[tuple(ours)] = liver.mask[tuple(theirs)]
    local = grid.cropped([r.start for r in region], (mask.shape[0], mask.shape[1], mask.shape[2]))
    return structure_points(mask, local, smoothing=_SMOOTHING)


def _fit(ring: FloatArray, place: FloatArray, inside: FloatArray) -> tuple[FloatArray, FloatArray, float] | None:
    """A frame whose third axis points out of the liver, the surface's terms in it, the ring's spread around it."""
    if len(ring) < _TERMS * _SECTORS:
        return None
    frame = np.linalg.svd(ring - ring.mean(axis=0), full_matrices=False)[2]
    if frame[2] @ (place - inside) < 0:
        frame[2] = -frame[2]
    for _ in range(2):
        local = (ring - place) @ frame.T
        turn = np.arctan2(local[:, 1], local[:, 0])
        held = np.unique(np.floor((turn + np.pi) / (2 * np.pi) * _SECTORS).astype(int) % _SECTORS)
        if len(held) < _LEAST_SECTORS:
            return None
        weights, *_ = np.linalg.lstsq(_terms(local), local[:, 2], rcond=None)
        off = local[:, 2] - _terms(local) @ weights
        spread = float(np.sqrt(np.mean(off**2)))
        # Another sheet of the surface, behind a thin edge, lies far off.
        keep = np.abs(off) <= max(3 * spread, 1.0)
        ring = ring[keep]
    return frame, weights, spread


def _terms(local: FloatArray) -> FloatArray:
    x, y = local[:, 0], local[:, 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
