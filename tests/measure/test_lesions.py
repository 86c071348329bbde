"""Which voxels become which lesion."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.orientation import Orientation
from liverimg.measure.lesions import find_lesions

STRUCTURES = {Structure.LIVER: 1, Structure.TUMOUR: 2}


def labels_of(array, grid, lesions=None):
    return LabelMap(np.asarray(array, np.uint8), grid, STRUCTURES, lesions or {})


def cubes(*boxes, shape=(20, 24, 28), spacing=(2.0, 1.0, 0.5)):
    grid = Grid.from_axes(shape, spacing_mm=spacing)
    array = np.ones(shape, np.uint8)
    for (k, j, i), size in boxes:
        array[k : k + size, j : j + size, i : i + size] = 2
    return labels_of(array, grid)


def test_ids_follow_falling_volume():
    lesions = find_lesions(cubes(((1, 1, 1), 2), ((10, 10, 10), 5), ((3, 15, 15), 3)), minimum_volume_ml=0)
    assert [x.id for x in lesions] == ["L1", "L2", "L3"]
    assert [int(x.mask.sum()) for x in lesions] == [125, 27, 8]
    assert lesions[0].start_kji == (10, 10, 10)
    assert lesions[0].volume_ml == 125 * 1e-3
    np.testing.assert_allclose(lesions[0].centroid_lps_mm, (6.0, 12.0, 24.0))


def test_corner_contact_joins_and_a_gap_parts():
    assert len(find_lesions(cubes(((2, 2, 2), 3), ((5, 5, 5), 3)), minimum_volume_ml=0)) == 1
    assert len(find_lesions(cubes(((2, 2, 2), 3), ((6, 6, 6), 3)), minimum_volume_ml=0)) == 2


def test_specks_are_left_out():
    labels = cubes(((2, 2, 2), 4), ((10, 10, 10), 1))
    assert [x.id for x in find_lesions(labels, minimum_volume_ml=0.002)] == ["L1"]


def test_lesions_numbered_by_a_reader_stay_apart_even_when_they_touch():
    grid = Grid.from_axes((10, 10, 12), spacing_mm=(1, 1, 1))
    array = np.ones(grid.shape, np.uint8)
    array[2:6, 2:6, 2:6], array[2:6, 2:6, 6:9] = 101, 102
    array[8, 8, 10] = 2
    found = find_lesions(labels_of(array, grid, {"L1": 101, "dome": 102}), minimum_volume_ml=0)
    assert [(x.id, int(x.mask.sum())) for x in found] == [("L1", 64), ("dome", 48), ("L2", 1)]


def test_image_edge_is_noticed():
    inner, outer = find_lesions(cubes(((10, 10, 10), 4), ((0, 2, 2), 3)), minimum_volume_ml=0)
    assert (inner.touches_image_edge, outer.touches_image_edge) == (False, True)


def test_no_tumour_no_lesion():
    grid = Grid.from_axes((3, 3, 3), spacing_mm=(1, 1, 1))
    assert find_lesions(labels_of(np.ones(grid.shape), grid), minimum_volume_ml=0) == ()
    never_looked_for = LabelMap(np.ones(grid.shape, np.uint8), grid, {Structure.LIVER: 1})
    assert find_lesions(never_looked_for, minimum_volume_ml=0) == ()


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(3)), flips=st.tuples(*[st.booleans()] * 3))
def test_ids_do_not_depend_on_the_arrays_order(order, flips):
    labels = cubes(((1, 1, 1), 3), ((10, 10, 10), 3), ((3, 15, 15), 3), ((14, 2, 20), 4))
    turn = Orientation(tuple(order), flips)
    turned = labels_of(turn.turn(labels.array), turn.turn_grid(labels.grid))
    one = find_lesions(labels, minimum_volume_ml=0)
    other = find_lesions(turned, minimum_volume_ml=0)
    assert [x.id for x in one] == [x.id for x in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.centroid_lps_mm, b.centroid_lps_mm, atol=1e-9)
