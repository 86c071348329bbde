"""Masks that are not as they should be: each has the answer that docs/reference/measurements.md gives."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured, find
from liverimg.measure.form import FORM_NAMES
from liverimg.measure.size import SIZE_NAMES
from liverimg.measure.survey import survey

from .shapes import Ellipsoid, centres, sphere

EXACT = LabelQuality("external")
CODES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.HEPATIC_VEIN: 3, Structure.BODY: 23}
GRID = Grid.from_axes((28, 64, 64), spacing_mm=(2.5, 1.2, 1.2), origin_lps_mm=(-38.0, -38.0, -34.0))
SIZES = (*SIZE_NAMES, *FORM_NAMES, "size_class", "recist_measurable")


def body(*tumours, lesions=None):
    points = centres(GRID)
    array = np.zeros(GRID.shape, np.uint8)
    array[np.hypot(points[..., 0], points[..., 1]) <= 36] = 23
    array[Ellipsoid(np.array([-6.0, 0, 0]), np.array([24.0, 22.0, 26.0]), np.eye(3)).holds(points)] = 1
    for number, tumour in enumerate(tumours):
        array[tumour.holds(points)] = 2 if lesions is None else list(lesions.values())[number]
    return array


def measured(array, settings, lesions=None):
    return survey(None, LabelMap(array, GRID, CODES, lesions or {}), EXACT, settings=settings)


def test_an_empty_mask_has_no_lesion_and_no_sizes(settings):
    found = measured(body(), settings)
    assert found.lesions == ()
    assert any("No tumour is drawn" in w for w in found.warnings)
    assert find(found.organs, "tumour_volume_total", target="tumour").value == 0
    for name in ("largest_tumour_diameter", "tumour_diameter_sum", "target_diameter_sum"):
        quantity = find(found.organs, name, target="tumour")
        assert isinstance(quantity, NotMeasured), name
        assert "no tumour" in quantity.reason


def test_a_lesion_at_the_edge_has_no_size_and_distances_down_to_zero(settings):
    array = body()
    array[sphere(GRID.index_to_lps_mm((0, 32, 28)), 7).holds(centres(GRID))] = 2
    found = measured(array, settings)
    (lesion,) = found.lesions
    for name in SIZES:
        quantity = lesion.quantity(name)
        assert isinstance(quantity, NotMeasured), name
        assert "edge of the image" in quantity.reason
    assert any("touches the edge" in w for w in found.warnings)
    assert lesion.quantity("depth_from_skin_near").low == 0


@pytest.mark.parametrize(("voxels", "words"), [(1, "single voxel"), (3, "too few")])
def test_a_voxel_or_two_have_a_place_and_no_size(settings, voxels, words):
    array = body()
    array[14, 32, 26 : 26 + voxels] = 2
    found = survey(None, LabelMap(array, GRID, CODES, {}), EXACT, settings=loose(settings))
    (lesion,) = found.lesions
    for name in SIZES:
        assert words in lesion.quantity(name).reason, name
    assert isinstance(lesion.quantity("depth_from_skin_centre"), Measurement)


def loose(settings):
    return replace(settings, minimum_lesion_volume_ml=0.0)


def test_touching_tumours_are_one_lesion_until_a_reader_numbers_them(settings):
    pair = sphere((-14, 0, 0), 6), sphere((-3, 0, 0), 6)
    (one,) = measured(body(*pair), settings).lesions
    assert one.quantity("maximum_3d_diameter").value == pytest.approx(23, abs=1)
    assert one.quantity("sphericity").high < 1
    numbered = {"left": 101, "right": 102}
    two = measured(body(*pair, lesions=numbered), settings, numbered).lesions
    assert [x.id for x in two] == ["left", "right"]
    for lesion in two:
        assert lesion.quantity("maximum_3d_diameter").value == pytest.approx(12, abs=1.2)


def test_a_tumour_outside_the_liver_is_measured_and_named(settings):
    found = measured(body(sphere((27, 0, 0), 6)), settings)
    (lesion,) = found.lesions
    assert lesion.site == "outside_liver"
    assert any("lies outside the liver" in w for w in found.warnings)
    assert lesion.quantity("axial_long_diameter").value == pytest.approx(12, abs=0.8)
    assert isinstance(lesion.quantity("distance_to_liver_capsule"), NotMeasured)
    targets = find(found.organs, "target_diameter_sum", target="tumour")
    assert isinstance(targets, NotMeasured), "the organ that it lies in is not known"
    assert find(found.organs, "tumour_diameter_sum", target="tumour").value == pytest.approx(12, abs=0.8)


def test_skin_out_of_view_leaves_the_depth_unknown_and_the_size_known(settings):
    array = body(sphere((-14, 0, 0), 6))
    cut = array[:, :, 14:]
    grid = GRID.cropped((0, 0, 14), cut.shape)
    (lesion,) = survey(None, LabelMap(np.ascontiguousarray(cut), grid, CODES), EXACT, settings=settings).lesions
    near = lesion.quantity("depth_from_skin_near")
    assert isinstance(near, NotMeasured)
    assert "not in view" in near.reason
    assert isinstance(lesion.quantity("volume"), Measurement)


def test_a_tumour_that_replaces_the_whole_liver_leaves_no_liver_to_measure_against(settings):
    array = body()
    array[array == 1] = 2
    found = measured(array, settings)
    (lesion,) = found.lesions
    assert isinstance(lesion.quantity("volume"), Measurement)
    assert "no liver is drawn" in lesion.quantity("distance_to_liver_capsule").reason
    assert isinstance(find(found.organs, "liver_volume", target="liver"), NotMeasured)
