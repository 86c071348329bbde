"""A known motion between two made examinations is found around a place that looks different afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.motion import RigidMotion
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.registration.blocks import BlockRules, LocalMotion, local_motion, rigid_through

RULES = BlockRules.from_table(read_table("registration"))
PLACE = np.array([5.0, -8.0, 12.0])


def _grid(origin: tuple[float, float, float]) -> Grid:
    return Grid.from_axes((48, 72, 72), spacing_mm=(3.0, 2.0, 2.0), origin_lps_mm=origin)


def _points(grid: Grid) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.index_to_lps_mm(index)


def _tissue(points: np.ndarray) -> np.ndarray:
    """Smooth random tubes and lumps, the same at a place wherever and however it is sampled."""
    rng = np.random.default_rng(3)
    texture = ndimage.gaussian_filter(rng.normal(size=(60, 60, 60)), 2.0, mode="wrap")
    index = np.moveaxis((points + 120.0) / 4.0, -1, 0)
    return 100.0 + 60.0 * (ndimage.map_coordinates(texture / texture.std(), index, order=1, mode="grid-wrap") > 0.7)


def _pair(motion: RigidMotion, *, noise: float = 8.0, bend_mm: float = 0.0) -> tuple[Volume, Volume]:
    """The same tissue before and after; around the place it is replaced by a dark ball afterwards."""
    rng = np.random.default_rng(4)
    before, after = _grid((-71.0, -71.0, -71.0)), _grid((-60.0, -75.0, -60.0))
    there = motion.inverse().apply(_points(after))
    there = there + bend_mm * np.sin(there[..., [1, 2, 0]] / 40.0)
    images = [_tissue(_points(before)), _tissue(there)]
    images[1][np.linalg.norm(there - PLACE, axis=-1) < 18.0] = 40.0
    return tuple(  # type: ignore[return-value]
        Volume((image + rng.normal(0, noise, image.shape)).astype(np.float32), grid, Quantity.HU)
        for image, grid in zip(images, (before, after), strict=True)
    )


def _region(grid: Grid) -> np.ndarray:
    return np.asarray(np.linalg.norm(_points(grid) - PLACE, axis=-1) > 20.0)


def _motion(degrees: float, shift: tuple[float, float, float]) -> RigidMotion:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return RigidMotion(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array(shift))


def _found(fixed: Volume, moving: Volume, start: RigidMotion) -> LocalMotion | str:
    return local_motion(fixed, moving, place_lps_mm=PLACE, region=_region(fixed.grid), start=start, rules=RULES)


def test_a_rigid_motion_is_found_and_its_error_is_stated() -> None:
    true = _motion(4.0, (9.0, -5.0, 14.0))
    found = _found(*_pair(true), RigidMotion(np.eye(3), np.array([6.0, -2.0, 9.0])))
    assert isinstance(found, LocalMotion)
    error_mm = float(np.linalg.norm(found.motion.apply(PLACE) - true.apply(PLACE)))
    assert error_mm < 1.0
    assert error_mm <= found.error_mm < 2.5
    assert found.blocks > 0.7 * found.tried


def test_bending_is_told_by_what_is_left_over() -> None:
    true = _motion(0.0, (4.0, 3.0, -5.0))
    straight, bent = (_found(*_pair(true, bend_mm=b), true) for b in (0.0, 4.0))
    assert isinstance(straight, LocalMotion)
    assert isinstance(bent, LocalMotion)
    assert bent.residual_mm > straight.residual_mm + 0.3
    assert bent.error_mm > straight.error_mm


def test_another_body_is_refused_in_words() -> None:
    fixed, _ = _pair(RigidMotion.none())
    rng = np.random.default_rng(8)
    noise = Volume(rng.normal(100, 30, fixed.grid.shape).astype(np.float32), fixed.grid, Quantity.HU)
    found = _found(fixed, noise, RigidMotion.none())
    assert isinstance(found, str)
    assert "pieces of liver" in found


def test_a_start_too_far_away_is_refused_and_not_believed() -> None:
    true = _motion(0.0, (0.0, 0.0, 0.0))
    found = _found(*_pair(true), RigidMotion(np.eye(3), np.array([0.0, 45.0, 0.0])))
    assert isinstance(found, str)


def test_points_fix_a_rotation_exactly() -> None:
    rng = np.random.default_rng(0)
    points, true = rng.normal(0, 30, size=(8, 3)), _motion(35.0, (1.0, -20.0, 3.0))
    found = rigid_through(points, true.apply(points), rng.uniform(0.1, 1.0, 8))
    assert found.apply(points) == pytest.approx(true.apply(points), abs=1e-9)
