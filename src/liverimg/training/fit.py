"""Fitting one network of the bundle to synthetic images. Run ``python -m liverimg.training.fit --help``."""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from liverimg.core.labels import Structure
from liverimg.segmentation.precision import use_bfloat16
from liverimg.training.dataset import ExampleStream, StoredMap, stored_maps
from liverimg.training.loss import segmentation_loss
from liverimg.training.passes import TrainingPass, network_for, read_pass
from liverimg.training.synthesis import RECIPES
from liverimg.training.tissues import channel_table

_log = logging.getLogger(__name__)
_AVERAGE_DECAY = 0.995
_REPORT_EVERY = 50


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast to learn.

    Attributes:
        steps: Optimiser steps of the whole schedule.
        minutes: Wall-clock limit; the schedule ends at whichever comes first. None for no limit.
        learning_rate: At the top of the schedule.
        warm_up: Steps until the learning rate is reached.
        seed: Of the examples and of the first weights.
        workers: Processes that make images; 0 makes them in line.
        save_every_s: Seconds between checkpoints.
    """

    steps: int
    minutes: float | None = None
    learning_rate: float = 1e-3
    warm_up: int = 100
    seed: int = 2026
    workers: int = 1
    save_every_s: float = 120.0


@dataclass
class FitState:
    """Everything that a resumed run needs: saved and loaded as one safetensors file."""

    network: torch.nn.Module
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0


def new_state(network: torch.nn.Module, settings: FitSettings) -> FitState:
    """A run at its beginning."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    return FitState(network, {n: w.detach().clone() for n, w in network.state_dict().items()}, optimiser)


def save_state(state: FitState, path: Path) -> None:
    """Writes a checkpoint; the old one stays whole until the new one is."""
    tensors = {f"network.{n}": w.detach().clone() for n, w in state.network.state_dict().items()}
    tensors |= {f"average.{n}": w.clone() for n, w in state.average.items()}
    for number, moments in state.optimiser.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimiser.{number}.{name}"] = value.detach().clone()
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"step": str(state.step), "seconds": repr(state.seconds)})
    part.replace(path)


