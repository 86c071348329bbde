"""The acoustic window against formulas: what blocks, how deep, and what can't be known."""

import tomllib
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.approach import ApproachSettings
from liverimg.measure.beam import all_directions, cone
from liverimg.measure.survey import survey_with_windows
from liverimg.measure.tissue import Tissue
from liverimg.measure.window_band import moved_share
from liverimg.measure.window_numbers import NAMES, window_numbers

from .window_scenes import (
    CODES,
    EXACT,
    GRID,
    Ball,
    Rib,
    Scene,
    approach_with,
    random_scene,
    true_share,
    window_of,
)

TUMOUR = np.array([-30.0, -5.0, 2.0])


@pytest.fixture(scope="module")
def limits():
    return ApproachSettings.from_table(tomllib.loads((files("liverimg") / "data/acoustics.toml").read_text()))


def numbers_of(labels, approach, settings, **options):
    body, subject, search, window = window_of(labels, approach, settings, **options)
    return {n.name: n for n in window_numbers(subject, body, search, window)}, window


def test_nothing_in_the_way(limits, settings):
    scene = Scene(TUMOUR, 6.0)
    found, window = numbers_of(scene.labels(), approach_with(limits), settings)
    assert found["window_blocked_share"].value == 0
    # From the far left the rim of the beam runs farther than the focus reaches.
    assert 99 < found["window_usable_entries"].value <= 100
    assert window.map.blocked_percent.max() == 0
    axis = window.map.beam.axis
    depth = found["window_depth"]
    assert depth.low <= scene.depth_mm(window.map.targets_lps_mm[0], axis) <= depth.high
    # The least deep entry wins where all are free, to the spacing of the entries.
    assert depth.value == pytest.approx(95 - np.hypot(*TUMOUR[:2]), abs=1.5)


def test_a_ball_on_the_axis_blocks_the_share_of_two_caps(limits, settings):
    """A ball of radius r at distance d hides the directions within asin(r / d) of its middle."""
    approach = approach_with(limits, azimuth_deg=(88.0, 92.0), elevation_deg=(-2.0, 2.0))
    scene = Scene(TUMOUR, 3.0, (Ball(TUMOUR + np.array([-40.0, 0.0, 0.0]), 9.0),))
    body, subject, search, window = window_of(scene.labels(), approach, settings)
    hidden = np.arcsin(9 / 40)
    expected = 100 * (1 - np.cos(hidden)) / (1 - np.cos(approach.transducer.half_angle))
    assert 100 * (window.beams[0].causes == Tissue.GAS).mean() == pytest.approx(expected, abs=5)
    moved = moved_share(subject, body, search, window).whole
    assert (
        moved.low <= true_share(scene, window.map.targets_lps_mm, window.axis, approach.transducer).mean() <= moved.high
    )
    found = {n.name: n for n in window_numbers(subject, body, search, window)}
    assert found["window_blocked_by_gas"].value == found["window_blocked_share"].value
    assert found["window_blocked_by_bone"].value == 0
    assert found["window_blocked_by_bone"].high == 0, "no bone is near"
    assert found["window_path_gas"].value == pytest.approx(18, abs=2.5)


def test_a_screen_that_ends_on_the_axis_blocks_half(limits, settings):
    approach = approach_with(limits, azimuth_deg=(88.0, 92.0), elevation_deg=(-2.0, 2.0))

    def screen(array, points):
        array[(points[..., 0] < -70) & (points[..., 0] > -76) & (points[..., 2] > TUMOUR[2]) & (array == 23)] = 15

    labels = Scene(TUMOUR, 3.0).labels(extra=(screen,))
    found, _ = numbers_of(labels, approach, settings)
    share = found["window_blocked_share"]
    assert share.value == pytest.approx(50, abs=4)
    assert share.low <= 50 <= share.high


