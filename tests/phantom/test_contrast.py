"""Kinetics: what a radiologist expects to see in each phase."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from liverimg.core.study import Modality, Phase
from liverimg.phantom.contrast import Contrast
from liverimg.phantom.scene import Tissue


@pytest.fixture
def ct(phantom_table: dict[str, Any]) -> Contrast:
    return Contrast.from_table(phantom_table, Modality.CT)


@pytest.fixture
def mr(phantom_table: dict[str, Any]) -> Contrast:
    return Contrast.from_table(phantom_table, Modality.MR)


def hu(contrast: Contrast, tissue: Tissue, phase: Phase) -> float:
    return contrast.looks(phase)[tissue].mean


def test_an_hcc_enhances_early_and_washes_out(ct: Contrast) -> None:
    early = hu(ct, Tissue.HCC, Phase.ARTERIAL)
    assert early - hu(ct, Tissue.HCC, Phase.UNENHANCED) > 10
    assert early > hu(ct, Tissue.LIVER, Phase.ARTERIAL) + 10
    for late in (Phase.PORTAL_VENOUS, Phase.DELAYED):
        assert hu(ct, Tissue.HCC, late) < hu(ct, Tissue.LIVER, late) - 10
    assert hu(ct, Tissue.HCC_CAPSULE, Phase.DELAYED) > hu(ct, Tissue.LIVER, Phase.DELAYED)


def test_a_metastasis_is_dark_with_a_brighter_rim(ct: Contrast) -> None:
    for phase in (Phase.ARTERIAL, Phase.PORTAL_VENOUS):
        core, rim = (hu(ct, t, phase) for t in (Tissue.METASTASIS_CORE, Tissue.METASTASIS_RIM))
        assert core + 15 < rim
        assert core < hu(ct, Tissue.LIVER, phase)


def test_vessels_fill_in_their_order(ct: Contrast) -> None:
    arterial, portal = ct.looks(Phase.ARTERIAL), ct.looks(Phase.PORTAL_VENOUS)
    assert arterial[Tissue.AORTA].mean > 290
    assert arterial[Tissue.AORTA].mean > arterial[Tissue.PORTAL_VEIN].mean > arterial[Tissue.HEPATIC_VEIN].mean
    assert portal[Tissue.HEPATIC_VEIN].mean > portal[Tissue.LIVER].mean + 40
    delayed = ct.looks(Phase.DELAYED)
    assert abs(delayed[Tissue.AORTA].mean - delayed[Tissue.HEPATIC_VEIN].mean) < 10


def test_nothing_enhances_that_is_dead_or_without_blood(ct: Contrast) -> None:
    for tissue in (Tissue.ABLATED, Tissue.ABLATED_CORE, Tissue.BILE, Tissue.ASCITES, Tissue.GAS):
        assert hu(ct, tissue, Phase.PORTAL_VENOUS) == hu(ct, tissue, Phase.UNENHANCED)


def test_gadoxetate_ends_up_in_liver_and_ducts(mr: Contrast) -> None:
    late = mr.looks(Phase.HEPATOBILIARY)
    assert late[Tissue.BILE].mean > late[Tissue.LIVER].mean > 2 * late[Tissue.HEPATIC_VEIN].mean
    assert late[Tissue.HCC].mean < 0.6 * late[Tissue.LIVER].mean


def test_a_curve_passes_through_its_numbers_and_stays_between_them(ct: Contrast) -> None:
    curve = ct.curves["liver"]
    for time_s, value in zip(curve.times_s, curve.enhancement, strict=True):
        assert curve.at(float(time_s)) == pytest.approx(value)
    assert 42 < curve.at(50) < 58
    assert curve.at(-5) == curve.enhancement[0]
    assert curve.at(9999) == curve.enhancement[-1]


def test_a_table_without_a_tissue_is_refused(phantom_table: dict[str, Any]) -> None:
    table = copy.deepcopy(phantom_table)
    del table["ct"]["tissue"]["spleen"]
    with pytest.raises(ValueError, match="spleen"):
        Contrast.from_table(table, Modality.CT)
