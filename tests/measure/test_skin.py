"""The skin is found whatever lies beside the body, and never where the view ends."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.survey import survey

from .shapes import centres, sphere

EXACT = LabelQuality("external")
CODES = {Structure.TUMOUR: 2, Structure.BODY: 23}
GRID = Grid.from_axes((24, 120, 150), spacing_mm=(4.0, 2.0, 2.0), origin_lps_mm=(-149.0, -119.0, -46.0))
BODY_MM = (100.0, 85.0)
TUMOUR = np.array([-40.0, -10.0, 1.0])
RADIUS = 9.0


def body_array(grid=GRID, *extra):
    points = centres(grid)
    array = np.zeros(grid.shape, np.uint8)
    array[(points[..., 0] / BODY_MM[0]) ** 2 + (points[..., 1] / BODY_MM[1]) ** 2 <= 1] = 23
    for change in extra:
        change(array, points)
    array[sphere(TUMOUR, RADIUS).holds(points)] = 2
    return array


def arms(array, points):
    """Two arms that press on the flanks along a strip."""
    for side in (-1, 1):
        array[np.hypot(points[..., 0] - side * 122, points[..., 1] - 10) <= 24] = 23


def table(array, points):
    """A curved sheet that the back lies on."""
    sheet = np.abs(np.hypot(points[..., 0], points[..., 1] + 130) - 217) < 3
    array[sheet & (points[..., 1] > 60)] = 23


def blanket(array, points):
    """A thin cover that touches the belly in places."""
    ring = (points[..., 0] / (BODY_MM[0] + 8)) ** 2 + (points[..., 1] / (BODY_MM[1] + 8)) ** 2
    array[(np.abs(ring - 1) < 0.03) & (points[..., 1] < 0)] = 23
    array[(np.abs(points[..., 0]) < 5) & (points[..., 1] < -80) & (points[..., 1] > -92)] = 23


def bowel_gas(array, points):
    array[sphere((20.0, -66.0, 0.0), 11.0).holds(points)] = 0


def depths(array, settings, grid=GRID, image=None, codes=CODES, quality=EXACT):
    (lesion,) = survey(image, LabelMap(array, grid, codes), quality, settings=settings).lesions
    return {q.name: q for q in lesion.quantities if q.name.startswith("depth_from_skin")}


@pytest.fixture(scope="module")
def plain(settings):
    return depths(body_array(), settings)


def true_near_mm():
    angle = np.linspace(0, 2 * np.pi, 400_001)
    skin = np.stack([BODY_MM[0] * np.cos(angle), BODY_MM[1] * np.sin(angle)], axis=1)
    return float(np.linalg.norm(skin - TUMOUR[:2], axis=1).min()) - RADIUS


def test_a_plain_body_is_as_deep_as_the_formula_says(plain):
    near = plain["depth_from_skin_near"]
    assert near.low <= true_near_mm() <= near.high


@pytest.mark.parametrize("beside", [arms, table, blanket, bowel_gas])
def test_what_lies_beside_or_within_the_body_is_not_its_skin(plain, settings, beside):
    found = depths(body_array(GRID, beside), settings)
    for name, quantity in plain.items():
        assert found[name].value == pytest.approx(quantity.value, abs=0.3), name


def hounsfield(array, noise=12.0):
    values = np.full(256, -1000.0)
    values[[2, 23]] = 60.0, -95.0
    image = values[array] + np.random.default_rng(2).normal(0, noise, array.shape)
    return Volume(image.astype(np.int16), GRID, Quantity.HU)


@pytest.mark.parametrize("beside", [None, arms, table, blanket])
def test_a_ct_shows_the_skin_where_no_label_does(plain, settings, beside):
    array = body_array(GRID, *([beside] if beside else []))
    only_tumour = np.where(array == 2, 2, 0).astype(np.uint8)
    found = depths(only_tumour, settings, image=hounsfield(array), codes={Structure.TUMOUR: 2})
    for name, quantity in plain.items():
        assert found[name].value == pytest.approx(quantity.value, abs=0.5), name
    assert "-500 HU" in found["depth_from_skin_near"].method


def test_software_s_outline_gives_way_to_the_ct_and_a_person_s_does_not(plain, settings):
    array = body_array()
    points = centres(GRID)
    shrunk = array.copy()
    shrunk[(points[..., 0] / (BODY_MM[0] - 8)) ** 2 + (points[..., 1] / (BODY_MM[1] - 8)) ** 2 > 1] = 0
    by_software = depths(shrunk, settings, image=hounsfield(array), quality=LabelQuality("model"))
    by_person = depths(shrunk, settings, image=hounsfield(array))
    near = "depth_from_skin_near"
    assert by_software[near].value == pytest.approx(plain[near].value, abs=0.5)
    assert by_person[near].value < plain[near].value - 5


def test_skin_cut_off_by_the_view_is_not_measured(settings):
    cut = body_array()[:, 48:]  # the front of the body lies outside the image
    found = depths(cut, settings, grid=GRID.cropped((0, 48, 0), cut.shape))
    for quantity in found.values():
        assert isinstance(quantity, NotMeasured) and "skin not in view" in quantity.reason


def test_a_round_view_cuts_too(settings):
    """A CT whose reconstruction circle is narrower than the patient: the padding is no air."""
    array = body_array()
    image = hounsfield(array).array.copy()
    points = centres(GRID)
    square = slice(15, 135)  # columns, so that the slice is square
    circle = np.hypot(points[..., 0], points[..., 1]) <= 60
    image[~circle] = -1024
    grid = GRID.cropped((0, 0, 15), (24, 120, 120))
    labels = np.where((array == 2) & circle, 2, 0).astype(np.uint8)[:, :, square]
    volume = Volume(image[:, :, square], grid, Quantity.HU)
    wide = np.hypot(points[..., 0], points[..., 1])[:, :, square].max() > 60
    assert wide
    narrow = Grid.from_axes((24, 60, 60), spacing_mm=(4.0, 2.0, 2.0), origin_lps_mm=(-59.0, -59.0, -46.0))
    inner = (slice(None), slice(30, 90), slice(30, 90))
    found = depths(
        labels[inner],
        settings,
        grid=narrow,
        image=Volume(volume.array[inner], narrow, Quantity.HU),
        codes={Structure.TUMOUR: 2},
    )
    assert isinstance(found["depth_from_skin_near"], NotMeasured)
    assert "skin not in view" in found["depth_from_skin_near"].reason


def test_the_nearest_way_does_not_depend_on_a_far_cut(plain, settings):
    cut = body_array()[:, :, :110]  # the patient's left flank lies outside the image
    found = depths(cut, settings, grid=GRID.cropped((0, 0, 0), cut.shape))
    near = found["depth_from_skin_near"]
    assert isinstance(near, Measurement)
    assert near.value == pytest.approx(plain["depth_from_skin_near"].value, abs=1e-6)
