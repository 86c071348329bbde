"""Volumes, labels and measurements refuse to be born wrong, and can't be changed afterwards."""

import numpy as np
import pytest

from liverimg.core.cine import Cine
from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import Measurement, NotMeasured, find
from liverimg.core.volume import Quantity, Volume


def test_volume_and_grid_must_agree(awkward_grid: Grid) -> None:
    with pytest.raises(GridMismatchError, match="shape"):
        Volume(np.zeros((1, 2, 3)), awkward_grid, Quantity.HU)


def test_a_volume_is_read_only_but_its_source_is_not(awkward_grid: Grid) -> None:
    source = np.zeros(awkward_grid.shape)
    volume = Volume(source, awkward_grid, Quantity.HU)
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1
    source[0, 0, 0] = 1


def test_a_cine_has_no_grid() -> None:
    cine = Cine(np.zeros((3, 4, 5)), np.arange(3.0), None)
    assert not hasattr(cine, "grid")
    with pytest.raises(ValueError, match="frames"):
        Cine(np.zeros((3, 4, 5)), np.arange(2.0), None)


def test_labels_are_asked_by_name(awkward_grid: Grid) -> None:
    array = np.zeros(awkward_grid.shape, dtype=np.uint8)
    array[1, 1, 1], array[2, 2, 2], array[3, 3, 3] = 7, 9, 201
    labels = LabelMap(array, awkward_grid, {Structure.LIVER: 7, Structure.TUMOUR: 9}, {"A": 201})
    assert labels.mask(Structure.TUMOUR).sum() == 2, "a lesion numbered apart is tumour too"
    assert labels.mask(Structure.LIVER, Structure.TUMOUR).sum() == 3
    assert not labels.knows(Structure.BILE_DUCT), "never looked for"
    assert not labels.has(Structure.BILE_DUCT)


def test_label_values_are_unique_and_not_zero(awkward_grid: Grid) -> None:
    array = np.zeros(awkward_grid.shape, dtype=np.uint8)
    for structures in ({Structure.LIVER: 1, Structure.TUMOUR: 1}, {Structure.LIVER: 0}):
        with pytest.raises(ValueError, match="value of its own"):
            LabelMap(array, awkward_grid, structures)


@pytest.mark.parametrize(("value", "low", "high"), [(float("nan"), 0, 1), (2, 0, 1), (1, float("-inf"), 2)])
def test_a_measurement_is_a_finite_number_in_its_band(value: float, low: float, high: float) -> None:
    with pytest.raises(ValueError, match="volume"):
        Measurement("volume", "L1", value, "ml", low, high, "test")


def test_what_nobody_asked_for_is_not_measured() -> None:
    answer = find((), "volume", target="L1")
    assert isinstance(answer, NotMeasured)
