"""Shapes with closed-form answers, drawn on any grid by asking each voxel centre whether it lies inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from liverimg.core.grid import Grid

CODES = {"tumour": 2, "vessel": 3, "body": 23}


@dataclass(frozen=True)
class Ellipsoid:
    """All x with (x - centre)' form (x - centre) <= 1."""

    centre: np.ndarray
    semi_axes_mm: np.ndarray
    turn: np.ndarray

    @property
    def form(self):
        return self.turn @ np.diag(1 / self.semi_axes_mm**2) @ self.turn.T

    def holds(self, points):
        offset = points - self.centre
        return np.einsum("...a,ab,...b->...", offset, self.form, offset) <= 1

    @property
    def volume_ml(self):
        return 4 / 3 * np.pi * float(np.prod(self.semi_axes_mm)) / 1000

    def extent_mm(self, direction):
        return 2 * float(np.sqrt(direction @ np.linalg.inv(self.form) @ direction))

    def section_mm(self, plane_point, e1, e2):
        """Diameters, long then short, of the section by a plane; zeros where it misses."""
        basis = np.stack([e1, e2], axis=1)
        offset = plane_point - self.centre
        quadratic = basis.T @ self.form @ basis
        linear = basis.T @ self.form @ offset
        rest = 1 - offset @ self.form @ offset + linear @ np.linalg.solve(quadratic, linear)
        if rest <= 0:
            return 0.0, 0.0
        small, large = np.linalg.eigvalsh(quadratic)
        return 2 * float(np.sqrt(rest / small)), 2 * float(np.sqrt(rest / large))

    def axial_mm(self, grid):
        """Long and short diameter in the acquired slice (first array axis) with the largest section."""
        j, i = grid.directions[1], grid.directions[2]
        sections = [self.section_mm(grid.index_to_lps_mm((k, 0, 0)), j, i) for k in range(grid.shape[0])]
        return max(sections)


@dataclass(frozen=True)
class Capsule:
    """All points within a radius of a straight line from start to end."""

    start: np.ndarray
    end: np.ndarray
    radius_mm: float

    def gap(self, points):
        along = self.end - self.start
        share = np.clip((points - self.start) @ along / (along @ along), 0, 1)
        return np.linalg.norm(points - self.start - share[..., None] * along, axis=-1) - self.radius_mm

    def holds(self, points):
        return self.gap(points) <= 0


def sphere(centre, radius_mm):
    return Ellipsoid(np.asarray(centre, dtype=float), np.full(3, float(radius_mm)), np.eye(3))


def centres(grid):
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.index_to_lps_mm(index)


def random_grid(rng, reach_mm, *, slices_mm, tilt_rad=0.35):
    """A grid around the origin: oblique by up to the tilt, anisotropic, flipped at random, off by parts of voxels."""
    spacing = np.array([slices_mm, rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.9)])
    turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * tilt_rad).as_matrix()
    axes = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float) * rng.choice([-1, 1], size=(3, 1))
    directions = axes @ turn.T
    shape = tuple(int(n) for n in np.ceil(2 * np.asarray(reach_mm) / spacing) + 6)
    middle = (np.array(shape) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
    origin = -(middle * spacing) @ directions
    return Grid.from_axes(shape, spacing_mm=spacing, directions=directions, origin_lps_mm=origin)


def random_ellipsoid(rng, low_mm=5.0, high_mm=22.0):
    axes = rng.uniform(low_mm, high_mm) * np.array([1.0, rng.uniform(0.6, 1), rng.uniform(0.6, 1)])
    return Ellipsoid(np.zeros(3), axes, Rotation.random(random_state=int(rng.integers(2**31))).as_matrix())
