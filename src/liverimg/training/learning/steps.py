"""The optimiser's loop: the same for made and for real images, on CPU and GPU, and the same again after a stop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from liverimg.core.errors import UsageError
from liverimg.segmentation.precision import use_bfloat16
from liverimg.training.learning.fit_state import FitState, begin
from liverimg.training.learning.loss import anchor_loss, segmentation_loss

_log = logging.getLogger(__name__)
_AVERAGE_DECAY = 0.995
_REPORT_EVERY = 50
_LARGEST_GRADIENT = 5.0

Tensors = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Hidden:
    """What to do about structures that the labels leave out.

    Attributes:
        members: For each label of ``choices``, the classes that may only hide in it.
        before: The network that training went on from, to hold on to what it knew of them; None to hold on to nothing.
        strength: Of holding on.
    """

    members: Mapping[int, Sequence[int]]
    before: torch.nn.Module | None = None
    strength: float = 1.0


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
        batch: Examples that go through the network together.
        accumulate: Batches whose gradients make one step.
    """

    steps: int
    minutes: float | None = None
    learning_rate: float = 1e-3
    warm_up: int = 100
    seed: int = 2026
    workers: int = 1
    save_every_s: float = 120.0
    batch: int = 1
    accumulate: int = 1

    @property
    def examples_per_step(self) -> int:
        """How many examples one step takes from the stream."""
        return self.batch * self.accumulate


@dataclass(frozen=True)
class Moment:
    """Where a run stands after a step.

    Attributes:
        step: Steps done.
        fraction: Of the schedule, 0 to 1.
        loss: Of this step.
        learning_rate: Of this step.
        seconds: Since the very beginning, stops left out.
    """

    step: int
    fraction: float
    loss: float
    learning_rate: float
    seconds: float


def new_state(network: torch.nn.Module, settings: FitSettings) -> FitState:
    """A run at its beginning."""
    return begin(network, learning_rate=settings.learning_rate)


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
    choices: Mapping[int, Sequence[int]] | None = None,
) -> float:
    """One optimiser step on one batch; the averaged weights follow. Returns the loss before the step."""
    return _step(state, [(image, labels)], weights, half=half, either=either, choices=choices)


def _step(
    state: FitState,
    batches: Sequence[Tensors],
    weights: torch.Tensor,
    *,
    half: bool,
    either: tuple[int, int] | None,
    choices: Mapping[int, Sequence[int]] | None,
    hidden: Hidden | None = None,
) -> float:
    state.network.train()
    state.optimiser.zero_grad(set_to_none=True)
    total = 0.0
    for image, labels in batches:
        with torch.autocast(image.device.type, torch.bfloat16, enabled=half):
            logits = state.network(image)
            before = None if hidden is None or hidden.before is None else _believed(hidden.before, image)
        members = None if hidden is None else hidden.members
        loss = segmentation_loss(logits, labels, weights, either=either, choices=choices, hidden=members)
        if hidden is not None and before is not None:
            loss = loss + hidden.strength * anchor_loss(logits, before, labels, choices or {}, hidden.members)
        loss = loss / len(batches)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    if not math.isfinite(total):
        raise UsageError(f"the loss is {total} at step {state.step + 1}; start anew with a lower learning rate")
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), _LARGEST_GRADIENT)
    state.optimiser.step()
    state.step += 1
    decay = min(_AVERAGE_DECAY, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, value in state.network.state_dict().items():
            state.average[name].lerp_(value, 1 - decay)
    return total


def _believed(before: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = before(image)
    return logits


def fit(
    state: FitState,
    stream: torch.utils.data.IterableDataset[Tensors],
    settings: FitSettings,
    *,
    class_weights: torch.Tensor,
    either: tuple[int, int] | None,
    device: torch.device,
    on_save: Callable[[FitState], None],
    choices: Mapping[int, Sequence[int]] | None = None,
    hidden: Hidden | None = None,
    watch: Callable[[Moment], None] | None = None,
    until_step: int | None = None,
) -> None:
    """Learns until the schedule ends, saving now and then.

    Args:
        state: Where to start; changed in place.
        stream: Single examples from number ``state.step * settings.examples_per_step`` on.
        settings: How long and how fast.
        class_weights: Of the cross-entropy, per channel.
        either: Channels that the label ``EITHER`` stands for.
        device: Where to compute.
        on_save: Called with the state every ``save_every_s`` and at the end.
        choices: Channels that further labels stand for.
        hidden: What to do about structures that the labels leave out.
        watch: Told after every step.
        until_step: Stop here although the schedule goes on; None for its end.
    """
    half = use_bfloat16(device)
    weights = class_weights.to(device)
    start_s, before_s = time.monotonic(), state.seconds
    last_save_s = start_s
    losses: list[float] = []
    for batches in _batches(stream, settings, device):
        state.seconds = before_s + time.monotonic() - start_s
        progress = state.step / settings.steps
        if settings.minutes is not None:
            progress = max(progress, state.seconds / (60 * settings.minutes))
        if progress >= 1 or state.step == until_step:
            break
        rate = rate_at(progress, state.step, settings)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        losses.append(_step(state, batches, weights, half=half, either=either, choices=choices, hidden=hidden))
        if watch is not None:
            watch(Moment(state.step, progress, losses[-1], rate, state.seconds))
        if state.step % _REPORT_EVERY == 0:
            mean = sum(losses[-_REPORT_EVERY:]) / len(losses[-_REPORT_EVERY:])
            _log.info("step %d  %.0f s  %.0f %%  loss %.4f", state.step, state.seconds, 100 * progress, mean)
        if time.monotonic() - last_save_s > settings.save_every_s:
            on_save(state)
            last_save_s = time.monotonic()
    on_save(state)


def _batches(stream: Iterable[Tensors], settings: FitSettings, device: torch.device) -> Iterator[list[Tensors]]:
    """The stream's examples, put together to the batches of one step after the other, on the device."""
    loader: Iterable[Tensors] = torch.utils.data.DataLoader(
        stream,  # type: ignore[arg-type]
        batch_size=1,
        num_workers=settings.workers,
        prefetch_factor=4 if settings.workers else None,
        pin_memory=device.type == "cuda",
    )
    waiting: list[Tensors] = []
    for example in loader:
        waiting.append(example)
        if len(waiting) < settings.examples_per_step:
            continue
        parts = [waiting[n : n + settings.batch] for n in range(0, len(waiting), settings.batch)]
        yield [
            (
                torch.cat([image for image, _ in part]).to(device, non_blocking=True),
                torch.cat([labels for _, labels in part]).to(device, non_blocking=True),
            )
            for part in parts
        ]
        waiting = []
