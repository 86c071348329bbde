"""Bodies beside vessels and within a trunk, with known distances and depths; and all scenes by their names.

The bodies are those of ``measurement_scenes.py``.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from liverimg.core.labels import LabelMap, Structure
from measurement_scenes import (
    BODY,
    TUMOUR,
    VESSEL,
    StarBody,
    centres,
    draw,
    random_body,
    random_grid,
    size_scene,
    small_scene,
    unit_sphere,
)


def _gap_to_tube(points, start, end, radius_mm):
    along = end - start
    share = np.clip((points - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(points - start - share[..., None] * along, axis=-1) - radius_mm


def distance_scene(rng, family, slices_mm):
    """A body and a straight vessel beside it, and the true gap between them."""
    body = random_body(rng, family, high_mm=15.0)
    points, _ = body.surface
    turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    radius, gap = rng.choice([1.5, 2.5, 4.0, 7.0]), rng.uniform(2, 18)
    foot = turn[1] * ((points @ turn[1]).max() + radius + gap) + turn[0] * rng.uniform(-4, 4)
    start, end = foot - turn[0] * rng.uniform(5, 20), foot + turn[0] * rng.uniform(5, 20)
    truth = float(_gap_to_tube(points, start, end, radius).min())
    low = np.minimum(np.minimum(start, end) - radius, points.min(axis=0))
    high = np.maximum(np.maximum(start, end) + radius, points.max(axis=0))
    # Wide enough that the edge of the image is always farther than the vessel.
    grid = random_grid(rng, low - truth - 4, high + truth + 4, slices_mm=slices_mm)
    array = np.zeros(grid.shape, np.uint8)
    ends = np.stack([start, end])
    draw(array, grid, VESSEL, lambda at: _gap_to_tube(at, start, end, radius) <= 0,
         ends.min(axis=0) - radius, ends.max(axis=0) + radius)  # fmt: skip
    draw(array, grid, TUMOUR, body.holds, points.min(axis=0), points.max(axis=0))
    labels = LabelMap(array, grid, {Structure.TUMOUR: TUMOUR, Structure.HEPATIC_VEIN: VESSEL})
    return labels, {"distance_to_hepatic_vein": truth}


def tube_scene(rng, family, slices_mm):
    """A body and a long tube beside it, as thin as 2 mm and as near as 1 mm, and the true gap between them."""
    body = random_body(rng, family, high_mm=14.0)
    points, _ = body.surface
    turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    radius, gap = rng.uniform(1, 7), rng.uniform(1, 12)
    foot = turn[1] * ((points @ turn[1]).max() + radius + gap)
    start, end = foot - turn[0] * 60, foot + turn[0] * 60
    truth = float(_gap_to_tube(points, start, end, radius).min())
    # The tube leaves the image, which is wide enough that its edge is always farther than the tube.
    low, high = points.min(axis=0) - truth - 6, points.max(axis=0) + truth + 6
    low, high = np.minimum(low, foot - radius - 3), np.maximum(high, foot + radius + 3)
    grid = random_grid(rng, low, high, slices_mm=slices_mm)
    array = np.zeros(grid.shape, np.uint8)
    array[_gap_to_tube(centres(grid), start, end, radius) <= 0] = VESSEL
    draw(array, grid, TUMOUR, body.holds, points.min(axis=0), points.max(axis=0))
    labels = LabelMap(array, grid, {Structure.TUMOUR: TUMOUR, Structure.HEPATIC_VEIN: VESSEL})
    return labels, {"distance_to_tube": truth}


def depth_scene(rng, family, slices_mm):
    """A body within a round trunk, off its axis: on the axis the deepest point is the tip of a cone."""
    trunk_mm = rng.uniform(36, 50)
    body = random_body(rng, family, high_mm=10.0)
    reach = float(np.linalg.norm(body.surface[0], axis=1).max())
    away, angle = rng.uniform(reach + 3, trunk_mm - reach - 4), rng.uniform(0, 2 * np.pi)
    shift = np.array([away * np.cos(angle), away * np.sin(angle), rng.uniform(-3, 3)])
    body = StarBody(body.family, body.stretch, body.exponent, body.bumps, shift)
    points, _ = body.surface
    depth = trunk_mm - np.hypot(points[:, 0], points[:, 1])
    # Tall enough that the nearest skin is never beyond the last slice.
    tall = reach + 6
    grid = random_grid(rng, (-trunk_mm - 6, -trunk_mm - 6, -tall), (trunk_mm + 6, trunk_mm + 6, tall),
                       slices_mm=slices_mm, tilt=0.15)  # fmt: skip
    at = centres(grid)
    array = np.where(at[..., 0] ** 2 + at[..., 1] ** 2 <= trunk_mm**2, BODY, 0).astype(np.uint8)
    draw(array, grid, TUMOUR, body.holds, points.min(axis=0), points.max(axis=0))
    unit = unit_sphere()[0]
    weight = body.radius(unit)
    centroid = shift + body.stretch @ ((unit * weight[:, None] ** 4).mean(axis=0) * 3 / 4 / (weight**3).mean())
    truth = {
        "depth_from_skin_near": float(depth.min()),
        "depth_from_skin_centre": float(trunk_mm - np.hypot(*centroid[:2])),
        "depth_from_skin_far": float(depth.max()),
    }
    return LabelMap(array, grid, {Structure.TUMOUR: TUMOUR, Structure.BODY: BODY}), truth


SCENES = {
    "size": size_scene,
    "small": small_scene,
    "distance": distance_scene,
    "tube": tube_scene,
    "depth": depth_scene,
}
