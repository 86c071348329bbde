"""Which lesions are targets, and how a study responds by each criterion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liverimg.assess.targets import Choice, Disease, respond
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.response import CriterionResponse, Fate, LesionResponse
from liverimg.files.tables import read_table

TABLE = read_table("response")
ABLATED = Choice(most=2, ablated=True)
TACE = Choice(most=2, ablated=False)
NO_OTHER = Disease(new_lesion=False, other_progress=False, others_gone=True)


def _mm(name: str, value: float, unit: str = "mm") -> Measurement:
    return Measurement(name, "L1", value, unit, value, value, "given")


def _sizes(long: float, viable: float) -> tuple[Measured, ...]:
    return (
        _mm("axial_long_diameter", long),
        _mm("axial_short_diameter", long / 2),
        _mm("viable_diameter", viable),
        _mm("viable_area", viable**2, "mm2"),
    )


def _lesion(
    name: str = "L1", *, before: float = 30.0, now: float = 30.0, viable: float = 0.0, fate: Fate = Fate.TREATED
) -> LesionResponse:
    baseline = (*_sizes(before, before), _mm("recist_measurable", 1.0 if before >= 10 else 0.0, "1"))
    return LesionResponse(
        id=name,
        tracking_uid="2.25.1",
        fate=fate,
        statement="",
        before_lps_mm=(0.0, 0.0, 0.0),
        now_lps_mm=None,
        motion=None,
        motion_error_mm=None,
        zone="Z1",
        foci=(),
        baseline=baseline,
        quantities=_sizes(now, viable),
    )


def _by_id(lesions: list[LesionResponse], choice: Choice, disease: Disease = NO_OTHER) -> dict[str, CriterionResponse]:
    return {found.id: found for found in respond(lesions, TABLE, choice=choice, disease=disease)[0]}


def test_the_size_of_an_ablated_lesion_is_no_response() -> None:
    found, not_applied = respond([_lesion()], TABLE, choice=ABLATED, disease=NO_OTHER)
    assert [f.id for f in found] == ["mrecist", "easl"]
    assert {n.title for n in not_applied} == {"RECIST 1.1", "WHO"}
    assert "ablated" in not_applied[0].reason


def test_a_lesion_that_was_perhaps_ablated_is_no_target_of_size_and_never_gone() -> None:
    lesion = _lesion(viable=0.0, fate=Fate.PERHAPS_TREATED)
    found, not_applied = respond([lesion], TABLE, choice=ABLATED, disease=NO_OTHER)
    assert {n.title for n in not_applied} == {"RECIST 1.1", "WHO"}
    assert "perhaps ablated" in not_applied[0].reason
    assert all(f.target.answer != "CR" for f in found)
    sure, _ = respond([_lesion(viable=0.0)], TABLE, choice=ABLATED, disease=NO_OTHER)
    assert all(f.target.answer == "CR" for f in sure)


def test_after_embolisation_every_criterion_is_asked() -> None:
    found = _by_id([_lesion(now=27.0, viable=0.0)], TACE)
    assert {name: f.overall.answer for name, f in found.items()} == {
        "recist_1_1": "SD", "mrecist": "CR", "easl": "CR", "who": "SD"
    }  # fmt: skip


def test_an_untreated_lesion_beside_an_ablated_one_is_the_target() -> None:
    other = _lesion("L2", before=20, now=26, viable=26, fate=Fate.UNTREATED)
    found = _by_id([_lesion(), other], ABLATED)
    assert found["recist_1_1"].targets == ("L2",)
    assert found["recist_1_1"].target.answer == "PD"
    assert found["mrecist"].targets == ("L1", "L2")
    assert "ablated" in found["recist_1_1"].left_out["L1"]


@pytest.mark.parametrize(("viable", "answer"), [(0.0, "CR"), (21.0, "PR"), (21.1, "SD"), (36.0, "PD"), (35.9, "SD")])
def test_mrecist_of_one_lesion(viable: float, answer: str) -> None:
    assert _by_id([_lesion(viable=viable)], ABLATED)["mrecist"].overall.answer == answer


def test_the_two_largest_are_targets_and_the_others_say_why_not() -> None:
    lesions = [_lesion(f"L{n}", before=size) for n, size in enumerate((12.0, 40.0, 9.0, 25.0), start=1)]
    found = _by_id(lesions, ABLATED)["mrecist"]
    assert found.targets == ("L2", "L4")
    assert "2 target lesions at most" in found.left_out["L1"]
    assert "too small" in found.left_out["L3"]


def test_hardly_enhancing_lesions_are_no_targets_of_mrecist() -> None:
    lesion = _lesion(before=30.0)
    kept = [q for q in lesion.baseline if q.name != "viable_diameter"]
    faint = replace(lesion, baseline=(*kept, _mm("viable_diameter", 9.9)))
    found, not_applied = respond([faint], TABLE, choice=ABLATED, disease=NO_OTHER)
    assert "mrecist" not in {f.id for f in found}
    assert any("10 mm" in n.reason for n in not_applied)


def test_a_lesion_that_was_not_found_is_not_gone() -> None:
    lost = NotMeasured("viable_diameter", "L1", "nothing is drawn there")
    lesion = replace(_lesion(fate=Fate.NOT_FOUND), quantities=(lost,))
    found = _by_id([lesion], ABLATED)["mrecist"]
    assert set(found.target.possible) == {"CR", "PR", "SD", "PD"}
    assert "nothing is drawn" in found.target.statement


def test_new_lesions_are_progression_and_candidates_leave_it_open() -> None:
    assert _by_id([_lesion()], ABLATED, Disease(True))["mrecist"].overall.answer == "PD"
    unsure = _by_id([_lesion()], ABLATED, Disease(None))["mrecist"].overall
    assert unsure.possible == ("CR", "PD")
    assert "reader" in unsure.settled_by


def test_the_nadir_counts_for_progression() -> None:
    nadirs = {"mrecist": {"L1": _mm("viable_diameter", 10.0)}}
    found = respond([_lesion(viable=12.0)], TABLE, choice=ABLATED, disease=NO_OTHER, nadirs=nadirs)[0]
    assert next(f for f in found if f.id == "mrecist").target.answer == "PD"


def test_what_comes_back_after_complete_response_is_progression() -> None:
    nadirs = {name: {"L1": _mm("viable", 0.0)} for name in ("mrecist", "easl")}
    found = respond([_lesion(viable=3.0)], TABLE, choice=ABLATED, disease=NO_OTHER, nadirs=nadirs)[0]
    assert {f.id: f.target.answer for f in found} == {"mrecist": "PD", "easl": "PD"}
