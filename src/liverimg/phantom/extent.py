"""How much room a scene takes, so that a scan can be planned around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.phantom.scene import Scene, Solid
from liverimg.phantom.solids import at_points

FloatArray = NDArray[np.float64]


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

    @property
    def low_lps_mm(self) -> FloatArray:
        """The body's corner at the liver's lowest place."""
        return np.array([*self.body_low_xy, self.liver_low_z])

    @property
    def high_lps_mm(self) -> FloatArray:
        """The body's corner at the liver's highest place."""
        return np.array([*self.body_high_xy, self.liver_high_z])


def grid_over(low_lps_mm: FloatArray, high_lps_mm: FloatArray, *, spacing_kji_mm: Sequence[float]) -> Grid:
    """The axial grid that begins at one corner of a box and reaches the other."""
    k, j, i = (int(n) for n in np.ceil((high_lps_mm - low_lps_mm)[::-1] / np.array(spacing_kji_mm)))
    return Grid.from_axes((k, j, i), spacing_mm=np.array(spacing_kji_mm), origin_lps_mm=low_lps_mm)


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
