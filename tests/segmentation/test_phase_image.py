"""What the image says of the phase: organs of known values, ratios on MR, comparison within a study."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.segmentation.phase_image import PhaseLook, compared, look_at_phase, organ_cores
from liverimg.segmentation.phase_image_rules import ImageRules, Limits

# Boxes (k, j, i) on 2 mm voxels: none touches another.
GRID = Grid.from_axes((40, 50, 60), spacing_mm=(2, 2, 2), origin_lps_mm=(-60, -50, 10), frame_of_reference_uid="1.2.3")
BOXES: Mapping[Structure, tuple[slice, slice, slice]] = {
    Structure.LIVER: np.s_[5:35, 2:22, 2:26],
    Structure.AORTA: np.s_[2:38, 30:40, 28:38],
    Structure.PORTAL_VEIN: np.s_[10:30, 24:30, 4:20],
    Structure.INFERIOR_VENA_CAVA: np.s_[2:38, 32:42, 12:22],
    Structure.SPLEEN: np.s_[5:30, 2:20, 40:58],
    Structure.KIDNEY: np.s_[2:32, 26:48, 42:58],
}
VALUES = {structure: n for n, structure in enumerate(BOXES, start=1)}
# Typical values: aorta, portal vein, cava, liver, spleen, kidney.
CT: Mapping[Phase, tuple[int, ...]] = {
    Phase.UNENHANCED: (42, 40, 41, 58, 47, 32),
    Phase.EARLY_ARTERIAL: (260, 50, 45, 60, 90, 110),
    Phase.ARTERIAL: (320, 120, 90, 75, 130, 170),
    Phase.PORTAL_VENOUS: (155, 170, 140, 110, 120, 160),
    Phase.DELAYED: (102, 100, 100, 88, 85, 135),
}
MR: Mapping[Phase, tuple[int, ...]] = {
    Phase.UNENHANCED: (180, 185, 180, 300, 200, 230),
    Phase.ARTERIAL: (720, 380, 250, 340, 390, 500),
    Phase.PORTAL_VENOUS: (560, 610, 520, 480, 420, 560),
    Phase.HEPATOBILIARY: (230, 225, 230, 620, 230, 300),
}


@pytest.fixture(scope="module")
def rules() -> ImageRules:
    return ImageRules.from_table(read_table("phase_image"))


def labels(*without: Structure) -> LabelMap:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    for structure, box in BOXES.items():
        if structure not in without:
            array[box] = VALUES[structure]
    return LabelMap(array, GRID, VALUES)


def image(values: tuple[int, ...], modality: Modality, *, noise: float = 12, grid: Grid = GRID) -> Volume:
    array = np.random.default_rng(1).normal(-100 if modality is Modality.CT else 50, noise, GRID.shape)
    for structure, value in zip(
        (
            Structure.AORTA,
            Structure.PORTAL_VEIN,
            Structure.INFERIOR_VENA_CAVA,
            Structure.LIVER,
            Structure.SPLEEN,
            Structure.KIDNEY,
        ),
        values,
        strict=True,
    ):
        array[BOXES[structure]] += value - array[BOXES[structure]].mean()
    quantity = Quantity.HU if modality is Modality.CT else Quantity.MR_SIGNAL
    return Volume(array.astype(np.float32), grid, quantity)


def look(values: tuple[int, ...], modality: Modality, rules: ImageRules, *without: Structure, **more: Any) -> PhaseLook:
    return look_at_phase(organ_cores(labels(*without), rules), image(values, modality), modality, rules, **more)


@pytest.mark.parametrize("phase", list(CT))
def test_ct_phases(phase: Phase, rules: ImageRules) -> None:
    found = look(CT[phase], Modality.CT, rules)
    assert found.evidence is not None
    assert found.evidence.says is phase, found.detail
    assert f"aorta {CT[phase][0]} HU" in found.detail


@pytest.mark.parametrize("phase", list(MR))
def test_mr_phases(phase: Phase, rules: ImageRules) -> None:
    found = look(MR[phase], Modality.MR, rules)
    assert found.evidence is not None
    assert found.evidence.says is phase or (found.evidence.says is Phase.UNKNOWN and phase in found.evidence.allows), (
        found.detail
    )


@pytest.mark.parametrize("scale", [0.1, 1, 37])
def test_mr_signal_has_no_unit(scale: float, rules: ImageRules) -> None:
    values = tuple(round(v * scale * 10) for v in MR[Phase.ARTERIAL])
    found = look(values, Modality.MR, rules)
    assert found.evidence is not None and found.evidence.says is Phase.ARTERIAL


def test_values_are_those_of_the_organs(rules: ImageRules) -> None:
    found = look(CT[Phase.ARTERIAL], Modality.CT, rules)
    assert found.values["aorta"] == pytest.approx(320, abs=2)
    assert found.values["renal_cortex"] == pytest.approx(170, abs=3)
    assert set(found.values) == {
        "aorta",
        "portal_vein",
        "inferior_vena_cava",
        "liver",
        "spleen",
        "renal_cortex",
        "renal_medulla",
    }


def test_without_an_organ_that_is_needed_nothing_is_said(rules: ImageRules) -> None:
    found = look(CT[Phase.ARTERIAL], Modality.CT, rules, Structure.AORTA)
    assert found.evidence is None and "aorta" in found.detail


def test_without_the_others_it_says_less(rules: ImageRules) -> None:
    """Aorta and liver alone don't tell early from late arterial."""
    others = (Structure.PORTAL_VEIN, Structure.INFERIOR_VENA_CAVA, Structure.SPLEEN, Structure.KIDNEY)
    found = look(CT[Phase.ARTERIAL], Modality.CT, rules, *others)
    assert found.evidence is not None
    assert found.evidence.says is Phase.UNKNOWN
    assert {Phase.EARLY_ARTERIAL, Phase.ARTERIAL} <= set(found.evidence.allows)


