"""Scores on masks whose scores are known."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.training.scoring.metrics import (
    SizeTally,
    agreement,
    centreline_dice,
    count_lesions,
    dice,
    lesions_by_size,
    pooled_95_mm,
    size_class,
    whole_liver,
)
from liverimg.training.scoring.surfaces import surface_distances, weighted_percentile

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


def test_the_area_of_a_box_is_the_area_of_a_box() -> None:
    apart = surface_distances(_block(10, 30), _block(10, 30), SPACING)
    # 20 x 20 x 20 mm; rounded edges and corners take a little.
    assert apart.there_mm2.sum() == pytest.approx(6 * 400, rel=0.05)
    assert apart.surface_dice(0.0) == 1.0


def test_surface_dice_is_the_share_of_area_within_the_tolerance() -> None:
    found = agreement(_block(10, 34), _block(10, 30), SPACING)
    # Of the longer block (2 * 400 + 4 * 480 mm2) its far end (400) and a band of 3 to 4 mm (4 * 20 each) lie outside
    # of 1 mm; of the shorter (2400) its end, whose nearest neighbours on the sides lie within it only at the rim.
    assert 0.75 < found.surface_dice_1mm < 0.9
    assert found.surface_dice_2mm > found.surface_dice_1mm
    moved = agreement(_block(11, 31), _block(10, 30), SPACING)
    assert moved.surface_dice_1mm == 1.0
    assert agreement(_block(10, 10), _block(10, 30), SPACING).surface_dice_2mm == 0.0
    assert agreement(_block(10, 10), _block(10, 10), SPACING).surface_dice_2mm is None


def test_area_counts_and_not_the_number_of_voxels() -> None:
    thin = np.array([4.0, 0.5, 0.5])  # few voxels on the sides, many on the top
    one = np.zeros((12, 40, 40), dtype=bool)
    one[3:9, 8:32, 8:32] = True
    high = one.copy()
    high[9, 8:32, 8:32] = True  # one slice more: only its top is off, by 4 mm
    apart = surface_distances(high, one, thin)
    far = float(apart.there_mm2[apart.there_mm > 2].sum() / apart.there_mm2.sum())
    # Top 12 x 12 = 144 mm2 and a rim of 4 x 12 x 2; in all 2 * 144 + 4 * 12 * 28.
    assert far == pytest.approx((144 + 96) / (288 + 1344), abs=0.03)


def test_the_weighted_percentile_follows_the_weight() -> None:
    values, weights = np.array([1.0, 5.0, 3.0]), np.array([1.0, 1.0, 98.0])
    assert weighted_percentile(values, weights, 50) == 3.0
    assert weighted_percentile(values, weights, 99) == 3.0
    assert weighted_percentile(values, weights, 99.5) == 5.0


def test_centrelines_see_a_missing_branch_that_overlap_does_not() -> None:
    truth = np.zeros((60, 40, 40), dtype=bool)
    truth[:, 14:26, 14:26] = True  # a thick trunk
    truth[30, 20, 26:40] = True  # and a thin branch, 14 voxels long
    without = truth.copy()
    without[30, 20, 26:40] = False
    assert dice(without, truth) > 0.99
    assert centreline_dice(truth, truth) == 1.0
    missing = centreline_dice(without, truth)
    assert missing is not None
    assert missing < 0.95
    assert centreline_dice(np.zeros_like(truth), truth) == 0.0
    assert centreline_dice(truth, np.zeros_like(truth)) is None


def test_lesions_are_told_by_size() -> None:
    truth, found = np.zeros((20, 60, 60), dtype=bool), np.zeros((20, 60, 60), dtype=bool)
    truth[2:5, 2:8, 2:8] = True  # 6 x 6 x 6 mm: 7.4 mm across
    truth[8:14, 20:32, 20:32] = True  # 12 mm cube: 14.9 mm
    found[9:11, 22:26, 22:26] = True  # touches it
    found[2:5, 40:46, 40:46] = True  # a false call of 7.4 mm
    tally = lesions_by_size(found, truth, SPACING, least_diameter_mm=2.0)
    assert tally["0-10 mm"] == SizeTally(present=1, found=0, calls=2, false_calls=1)
    assert tally["10-20 mm"] == SizeTally(present=1, found=1, calls=0, false_calls=0)
    assert lesions_by_size(found, truth, SPACING, least_diameter_mm=8.0)["0-10 mm"] == SizeTally()
    assert size_class(1000.0) == "from 50 mm"
