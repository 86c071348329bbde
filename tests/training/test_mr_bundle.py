"""The shipped MR bundle: its contract, and the phantom's liver in every phase."""

import json
from pathlib import Path

import numpy as np
import pytest

from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality
from liverimg.segmentation.bundle import open_bundle
from liverimg.training.learning.passes import network_for, read_pass
from liverimg.training.scoring.mr_cases import as_drawn, phantom_mr_cases, synthetic_mr_cases
from liverimg.training.scoring.mr_evaluate import Peers, best_threshold_dice, score_study


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "models" / "liver_mr"


def test_the_bundle_opens_and_says_what_it_is_for(folder: Path) -> None:
    bundle = open_bundle(folder, device="cpu")
    assert bundle.name == "liver_mr"
    assert bundle.modalities == (Modality.MR,)
    assert bundle.passes[0].inputs == ("reference",)
    assert bundle.passes[0].intensity.kind == "percentiles"
    assert Structure.LIVER in bundle.values
    assert set(bundle.surface_error_mm) == set(bundle.values)
    assert 0 < bundle.surface_error_mm[Structure.LIVER] < 20


def test_the_card_and_the_contract_tell_the_same_scores(folder: Path) -> None:
    metrics = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))["eval_metrics"]
    card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    for part in ("synthetic", "phantom"):
        assert f"{metrics[part]['liver_with_contents_dice']:.3f}" in card
    assert f"{metrics['real']['liver']['dice']:.3f}" in card


def test_training_reads_the_same_contract(folder: Path) -> None:
    training = read_pass(folder, "coarse")
    assert training.modality == "MR"
    weights = network_for(training).state_dict()
    assert weights["head.1.weight"].shape[0] == 1 + len(training.channels)


def test_weights_are_small(folder: Path) -> None:
    sizes = [path.stat().st_size for path in (folder / "models").iterdir()]
    assert sizes
    assert max(sizes) < 40e6


def test_what_a_model_does_not_know_is_liver_where_it_lies_inside(toy_truth: LabelMap) -> None:
    seen = as_drawn(toy_truth, (Structure.LIVER, Structure.SPLEEN))
    assert set(seen.structures) == {Structure.LIVER, Structure.SPLEEN}
    assert seen.mask(Structure.LIVER)[8, 8, 8]
    assert not seen.array[1, 1, 1]
    assert np.array_equal(seen.mask(Structure.SPLEEN), toy_truth.mask(Structure.SPLEEN))


@pytest.fixture
def toy_truth() -> LabelMap:
    """A liver with a tumour in it, a vein outside it, and a spleen."""
    from liverimg.core.grid import Grid

    array = np.zeros((16, 16, 24), dtype=np.uint8)
    array[4:13, 4:13, 4:13] = 1
    array[7:10, 7:10, 7:10] = 2
    array[1, 1, 1:4] = 3
    array[5:10, 5:10, 17:22] = 4
    names = (Structure.LIVER, Structure.TUMOUR, Structure.PORTAL_VEIN, Structure.SPLEEN)
    return LabelMap(array, Grid.from_axes(array.shape, spacing_mm=(3, 3, 3)), {s: n for n, s in enumerate(names, 1)})


def test_held_out_views_hold_a_liver_and_are_the_same_every_time(tmp_path: Path, toy_map: np.ndarray) -> None:
    np.savez_compressed(tmp_path / "val-toy.npz", tissue=toy_map)
    drawn = (Structure.LIVER, Structure.SPLEEN)
    first, second = (list(synthetic_mr_cases(tmp_path, 2, drawn)) for _ in range(2))
    assert len({one.case.name for one in first}) == 2
    for one, again in zip(first, second, strict=True):
        assert np.array_equal(one.case.volume.array, again.case.volume.array)
        assert one.case.truth.grid.shape == one.case.volume.grid.shape
        assert one.case.truth.has(Structure.LIVER)
        assert set(one.case.truth.structures) <= set(drawn)


def test_the_threshold_peer_finds_a_bright_ball_and_not_a_dark_one() -> None:
    from liverimg.core.grid import Grid
    from liverimg.core.volume import Quantity, Volume

    k, j, i = np.indices((24, 24, 24))
    ball = (k - 12) ** 2 + (j - 12) ** 2 + (i - 12) ** 2 < 64
    grid = Grid.from_axes(ball.shape, spacing_mm=(4, 4, 4))
    values = np.random.default_rng(1).normal(100, 5, ball.shape)
    bright, dark = values + 100 * ball, values - 80 * ball
    assert best_threshold_dice(Volume(bright, grid, Quantity.MR_SIGNAL), ball) > 0.95
    assert best_threshold_dice(Volume(dark, grid, Quantity.MR_SIGNAL), ball) < 0.5


@pytest.mark.slow
def test_the_sample_s_liver_is_drawn_in_every_phase(folder: Path, sample: Path) -> None:
    bundle = open_bundle(folder, device="cpu")
    scores = score_study(sample / "mr", sample / "truth" / "mr_labels.nii.gz", bundle, Peers())
    assert set(scores) == {"unenhanced", "arterial", "portal_venous", "hepatobiliary"}
    for phase, found in scores.items():
        assert found["liver"]["dice"] >= 0.85, phase


@pytest.mark.slow
def test_phantoms_come_in_every_phase_on_one_grid() -> None:
    cases = list(phantom_mr_cases(1, (Structure.LIVER, Structure.SPLEEN)))
    assert len({one.sequence for one in cases}) == len(cases) >= 4
    liver = cases[0].case.truth.mask(Structure.LIVER)
    assert liver.any()
    brightness = [float(np.median(one.case.volume.array[liver])) for one in cases]
    assert max(brightness) > 1.5 * min(brightness)
    assert all(one.case.volume.array.min() >= 0 for one in cases)
