"""The motion of places between pieces, and how far it may be off."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.files.tables import read_table
from liverimg.registration.motion_field import FieldRules, fit_field
from liverimg.registration.pieces import FoundPieces

RULES = FieldRules.from_table(read_table("registration"))


def _bent(points: np.ndarray) -> np.ndarray:
    away2 = np.square(points - (20.0, 0.0, 0.0)).sum(axis=1)
    return np.array((1.0, -2.0, 3.0)) + np.exp(-away2 / (2 * 60.0**2))[:, None] * np.array((4.0, 2.0, -3.0))


def _pieces(count: int, *, placing_mm: float, wrong: int = 0, seed: int = 0) -> FoundPieces:
    rng = np.random.default_rng(seed)
    places = rng.uniform(-70, 70, size=(count, 3))
    shifts = _bent(places) + rng.normal(0, placing_mm, (count, 3))
    shifts[:wrong] = rng.uniform(-10, 10, (wrong, 3))
    return FoundPieces(places, shifts, np.zeros((count, 3, 3)), np.ones(count), count)


def test_bending_is_followed_between_the_pieces() -> None:
    field = fit_field(_pieces(200, placing_mm=0.4), RULES)
    points = np.random.default_rng(1).uniform(-50, 50, size=(50, 3))
    error = np.linalg.norm(field.at(points) - _bent(points), axis=1)
    assert np.sqrt(np.square(error).mean()) < 0.4
    assert np.ptp(_bent(points), axis=0).max() > 2.0  # a rigid shift would be off by more


def test_wrong_pieces_are_told_from_those_that_agree() -> None:
    field = fit_field(_pieces(200, placing_mm=0.4, wrong=60), RULES)
    points = np.random.default_rng(1).uniform(-50, 50, size=(50, 3))
    assert np.linalg.norm(field.at(points) - _bent(points), axis=1).mean() < 0.6
    assert field.agrees[60:].mean() > 0.9
    assert field.agrees[:60].mean() < 0.3


def test_the_stated_doubt_grows_away_from_the_pieces_and_covers_the_error() -> None:
    field = fit_field(_pieces(200, placing_mm=0.4), RULES)
    inside, outside = np.zeros((1, 3)), np.array([[160.0, 0.0, 0.0]])
    assert field.variance_mm2(outside)[0] > 4 * field.variance_mm2(inside)[0]
    points = np.random.default_rng(2).uniform(-60, 60, size=(100, 3))
    error = np.linalg.norm(field.at(points) - _bent(points), axis=1)
    assert np.mean(error < 2 * np.sqrt(field.variance_mm2(points))) > 0.9


def test_a_rigid_motion_is_found_whole() -> None:
    rng = np.random.default_rng(3)
    places = rng.uniform(-70, 70, size=(60, 3))
    shifts = np.cross(np.array((0.03, -0.02, 0.04)), places) + np.array((5.0, -4.0, 8.0))
    field = fit_field(FoundPieces(places, shifts, np.zeros((60, 3, 3)), np.ones(60), 60), RULES)
    assert field.at(places) == pytest.approx(shifts, abs=0.1)
    assert field.bend_mm < 1.5
