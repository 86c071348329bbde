"""Masks and boxes of a label map, against their plain definitions."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure


@pytest.mark.parametrize("largest", [0, 3, 32, 33, 255])
def test_each_value_has_the_box_around_its_voxels(largest: int) -> None:
    rng = np.random.default_rng(7)
    array = (rng.integers(0, largest + 1, (7, 30, 40)) * (rng.random((7, 30, 40)) < 0.01)).astype(np.uint8)
    labels = LabelMap(array[::-1, ::-1, ::-1], Grid.from_axes((7, 30, 40), spacing_mm=1.0), {})
    found = {}
    for value in set(np.unique(array).tolist()) - {0}:
        index = np.argwhere(labels.array == value)
        found[value] = tuple(slice(*ends) for ends in zip(index.min(axis=0), index.max(axis=0) + 1, strict=True))
    assert labels.boxes == found
    odd = LabelMap(array[:, :29, :39], Grid.from_axes((7, 29, 39), spacing_mm=1.0), {Structure.LIVER: 1})
    assert odd.count(Structure.LIVER) == np.count_nonzero(array[:, :29, :39] == 1)


def test_masks_and_boxes_are_asked_for_by_name_and_count_numbered_lesions_as_tumour() -> None:
    array = np.zeros((6, 8, 9), dtype=np.uint8)
    array[1:4, 2:7, 3:8] = 1
    array[2, 3, 4], array[5, 7, 8] = 2, 9
    structures = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.SPLEEN: 3}
    labels = LabelMap(array, Grid.from_axes((6, 8, 9), spacing_mm=1.0), structures, {"A": 9})
    box = (slice(1, 4), slice(2, 7), slice(3, 8))
    assert labels.box(Structure.LIVER) == box
    assert labels.box(Structure.TUMOUR) == (slice(2, 6), slice(3, 8), slice(4, 9))
    assert labels.box(Structure.SPLEEN) is None and labels.box(Structure.AORTA) is None
    assert np.array_equal(labels.mask(Structure.TUMOUR), (array == 2) | (array == 9))
    both = labels.mask(Structure.LIVER, Structure.TUMOUR)
    assert np.array_equal(both, array > 0)
    assert np.array_equal(labels.mask_in(box, Structure.LIVER, Structure.TUMOUR), both[box])
    assert not labels.mask(Structure.AORTA).any()
