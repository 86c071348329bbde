"""Size classes, measurability and sums of diameters, with their three answers."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured, find
from liverimg.measure.recist import recist_least_mm
from liverimg.measure.survey import survey

from .shapes import centres, sphere

EXACT = LabelQuality("external")


def found_of(radii_mm, settings, *, slices_mm=1.0, quality=EXACT, liver=True):
    """A row of balls, 50 mm apart, in a block of liver."""
    shape = (int(50 / slices_mm), 70, 70 * len(radii_mm))
    grid = Grid.from_axes(shape, spacing_mm=(slices_mm, 0.8, 0.8))
    array = np.ones(shape, np.uint8) if liver else np.zeros(shape, np.uint8)
    points = centres(grid)
    for n, radius in enumerate(radii_mm):
        array[sphere(grid.index_to_lps_mm((shape[0] / 2 + 0.2, 35.3, 70 * n + 35.1)), radius).holds(points)] = 2
    labels = LabelMap(array, grid, {Structure.LIVER: 1, Structure.TUMOUR: 2})
    return survey(None, labels, quality, settings=settings)


def state(lesion, name):
    quantity = lesion.quantity(name)
    assert isinstance(quantity, Measurement), quantity
    return quantity.value, quantity.low, quantity.high


def test_size_classes(settings):
    lesions = found_of((14.0, 8.0, 4.0), settings).lesions
    assert [state(x, "size_class")[0] for x in lesions] == [2, 1, 0]
    assert [state(x, "recist_measurable")[0] for x in lesions] == [1, 1, 0]


def test_a_threshold_within_the_band_cannot_be_told(settings):
    doubtful = LabelQuality("model", {Structure.TUMOUR: 2.0})
    (lesion,) = found_of((10.1,), settings, quality=doubtful).lesions
    assert state(lesion, "size_class")[1:] == (1, 2)
    (lesion,) = found_of((5.6,), settings, quality=doubtful).lesions
    assert state(lesion, "recist_measurable") == (1, 0, 1)


def test_thick_slices_raise_the_least_measurable_diameter(settings):
    assert recist_least_mm(5.0, settings) == 10
    assert recist_least_mm(8.0, settings) == 16
    assert recist_least_mm(8.0, replace(settings, recist_slices=3.0)) == 24
    (lesion,) = found_of((7.0,), settings, slices_mm=8.0).lesions
    assert state(lesion, "recist_measurable")[0] == 0
    assert "16 mm" in lesion.quantity("recist_measurable").method


def test_sums_take_all_tumours_or_the_two_longest_measurable_ones(settings):
    found = found_of((14.0, 9.0, 7.0, 4.0), settings)
    long = [x.quantity("axial_long_diameter").value for x in found.lesions]
    every = find(found.organs, "tumour_diameter_sum", target="tumour")
    targets = find(found.organs, "target_diameter_sum", target="tumour")
    assert every.value == pytest.approx(sum(long))
    assert targets.value == pytest.approx(long[0] + long[1])
    assert "L1 and L2" in targets.method
    assert every.low < sum(long) < every.high


def test_sums_are_not_measured_where_a_size_or_a_target_is_missing(settings):
    small = find(found_of((4.0,), settings).organs, "target_diameter_sum", target="tumour")
    assert isinstance(small, NotMeasured)
    assert "measurable" in small.reason
    cut = found_of((26.0,), settings)
    for name in ("tumour_diameter_sum", "target_diameter_sum"):
        quantity = find(cut.organs, name, target="tumour")
        assert isinstance(quantity, NotMeasured)
        assert "edge of the image" in quantity.reason
