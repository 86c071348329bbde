"""Learning: the loss means what it says, a step lowers it, a resumed run is the same run."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.labels import Structure
from liverimg.segmentation.intensity import Intensity
from liverimg.segmentation.network import WideUNet
from liverimg.training.learning.curves import curves
from liverimg.training.learning.fit import (
    FitSettings,
    FitState,
    borrow_weights,
    fit,
    load_state,
    new_state,
    save_state,
    save_weights,
    train_step,
)
from liverimg.training.learning.loss import segmentation_loss
from liverimg.training.synthesis.dataset import ExampleStream, StoredMap, stored_maps, to_input
from liverimg.training.synthesis.examples import EITHER, FINE, IGNORED
from liverimg.training.synthesis.tissues import channel_table

CHANNELS = {1: Structure.LIVER, 2: Structure.HEPATIC_VEIN, 3: Structure.PORTAL_VEIN}
SETTINGS = FitSettings(steps=6, warm_up=2, workers=0, learning_rate=3e-3)


def _network() -> WideUNet:
    torch.manual_seed(4)
    return WideUNet(out_channels=4, channels=(4, 8), width=4, num_res_units=1)


@pytest.fixture
def maps(tmp_path: Path, toy_map: np.ndarray) -> list[StoredMap]:
    np.savez_compressed(tmp_path / "train-toy-grown.npz", tissue=toy_map)
    np.savez_compressed(tmp_path / "train-toy-real.npz", tissue=toy_map)
    np.savez_compressed(tmp_path / "val-toy-grown.npz", tissue=toy_map)
    return stored_maps(tmp_path, "train", 2.5)


def _stream(maps: list[StoredMap], start: int = 0) -> ExampleStream:
    return ExampleStream(
        maps,
        recipe=replace(FINE, shape=(16, 32, 32), spacing_mm=3.0, inputs=("reference",)),
        channels=channel_table(CHANNELS),
        intensity=Intensity("window", -100, 250),
        seed=9,
        start=start,
    )


def _run(state: FitState, maps: list[StoredMap], settings: FitSettings, until_step: int | None = None) -> None:
    fit(
        state,
        _stream(maps, state.step * settings.examples_per_step),
        settings,
        until_step=until_step,
        class_weights=torch.ones(4),
        either=(2, 3),
        device=torch.device("cpu"),
        on_save=lambda _: None,
    )


def test_held_out_maps_are_not_trained_on_and_real_trees_are_merged(maps: list[StoredMap]) -> None:
    assert [m.path.stem for m in maps] == ["train-toy-grown", "train-toy-real"]
    assert [m.veins_merged for m in maps] == [False, True]


def test_perfect_logits_cost_nothing() -> None:
    labels = torch.zeros(1, 4, 4, 4, dtype=torch.uint8)
    labels[:, :2] = 2
    labels[:, 3, 3] = IGNORED
    logits = 50.0 * torch.nn.functional.one_hot(labels.clamp(max=3).long(), 4).movedim(-1, 1).float()
    assert float(segmentation_loss(logits, labels, torch.ones(4))) < 1e-3


def test_outside_the_scan_nothing_counts() -> None:
    labels = torch.zeros(1, 2, 4, 4, dtype=torch.uint8)
    labels[:, 0] = 1
    labels[:, :, 3] = IGNORED
    logits = torch.randn(1, 4, 2, 4, 4)
    other = logits.clone()
    other[:, :, :, 3] += torch.randn(4, 2, 4)[None]
    weights = torch.ones(4)
    assert float(segmentation_loss(logits, labels, weights)) == pytest.approx(
        float(segmentation_loss(other, labels, weights))
    )


def test_either_vein_is_right_where_nobody_knows_which() -> None:
    labels = torch.full((1, 2, 4, 4), EITHER, dtype=torch.uint8)
    labels[:, 0] = 1
    losses = []
    for said in (2, 3, 0):
        target = torch.where(labels == EITHER, said, labels.long())
        logits = 30.0 * torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float()
        losses.append(float(segmentation_loss(logits, labels, torch.ones(4), either=(2, 3))))
    assert losses[0] < 1e-3
    assert losses[1] < 1e-3
    assert losses[2] > 1


def test_steps_lower_the_loss(maps: list[StoredMap]) -> None:
    example = _stream(maps).example(1)
    image = torch.from_numpy(to_input(example, Intensity("window", -100, 250)))[None]
    labels = torch.from_numpy(example.labels)[None]
    state = new_state(_network(), replace(SETTINGS, learning_rate=1e-2))
    losses = [train_step(state, image, labels, torch.ones(4), half=False, either=(2, 3)) for _ in range(8)]
    assert losses[1] < losses[0]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(("batch", "accumulate", "workers"), [(1, 1, 0), (2, 2, 0), (1, 2, 2)])
def test_a_resumed_run_is_the_same_run(
    maps: list[StoredMap], tmp_path: Path, batch: int, accumulate: int, workers: int
) -> None:
    settings = replace(SETTINGS, batch=batch, accumulate=accumulate, workers=workers)
    whole = new_state(_network(), settings)
    _run(whole, maps, settings)

    first = new_state(_network(), settings)
    _run(first, maps, settings, until_step=3)
    assert first.step == 3
    save_state(first, tmp_path / "checkpoint")

    torch.manual_seed(77)
    second = new_state(WideUNet(out_channels=4, channels=(4, 8), width=4, num_res_units=1), settings)
    load_state(second, tmp_path / "checkpoint")
    assert second.step == 3
    _run(second, maps, settings)
    assert second.step == whole.step == 6
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, second.average[name]), name


def test_the_state_of_chance_is_kept(tmp_path: Path) -> None:
    state = new_state(_network(), SETTINGS)
    torch.manual_seed(5)
    save_state(state, tmp_path / "checkpoint")
    expected = torch.rand(3)
    torch.manual_seed(6)
    load_state(state, tmp_path / "checkpoint")
    assert torch.equal(torch.rand(3), expected)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_state(new_state(_network(), SETTINGS), tmp_path / "checkpoint")
    wider = new_state(WideUNet(out_channels=5, channels=(4, 8), width=4, num_res_units=1), SETTINGS)
    with pytest.raises(InputRefusedError, match="another network"):
        load_state(wider, tmp_path / "checkpoint")
    (tmp_path / "checkpoint").write_bytes(b"\0" * 100)
    with pytest.raises(InputRefusedError, match="damaged"):
        load_state(wider, tmp_path / "checkpoint")


def test_batches_are_made_of_the_same_examples_however_they_are_cut(maps: list[StoredMap]) -> None:
    seen = {}
    for batch, accumulate in ((4, 1), (2, 2), (1, 4)):
        images: list[torch.Tensor] = []
        state = new_state(_network(), SETTINGS)
        state.network.register_forward_pre_hook(lambda _, given, kept=images: kept.append(given[0].detach()))
        _run(state, maps, replace(SETTINGS, steps=1, batch=batch, accumulate=accumulate))
        assert [len(i) for i in images] == [batch] * accumulate
        seen[batch] = torch.cat(images)
    assert torch.equal(seen[4], seen[2])
    assert torch.equal(seen[4], seen[1])


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    state = new_state(_network(), SETTINGS)
    image, labels = torch.full((1, 1, 8, 8, 8), float("nan")), torch.ones(1, 8, 8, 8, dtype=torch.uint8)
    with pytest.raises(UsageError, match="lower learning rate"):
        train_step(state, image, labels, torch.ones(4), half=False)


def test_curves_are_written_for_tensorboard(maps: list[StoredMap], tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    state = new_state(_network(), SETTINGS)
    with curves(tmp_path / "curves") as write:
        fit(
            state,
            _stream(maps),
            replace(SETTINGS, steps=2),
            class_weights=torch.ones(4),
            either=(2, 3),
            device=torch.device("cpu"),
            on_save=lambda _: None,
            watch=write,
        )
    events = reader.EventAccumulator(str(tmp_path / "curves")).Reload()
    assert [e.step for e in events.Scalars("loss")] == [1, 2]


def test_without_tensorboard_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with curves(tmp_path / "curves") as write:
        assert write is None
    assert "pip install 'liverimg[train]'" in caplog.text


def test_the_clock_can_end_a_run(maps: list[StoredMap]) -> None:
    state = new_state(_network(), SETTINGS)
    _run(state, maps, replace(SETTINGS, minutes=0.0001))
    assert state.step < SETTINGS.steps


def test_weights_are_stored_small_and_can_be_borrowed(tmp_path: Path) -> None:
    network = _network()
    save_weights(network.state_dict(), tmp_path / "w.safetensors")
    assert {w.dtype for w in load_file(tmp_path / "w.safetensors").values()} == {torch.float16}
    other = WideUNet(out_channels=7, channels=(4, 8), width=4, num_res_units=1)
    borrowed = borrow_weights(other, tmp_path / "w.safetensors")
    assert borrowed == len(network.state_dict()) - 2  # all but the head's weight and bias


def test_a_network_with_more_inputs_begins_as_the_one_it_comes_from(tmp_path: Path) -> None:
    network = _network().eval()
    save_weights({n: w.half().float() for n, w in network.state_dict().items()}, tmp_path / "w.safetensors")
    wider = WideUNet(out_channels=4, in_channels=3, channels=(4, 8), width=4, num_res_units=1).eval()
    assert borrow_weights(wider, tmp_path / "w.safetensors") == len(network.state_dict())
    image = torch.randn(1, 3, 8, 8, 8)
    assert torch.allclose(wider(image), network(image[:, :1]), atol=2e-2)


def test_no_maps_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no training maps"):
        _stream(stored_maps(tmp_path, "val", 2.5))
