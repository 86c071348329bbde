"""The zone network's made crops, its loss, a run that goes on, and the scores of its hold-out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from liverimg.core.study import Phase
from liverimg.core.volume import Quantity
from liverimg.segmentation.unpack import built
from liverimg.segmentation.zones.channels import CHANNELS
from liverimg.training.synthesis.warp import NoiseBank
from liverimg.training.zones.examples import Example, make_example
from liverimg.training.zones.fit import ZoneFit, fit, step_loss
from liverimg.training.zones.score import CropScore, errors_of, scored

NETWORK = {
    "_target_": "monai.networks.nets.BasicUNet",
    "spatial_dims": 3,
    "in_channels": len(CHANNELS),
    "out_channels": 1,
    "features": [2, 2, 2, 2, 2, 2],
}


@pytest.fixture(scope="module")
def bank() -> NoiseBank:
    return NoiseBank(3, size=48)


@pytest.fixture(scope="module")
def examples(bank: NoiseBank) -> list[Example]:
    return [make_example(7, number, 32, bank) for number in range(24)]


def test_the_same_number_gives_the_same_crop(bank: NoiseBank, examples: list[Example]) -> None:
    again = make_example(7, 3, 32, bank)
    assert np.array_equal(again.zone, examples[3].zone)
    for phase, values in again.view.values.items():
        assert np.array_equal(values, examples[3].view.values[phase])


def test_dead_tissue_does_not_enhance_and_the_liver_does(examples: list[Example]) -> None:
    """Where both an unenhanced and a portal venous phase are there, of crops with nothing else in the zone's middle."""
    rises = []
    for one in examples:
        values = one.view.values
        core = one.zone > 0.99
        if Phase.UNENHANCED in values and Phase.PORTAL_VENOUS in values and core.sum() > 200:
            away = one.view.liver & (one.zone == 0)
            rise = (values[Phase.PORTAL_VENOUS] - values[Phase.UNENHANCED]) / one.view.levels[Phase.UNENHANCED]
            rises.append((float(np.median(rise[core])), float(np.median(rise[away]))))
    assert len(rises) >= 5
    assert all(dead < living for dead, living in rises)
    assert np.median([dead for dead, _ in rises]) == pytest.approx(0, abs=0.1)


def test_crops_differ_in_kind(examples: list[Example]) -> None:
    assert {one.view.quantity for one in examples} == {Quantity.HU, Quantity.MR_SIGNAL}
    assert any(Phase.UNENHANCED not in one.view.values for one in examples)
    for one in examples:
        assert set(one.view.values) & {Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.HEPATOBILIARY}
        assert one.zone.min() >= 0 and one.zone.max() <= 1


def test_the_loss_falls_with_agreement_and_asks_for_nothing_outside_the_liver() -> None:
    zone = torch.zeros(1, 1, 8, 8, 8)
    zone[..., 2:6, 2:6, 2:6] = 1
    liver = torch.ones_like(zone)
    liver[..., 7] = 0
    right = (zone - 0.5) * 20
    wrong_outside = right.clone()
    wrong_outside[..., 7] = 20.0
    assert step_loss(right, zone, liver) < 0.05 < step_loss(-right, zone, liver)
    assert torch.equal(step_loss(right, zone, liver), step_loss(wrong_outside, zone, liver))


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ZoneFit(minutes=1e9, steps=4, sizes=(32,), seed=4)
    monkeypatch.setattr("liverimg.training.zones.fit._SAVE_EVERY", 2)

    def run(folder: Path) -> None:
        torch.manual_seed(5)
        fit(built({"network": NETWORK}, "network", torch.nn.Module), folder, settings, torch.device("cpu"))

    def stopped(seed: int, number: int, size: int, bank: NoiseBank) -> Example:
        if number == 2:
            raise KeyboardInterrupt
        return make_example(seed, number, size, bank)

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    run(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("liverimg.training.zones.fit.make_example", stopped)
        run(tmp_path / "parts")
    run(tmp_path / "parts")
    whole, parts = (load_file(tmp_path / name / "zone.checkpoint") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole if not name.startswith("chance"))


def test_a_perfect_answer_scores_as_one(examples: list[Example]) -> None:
    one = max(examples, key=lambda example: float((example.zone * example.view.liver).sum()))
    found = scored(one, one.zone, 0.5)
    assert found.dice == 1.0 and found.border_mm == pytest.approx(0, abs=1e-6)
    assert found.found_ml == pytest.approx(found.truth_ml, rel=0.05)


def test_errors_are_what_nine_in_ten_crops_keep_to_and_never_fall_with_doubt() -> None:
    def crop(doubt_mm: float, border_mm: float | None) -> CropScore:
        return CropScore("CT", True, 1.0, 5.0, 5.0, 0.9, border_mm, doubt_mm)

    scores = [crop(1.0 + 0.01 * n, float(n)) for n in range(21)] + [crop(2.0, 3.0)] * 21 + [crop(3.0, None)]
    assert errors_of(scores) == [
        {"doubt_below_mm": 1.2, "error_mm": 18.0, "crops": 21},
        {"doubt_below_mm": None, "error_mm": 18.0, "crops": 21},
    ]
