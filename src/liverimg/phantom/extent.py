"""How much room a scene takes, so that a scan can be planned around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverimg.phantom.scene import Scene, Solid
from liverimg.phantom.solids import at_points


@dataclass(frozen=True)
class Extent:
    """Boxes of the body as built, in LPS mm.

    Attributes:
        body_low_xy: Right and front edge of the skin over the liver's height.
        body_high_xy: Left and back edge.
        liver_low_z: Lowest place of the liver.
        liver_high_z: Highest place.
    """

    body_low_xy: tuple[float, float]
    body_high_xy: tuple[float, float]
    liver_low_z: float
    liver_high_z: float


def extent_of(scene: Scene, *, step_mm: float = 2.0) -> Extent:
    """Measures a scene on a coarse lattice; right to about the step."""
    part = next(p for p in scene.parts if isinstance(p, Solid) and p.shape is scene.liver)
    x, y, z = (np.arange(low, high, step_mm) for low, high in zip(part.low_lps_mm, part.high_lps_mm, strict=True))
    inside = scene.liver(x[:, None, None], y[None, :, None], z[None, None, :]) <= 0
    heights = z[inside.any(axis=(0, 1))]
    wide = np.arange(-300, 300, step_mm)
    plane = np.stack(np.meshgrid(wide, wide, heights[::5], indexing="ij"), axis=-1)
    body = at_points(scene.skin, plane) <= 0
    columns, rows = wide[body.any(axis=(1, 2))], wide[body.any(axis=(0, 2))]
    return Extent(
        (float(columns[0]), float(rows[0])),
        (float(columns[-1]), float(rows[-1])),
        float(heights[0]),
        float(heights[-1]),
    )