def test_values_that_fit_no_phase(rules: ImageRules) -> None:
    found = look((150, 20, 300, 10, 10, 10), Modality.CT, rules)
    assert found.evidence is None and "fits no phase" in found.detail


def test_an_image_that_shows_something_else(rules: ImageRules) -> None:
    """Out of view: nothing is measured, nothing said."""
    far = Grid.from_axes(GRID.shape, spacing_mm=(2, 2, 2), origin_lps_mm=(500, 0, 0), frame_of_reference_uid="1.2.3")
    cores = organ_cores(labels(), rules)
    found = look_at_phase(cores, image(CT[Phase.ARTERIAL], Modality.CT, grid=far), Modality.CT, rules)
    assert found.evidence is None and found.values == {}


def test_breathing_is_taken_into_account(rules: ImageRules) -> None:
    up = Grid.from_axes(GRID.shape, spacing_mm=(2, 2, 2), origin_lps_mm=(-60, -50, 40), frame_of_reference_uid="1.2.3")
    cores = organ_cores(labels(), rules)
    moved = image(CT[Phase.PORTAL_VENOUS], Modality.CT, grid=up)
    found = look_at_phase(cores, moved, Modality.CT, rules, shift_lps_mm=(0, 0, 30))
    assert found.evidence is not None and found.evidence.says is Phase.PORTAL_VENOUS


def test_orientation_of_the_labels_does_not_matter(rules: ImageRules) -> None:
    plain = labels()
    flipped = Grid.from_axes(
        GRID.shape,
        spacing_mm=(2, 2, 2),
        directions=[[0, 0, -1], [0, 1, 0], [1, 0, 0]],
        origin_lps_mm=(-60, -50, 10 + 2 * (GRID.shape[0] - 1)),
        frame_of_reference_uid="1.2.3",
    )
    turned = LabelMap(np.ascontiguousarray(np.flip(plain.array, axis=0)), flipped, VALUES)
    volume = image(CT[Phase.ARTERIAL], Modality.CT)
    one = look_at_phase(organ_cores(plain, rules), volume, Modality.CT, rules)
    other = look_at_phase(organ_cores(turned, rules), volume, Modality.CT, rules)
    assert other.values == pytest.approx(one.values, abs=2)


def test_fading_vessels_tell_portal_from_delayed(rules: ImageRules) -> None:
    """Each may be either by itself; side by side the fainter one is the later one."""
    either = {1: (132, 130, 130, 102, 100, 140), 2: (118, 117, 117, 96, 95, 138)}
    alone = {n: look(values, Modality.CT, rules) for n, values in either.items()}
    strong = look((165, 170, 150, 110, 120, 160), Modality.CT, rules)
    assert all(found.evidence is not None and found.evidence.says is Phase.UNKNOWN for found in alone.values())
    beside = compared({0: strong, **alone}, rules)
    assert [beside[n].evidence.says for n in (1, 2)] == [Phase.DELAYED, Phase.DELAYED]  # type: ignore[union-attr]
    assert "fainter than in another volume" in beside[1].detail
    assert compared({1: alone[1]}, rules) == {1: alone[1]}


def test_limits() -> None:
    limits = Limits(0, 10, 20, 40)
    assert [limits.membership(v) for v in (-5, 0, 5, 10, 20, 30, 40, 50)] == [0, 0, 0.5, 1, 1, 0.5, 0, 0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t.pop("limits"),
        lambda t: t["CT"]["arterial"].update(aorta=[1, 2, 3]),
        lambda t: t["CT"]["arterial"].update(aorta=[4, 3, 2, 1]),
        lambda t: t["CT"]["arterial"].update(lungs=[1, 2, 3, 4]),
        lambda t: t["MR"].update(venous={}),
        lambda t: t["core"].update(x={"least_mm": 1}),
    ],
)
def test_broken_rules_are_refused(spoil: Any, repository: Path) -> None:
    table = tomllib.loads((repository / "src/liverimg/data/phase_image.toml").read_text(encoding="utf-8"))
    spoil(table)
    with pytest.raises(RecordInvalidError):
        ImageRules.from_table(table)


def test_every_limit_has_a_source(repository: Path) -> None:
    table = tomllib.loads((repository / "src/liverimg/data/phase_image.toml").read_text(encoding="utf-8"))
    assert all(row["source"] and row["unit"] for row in table["limits"].values())
    assert table["CT"]["source"] and table["MR"]["source"]
