"""Margin class, treatment response, success, efficacy and local finding: every branch, edges included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liverimg.assess.lesion_evidence import LesionEvidence
from liverimg.assess.timepoint import timepoint_of
from liverimg.assess.treated import (
    local_finding,
    margin_class,
    technical_success,
    technique_efficacy,
    treatment_response,
)
from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.response import NOT_SEARCHED
from liverimg.files.tables import read_table

TABLE = read_table("response")
UNKNOWN = NotMeasured("minimal_ablation_margin", "L1", "where it lies now is not known")


def _mm(value: float, low: float | None = None, high: float | None = None, name: str = "x") -> Measurement:
    return Measurement(name, "L1", value, "mm", value if low is None else low, value if high is None else high, "given")


CLEAN = LesionEvidence(
    lesion_id="L1",
    margin=_mm(6.0, 5.0, 7.0),
    viable=_mm(0.0),
    viable_before=_mm(20.0),
    foci=(),
    not_evaluable="",
    doubt="",
    timepoint=timepoint_of(30, TABLE, kind="hifu"),
    branch="non_radiation",
)
AT_ONCE = timepoint_of(0, TABLE, kind="hifu")


@pytest.mark.parametrize(
    ("low", "value", "high", "possible"),
    [
        (5.0, 5.0, 5.0, ("A0",)),  # 5 mm reach the class
        (4.999, 4.999, 4.999, ("A1",)),
        (0.001, 0.001, 0.001, ("A1",)),
        (0.0, 0.0, 0.0, ("A2",)),  # 0 mm is no margin
        (-3.0, -3.0, -3.0, ("A2",)),
        (4.0, 5.5, 7.0, ("A0", "A1")),
        (-1.0, 2.0, 5.0, ("A0", "A1", "A2")),
        (-1.0, 1.0, 3.0, ("A1", "A2")),
        (6.0, 8.0, 12.0, ("A0",)),
    ],
)
def test_the_margin_class_is_what_the_band_leaves(low: float, value: float, high: float, possible: tuple) -> None:
    found = margin_class(replace(CLEAN, margin=_mm(value, low, high)), TABLE)
    assert found.possible == possible
    assert found.answer == (possible[0] if len(possible) == 1 else "")
    assert bool(found.settled_by) == (len(possible) > 1)


def test_without_a_margin_every_class_is_possible_and_the_reason_is_said() -> None:
    found = margin_class(replace(CLEAN, margin=UNKNOWN), TABLE)
    assert found.possible == ("A0", "A1", "A2")
    assert "not known" in found.statement and found.answer == ""


def _category(**changes: object) -> Classification:
    return treatment_response(replace(CLEAN, **changes), TABLE)  # type: ignore[arg-type]


def test_treatment_response_without_radiation() -> None:
    assert _category().answer == "LR-TR Nonviable"
    assert _category(foci=("R1",)).answer == "LR-TR Viable"
    assert _category(not_evaluable="dense oil").answer == "LR-TR Nonevaluable"
    assert _category(doubt="part of the tumour lies outside").possible == ("LR-TR Equivocal", "LR-TR Viable")
    assert _category(foci=("R1",), not_evaluable="dense oil").answer == "LR-TR Viable", "seen is seen"


@pytest.mark.parametrize(
    ("now", "possible"),
    [
        (_mm(15.0), ("LR-TR Nonprogressing",)),
        (_mm(20.0), ("LR-TR Nonprogressing",)),  # unchanged
        (_mm(20.5, 19.0, 22.0), ("LR-TR Nonprogressing", "LR-TR Viable")),
        (_mm(25.0), ("LR-TR Viable",)),
        (NotMeasured("viable_diameter", "L1", "no arterial phase"), ("LR-TR Nonprogressing", "LR-TR Viable")),
    ],
)
def test_treatment_response_after_radiation(now: Measured, possible: tuple) -> None:
    assert _category(foci=("R1",), viable=now, branch="radiation").possible == possible


def test_after_radiation_nothing_that_enhances_is_nonviable_too() -> None:
    assert _category(branch="radiation").answer == "LR-TR Nonviable"
    assert _category(branch="radiation", doubt="d").possible == ("LR-TR Equivocal", "LR-TR Nonprogressing")


def test_the_category_is_a_proposal_and_says_so() -> None:
    found = _category(branch=None)
    assert "proposed" in found.title.lower()
    assert any("reader to confirm" in note for note in found.notes)
    assert any("not given" in note for note in found.notes)
    assert "v2024" in found.source


@pytest.mark.parametrize(
    ("days", "windows"),
    [
        (0, ("immediate",)), (1, ("immediate",)), (2, ()), (27, ()), (28, ("early",)), (42, ("early",)), (43, ()),
        (75, ()), (76, ("quarter",)), (106, ("quarter",)), (107, ()),
    ],
)  # fmt: skip
def test_windows_hold_their_first_and_last_day(days: int, windows: tuple[str, ...]) -> None:
    assert timepoint_of(days, TABLE, kind="mwa").windows == windows


@pytest.mark.parametrize(("days", "windows"), [(20, ()), (21, ("oil",)), (28, ("early", "oil")), (29, ("early",))])
def test_the_window_after_oil_is_for_oil_alone(days: int, windows: tuple[str, ...]) -> None:
    assert sorted(timepoint_of(days, TABLE, kind="tace").windows) == sorted(windows)
    assert "oil" not in timepoint_of(days, TABLE, kind="deb_tace").windows


def test_the_bias_of_immediate_images_is_always_said() -> None:
    assert "can't exclude residual" in timepoint_of(1, TABLE, kind=None).bias
    assert "shrinks" in timepoint_of(2, TABLE, kind=None).bias
    unknown = timepoint_of(None, TABLE, kind=None)
    assert unknown.windows == () and "not known" in unknown.statement and not unknown.bias


def _success(**changes: object) -> Classification | NotApplied:
    return technical_success(replace(CLEAN, timepoint=AT_ONCE, **changes), TABLE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "possible"),
    [
        ({}, ("achieved",)),
        ({"margin": _mm(0.1)}, ("achieved",)),
        ({"margin": _mm(0.0)}, ("not achieved",)),  # touching is not covered
        ({"margin": _mm(-2.0, -3.0, -1.0)}, ("not achieved",)),
        ({"margin": _mm(1.0, -1.0, 3.0)}, ("achieved", "not achieved")),
        ({"margin": UNKNOWN}, ("achieved", "not achieved")),
        ({"foci": ("R1",)}, ("not achieved",)),
        ({"not_evaluable": "no arterial phase"}, ("achieved", "not achieved")),
        ({"margin": _mm(-2.0), "not_evaluable": "no arterial phase"}, ("not achieved",)),
    ],
)
def test_technical_success(changes: dict, possible: tuple) -> None:
    found = _success(**changes)
    assert isinstance(found, Classification)
    assert found.possible == possible


def test_technical_success_is_asked_right_after_treatment_only() -> None:
    for days, words in ((2, "0 to 1 days"), (None, "not known")):
        time = timepoint_of(days, TABLE, kind="hifu")
        found = technical_success(replace(CLEAN, timepoint=time), TABLE)
        assert isinstance(found, NotApplied) and words in found.reason


@pytest.mark.parametrize(
    ("changes", "possible"),
    [
        ({}, ("achieved",)),
        ({"margin": UNKNOWN}, ("achieved",)),  # efficacy asks what enhances, not how wide the margin is
        ({"foci": ("R1",)}, ("not achieved",)),
        ({"not_evaluable": "dense oil"}, ("achieved", "not achieved")),
        ({"doubt": "tumour outside"}, ("achieved", "not achieved")),
    ],
)
def test_technique_efficacy(changes: dict, possible: tuple) -> None:
    found = technique_efficacy(replace(CLEAN, **changes), TABLE)
    assert isinstance(found, Classification)
    assert found.possible == possible


@pytest.mark.parametrize("days", [27, 43, None])
def test_technique_efficacy_has_its_time(days: int | None) -> None:
    found = technique_efficacy(replace(CLEAN, timepoint=timepoint_of(days, TABLE, kind=None)), TABLE)
    assert isinstance(found, NotApplied)


ALL = ("complete ablation", "residual unablated tumour", "local tumour progression")


@pytest.mark.parametrize(
    ("days", "before", "changes", "possible"),
    [
        (30, None, {}, ALL[:1]),
        (30, None, {"foci": ("R1",)}, ALL[1:2]),  # the first look
        (42, None, {"foci": ("R1",)}, ALL[1:2]),
        (43, None, {"foci": ("R1",)}, ALL[1:]),  # nobody knows whether it was complete before
        (None, None, {"foci": ("R1",)}, ALL[1:]),
        (300, True, {"foci": ("R1",)}, ALL[2:]),
        (30, True, {"foci": ("R1",)}, ALL[2:]),
        (300, False, {"foci": ("R1",)}, ALL[1:2]),
        (30, None, {"not_evaluable": "dense oil"}, ALL[:2]),
        (300, None, {"not_evaluable": "dense oil"}, ALL),
        (300, False, {"doubt": "tumour outside"}, ALL[:2]),
    ],
)
def test_residual_or_progression(days: int | None, before: bool | None, changes: dict, possible: tuple) -> None:
    time = timepoint_of(days, TABLE, kind="hifu")
    found = local_finding(replace(CLEAN, timepoint=time, complete_before=before, **changes), TABLE)
    assert found.possible == possible


def test_what_no_person_drew_is_a_proposal_and_names_what_it_could_have_seen() -> None:
    by_rule = replace(CLEAN, drawn_by="rule", viable=_mm(0.0, 0.0, 5.0))
    found = [answer(by_rule, TABLE) for answer in (margin_class, treatment_response, local_finding, technique_efficacy)]
    for answer in found:
        assert isinstance(answer, Classification)
        assert any("drawn by a rule" in note for note in answer.notes)
    assert all("5 mm or more" in answer.statement for answer in found[1:] if isinstance(answer, Classification))
    assert not any("drawn by" in note for note in margin_class(CLEAN, TABLE).notes)


def test_every_treatment_has_its_branch_and_group() -> None:
    for kind, row in TABLE["treatment"].items():
        assert row["group"] in ("ablation", "embolisation", "radiation"), kind
        assert row["li_rads"] == ("radiation" if row["group"] == "radiation" else "non_radiation"), kind
        assert row["title"]


def test_outlines_that_show_no_focus_are_no_search() -> None:
    drawn = replace(CLEAN, searched=False)
    for answer in (treatment_response(drawn, TABLE), technique_efficacy(drawn, TABLE), local_finding(drawn, TABLE)):
        assert isinstance(answer, Classification)
        assert NOT_SEARCHED in answer.statement.replace("No residual", "no residual")
        assert "was found" not in answer.statement
        assert any("is not known: a reader has to look" in note for note in answer.notes)
    assert margin_class(drawn, TABLE).notes == (), "a margin needs no focus"
    seen = treatment_response(replace(drawn, foci=("R1",)), TABLE)
    assert not any("a reader has to look" in note for note in seen.notes), "what is drawn was seen"
    doubtful = treatment_response(replace(drawn, doubt="part of it lies outside"), TABLE)
    assert doubtful.statement == "No masslike enhancement is drawn, but part of it lies outside."
