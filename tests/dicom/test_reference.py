"""Which series is segmented."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.grid import Grid
from liverimg.core.study import Confidence, ImageKind, Modality, Phase, Role, Series, Study
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.reference import choose_reference, chosen_by_person, extent_mm, with_roles


def series(
    uid: str, phase: Phase = Phase.UNKNOWN, *, modality: Modality = Modality.CT, slices: int = 100,
    spacing_mm: float = 2.0, **more: Any,
) -> Series:  # fmt: skip
    grid = Grid.from_axes((slices, 4, 4), spacing_mm=(spacing_mm, 1, 1))
    return Series(f"1.2.{uid}", modality, phase, (), grid, **more)


CASES = {
    "portal venous before all others": [
        series("1", Phase.PORTAL_VENOUS), series("2", Phase.DELAYED), series("3", Phase.ARTERIAL),
        series("4", Phase.UNKNOWN), series("5", Phase.UNENHANCED),
    ],
    "delayed before arterial": [series("2", Phase.DELAYED), series("1", Phase.ARTERIAL), series("3", Phase.UNENHANCED)],
    "unknown before unenhanced": [series("2"), series("1", Phase.UNENHANCED)],
    "thin before thick": [
        series("9", Phase.PORTAL_VENOUS, spacing_mm=1, slices=200),
        series("1", Phase.PORTAL_VENOUS, spacing_mm=5, slices=60),
    ],
    "whole liver before a thin stack": [
        series("9", Phase.ARTERIAL, spacing_mm=5, slices=60), series("1", Phase.PORTAL_VENOUS, spacing_mm=1, slices=20),
    ],
    "soft kernel before bone": [
        series("9", Phase.PORTAL_VENOUS, description="ABD 1.0", spacing_mm=1.5),
        series("1", Phase.PORTAL_VENOUS, description="BONE 1.0", spacing_mm=1),
    ],
    "original before derived": [
        series("9", Phase.PORTAL_VENOUS), series("1", Phase.PORTAL_VENOUS, flags=("derived_image",), spacing_mm=1.5),
    ],
    "hepatobiliary before portal venous in MR": [
        series("9", Phase.HEPATOBILIARY, modality=Modality.MR), series("1", Phase.PORTAL_VENOUS, modality=Modality.MR),
    ],
    "signal before maps and subtractions": [
        series("9", Phase.ARTERIAL, modality=Modality.MR),
        series("1", Phase.HEPATOBILIARY, modality=Modality.MR, flags=("not_magnitude",)),
        series("2", Phase.HEPATOBILIARY, modality=Modality.MR, flags=("subtraction",)),
    ],
    "dynamic T1 before T2 and diffusion": [
        series("9", modality=Modality.MR, description="T1 VIBE DIXON W"),
        series("1", modality=Modality.MR, kind=ImageKind.T2),
        series("2", modality=Modality.MR, kind=ImageKind.DWI),
        series("3", modality=Modality.MR, kind=ImageKind.OPPOSED_PHASE),
    ],
    "the surer of two of one phase": [
        series("9", Phase.PORTAL_VENOUS, phase_confidence=Confidence.HIGH),
        series("1", Phase.PORTAL_VENOUS, phase_confidence=Confidence.LOW, spacing_mm=1.5),
    ],
    "the same choice among equals": [series("1", Phase.PORTAL_VENOUS), series("2", Phase.PORTAL_VENOUS)],
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_first_is_chosen_in_any_order(case: str, rules: PhaseRules) -> None:
    wanted = CASES[case][0]
    for shuffled in permutations(CASES[case]):
        assert choose_reference(Study("1.2", None, shuffled), rules) is wanted


def test_no_series(rules: PhaseRules) -> None:
    with pytest.raises(InputRefusedError, match="no usable"):
        choose_reference(Study("1.2", None, ()), rules)


def test_extent(rules: PhaseRules) -> None:
    assert extent_mm(series("1", slices=50, spacing_mm=2.5)) == pytest.approx(125)


def four_phases() -> Study:
    return Study("1.2", None, tuple(
        series(uid, phase, number=number, **more)
        for number, (uid, phase, more) in enumerate((
            ("1", Phase.UNENHANCED, {}), ("2", Phase.EARLY_ARTERIAL, {}), ("3", Phase.ARTERIAL, {"spacing_mm": 5.0}),
            ("3", Phase.ARTERIAL, {}), ("5", Phase.PORTAL_VENOUS, {}), ("6", Phase.DELAYED, {}),
        ), start=1)
    ))  # fmt: skip


def served(study: Study) -> dict[Role, int]:
    return {choice.role: study.series[choice.series].number for choice in study.roles}


def test_roles_by_rules(rules: PhaseRules) -> None:
    study = four_phases()
    found = with_roles(study, rules, reference=choose_reference(study, rules))
    assert served(found) == {
        Role.REFERENCE: 5, Role.UNENHANCED: 1, Role.ARTERIAL: 4, Role.PORTAL_VENOUS: 5, Role.DELAYED: 6,
    }  # fmt: skip
    assert not any(choice.by_person for choice in found.roles)
    assert found.warnings == ()


def test_early_arterial_stands_in_for_arterial(rules: PhaseRules) -> None:
    study = Study(
        "1.2", None, (series("1", Phase.EARLY_ARTERIAL, number=1), series("2", Phase.PORTAL_VENOUS, number=2))
    )
    found = with_roles(study, rules, reference=study.series[1])
    assert served(found)[Role.ARTERIAL] == 1
    assert Role.DELAYED not in served(found)


def test_a_person_chooses_a_role(rules: PhaseRules) -> None:
    study = four_phases()
    chosen = chosen_by_person(study, {"arterial": "3", "delayed": "1.2.5", "reference": "#6"})
    found = with_roles(study, rules, reference=study.series[chosen[Role.REFERENCE]], chosen=chosen)
    assert {r: n for r, n in served(found).items() if r in chosen} == {
        Role.ARTERIAL: 3, Role.DELAYED: 5, Role.REFERENCE: 6,
    }  # fmt: skip
    assert {choice.role for choice in found.roles if choice.by_person} == set(chosen)
    (warning,) = found.warnings
    assert "delayed" in warning and "volume 5" in warning and "portal venous" in warning


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ({"venous": "1"}, "no role 'venous'"), ({"arterial": "9"}, "no volume of this study"),
        ({"arterial": "1.2.9"}, "no volume of this study"), ({"arterial": "1.2.3"}, "holds 2 volumes"),
    ],
)  # fmt: skip
def test_a_choice_that_makes_no_sense(use: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen_by_person(four_phases(), use)


def test_roles_keep_to_the_modality_of_the_reference(rules: PhaseRules) -> None:
    mr = series("1", Phase.ARTERIAL, modality=Modality.MR, number=1, spacing_mm=1.0, slices=200)
    ct = series("2", Phase.ARTERIAL, number=2)
    reference = series("3", Phase.PORTAL_VENOUS, number=3)
    found = with_roles(Study("1.2", None, (mr, ct, reference)), rules, reference=reference)
    assert served(found)[Role.ARTERIAL] == 2
