"""Scores on masks whose scores are known."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.training.metrics import agreement, count_lesions, dice, pooled_95_mm, whole_liver

SPACING = np.array([2.0, 1.0, 1.0])


def _block(first: int, last: int) -> np.ndarray:
    mask = np.zeros((20, 40, 40), dtype=bool)
    mask[5:15, 10:30, first:last] = True
    return mask


def test_equal_masks_agree_wholly() -> None:
    found = agreement(_block(10, 30), _block(10, 30), SPACING)
    assert (found.dice, found.hd95_mm, found.assd_mm) == (1.0, 0.0, 0.0)
    assert found.truth_ml == pytest.approx(10 * 20 * 20 * 2 / 1000)


def test_a_block_that_is_too_long_by_four_millimetres() -> None:
    found = agreement(_block(10, 34), _block(10, 30), SPACING)
    assert found.dice == pytest.approx(2 * 20 / (24 + 20))
    assert found.hd95_mm == pytest.approx(4.0)


def test_one_empty_mask_has_no_distance() -> None:
    found = agreement(np.zeros((20, 40, 40), dtype=bool), _block(10, 30), SPACING)
    assert (found.dice, found.hd95_mm) == (0.0, None)
    assert dice(np.zeros(3, dtype=bool), np.zeros(3, dtype=bool)) == 1.0


def test_lesions_are_counted_one_by_one() -> None:
    truth, found = np.zeros((20, 40, 40), dtype=bool), np.zeros((20, 40, 40), dtype=bool)
    truth[2:9, 2:16, 2:16] = True
    truth[12:19, 22:36, 2:16] = True
    truth[2, 30, 30] = True  # too small to count
    found[4:6, 5:9, 5:9] = True
    found[12:19, 2:16, 22:36] = True
    counted = count_lesions(found, truth, SPACING)
    assert (counted.present, counted.found, counted.false_calls) == (2, 1, 1)


def test_a_stray_piece_does_not_count_as_a_surface_error() -> None:
    found = _block(10, 31)
    found[0:2, 0:3, 36:39] = True
    scored = agreement(found, _block(10, 30), SPACING)
    assert scored.matched_95_mm == pytest.approx(1.0)
    assert scored.hd95_mm is not None


def test_the_whole_liver_takes_in_enclosed_veins_and_leaves_the_trunk() -> None:
    grid = Grid.from_axes((40, 40, 60), spacing_mm=(2.0, 2.0, 2.0))
    array = np.zeros(grid.shape, dtype=np.uint8)
    array[5:35, 5:35, 5:35] = 1
    array[18:22, 18:22, 20:58] = 4
    labels = LabelMap(array, grid, {Structure.LIVER: 1, Structure.PORTAL_VEIN: 4})
    whole = whole_liver(labels)
    assert whole[5:35, 5:35, 5:31].all()  # at its mouth a vein is half out
    assert not whole[:, :, 36:].any()


def test_the_pooled_error_lies_between_a_typical_and_the_worst_case() -> None:
    assert pooled_95_mm([]) is None
    assert pooled_95_mm([4.0, 4.0, 4.0]) == pytest.approx(4.0, abs=0.01)
    assert 3.0 < pooled_95_mm([3.0, 3.0, 3.0, 12.0]) < 12.0
    assert pooled_95_mm([3.0, 12.0]) > pooled_95_mm([3.0, 3.0, 12.0])