@pytest.mark.slow
def test_shares_over_random_ribs_and_gas_hold_the_truth(limits, settings):
    rng = np.random.default_rng(5)
    errors, held, depths = [], [], []
    for n in range(12):
        scene = random_scene(rng)
        approach = approach_with(limits, opening_mm=30.0 if n % 3 == 0 else 0.0, aperture_mm=80.0 + 15 * (n % 4))
        found, window = numbers_of(scene.labels(), approach, settings)
        share = found["window_blocked_share"]
        assert isinstance(share, Measurement)
        beam = window.map.beam
        truth = true_share(scene, window.map.targets_lps_mm, beam.axis, approach.transducer)
        errors.append(share.value - truth.mean())
        held.append(share.low <= truth.mean() <= share.high)
        depths.append(found["window_depth"].value - scene.depth_mm(window.map.targets_lps_mm[0], beam.axis))
    # Points of a hundred; in voxels of 3 mm a rib is drawn a little too wide.
    assert abs(np.mean(errors)) < 2
    assert np.abs(errors).max() < 5
    assert np.mean(held) >= 0.93
    assert abs(np.mean(depths)) < 0.2 and np.abs(depths).max() < 1


def test_every_entry_of_the_map_is_as_the_formulas_say(limits, settings):
    scene = random_scene(np.random.default_rng(8))
    approach = approach_with(limits)
    _, _, _, window = window_of(scene.labels(), approach, settings)
    found, targets = window.map, window.map.targets_lps_mm
    some = np.arange(0, len(found.depth_mm), 40)
    axes = (found.entries_lps_mm - targets[0]) / found.depth_mm[:, None]
    truth = np.array([true_share(scene, targets, axes[n], approach.transducer).mean() for n in some])
    assert np.abs(found.blocked_percent[some] - truth).mean() < 2
    depth = np.array([scene.depth_mm(targets[0], axes[n]) for n in some])
    assert np.abs(found.depth_mm[some] - depth).max() < 2.5
    assert abs((found.depth_mm[some] - depth).mean()) < 0.4
    by_cause = sum(found.blocked_by_percent.values())
    assert np.allclose(by_cause, found.blocked_percent, atol=1e-3)


def test_the_beam_says_where_it_is_blocked(limits, settings):
    rib = Rib(np.array([-78.0, 0.0, 14.0]), np.array([0.0, 1.0, 0.0]), 5.0)
    approach = approach_with(limits, azimuth_deg=(88.0, 92.0), elevation_deg=(-2.0, 2.0))
    _, _, _, window = window_of(Scene(TUMOUR, 3.0, (rib,)).labels(), approach, settings)
    beam = window.map.beam
    across, along = beam.fans
    assert not any(across.blocked_by), "the plane across the body passes below the rib"
    stopped = np.array([cause == "bone" for cause in along.blocked_by])
    assert stopped.any()
    assert (np.abs(np.linalg.norm(along.stop_lps_mm[stopped] - rib.point, axis=1)) < 8).all()
    focal = np.linalg.norm(along.aperture_lps_mm - window.map.targets_lps_mm[0], axis=1)
    assert focal == pytest.approx(150)
    assert beam.path[0].start_mm == 0
    assert beam.path[-1].end_mm == pytest.approx(
        np.linalg.norm(beam.entry_lps_mm - window.map.targets_lps_mm[0]), abs=0.01
    )


@pytest.mark.parametrize(
    ("order", "flip"),
    [((0, 1, 2), (True, False, True)), ((2, 0, 1), (False, True, False)), ((1, 2, 0), (True, True, True))],
)
def test_the_same_however_the_array_runs(limits, settings, order, flip):
    scene = random_scene(np.random.default_rng(3))
    labels = scene.labels()
    turn = Orientation(order, flip)
    turned = LabelMap(np.ascontiguousarray(turn.turn(labels.array)), turn.turn_grid(GRID), CODES)
    approach = approach_with(limits)
    one, _ = survey_with_windows(None, labels, EXACT, settings=settings, approach=approach)
    other, _ = survey_with_windows(None, turned, EXACT, settings=settings, approach=approach)
    for a, b in zip(one.lesions[0].quantities, other.lesions[0].quantities, strict=True):
        assert a.name == b.name
        if isinstance(a, Measurement):
            assert b.value == pytest.approx(a.value, abs=1e-4), a.name
            assert (b.low, b.high) == pytest.approx((a.low, a.high), abs=1e-4), a.name


