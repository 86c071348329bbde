"""Straight needle paths, straight depths and the layers of the wall."""

import tomllib
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.approach import ApproachSettings
from liverimg.measure.needle import NAMES
from liverimg.measure.survey import survey_with_windows

from .window_scenes import BODY_MM, CODES, EXACT, GRID, Ball, Scene, approach_with

TUMOUR = np.array([-35.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def limits():
    return ApproachSettings.from_table(tomllib.loads((files("liverimg") / "data/acoustics.toml").read_text()))


def liver(array, points):
    """A liver around the place of the tumour; the tumour is drawn anew within it."""
    inside = np.linalg.norm(points - TUMOUR, axis=-1) <= 35
    array[inside & (array == 23)] = 1


def measured(settings, limits, *extra, things=(), codes=CODES, image=None, quality=EXACT, labels=None):
    drawn = Scene(TUMOUR, 8.0, things).labels(extra=(liver, *extra), codes=codes) if labels is None else labels
    found, _ = survey_with_windows(image, drawn, quality, settings=settings, approach=approach_with(limits))
    (lesion,) = found.lesions
    return {q.name: q for q in lesion.quantities}


def test_the_free_path_is_the_short_one_through_enough_liver(settings, limits):
    found = measured(settings, limits)
    assert found["needle_length"].value == pytest.approx(BODY_MM - 35, abs=2)
    assert found["needle_liver_length"].value == pytest.approx(35 - 8, abs=2.5)
    assert found["needle_angle"].value < 6
    assert found["needle_free_paths"].value == 100
    assert "no drawn vessel" in found["needle_vessel_crossed_at"].reason
    assert [p.role for p in found["needle_angle"].evidence] == ["needle_entry", "tumour_centre"]


def test_a_rib_in_the_way_is_gone_around(settings, limits):
    rib = Ball(np.array([-80.0, 0.0, 0.0]), 12.0, code=15)
    found = measured(settings, limits, things=(rib,))
    length, gap = found["needle_length"], found["needle_organ_distance"]
    assert length.value > BODY_MM - 35 + 1
    entry = np.array(found["needle_angle"].evidence[0].lps_mm)
    along = (entry - TUMOUR) / np.linalg.norm(entry - TUMOUR)
    to = rib.centre - TUMOUR
    truth = float(np.linalg.norm(to - (to @ along) * along)) - 12
    assert gap.low <= truth <= gap.high
    assert truth > 3
    assert 50 < found["needle_free_paths"].value < 100


def test_a_vessel_is_avoided_and_said_where_it_can_t_be(settings, limits):
    def vein(array, points):
        array[np.hypot(points[..., 0] + 52, points[..., 2]) <= 3] = 3

    found = measured(settings, limits, vein)
    distance = found["needle_vessel_distance"]
    assert distance.value > 0
    entry = np.array(found["needle_angle"].evidence[0].lps_mm)
    along = (entry - TUMOUR) / np.linalg.norm(entry - TUMOUR)
    steps = TUMOUR + np.arange(0, 60, 0.1)[:, None] * along
    truth = float((np.hypot(steps[:, 0] + 52, steps[:, 2]) - 3).min())
    assert distance.low <= truth <= distance.high

    def shell(array, points):
        away = np.linalg.norm(points - TUMOUR, axis=-1)
        array[(away > 18) & (away < 23)] = 3

    crossed = measured(settings, limits, shell)
    assert crossed["needle_vessel_distance"].value == 0
    at = crossed["needle_vessel_crossed_at"]
    assert at.low <= crossed["needle_length"].value - 23 <= at.high


def test_no_free_path_is_an_answer(settings, limits):
    def cage(array, points):
        away = np.linalg.norm(points - TUMOUR, axis=-1)
        array[(away > 40) & (away < 46)] = 15

    found = measured(settings, limits, cage)
    assert "every straight path" in found["needle_length"].reason
    assert found["needle_free_paths"].value == 0


def test_without_bowel_no_path_is_called_free(settings, limits):
    codes = {s: v for s, v in CODES.items() if s is not Structure.BOWEL}
    found = measured(settings, limits, codes=codes)
    for name in NAMES:
        assert isinstance(found[name], NotMeasured) and "bowel not looked for" in found[name].reason


def test_unseen_vessels_are_unknown_not_far(settings, limits):
    quality = replace(EXACT, not_visible={Structure.HEPATIC_VEIN: "no contrast"})
    found = measured(settings, limits, quality=quality)
    assert found["needle_vessel_distance"].reason == "no contrast"


def test_straight_depths(settings, limits):
    found = measured(settings, limits)
    front, right = found["depth_from_skin_anterior"], found["depth_from_skin_right"]
    assert front.low <= np.sqrt(BODY_MM**2 - 35**2) <= front.high
    assert right.low <= BODY_MM - 35 <= right.high


def layered(array, points):
    radius = np.hypot(points[..., 0], points[..., 1])
    array[(array == 23) & (radius > 73)] = 22
    array[(array == 22) & (radius > 80)] = 21
    array[(array == 21) & (radius > BODY_MM - 2)] = 23


def test_the_wall_is_fat_and_muscle_by_labels(settings, limits):
    found = measured(settings, limits, layered)
    fat, muscle = found["wall_fat_thickness"], found["wall_muscle_thickness"]
    assert fat.low <= 13 <= fat.high and muscle.low <= 7 <= muscle.high
    assert "labelled" in fat.method


def test_the_wall_is_fat_and_muscle_by_values(settings, limits):
    drawn = Scene(TUMOUR, 8.0).labels(extra=(liver, layered))
    values = np.full(256, -1000)
    values[[1, 2, 21, 22, 23]] = 100, 60, -105, 55, 30
    noise = np.random.default_rng(4).normal(0, 10, drawn.array.shape)
    image = Volume((values[drawn.array] + noise).astype(np.int16), GRID, Quantity.HU)
    plain = np.where(np.isin(drawn.array, (1, 2)), drawn.array, 23 * (drawn.array > 0)).astype(np.uint8)
    codes = {s: v for s, v in CODES.items() if s not in (Structure.FAT, Structure.MUSCLE)}
    found = measured(settings, limits, labels=LabelMap(plain, GRID, codes), image=image)
    fat, muscle = found["wall_fat_thickness"], found["wall_muscle_thickness"]
    assert isinstance(fat, Measurement) and "by HU" in fat.method
    # What lies between muscle and liver here has the values of soft tissue too.
    assert fat.low <= 13 <= fat.high
    wall = found["abdominal_wall_thickness"].value
    assert muscle.low <= wall - 15 <= muscle.high


def test_without_ct_and_labels_the_layers_are_unknown(settings, limits):
    codes = {s: v for s, v in CODES.items() if s not in (Structure.FAT, Structure.MUSCLE)}
    found = measured(settings, limits, codes=codes, quality=LabelQuality("model"))
    assert "not told from muscle" in found["wall_fat_thickness"].reason
