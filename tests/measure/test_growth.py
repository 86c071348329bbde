"""Growth against an earlier study: which lesion is which, by how much it grew, and when that cannot be told."""

import math

import pytest

from liverimg.core.measurement import Lesion, Measurement, MeasurementSet, NotMeasured, find
from liverimg.measure.growth import GROWTH_NAMES, Earlier, pair_lesions, with_growth


def quantity(name, target, value, unit="mm", half=1.0):
    return Measurement(name, target, value, unit, max(0.0, value - half), value + half, "drawn")


def lesion(name, diameter_mm, place=(0.0, 0.0, 0.0), *, half=1.0, segment=None):
    volume_ml = math.pi / 6 * diameter_mm**3 / 1000
    quantities = [
        quantity("axial_long_diameter", name, diameter_mm, half=half),
        quantity("volume", name, volume_ml, "ml", half=3 * volume_ml * half / diameter_mm),
    ]
    if segment is not None:
        quantities.append(Measurement("couinaud_segment", name, segment, "1", segment, segment, "drawn"))
    return Lesion(name, place, tuple(quantities))


def study(*lesions):
    known = [x.quantity("axial_long_diameter") for x in lesions]
    total = sum(q.value for q in known)
    return MeasurementSet(lesions, (quantity("target_diameter_sum", "tumour", total, half=2.0),))


def growth(now, then, settings, *, days=120, same_frame=True):
    return with_growth(now, Earlier(then, days, same_frame), settings=settings)


def test_growth_is_a_ratio_with_the_errors_of_both_studies(settings):
    found = growth(study(lesion("L1", 30.0)), study(lesion("L1", 20.0)), settings)
    (now,) = found.lesions
    change = now.quantity("growth_long_diameter")
    assert (change.value, change.unit) == (pytest.approx(50), "%")
    relative = math.hypot(1 / 30, 1 / 20)
    assert change.low == pytest.approx(150 * (1 - relative) - 100)
    assert change.high == pytest.approx(150 * (1 + relative) - 100)
    assert now.quantity("growth_volume").value == pytest.approx((1.5**3 - 1) * 100)
    assert "paired by place" in change.method
    assert find(found.organs, "growth_target_diameter_sum", target="tumour").value == pytest.approx(50)
    assert find(found.organs, "days_since_earlier", target="study").value == 120


def test_a_shrinking_lesion_has_negative_growth_and_no_doubling_time(settings):
    (now,) = growth(study(lesion("L1", 10.0)), study(lesion("L1", 20.0)), settings).lesions
    assert now.quantity("growth_long_diameter").value == pytest.approx(-50)
    assert "not grown" in now.quantity("volume_doubling_time").reason


def test_doubling_time_of_a_volume_that_doubled_in_a_hundred_days(settings):
    (now,) = growth(
        study(lesion("L1", 20 * 2 ** (1 / 3), half=0.5)), study(lesion("L1", 20.0, half=0.5)), settings, days=100
    ).lesions
    time = now.quantity("volume_doubling_time")
    assert (time.value, time.unit) == (pytest.approx(100), "d")
    assert time.low < 100 < time.high


@pytest.mark.parametrize(
    ("now_mm", "state"), [(40.0, (1, 1, 1)), (30.5, (1, 0, 1)), (29.0, (0, 0, 1)), (22.0, (0, 0, 0))]
)
def test_threshold_growth_has_three_answers(settings, now_mm, state):
    (now,) = growth(study(lesion("L1", now_mm)), study(lesion("L1", 20.0)), settings).lesions
    found = now.quantity("threshold_growth")
    assert (found.value, found.low, found.high) == state


@pytest.mark.parametrize(("days", "words"), [(200, "6.6 months apart"), (None, "no date")])
def test_threshold_growth_wants_a_known_short_time(settings, days, words):
    (now,) = growth(study(lesion("L1", 40.0)), study(lesion("L1", 20.0)), settings, days=days).lesions
    assert words in now.quantity("threshold_growth").reason
    assert isinstance(now.quantity("growth_long_diameter"), Measurement)


def test_names_given_by_a_reader_pair_wherever_the_lesions_lie(settings):
    then = study(lesion("dome", 20.0, (0, 0, 0)), lesion("L1", 12.0, (50, 0, 0)))
    now = study(lesion("dome", 25.0, (90, 0, 0)), lesion("L1", 12.0, (51, 0, 0)))
    pairs = pair_lesions(now.lesions, Earlier(then, 90, False), settings=settings)
    assert pairs["dome"].lesion.id == "dome"
    assert pairs["L1"].lesion is None, "numbers follow the size and prove nothing"


def test_places_pair_in_one_frame_of_reference_only_and_only_near(settings):
    then = study(lesion("L1", 20.0, (0, 0, 0)), lesion("L2", 15.0, (40, 0, 0)))
    now = study(lesion("L1", 26.0, (42, 3, 0)), lesion("L2", 20.0, (1, -2, 3)), lesion("L3", 8.0, (0, 80, 0)))
    pairs = pair_lesions(now.lesions, Earlier(then, 90, True), settings=settings)
    assert [pairs[x].lesion.id if pairs[x].lesion else None for x in ("L1", "L2", "L3")] == ["L2", "L1", None]
    assert "new, or not drawn then" in pairs["L3"].how
    (one, *_) = growth(now, then, settings, same_frame=False).lesions
    for name in GROWTH_NAMES:
        found = one.quantity(name)
        assert isinstance(found, NotMeasured)
        assert "cannot tell whether it is L1" in found.reason
        assert "+30 %" in found.reason


def test_two_lesions_never_become_one_earlier_lesion(settings):
    then = study(lesion("L1", 20.0))
    now = study(lesion("L1", 15.0, (2, 0, 0)), lesion("L2", 10.0, (-6, 0, 0)))
    pairs = pair_lesions(now.lesions, Earlier(then, 90, True), settings=settings)
    assert pairs["L1"].lesion.id == "L1"
    assert pairs["L2"].lesion is None
    assert "split, or new" in pairs["L2"].how


def test_without_a_frame_the_segment_goes_before_the_size(settings):
    then = study(lesion("L1", 21.0, segment=2), lesion("L2", 12.0, segment=8))
    now = study(lesion("L1", 20.0, segment=8))
    pairs = pair_lesions(now.lesions, Earlier(then, 90, False), settings=settings)
    assert pairs["L1"].lesion is None
    assert "cannot tell whether it is L2" in pairs["L1"].how


def test_lesions_that_were_there_before_and_are_not_paired_are_named(settings):
    then = study(lesion("L1", 20.0), lesion("L2", 15.0, (60, 0, 0)))
    found = growth(study(lesion("L1", 20.0)), then, settings)
    (warning,) = found.warnings
    assert "L2 could not be paired" in warning


def test_a_size_that_is_missing_in_one_study_gives_a_reason(settings):
    cut = Lesion("L1", (0, 0, 0), (NotMeasured("axial_long_diameter", "L1", "cut off by the image"),))
    (now,) = growth(study(lesion("L1", 20.0)), MeasurementSet((cut,), ()), settings).lesions
    assert "cut off by the image" in now.quantity("growth_long_diameter").reason
    assert isinstance(now.quantity("threshold_growth"), NotMeasured)