def load_state(state: FitState, path: Path) -> None:
    """Brings a new run to where a checkpoint was written."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as found:
        notes = found.metadata()
    tensors = load_file(path)
    state.network.load_state_dict(_below(tensors, "network."))
    state.average = _below(tensors, "average.")
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _below(tensors, "optimiser.").items():
        number, kind = name.split(".", 1)
        moments.setdefault(int(number), {})[kind] = value
    state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": moments})
    state.step, state.seconds = int(notes["step"]), float(notes["seconds"])


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): w for n, w in tensors.items() if n.startswith(prefix)}


def rate_at(progress: float, step: int, settings: FitSettings) -> float:
    """Learning rate: a short rise, then half a cosine down to a hundredth."""
    rise = min(1.0, (step + 1) / settings.warm_up)
    fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return settings.learning_rate * rise * fall


def train_step(
    state: FitState,
    image: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    *,
    half: bool,
    either: tuple[int, int] | None = None,
) -> float:
    """One optimiser step; the averaged weights follow. Returns the loss before the step."""
    state.network.train()
    with torch.autocast(image.device.type, torch.bfloat16, enabled=half):
        logits = state.network(image)
    loss = segmentation_loss(logits, labels, weights, either=either)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
    state.optimiser.step()
    state.step += 1
    decay = min(_AVERAGE_DECAY, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, value in state.network.state_dict().items():
            state.average[name].lerp_(value, 1 - decay)
    return float(loss.detach())


def fit(
    state: FitState,
    stream: ExampleStream,
    settings: FitSettings,
    *,
    class_weights: torch.Tensor,
    either: tuple[int, int] | None,
    device: torch.device,
    on_save: Callable[[FitState], None],
) -> None:
    """Learns until the schedule ends, saving now and then.

    Args:
        state: Where to start; changed in place.
        stream: Examples from number ``state.step`` on.
        settings: How long and how fast.
        class_weights: Of the cross-entropy, per channel.
        either: Channels that the label ``EITHER`` stands for.
        device: Where to compute.
        on_save: Called with the state every ``save_every_s`` and at the end.
    """
    half = use_bfloat16(device)
    weights = class_weights.to(device)
    start_s, before_s = time.monotonic(), state.seconds
    last_save_s = start_s
    losses: list[float] = []
    loader = torch.utils.data.DataLoader(
        stream, batch_size=1, num_workers=settings.workers, prefetch_factor=4 if settings.workers else None
    )
    for image, labels in loader:
        state.seconds = before_s + time.monotonic() - start_s
        progress = state.step / settings.steps
        if settings.minutes is not None:
            progress = max(progress, state.seconds / (60 * settings.minutes))
        if progress >= 1:
            break
        for group in state.optimiser.param_groups:
            group["lr"] = rate_at(progress, state.step, settings)
        losses.append(train_step(state, image.to(device), labels.to(device), weights, half=half, either=either))
        if state.step % _REPORT_EVERY == 0:
            mean = sum(losses[-_REPORT_EVERY:]) / len(losses[-_REPORT_EVERY:])
            _log.info("step %d  %.0f s  %.0f %%  loss %.4f", state.step, state.seconds, 100 * progress, mean)
        if time.monotonic() - last_save_s > settings.save_every_s:
            on_save(state)
            last_save_s = time.monotonic()
    on_save(state)


def save_weights(average: Mapping[str, torch.Tensor], path: Path) -> None:
    """Writes the averaged weights as the bundle wants them: safetensors, float16."""
    tensors = {n: w.to(torch.float16).contiguous() for n, w in average.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part)
    part.replace(path)


def _class_weights(training: TrainingPass) -> torch.Tensor:
    weights = torch.ones(1 + len(training.channels))
    for channel, structure in training.channels.items():
        weights[channel] = training.weights.get(structure, 1.0)
    return weights


def borrow_weights(network: torch.nn.Module, path: Path) -> int:
    """Starts from another network's weights; returns how many tensors were taken.

    A tensor is taken where names and shapes agree. Where the network has more input channels than the other, the
    further ones begin at zero, so that at first it does what the other did.
    """
    own = network.state_dict()
    fitting = {}
    for name, weight in load_file(path).items():
        if name not in own or own[name].ndim != weight.ndim:
            continue
        wider = torch.zeros_like(own[name])
        if weight.ndim > 1 and weight.shape[1] < wider.shape[1] and weight.shape[2:] == wider.shape[2:]:
            part = wider[:, : weight.shape[1]]
        else:
            part = wider
        if part.shape == weight.shape:
            part.copy_(weight)
            fitting[name] = wider
    network.load_state_dict(fitting, strict=False)
    return len(fitting)


def run(
    training: TrainingPass,
    maps: list[StoredMap],
    out: Path,
    settings: FitSettings,
    device: torch.device,
    start_from: Path | None = None,
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
    stream = ExampleStream(
        maps,
        recipe=replace(RECIPES[training.name], inputs=training.inputs),
        channels=channel_table(training.channels),
        intensity=training.intensity,
        seed=settings.seed,
        start=state.step,
    )

    def on_save(now: FitState) -> None:
        save_state(now, checkpoint)
        save_weights(now.average, out / f"{training.name}.safetensors")

    channel_of = {structure: channel for channel, structure in training.channels.items()}
    veins = (channel_of.get(Structure.HEPATIC_VEIN), channel_of.get(Structure.PORTAL_VEIN))
    either = (veins[0], veins[1]) if veins[0] is not None and veins[1] is not None else None
    fit(
        state,
        stream,
        settings,
        class_weights=_class_weights(training),
        either=either,
        device=device,
        on_save=on_save,
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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(chosen.threads)
    chosen.out.mkdir(parents=True, exist_ok=True)
    training = read_pass(chosen.bundle, chosen.name)
    maps = stored_maps(chosen.maps, "train", training.map_spacing_mm)
    names: dict[str, Any] = {n: getattr(chosen, n) for n in ("steps", "minutes", "learning_rate", "seed", "workers")}
    run(training, maps, chosen.out, FitSettings(**names), torch.device(chosen.device), chosen.start_from)


if __name__ == "__main__":
    main()
