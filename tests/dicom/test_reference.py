"""Which series is segmented."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.study import Modality, Phase, Series, Study
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.reference import choose_reference, extent_mm


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
        series("1", modality=Modality.MR, description="T2 HASTE"),
        series("2", modality=Modality.MR, description="ep2d DWI b800"),
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
