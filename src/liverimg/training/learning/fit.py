"""Fitting one network of the bundle to synthetic images. Run ``python -m liverimg.training.learning.fit --help``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from liverimg.core.labels import Structure
from liverimg.training.learning.curves import curves
from liverimg.training.learning.fit_state import FitState, borrow_weights, load_state, save_state, save_weights
from liverimg.training.learning.passes import TrainingPass, network_for, read_pass
from liverimg.training.learning.steps import FitSettings, Moment, fit, new_state, rate_at, train_step
from liverimg.training.synthesis.dataset import ExampleStream, StoredMap, stored_maps
from liverimg.training.synthesis.examples import RECIPES, make_example
from liverimg.training.synthesis.mr_examples import MR_RECIPES, make_mr_example
from liverimg.training.synthesis.tissues import channel_table

__all__ = [
    "FitSettings",
    "FitState",
    "borrow_weights",
    "fit",
    "load_state",
    "main",
    "new_state",
    "rate_at",
    "run",
    "save_state",
    "save_weights",
    "train_step",
]

_log = logging.getLogger(__name__)


def class_weights_of(training: TrainingPass) -> torch.Tensor:
    """Weight of each class in the cross-entropy, background first."""
    weights = torch.ones(1 + len(training.channels))
    for channel, structure in training.channels.items():
        weights[channel] = training.weights.get(structure, 1.0)
    return weights


def either_vein(training: TrainingPass) -> tuple[int, int] | None:
    """The channels of hepatic and portal veins, one of which ``EITHER`` stands for; None without both."""
    channel_of = {structure: channel for channel, structure in training.channels.items()}
    hepatic, portal = channel_of.get(Structure.HEPATIC_VEIN), channel_of.get(Structure.PORTAL_VEIN)
    return None if hepatic is None or portal is None else (hepatic, portal)


def synthetic_stream(
    training: TrainingPass,
    maps: list[StoredMap],
    *,
    seed: int,
    start: int,
    patch: tuple[int, int, int] | None = None,
    spacing_mm: float | None = None,
) -> ExampleStream:
    """Made images for one pass, from example ``start`` on; of another size and spacing than usual where given."""
    recipes, make = (MR_RECIPES, make_mr_example) if training.modality == "MR" else (RECIPES, make_example)
    usual = recipes[training.name]
    return ExampleStream(
        maps,
        recipe=replace(
            usual, inputs=training.inputs, shape=patch or usual.shape, spacing_mm=spacing_mm or usual.spacing_mm
        ),
        channels=channel_table(training.channels),
        intensity=training.intensity,
        seed=seed,
        start=start,
        make=make,
    )


def run(
    training: TrainingPass,
    maps: list[StoredMap],
    out: Path,
    settings: FitSettings,
    device: torch.device,
    start_from: Path | None = None,
    watch: Callable[[Moment], None] | None = None,
) -> None:
    """Fits one pass, from its checkpoint in ``out`` if there is one, else from ``start_from`` or from chance."""
    torch.manual_seed(settings.seed)
    network = network_for(training).to(device)
    if start_from is not None:
        _log.info("%d tensors from %s", borrow_weights(network, start_from), start_from.name)
    state = new_state(network, settings)
    checkpoint = out / f"{training.name}.checkpoint"
    if checkpoint.exists():
        load_state(state, checkpoint)
        _log.info("goes on from step %d", state.step)
    stream = synthetic_stream(training, maps, seed=settings.seed, start=state.step * settings.examples_per_step)

    def on_save(now: FitState) -> None:
        save_state(now, checkpoint)
        save_weights(now.average, out / f"{training.name}.safetensors")

    fit(
        state,
        stream,
        settings,
        class_weights=class_weights_of(training),
        either=either_vein(training),
        device=device,
        on_save=on_save,
        watch=watch,
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES), help="which pass of the bundle")
    parser.add_argument("bundle", type=Path, help="the model's folder, for its contract")
    parser.add_argument("maps", type=Path, help="folder of training maps; train-*.npz are used")
    parser.add_argument("out", type=Path, help="where checkpoint and weights go")
    parser.add_argument("--start-from", type=Path, help="weights of another pass to begin with")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1, help="examples that go through the network together")
    parser.add_argument("--accumulate", type=int, default=1, help="batches whose gradients make one step")
    parser.add_argument("--curves", type=Path, help="folder for TensorBoard's files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(chosen.threads)
    chosen.out.mkdir(parents=True, exist_ok=True)
    training = read_pass(chosen.bundle, chosen.name)
    maps = stored_maps(chosen.maps, "train", training.map_spacing_mm)
    names = ("steps", "minutes", "learning_rate", "seed", "workers", "batch", "accumulate")
    settings = FitSettings(**{name: getattr(chosen, name) for name in names})
    with curves(chosen.curves) as watch:
        run(training, maps, chosen.out, settings, torch.device(chosen.device), chosen.start_from, watch)


if __name__ == "__main__":
    main()
