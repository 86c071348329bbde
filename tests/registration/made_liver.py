"""One made liver with vessels and a tumour, as examinations see it: moved, bent, treated, noisy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.volume import Quantity, Volume
from liverimg.phantom.deformation import Deformation, Push
from liverimg.phantom.solids import rotation

TUMOUR, RADIUS_MM = np.array((25.0, -5.0, 10.0)), 10.0
OFFSET = np.array((120.0, -40.0, 300.0))


@dataclass(frozen=True, eq=False)
class Look:
    """An examination."""

    image: Volume
    liver: np.ndarray


def _liver(points: np.ndarray) -> np.ndarray:
    """A wedge with a lobe: no symmetry to fall for. Negative inside."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    right = np.sqrt((x / 60) ** 2 + (y / 50) ** 2 + (z / 55) ** 2) - 1
    left = np.sqrt(((x - 55) / 50) ** 2 + ((y + 20) / 25) ** 2 + ((z - 15) / 28) ** 2) - 1
    return np.minimum(right, left)


@cache
def _texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(64, 64, 64)), 1.6, mode="wrap")
    return np.asarray(noise / noise.std())


def _tissue(points: np.ndarray, body: int, vessel_hu: float) -> np.ndarray:
    """Fat around, liver, and vessels: where a smooth random field is near zero in one body as in no other."""
    index = np.moveaxis((points + 160.0) / 5.0, -1, 0)
    first, second = (ndimage.map_coordinates(_texture(body + n), index, order=1, mode="grid-wrap") for n in (0, 50))
    vessel = (np.hypot(first, second) < 0.35) * vessel_hu
    return np.where(_liver(points) < 0, 105.0 + vessel, -80.0)


def look(
    *,
    motion: Deformation | None = None,
    treated: bool = False,
    body: int = 1,
    seed: int = 0,
    slice_mm: float = 2.5,
    vessel_hu: float = 60.0,
    stretched: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Look:
    """The body at rest, or moved; after treatment the examination has coordinates of its own."""
    rng = np.random.default_rng(seed)
    grid = Grid.from_axes(
        (round(190 / slice_mm), 90, 110), spacing_mm=(slice_mm, 2.0, 2.0), origin_lps_mm=(-95.0, -90.0, -95.0)
    )
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    points = grid.index_to_lps_mm(index)
    built = (points if motion is None else motion.to_built(points)) / stretched
    values = _tissue(built, body, vessel_hu)
    away = np.linalg.norm(built - TUMOUR, axis=-1)
    values[away < RADIUS_MM] = 70.0
    if treated:
        values[away < RADIUS_MM + 7] = 45.0
    array = (values + rng.normal(0, 14, grid.shape)).astype(np.int16)
    moved = np.array(grid.affine)
    moved[:3, 3] += OFFSET if treated else 0.0
    return Look(Volume(array, Grid(grid.shape, moved), Quantity.HU), _liver(built) < 0)


def tumour_of(seen: Look) -> np.ndarray:
    """Its voxels in an examination at rest."""
    grid = seen.image.grid
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return np.asarray(np.linalg.norm(grid.index_to_lps_mm(index) - TUMOUR, axis=-1) < RADIUS_MM)


def made_motion(*, degrees: float = 3.0, push_mm: float = 4.0) -> Deformation:
    """Breathing, a turn and bending."""
    pushes = (
        Push((-30.0, 10.0, 0.0), (0.5 * push_mm, -push_mm, 0.6 * push_mm), 50.0),
        Push((60.0, -20.0, 20.0), (-0.6 * push_mm, 0.4 * push_mm, push_mm), 45.0),
    )
    turn = rotation(about_x_deg=degrees, about_y_deg=-0.6 * degrees, about_z_deg=0.8 * degrees)
    return Deformation(turn, np.array((3.0, -4.0, 12.0)), np.zeros(3), pushes)


def sphere() -> np.ndarray:
    """Points on the tumour of the body at rest."""
    way = np.random.default_rng(0).normal(size=(60, 3))
    return TUMOUR + RADIUS_MM * way / np.linalg.norm(way, axis=1)[:, None]
