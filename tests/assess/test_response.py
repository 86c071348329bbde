"""Every branch of the response criteria, edges included, and what bands leave open."""

from __future__ import annotations

import pytest

from liverimg.assess.response import ResponseRule, TargetLesion, overall_response, target_response, target_sum
from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.files.tables import read_table

TABLE = read_table("response")
RECIST, MRECIST, EASL, WHO = (ResponseRule.from_table(TABLE, n) for n in ("recist_1_1", "mrecist", "easl", "who"))


def _size(value: float, band: float = 0.0) -> Measurement:
    return Measurement("size", "L1", value, "mm", max(0.0, value - band), value + band, "given")


def _one(baseline: float, current: float, *, nadir: float | None = None, band: float = 0.0, gone: bool | None = False):
    sizes = (_size(baseline, band), _size(baseline if nadir is None else nadir, band), _size(current, band))
    return [TargetLesion("L1", *sizes, gone)]


@pytest.mark.parametrize(
    ("rule", "baseline", "nadir", "current", "answer"),
    [
        (RECIST, 50, 50, 35.0, "PR"),
        (RECIST, 50, 50, 35.1, "SD"),
        (RECIST, 50, 30, 36.0, "PD"),  # +20 % of the nadir and 6 mm, though 28 % below the baseline
        (RECIST, 50, 30, 35.9, "SD"),
        (RECIST, 20, 20, 24.0, "SD"),  # +20 %, but 4 mm only
        (RECIST, 20, 20, 25.0, "PD"),
        (RECIST, 50, 30, 34.0, "PR"),
        (MRECIST, 20, 20, 24.0, "PD"),  # no least rise
        (MRECIST, 20, 20, 23.9, "SD"),
        (MRECIST, 20, 20, 14.0, "PR"),
        (EASL, 100, 100, 50.0, "PR"),
        (EASL, 100, 100, 51.0, "SD"),
        (EASL, 100, 100, 125.0, "SD"),  # up to 25 % is stable
        (EASL, 100, 100, 125.1, "PD"),
        (WHO, 100, 100, 126.0, "PD"),
        (RECIST, 50, 0, 5.0, "PD"),  # back after it was gone
    ],
)
def test_each_limit(rule: ResponseRule, baseline: float, nadir: float, current: float, answer: str) -> None:
    assert target_response(rule, _one(baseline, current, nadir=nadir)).answer == answer


def test_gone_is_complete_whatever_is_still_measured() -> None:
    assert target_response(MRECIST, _one(40, 38, gone=True)).answer == "CR"
    assert target_response(RECIST, _one(40, 0.0, gone=True)).answer == "CR"


def test_not_found_is_not_gone() -> None:
    found = target_response(RECIST, _one(40, 3.0, gone=None))
    assert found.answer == ""
    assert set(found.possible) == {"CR", "PR"}
    assert "reader" in found.settled_by


def test_a_band_across_a_limit_leaves_both_open() -> None:
    found = target_response(RECIST, _one(50, 35, band=1.0))
    assert found.possible == ("PR", "SD")
    assert found.answer == ""
    assert "band" in found.settled_by
    assert target_response(RECIST, _one(50, 30, band=1.0)).answer == "PR"


def test_sums_run_over_all_targets() -> None:
    shrunk, grown = _one(50, 20)[0], _one(30, 38)[0]
    assert target_response(RECIST, [shrunk, grown]).answer == "SD"  # 80 to 58 mm, nadir 80
    assert "80" in target_response(RECIST, [shrunk, grown]).statement


def test_an_unmeasured_lesion_leaves_everything_open() -> None:
    missing: Measured = NotMeasured("axial_long_diameter", "L2", "the lesion touches the edge of the image")
    found = target_response(RECIST, [*_one(50, 20, gone=None), TargetLesion("L2", _size(20), _size(20), missing, None)])
    assert set(found.possible) == {"CR", "PR", "SD", "PD"}
    assert "edge of the image" in found.statement
    there = target_response(RECIST, [*_one(50, 20), TargetLesion("L2", _size(20), _size(20), missing, False)])
    assert set(there.possible) == {"PR", "SD", "PD"}, "a lesion that is there is no complete response"


def test_all_gone_is_complete_whatever_was_never_measured() -> None:
    never = NotMeasured("viable_diameter", "L1", "there was no arterial phase before")
    assert target_response(MRECIST, [TargetLesion("L1", never, never, _size(0), True)]).answer == "CR"
    open_yet = [TargetLesion("L1", never, never, _size(0), True), TargetLesion("L2", never, never, _size(3), None)]
    assert target_response(MRECIST, open_yet).answer == ""


@pytest.mark.parametrize(("before", "now"), [(23.1, 16.17), (90.0, 63.0), (0.3, 0.21), (33.3, 23.31), (109.7, 76.79)])
def test_a_fall_by_exactly_thirty_per_cent_is_partial_whatever_the_decimals(before: float, now: float) -> None:
    assert target_response(RECIST, _one(before, now)).answer == "PR"


@pytest.mark.parametrize(("before", "now"), [(70.0, 84.0), (33.3, 39.96), (25.1, 30.12)])
def test_a_rise_by_exactly_twenty_per_cent_is_progression(before: float, now: float) -> None:
    assert target_response(RECIST, _one(before, now)).answer == "PD"


@pytest.mark.parametrize(("before", "now"), [(70.4, 88.0), (33.2, 41.5), (100.4, 125.5)])
def test_a_rise_by_exactly_a_quarter_is_stable_in_easl(before: float, now: float) -> None:
    assert target_response(EASL, _one(before, now)).answer == "SD"


def test_the_sums_are_stated_with_their_bands() -> None:
    total = target_sum(RECIST, [*_one(50, 40, band=1.0), *_one(20, 15, band=2.0)], "current")
    assert isinstance(total, Measurement)
    assert (total.name, total.value, total.low, total.high) == ("recist_1_1_sum_current", 55.0, 52.0, 58.0)


def test_no_target_no_response() -> None:
    assert target_response(RECIST, []).possible == ()


@pytest.mark.parametrize(
    ("current", "gone", "new", "progress", "others_gone", "possible"),
    [
        (30, False, False, False, True, ("PR",)),
        (30, False, True, False, True, ("PD",)),
        (30, False, False, True, False, ("PD",)),
        (30, False, None, False, True, ("PR", "PD")),
        (0, True, False, False, True, ("CR",)),
        (0, True, False, False, False, ("PR",)),
        (0, True, False, False, None, ("CR", "PR")),
        (60, False, None, None, None, ("PD",)),
    ],
)
def test_the_patient_is_more_than_the_targets(current, gone, new, progress, others_gone, possible) -> None:
    target = target_response(RECIST, _one(50, current, gone=gone))
    found = overall_response(target, new_lesion=new, other_progress=progress, others_gone=others_gone)
    assert found.possible == possible
    assert (found.answer == "") == (len(possible) > 1)


def test_an_unknown_criterion_is_named() -> None:
    with pytest.raises(RecordInvalidError, match="recist_1_1"):
        ResponseRule.from_table(TABLE, "choi")
