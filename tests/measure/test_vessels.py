"""Width of vessels, heat sinks and contact, against closed forms."""

import numpy as np
import pytest
from benchmarks.nearness_truth import SLICES_MM, Crossing, measured, random_crossing, random_grid, truths

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.measure.nearness import measure_nearness
from liverimg.measure.subject import Body, Subject

from .shapes import Capsule, centres, sphere

UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
FINE = Grid.from_axes((56, 60, 60), spacing_mm=(1.0, 0.8, 0.8), origin_lps_mm=(-23.6, -23.4, -27.2))


@pytest.fixture(scope="module")
def scenes(settings):
    """Tens of random scenes, apart and crossing: error, whether the band held the truth, voxel."""
    rng = np.random.default_rng(5)
    found = {}
    for n in range(60):
        scene = random_crossing(rng, touching=n % 2 == 1)
        reach = max(scene.sphere_mm, scene.axis_mm + scene.tube_mm) + 13
        grid = random_grid(rng, reach, slices_mm=SLICES_MM[n % 3])
        rows = measured(scene.labels(grid), settings)
        voxel = float(np.cbrt(np.prod(grid.spacing_mm)))
        for name, truth in truths(scene).items():
            row = rows[name]
            found.setdefault(name, []).append((row.value - truth, row.low <= truth <= row.high, voxel))
    return {name: np.array(part, dtype=float) for name, part in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["distance_to_portal_vein", "diameter_of_portal_vein"])
def test_lengths_are_unbiased_and_their_bands_hold_the_truth(scenes, name):
    error, held, voxel = scenes[name].T
    assert abs(np.mean(error / voxel)) < 0.1
    assert held.mean() >= 0.93


@pytest.mark.slow
def test_contact_lies_in_its_band(scenes):
    for name in ("contact_angle_of_portal_vein", "contact_length_of_portal_vein"):
        assert scenes[name][:, 1].mean() >= 0.8, name
    assert abs(scenes["contact_angle_of_portal_vein"][:, 0].mean()) < 12
    assert abs(scenes["contact_length_of_portal_vein"][:, 0].mean()) < 1.0, "sections lie 1 mm apart"


@pytest.mark.parametrize(("axis_mm", "low", "high"), [(0.0, 355, 360), (12.0, 150, 215), (15.5, 20, 110)])
def test_encasement_abutment_and_touch(settings, axis_mm, low, high):
    scene = Crossing(12.0, 4.0, axis_mm, UPRIGHT)
    angle = measured(scene.labels(FINE), settings)["contact_angle_of_portal_vein"]
    assert low <= angle.value <= high
    ray_deg = 5
    assert angle.low - ray_deg <= scene.contact_deg <= angle.high + ray_deg
    assert "% of its circumference" in angle.method


def test_what_does_not_touch_has_no_contact(settings):
    rows = measured(Crossing(8.0, 3.0, 16.0, UPRIGHT).labels(FINE), settings)
    for name in ("contact_angle_of_portal_vein", "contact_length_of_portal_vein"):
        assert (rows[name].value, rows[name].low, rows[name].high) == (0, 0, 0)
        assert "do not touch" in rows[name].method


def test_a_tube_drawn_whole_may_not_be_breached(settings):
    row = measured(Crossing(8.0, 3.0, 9.5, UPRIGHT).labels(FINE), settings)["distance_to_portal_vein"]
    assert row.value == pytest.approx(-1.5, abs=0.4)
    assert row.low <= -1.5 and row.high == 0
    assert "breached can't be told" in row.method


@pytest.mark.parametrize("axis_mm", [2.0, 8.0, 10.0])
def test_a_lesion_drawn_over_a_tube_lies_in_it(settings, axis_mm):
    """The tube is cut through, cut by more than half, and notched."""
    scene = Crossing(8.5, 3.5, axis_mm, UPRIGHT)
    row = measured(scene.labels(FINE, over=True), settings)["distance_to_portal_vein"]
    assert row.value == pytest.approx(scene.gap_mm, abs=0.4)
    assert row.low <= scene.gap_mm <= row.high < 0, "a part of the tube is missing, so the depth is no guess"
    assert "led through from both sides" in row.method


def test_a_tube_that_ends_at_the_lesion_may_run_on_inside(settings):
    points = centres(FINE)
    array = np.zeros(FINE.shape, np.uint8)
    array[Capsule(np.array([0.0, 0.0, 0.0]), np.array([0.0, 0.0, 60.0]), 3.0).holds(points)] = 4
    array[sphere((0, 0, 0), 9.0).holds(points)] = 2
    codes = {Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 4}
    row = measured(LabelMap(array, FINE, codes), settings)["distance_to_portal_vein"]
    assert row.low <= -2.7 and row.high == 0
    assert "on one side only" in row.method and "run on inside" in row.method


def test_a_bent_tube_that_is_whole_is_not_called_replaced(settings):
    """A quarter of a ring of 18 mm through a lesion: a straight line between its ends would run through the lesion."""
    points = centres(FINE)
    array = np.zeros(FINE.shape, np.uint8)
    array[sphere((0, 0, 0), 9.0).holds(points)] = 2
    ring = np.hypot(np.hypot(points[..., 0] - 18.0, points[..., 2]) - 18.0, points[..., 1])
    array[(ring <= 2.5) & (points[..., 0] < 18.0)] = 4
    row = measured(LabelMap(array, FINE, {Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 4}), settings)[
        "distance_to_portal_vein"
    ]
    assert row.value == pytest.approx(-2.5, abs=0.4) and row.high == 0
    assert "where the tube ran" not in row.method


