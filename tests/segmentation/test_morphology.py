import cc3d
import edt
import numpy as np
import pytest

from liverimg.core.boxes import box_of
from liverimg.segmentation.morphology import largest_piece, near


def test_distance_is_in_millimetres_along_each_axis() -> None:
    seed = np.zeros((40, 60, 80), dtype=bool)
    seed[20, 30, 40] = True
    found = near(seed, 6.0, spacing_mm=(4, 3, 2))
    assert [found[20 + d, 30, 40] for d in (1, 2)] == [True, False]
    assert [found[20, 30 + d, 40] for d in (2, 3)] == [True, False]
    assert [found[20, 30, 40 + d] for d in (3, 4)] == [True, False]


@pytest.mark.parametrize("distance_mm", [0.0, 0.9, 1.6, 3.0, 4.5, 30.0])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.6, 1.0])
def test_what_is_near_is_what_a_map_of_distances_says(share: float, distance_mm: float) -> None:
    spacing_mm = (1.6, 1.14, 0.75)
    mask = np.random.default_rng(4).random((9, 21, 35)) < share
    plain = edt.edt(~mask, anisotropy=spacing_mm, black_border=False) <= distance_mm
    assert np.array_equal(near(mask, distance_mm, spacing_mm=spacing_mm), plain if mask.any() else mask)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5])
def test_the_largest_piece_is_the_largest_of_all(share: float) -> None:
    mask = np.random.default_rng(5).random((24, 40, 50)) < share
    sizes = np.bincount(cc3d.connected_components(mask, connectivity=6).ravel())[1:]
    found = largest_piece(mask, connectivity=6)
    assert np.count_nonzero(found) == max(sizes, default=0)
    assert not (found & ~mask).any()
    assert cc3d.connected_components(found, connectivity=6).max(initial=0) == min(1, len(sizes))


def test_a_box_holds_the_mask_and_its_room_within_the_array() -> None:
    mask = np.zeros((5, 6, 7), dtype=bool)
    assert box_of(mask) is None
    mask[2, 1:3, 6] = True
    assert box_of(mask) == (slice(2, 3), slice(1, 3), slice(6, 7))
    assert box_of(mask, pad=(1, 2, 3)) == (slice(1, 4), slice(0, 5), slice(3, 7))
