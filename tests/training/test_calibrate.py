"""Factors hold on cases they were not made from, percentages become frequencies, and both are bound to the weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.confidence import Calibration, calibrated_percent
from liverimg.segmentation.intensity import Intensity
from liverimg.segmentation.tidy import TidyRules
from liverimg.training.scoring.calibrate import (
    CaseOutlines,
    Outline,
    Tally,
    calibrated,
    checked,
    last_word,
    look_at,
    write,
)
from liverimg.training.scoring.cases import Case
from liverimg.training.scoring.conformal import calibration_error, conformal_factor, coverage, temperature_for

RULES = TidyRules.from_table(read_table("segmentation")["tidy"])


def _cases(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Cases of unequal size whose points err on a scale that differs from case to case."""
    return [
        np.abs(rng.normal(0, scale, size))
        for scale, size in zip(rng.uniform(0.5, 2.0, count), rng.integers(50, 800, count), strict=True)
    ]


def test_the_factor_holds_its_share_of_points_in_new_cases() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(20):
        factor = conformal_factor(_cases(rng, 60))
        assert factor is not None
        held.append(coverage(_cases(rng, 60), factor))
    assert 0.94 < np.mean(held) < 0.96


def test_too_few_cases_say_nothing() -> None:
    rng = np.random.default_rng(1)
    assert conformal_factor(_cases(rng, 9)) is None
    assert conformal_factor([*_cases(rng, 9), np.zeros(0)]) is None, "a case without points is none"
    assert conformal_factor([]) is None


def test_a_large_case_weighs_no_more_than_a_small_one() -> None:
    bad, good = np.full(100_000, 10.0), [np.full(10, 1.0)] * 99
    assert conformal_factor([bad, *good]) == 1.0
    assert coverage([bad, *good], 1.0) == pytest.approx(0.99)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_and_closes_the_gap(true_temperature: float) -> None:
    share = np.clip(np.arange(101) / 100, 1e-4, 1 - 1e-4)
    total = np.full(101, 1e5)
    right = total / (1 + np.exp(-np.log(share / (1 - share)) / true_temperature))
    found = temperature_for(right, total)
    assert found == pytest.approx(true_temperature, rel=0.02)
    before = calibration_error(right, total)
    after = calibration_error(right, total, calibrated_percent(found))
    assert after < 0.005
    if true_temperature != 1.0:
        assert before > 0.05


GRID = Grid.from_axes((48, 48, 48), spacing_mm=(3, 3, 3))


class Brightness(torch.nn.Module):
    """Liver above 50 HU, the more surely the brighter."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(image), 12 * (image * 100 / 100)], dim=1)


def _bundle() -> Bundle:
    one = Pass(
        name="coarse",
        spacing_mm=3.0,
        inputs=("reference",),
        intensity=Intensity("window", -50, 150),
        channels={1: Structure.LIVER},
        around_mm=None,
        network=Brightness(),
        inferer=SlidingWindowInferer(roi_size=(48, 48, 48), overlap=0.2, cval=-1.0),
    )
    return Bundle("b", "0", ("CT",), (one,), {Structure.LIVER: 1}, {Structure.LIVER: 2.0}, torch.device("cpu"))


def _case(blur_mm: float, off_mm: float) -> Case:
    """A liver whose border is blurred, and drawn too large by as much as is said."""
    points = GRID.index_to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
    away = np.linalg.norm(points - GRID.centre_lps_mm, axis=-1)
    hu = (50 + 100 * np.tanh((45 + off_mm - away) / blur_mm)).astype(np.int16)
    truth = LabelMap((away <= 45).astype(np.uint8), GRID, {Structure.LIVER: 1})
    return Case("ball-0", Volume(hu, GRID, Quantity.HU), truth, 2.0)


def test_doubt_and_error_are_read_off_a_case() -> None:
    sharp, soft = (look_at(_case(blur, 9.0), _bundle(), RULES) for blur in (3.0, 15.0))
    outlines = [case.outlines[Structure.LIVER][0] for case in (sharp, soft)]
    assert outlines[1].band_mm > 1.5 * outlines[0].band_mm
    for outline in outlines:
        assert np.median(outline.errors_mm) == pytest.approx(9.0, abs=1.5)
    tally = sharp.tallies["coarse"]
    wrong = tally.total.sum() - tally.right.sum()
    shell_ml = 4 / 3 * np.pi * (5.4**3 - 4.5**3)
    assert wrong * GRID.voxel_ml == pytest.approx(shell_ml, rel=0.1)


def test_an_outline_that_meets_nothing_true_counts_for_detection_and_not_for_surfaces() -> None:
    case = _case(3.0, 0.0)
    empty = Case("e-0", case.volume, LabelMap(np.zeros(GRID.shape, np.uint8), GRID, {Structure.LIVER: 1}), 2.0)
    assert look_at(empty, _bundle(), RULES).outlines[Structure.LIVER] == ()


def _made_up(rng: np.random.Generator, count: int) -> list[CaseOutlines]:
    """Outlines that err in proportion to their doubt."""
    tally = Tally(np.full(101, 5.0), np.full(101, 10.0))
    bands = rng.uniform(1, 6, count)
    return [
        CaseOutlines({Structure.LIVER: (Outline(band, np.abs(rng.normal(0, band, 500))),)}, {"coarse": tally})
        for band in bands
    ]


def test_a_calibration_is_checked_on_other_cases_beside_one_error_for_all() -> None:
    rng = np.random.default_rng(2)
    bundle = _bundle()
    one = bundle.passes[0]
    calibration = calibrated(_made_up(rng, 30), bundle, one)
    assert calibration.factors[Structure.LIVER] == pytest.approx(1.96, rel=0.05)
    found = checked(calibration, _made_up(rng, 200), one, {Structure.LIVER: 2.0})["structures"]["liver"]
    assert 0.93 < found["coverage"] < 0.97
    assert found["outlines"] == 200
    assert found["pooled_coverage"] < 0.7
    assert found["mean_error_mm"] == pytest.approx(3.5 * calibration.factors[Structure.LIVER], rel=0.1)


def test_the_last_pass_that_draws_a_structure_answers_for_it() -> None:
    bundle = _bundle()
    fine = Pass(**{**vars(bundle.passes[0]), "name": "fine", "channels": {1: Structure.LIVER, 2: Structure.TUMOUR}})
    coarse = Pass(**{**vars(bundle.passes[0]), "channels": {1: Structure.LIVER, 2: Structure.SPLEEN}})
    both = Bundle("b", "0", ("CT",), (coarse, fine), {}, {}, torch.device("cpu"))
    assert last_word(both, coarse) == (Structure.SPLEEN,)
    assert last_word(both, fine) == (Structure.LIVER, Structure.TUMOUR)


def test_what_is_written_opens_again(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "metadata.json"
    path.write_text(json.dumps({"liverimg": {"passes": [{"name": "coarse", "sha256": "ab"}]}}))
    calibration = Calibration((0.1, 0.9), {Structure.LIVER: 1.5}, 1.25)
    write(tmp_path, {"coarse": (calibration, {"ece_before": 0.1})}, cases=24)
    entry = json.loads(path.read_text())["liverimg"]["passes"][0]["calibration"]
    assert entry["sha256"] == "ab"
    assert entry["cases"] == 24
    assert Calibration.from_contract(entry) == calibration
