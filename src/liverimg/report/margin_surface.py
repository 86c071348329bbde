"""The margin at every point of one tumour's surface, with the zone's surface, as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray

IntArray = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class MarginSurface:
    """A tumour's surface, carried into the later examination, and how deep each point lies in the zone.

    Attributes:
        vertices_before_lps_mm: Vertices in the earlier examination, shape (n, 3).
        vertices_lps_mm: The same in the later one, shape (n, 3).
        triangles: Indices of vertices, shape (m, 3).
        margin_mm: Signed distance to the zone's surface, positive where the zone covers the point, shape (n,).
        nearest_on_zone_lps_mm: Nearest point of the zone's surface, in the later examination, shape (n, 3).
        zone_vertices_lps_mm: The zone's surface in the later examination, shape (p, 3).
        zone_triangles: Indices of the zone's vertices, shape (q, 3).
    """

    vertices_before_lps_mm: FloatArray = field(repr=False)
    vertices_lps_mm: FloatArray = field(repr=False)
    triangles: IntArray = field(repr=False)
    margin_mm: FloatArray = field(repr=False)
    nearest_on_zone_lps_mm: FloatArray = field(repr=False)
    zone_vertices_lps_mm: FloatArray = field(repr=False)
    zone_triangles: IntArray = field(repr=False)

    def __post_init__(self) -> None:
        count = len(self.vertices_lps_mm)
        for name, shape in (
            ("vertices_before_lps_mm", (count, 3)),
            ("vertices_lps_mm", (count, 3)),
            ("margin_mm", (count,)),
            ("nearest_on_zone_lps_mm", (count, 3)),
        ):
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} has shape {np.shape(getattr(self, name))}, expected {shape}")
        for name, among in (("triangles", count), ("zone_triangles", len(self.zone_vertices_lps_mm))):
            corners = np.asarray(getattr(self, name))
            if (
                corners.ndim != 2
                or corners.shape[1] != 3
                or (corners.size and not 0 <= corners.min() <= corners.max() < among)
            ):
                raise ValueError(f"{name} does not hold three indices of {among} vertices each")

    @cached_property
    def middle_lps_mm(self) -> FloatArray:
        """Centre of the tumour's surface by area, in the later examination."""
        corners = self.vertices_lps_mm[self.triangles]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        return np.asarray(np.average(corners.mean(axis=1), axis=0, weights=area))