def test_a_larger_error_of_the_labels_widens_the_band(limits, settings):
    rib = Rib(np.array([-78.0, 0.0, 10.0]), np.array([0.0, 1.0, 0.0]), 5.0)
    labels = Scene(TUMOUR, 5.0, (rib,)).labels()
    approach = approach_with(limits, azimuth_deg=(80.0, 100.0), elevation_deg=(-5.0, 5.0))
    exact, _ = numbers_of(labels, approach, settings)
    rough = replace(EXACT, surface_error_mm={Structure.BONE: 5.0})
    unsure, _ = numbers_of(labels, approach, settings, quality=rough)
    narrow, wide = exact["window_blocked_share"], unsure["window_blocked_share"]
    assert narrow.value == wide.value
    assert wide.high > narrow.high + 2 and wide.low <= narrow.low


def test_too_deep_for_the_focus_is_said(limits, settings):
    found, window = numbers_of(
        Scene(TUMOUR, 5.0).labels(), approach_with(limits, focal_length_mm=60.0, aperture_mm=50.0), settings
    )
    assert window.best is None and window.map.beam is None
    assert "the focus reaches 55 mm under it" in found["window_blocked_share"].reason
    assert found["window_usable_entries"].value == 0


def test_bowel_in_front_is_avoided(limits, settings):
    def bowel(array, points):
        array[(points[..., 1] < -45) & (points[..., 1] > -65) & (array == 23)] = 12

    _, window = numbers_of(Scene(TUMOUR, 5.0).labels(extra=(bowel,)), approach_with(limits), settings)
    assert window.map.avoided_percent.max() > 90
    assert window.map.avoided_percent[window.best] == 0
    assert window.map.blocked_percent.max() == 0, "no gas is drawn in it"


def test_bowel_counts_for_the_upper_end_where_gas_was_not_looked_for(limits, settings):
    def bowel(array, points):
        array[(points[..., 0] < -60) & (points[..., 0] > -75) & (array == 23)] = 12

    codes = {s: v for s, v in CODES.items() if s is not Structure.GAS}
    labels = Scene(TUMOUR, 5.0).labels(extra=(bowel,), codes=codes)
    approach = approach_with(limits, azimuth_deg=(85.0, 95.0), elevation_deg=(-5.0, 5.0))
    found, _ = numbers_of(labels, approach, settings)
    share = found["window_blocked_share"]
    assert (share.value, share.high) == (0, 100)
    assert "gas can't be seen" in share.method
    assert isinstance(found["window_path_gas"], NotMeasured)


@pytest.mark.parametrize("missing", [Structure.BONE, Structure.LUNG])
def test_without_the_labels_of_what_blocks_nothing_is_known(limits, settings, missing):
    codes = {s: v for s, v in CODES.items() if s is not missing}
    labels = Scene(TUMOUR, 5.0).labels(codes=codes)
    found, windows = survey_with_windows(None, labels, EXACT, settings=settings, approach=approach_with(limits))
    assert windows == ()
    for name in NAMES:
        quantity = found.lesions[0].quantity(name)
        assert isinstance(quantity, NotMeasured) and missing.value in quantity.reason


@pytest.mark.parametrize(("at_mm", "known"), [(None, False), (0.0, False), (-80.0, True)])
def test_on_mr_ribs_have_to_be_drawn(limits, settings, at_mm, known):
    """No bone at all, the spine alone, and a rib at the right side: only then is the window known."""
    bars = () if at_mm is None else (Rib(np.array([at_mm, 60.0, 0.0]), np.array([0.0, 0.0, 1.0]), 6.0),)
    drawn = Scene(TUMOUR, 5.0, bars).labels()
    array = np.array(drawn.array)
    places = GRID.index_to_lps_mm(np.argwhere(array == 23))
    liver = np.argwhere(array == 23)[np.linalg.norm(places - (-35.0, -10.0, 0.0), axis=1) < 40]
    array[tuple(liver.T)] = 1
    labels = LabelMap(array, GRID, CODES)
    image = Volume(np.full(GRID.shape, 300, np.int16), GRID, Quantity.MR_SIGNAL)
    found, windows = survey_with_windows(image, labels, EXACT, settings=settings, approach=approach_with(limits))
    assert bool(windows) == known
    quantity = found.lesions[0].quantity("window_blocked_share")
    assert isinstance(quantity, Measurement) == known
    if not known:
        assert "no bone is drawn at the side of the liver" in quantity.reason
        assert isinstance(found.lesions[0].quantity("depth_from_skin_near"), Measurement), "the depth needs no bone"


