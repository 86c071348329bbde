"""All 48 ways to permute and flip an array lead to the same standard order and back."""

from itertools import permutations, product

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.orientation import Orientation

WAYS = [(order, flips) for order in permutations(range(3)) for flips in product((False, True), repeat=3)]


def rearranged(array: np.ndarray, grid: Grid, order: tuple[int, ...], flips: tuple[bool, ...]) -> tuple:
    turned = np.flip(np.transpose(array, order), axis=[a for a in range(3) if flips[a]])
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for new, old in enumerate(order):
        matrix[old, new] = -1 if flips[new] else 1
        matrix[old, 3] = array.shape[old] - 1 if flips[new] else 0
    return turned, Grid(turned.shape, grid.affine @ matrix, grid.frame_of_reference_uid)


@pytest.mark.parametrize(("order", "flips"), WAYS)
def test_every_arrangement_turns_to_the_same_array(order: tuple, flips: tuple, awkward_grid: Grid) -> None:
    array = np.random.default_rng(1).integers(0, 1000, awkward_grid.shape)
    reference = Orientation.of(awkward_grid)
    expected, expected_grid = reference.turn(array), reference.turn_grid(awkward_grid)

    other, other_grid = rearranged(array, awkward_grid, order, flips)
    turn = Orientation.of(other_grid)
    assert np.array_equal(turn.turn(other), expected)
    assert turn.turn_grid(other_grid).is_same_as(expected_grid, tolerance_mm=1e-9)
    assert np.array_equal(turn.turn_back(turn.turn(other)), other)


def test_standard_order_is_superior_posterior_left() -> None:
    grid = Grid.from_axes((4, 5, 6), spacing_mm=(3, 1, 1), directions=((0, 0, -1), (0, -1, 0), (-1, 0, 0)))
    standard = Orientation.of(grid).turn_grid(grid)
    assert standard.directions == pytest.approx(np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]))


def test_an_oblique_grid_stays_oblique(awkward_grid: Grid) -> None:
    standard = Orientation.of(awkward_grid).turn_grid(awkward_grid)
    assert np.diag(standard.directions[:, ::-1]).min() > 0.5, "nearest axes"
    assert np.abs(standard.directions).max() < 0.999, "not straightened"