def in_liver(settings, centre_mm, radius_mm, *, drop=False):
    """A lesion in a ball of liver of 60 mm, of which a cap lies in view; ``drop`` draws what sticks out as nothing."""
    grid = Grid.from_axes((48, 70, 76), spacing_mm=(1.25, 0.8, 0.8), origin_lps_mm=(20.3, -27.4, -29.8))
    points = centres(grid)
    array = np.zeros(grid.shape, np.uint8)
    liver = np.linalg.norm(points, axis=-1) <= 60
    array[liver] = 1
    lesion = sphere((centre_mm, 0.0, 0.0), radius_mm).holds(points)
    array[lesion & liver if drop else lesion] = 2
    labels = LabelMap(array, grid, {Structure.LIVER: 1, Structure.TUMOUR: 2})
    return measured(labels, settings)["distance_to_liver_capsule"]


@pytest.mark.parametrize(("centre_mm", "radius_mm"), [(52.0, 12.0), (55.0, 9.0), (54.0, 14.0)])
def test_a_lesion_that_bulges_out_of_the_liver_is_beyond_its_capsule(settings, centre_mm, radius_mm):
    truth = 60 - centre_mm - radius_mm
    row = in_liver(settings, centre_mm, radius_mm)
    assert row.value == pytest.approx(truth, abs=0.6)
    assert row.low <= truth <= row.high < 0
    assert "stands out" in row.method


def test_a_lesion_under_the_capsule_does_not_bulge(settings):
    row = in_liver(settings, 53.0, 12.0, drop=True)
    assert row.value == 0 <= row.high < 0.3
    assert row.low < 0, "how well the capsule is known"
    assert "does not stand out" in row.method


def test_how_deep_a_lesion_lies_in_an_organ_is_not_guessed(settings):
    labels = Crossing(8.0, 4.0, 9.5, UPRIGHT).labels(FINE)
    stomach = LabelMap(labels.array, FINE, {Structure.TUMOUR: 2, Structure.STOMACH: 4})
    row = measured(stomach, settings)["distance_to_stomach"]
    assert row.value == 0 and row.low < 0 < row.high < 0.3, "outlines that touch may lie a little apart"
    assert "can't be told" in row.method


def heat_sink(settings, tubes, quality=None, codes=None):
    points = centres(FINE)
    array = np.zeros(FINE.shape, np.uint8)
    for tube, value in tubes:
        array[tube.holds(points)] = value
    array[sphere((0, 0, 0), 7.0).holds(points)] = 2
    codes = codes or {Structure.TUMOUR: 2, Structure.HEPATIC_VEIN: 3, Structure.PORTAL_VEIN: 4}
    body = Body.of(LabelMap(array, FINE, codes), quality or LabelQuality("external"), settings=settings)
    rows = measure_nearness(Subject.of(body.lesions[0], body), body)
    return {r.name: r for r in rows}


def upright_tube(x, radius):
    return Capsule(np.array([x, 0.0, -60.0]), np.array([x, 0.0, 60.0]), radius)


def test_the_heat_sink_is_the_nearest_vessel_that_is_wide_enough(settings):
    rows = heat_sink(settings, [(upright_tube(-10.0, 0.9), 4), (upright_tube(14.0, 2.5), 3)])
    assert rows["distance_to_portal_vein"].value == pytest.approx(2.1, abs=0.4)
    assert rows["heat_sink_vessel_distance"].value == pytest.approx(4.5, abs=0.45)
    assert "hepatic vein" in rows["heat_sink_vessel_distance"].method
    assert rows["heat_sink_vessel_diameter"].value == pytest.approx(5.0, abs=0.2)
    assert rows["diameter_of_portal_vein"].value == pytest.approx(1.8, abs=0.3)


def test_a_wide_part_of_a_tree_counts_where_the_near_part_is_thin(settings):
    errors = []
    for shift in np.arange(4) * 0.2:  # of a pixel of 0.8: half of one is what a single place can tell
        rows = heat_sink(settings, [(upright_tube(-9.5, 0.9), 4), (upright_tube(17.0 - shift, 3.0), 4)])
        errors.append(rows["heat_sink_vessel_distance"].value - (7.0 - shift))
        assert rows["heat_sink_vessel_distance"].value > rows["distance_to_portal_vein"].value + 3
    assert np.abs(errors).max() < 0.4 and abs(np.mean(errors)) < 0.15


def test_thin_vessels_alone_are_no_heat_sink_and_nothing_is_called_far(settings):
    rows = heat_sink(settings, [(upright_tube(-9.5, 0.9), 4)])
    for name in ("heat_sink_vessel_distance", "heat_sink_vessel_diameter"):
        assert isinstance(rows[name], NotMeasured)
        assert "3 mm or more" in rows[name].reason


def test_a_vessel_that_was_not_looked_for_may_be_nearer(settings):
    codes = {Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 4}
    row = heat_sink(settings, [(upright_tube(14.0, 2.5), 4)], codes=codes)["heat_sink_vessel_distance"]
    assert isinstance(row, Measurement)
    assert row.low == 0
    assert "may not be drawn" in row.method


def test_neighbours_in_thick_slices_need_not_touch(settings):
    grid = Grid.from_axes((16, 70, 70), spacing_mm=(5.0, 0.8, 0.8), origin_lps_mm=(-27.6, -27.4, -37.0))
    lying = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    gaps = np.arange(0.5, 6.5, 0.5)
    rows = [
        measured(Crossing(10.0, 5.0, 15.0 + gap, lying).labels(grid), settings)["distance_to_portal_vein"]
        for gap in gaps
    ]
    held = [row.low <= gap <= row.high for row, gap in zip(rows, gaps, strict=True)]
    assert np.mean(held) >= 0.9
    # Slices 5 mm apart show two bodies as neighbours that lie farther apart than a voxel's step within a slice.
    assert sum(row.value > 0 for row in rows) >= 6