def test_a_ct_needs_no_labels_but_the_tumour(limits, settings):
    rib = Rib(np.array([-78.0, 0.0, 10.0]), np.array([0.0, 1.0, 0.0]), 5.0)
    ball = Ball(np.array([-15.0, -60.0, 0.0]), 10.0)
    scene = Scene(TUMOUR, 6.0, (rib, ball))
    drawn = scene.labels()
    values = {0: -1000, 23: -100, 2: 60, 15: 400, 17: -990}
    image = np.vectorize(values.get)(drawn.array).astype(np.int16)
    image += np.random.default_rng(1).normal(0, 12, image.shape).astype(np.int16)
    only_tumour = LabelMap((drawn.array == 2).astype(np.uint8) * 2, GRID, {Structure.TUMOUR: 2})
    volume = Volume(image, GRID, Quantity.HU)
    approach = approach_with(limits)
    by_image, _ = numbers_of(only_tumour, approach, settings, image=volume)
    by_labels, _ = numbers_of(drawn, approach, settings)
    # Gas is what lies below -300 HU, so that the blurred rim of a ball of it counts as gas too.
    for name, within in (("window_blocked_share", 2.5), ("window_depth", 2.5), ("window_usable_entries", 6)):
        assert by_image[name].value == pytest.approx(by_labels[name].value, abs=within), name
    assert by_image["window_path_fat"].value == pytest.approx(by_image["window_depth"].value - 6, abs=4)
    assert "not looked for" in by_image["window_ascites_depth"].reason
    # Software's own outline of bone is not taken where the image shows it.
    wrong = np.where((drawn.array == 15) | (drawn.array == 17), 23, drawn.array).astype(np.uint8)
    by_software, _ = numbers_of(
        LabelMap(wrong, GRID, CODES), approach, settings, image=volume, quality=LabelQuality("model")
    )
    assert by_software["window_blocked_share"].value == pytest.approx(by_image["window_blocked_share"].value, abs=2.5)


def test_ascites_in_the_beam(limits, settings):
    def pool(array, points):
        array[(points[..., 0] < -60) & (points[..., 0] > -72) & (array == 23)] = 18

    approach = approach_with(limits, azimuth_deg=(88.0, 92.0), elevation_deg=(-2.0, 2.0))
    found, _ = numbers_of(Scene(TUMOUR, 5.0).labels(extra=(pool,)), approach, settings)
    depth = found["window_ascites_depth"]
    slant = 12 / np.cos(approach.transducer.half_angle)
    assert 12 - 2 < depth.value < slant + 2
    dry, _ = numbers_of(Scene(TUMOUR, 5.0).labels(), approach, settings)
    assert dry["window_ascites_depth"].value == 0


def test_transmission_falls_with_tissue_and_with_what_blocks(limits, settings):
    free, _ = numbers_of(Scene(TUMOUR, 5.0).labels(), approach_with(limits), settings)
    alpha, depth_cm = limits.attenuation_other, free["window_depth"].value / 10
    # Slanting rays run a little longer than the axis.
    on_axis = 100 * 10 ** (-alpha * depth_cm * 1.0 / 10)
    value = free["window_transmission"]
    assert on_axis * 0.93 < value.value < on_axis * 1.01
    assert value.low < value.value < value.high
    faster, _ = numbers_of(Scene(TUMOUR, 5.0).labels(), approach_with(limits, frequency_mhz=2.0), settings)
    assert faster["window_transmission"].value < value.value


def test_directions_are_even_and_cones_hold_their_share():
    directions = all_directions(5000)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1)
    assert np.abs(directions.mean(axis=0)).max() < 1e-3
    shares = cone(directions[::97], directions, outer=0.5, inner=0.2)
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-5)
    expected = 5000 * (np.cos(0.2) - np.cos(0.5)) / 2
    assert (shares > 0).sum(axis=1) == pytest.approx(expected, rel=0.05)
