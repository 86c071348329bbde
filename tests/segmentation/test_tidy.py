"""Tidying: one liver, no crumbs, no tumour where no liver is."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.files.tables import read_table
from liverimg.segmentation.tidy import TidyRules, tidy

VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.HEPATIC_VEIN: 3, Structure.SPLEEN: 9}
RULES = TidyRules.from_table(read_table("segmentation")["tidy"])


@pytest.fixture
def grid() -> Grid:
    return Grid.from_axes((40, 60, 80), spacing_mm=(4, 3, 2), frame_of_reference_uid="1.2.3")


def drawn(grid: Grid, *boxes: tuple[int, tuple[slice, slice, slice]]) -> LabelMap:
    array = np.zeros(grid.shape, dtype=np.uint8)
    for value, box in boxes:
        array[box] = value
    return LabelMap(array, grid, VALUES)


LIVER = (1, (slice(5, 25), slice(10, 40), slice(10, 50)))  # 20 x 30 x 40 voxels = 576 ml


def test_only_the_largest_liver_stays(grid: Grid) -> None:
    stray = (1, (slice(35, 39), slice(50, 59), slice(70, 79)))
    result = tidy(drawn(grid, LIVER, stray), RULES)
    assert result.mask(Structure.LIVER).sum() == 20 * 30 * 40
    assert not result.array[35:39].any()


def test_a_vein_across_the_liver_does_not_split_it(grid: Grid) -> None:
    vein = (3, (slice(5, 25), slice(10, 40), slice(28, 31)))
    result = tidy(drawn(grid, LIVER, vein), RULES)
    assert result.mask(Structure.LIVER).sum() == 20 * 30 * 37
    assert result.mask(Structure.HEPATIC_VEIN).sum() == 20 * 30 * 3


def test_holes_are_filled_with_liver_but_labels_in_them_stay(grid: Grid) -> None:
    hole = (0, (slice(10, 14), slice(20, 24), slice(20, 24)))
    tumour = (2, (slice(16, 20), slice(20, 26), slice(20, 28)))
    result = tidy(drawn(grid, LIVER, hole, tumour), RULES)
    assert (result.array[10:14, 20:24, 20:24] == 1).all()
    assert (result.array[16:20, 20:26, 20:28] == 2).all()


def test_tumours_away_from_the_liver_go_and_exophytic_ones_stay(grid: Grid) -> None:
    exophytic = (2, (slice(10, 14), slice(20, 26), slice(50, 56)))
    stray = (2, (slice(30, 34), slice(45, 50), slice(60, 66)))
    result = tidy(drawn(grid, LIVER, exophytic, stray), RULES)
    assert result.mask(Structure.TUMOUR).sum() == 4 * 6 * 6


def test_a_crumb_of_vein_in_the_liver_becomes_liver_and_a_crumb_of_spleen_nothing(grid: Grid) -> None:
    vein = (3, (slice(10, 11), slice(20, 21), slice(20, 22)))
    spleen = (9, (slice(30, 31), slice(50, 52), slice(60, 62)))
    result = tidy(drawn(grid, LIVER, vein, spleen), RULES)
    assert result.array[10, 20, 20] == 1
    assert not result.has(Structure.SPLEEN)


def test_a_fragment_is_no_liver(grid: Grid) -> None:
    fragment = (1, (slice(5, 10), slice(10, 20), slice(10, 30)))  # 24 ml
    assert not tidy(drawn(grid, fragment), RULES).array.any()
