"""Fitting the zone network to made crops. Run ``python -m liverimg.training.zones.fit --help``."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from liverimg.segmentation.precision import use_bfloat16
from liverimg.segmentation.unpack import built, read_json
from liverimg.segmentation.zones.channels import Scaling, channels_of
from liverimg.training.learning.fit_state import FitState, begin, load_state, save_state, save_weights
from liverimg.training.synthesis.warp import NoiseBank
from liverimg.training.zones.examples import make_example

__all__ = ["ZoneFit", "fit", "main", "open_network", "step_loss"]

_log = logging.getLogger(__name__)

BANK_SIZE = 96
_AVERAGED = 0.998
_WARM_UP = 100
_SAVE_EVERY = 200
_LOG_EVERY = 50
_SMOOTH = 20.0  # voxels: an empty crop has an overlap too


@dataclass(frozen=True)
class ZoneFit:
    """How long and how fast.

    Attributes:
        minutes: Of the whole run, stops not counted.
        steps: At most.
        learning_rate: At its highest.
        sizes: Voxels of a crop; each example draws one.
        seed: Of weights and examples.
    """

    minutes: float = 60.0
    steps: int = 100_000
    learning_rate: float = 2e-3
    sizes: tuple[int, ...] = (48, 48, 64)
    seed: int = 2031

    def done(self, state: FitState) -> float:
        """Share of the run that lies behind."""
        return max(state.step / self.steps, state.seconds / (60 * self.minutes))


def step_loss(logits: torch.Tensor, zone: torch.Tensor, liver: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against each voxel's share of zone, and overlap; inside the liver only.

    Args:
        logits: Shape (n, 1, k, j, i).
        zone: Share of each voxel, same shape.
        liver: 1 inside, same shape.
    """
    pointwise = torch.nn.functional.binary_cross_entropy_with_logits(logits, zone, reduction="none")
    entropy = (pointwise * liver).sum() / liver.sum().clamp(min=1)
    found = torch.sigmoid(logits) * liver
    overlap = 2 * (found * zone).sum() + _SMOOTH
    return entropy + 1 - overlap / (found.sum() + (zone * liver).sum() + _SMOOTH)


def open_network(bundle: Path) -> torch.nn.Module:
    """The network that a bundle's configuration describes, with weights by chance."""
    network: torch.nn.Module = built(read_json(bundle / "configs" / "inference.json"), "network", torch.nn.Module)
    return network


def fit(network: torch.nn.Module, out: Path, settings: ZoneFit, device: torch.device) -> None:
    """Fits, from the checkpoint in ``out`` where there is one; writes ``zone.checkpoint`` and ``zone.safetensors``."""
    state = begin(network, learning_rate=settings.learning_rate)
    checkpoint = out / "zone.checkpoint"
    if checkpoint.exists():
        load_state(state, checkpoint)
        _log.info("goes on from step %d", state.step)
    bank, losses = NoiseBank(settings.seed, size=BANK_SIZE), list[float]()
    while settings.done(state) < 1:
        start = time.monotonic()
        losses.append(_step(state, settings, bank, device))
        state.seconds += time.monotonic() - start
        if state.step % _LOG_EVERY == 0:
            _log.info("step %d, %.0f s, loss %.4f", state.step, state.seconds, sum(losses) / len(losses))
            losses.clear()
        if state.step % _SAVE_EVERY == 0:
            _save(state, out)
    _save(state, out)


def _save(state: FitState, out: Path) -> None:
    save_state(state, out / "zone.checkpoint")
    save_weights(state.average, out / "zone.safetensors")


def _step(state: FitState, settings: ZoneFit, bank: NoiseBank, device: torch.device) -> float:
    rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, settings.done(state))))
    for group in state.optimiser.param_groups:
        group["lr"] = rate * min(1.0, (state.step + 1) / _WARM_UP)
    size = settings.sizes[state.step % len(settings.sizes)]
    example = make_example(settings.seed, state.step, size, bank)
    inputs = torch.from_numpy(channels_of(example.view, Scaling()))[None].to(device)
    zone = torch.from_numpy(example.zone)[None, None].to(device)
    liver = torch.from_numpy(example.view.liver)[None, None].to(device, torch.float32)
    half = torch.autocast(device.type, torch.bfloat16) if use_bfloat16(device) else contextlib.nullcontext()
    state.network.train()
    with half:
        logits = state.network(inputs)
    loss = step_loss(logits.float(), zone, liver)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    state.step += 1
    kept = min(_AVERAGED, state.step / (state.step + 10))
    with torch.no_grad():
        for name, weight in state.network.state_dict().items():
            state.average[name].lerp_(weight.to(state.average[name].dtype), 1 - kept)
    return float(loss.detach())


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the model's folder, for its network")
    parser.add_argument("out", type=Path, help="where checkpoint and weights go; a run there is gone on with")
    usual = ZoneFit()
    parser.add_argument("--minutes", type=float, default=usual.minutes)
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--learning-rate", type=float, default=usual.learning_rate)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    chosen.out.mkdir(parents=True, exist_ok=True)
    settings = ZoneFit(chosen.minutes, chosen.steps, chosen.learning_rate, seed=chosen.seed)
    device = torch.device(chosen.device)
    fit(open_network(chosen.bundle).to(device), chosen.out, settings, device)


if __name__ == "__main__":
    main()
