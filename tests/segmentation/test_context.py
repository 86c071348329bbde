"""The surroundings: a body without table, arms or holes, on any grid; lungs and gas told apart."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table, structure_styles
from liverimg.segmentation.context import ContextRules, add_context, body_mask

RULES = ContextRules.from_table(read_table("segmentation")["context"])
VALUES = {s: style.value for s, style in structure_styles().items()}


def a_body(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """HU of an elliptical trunk on a table with an arm beside it, and the trunk's exact mask."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(grid.index_to_lps_mm(index), -1, 0)
    rng = np.random.default_rng(0)
    hu = np.full(grid.shape, -1000.0)
    trunk = (x / 150) ** 2 + (y / 100) ** 2 <= 1
    hu[trunk] = 40
    hu[(x - 195) ** 2 + y**2 <= 30**2] = 30
    hu[(y > 108) & (y < 111)] = 200
    hu[((x / 60) ** 2 + ((y - 10) / 50) ** 2 <= 1) & (z > 40)] = -850
    hu[(x - 60) ** 2 + (y + 40) ** 2 + z**2 <= 15**2] = -1000
    return hu + rng.normal(0, 10, grid.shape), trunk


@pytest.fixture
def grid() -> Grid:
    return Grid.from_axes((30, 100, 130), spacing_mm=(5, 3, 3.5), origin_lps_mm=(-227, -150, -60))


def test_table_and_arm_are_left_out_and_holes_filled(grid: Grid) -> None:
    hu, trunk = a_body(grid)
    body = body_mask(Volume(hu.astype(np.int16), grid, Quantity.HU), RULES)
    assert (body ^ trunk).sum() < 0.01 * trunk.sum()


def test_lungs_and_gas_are_told_apart_and_labels_stay(grid: Grid) -> None:
    hu, trunk = a_body(grid)
    drawn = np.zeros(grid.shape, dtype=np.uint8)
    drawn[10:15, 45:55, 40:60] = 1
    labels = add_context(
        LabelMap(drawn, grid, {Structure.LIVER: 1}), Volume(hu.astype(np.int16), grid, Quantity.HU), RULES, VALUES
    )
    assert np.array_equal(labels.mask(Structure.LIVER), drawn == 1)
    lung, gas = labels.mask(Structure.LUNG), labels.mask(Structure.GAS)
    assert np.median(hu[lung]) == pytest.approx(-850, abs=20)
    assert np.median(hu[gas]) == pytest.approx(-1000, abs=20)
    assert lung.sum() * grid.voxel_ml > 300
    assert 5 < gas.sum() * grid.voxel_ml < 20, "a ball of 14 ml"
    assert ((labels.array > 0) ^ trunk).sum() < 0.01 * trunk.sum()


def test_a_body_on_mr_has_no_hounsfield_units(grid: Grid) -> None:
    hu, trunk = a_body(grid)
    signal = np.where(hu > -200, 400, 5) + np.abs(np.random.default_rng(1).normal(0, 5, grid.shape))
    signal[(np.abs(hu - 200) < 60)] = 5  # no table on MR
    labels = add_context(
        LabelMap(np.zeros(grid.shape, np.uint8), grid, {Structure.LIVER: 1}),
        Volume(signal.astype(np.float32), grid, Quantity.MR_SIGNAL),
        RULES,
        VALUES,
    )
    assert not labels.knows(Structure.LUNG), "never looked for on MR"
    assert (labels.mask(Structure.BODY) ^ trunk).sum() < 0.015 * trunk.sum()


def test_the_body_does_not_depend_on_how_the_array_lies(grid: Grid) -> None:
    hu, _ = a_body(grid)
    body = body_mask(Volume(hu.astype(np.int16), grid, Quantity.HU), RULES)
    turned = np.transpose(hu, (2, 0, 1))[::-1]
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[2, 3] = -1, grid.shape[2] - 1
    matrix[0, 1] = matrix[1, 2] = matrix[3, 3] = 1
    other = Grid(turned.shape, grid.affine @ matrix)
    again = body_mask(Volume(turned.astype(np.int16), other, Quantity.HU), RULES)
    assert np.array_equal(again, np.transpose(body, (2, 0, 1))[::-1])


def test_air_alone_has_no_body(grid: Grid) -> None:
    air = Volume(np.full(grid.shape, -1000, np.int16), grid, Quantity.HU)
    assert not body_mask(air, RULES).any()
