"""The state of a training run: its checkpoint, and the weights that come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from liverimg.core.errors import InputRefusedError


@dataclass
class FitState:
    """Everything that a resumed run needs: saved and loaded as one safetensors file."""

    network: torch.nn.Module
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0


def begin(network: torch.nn.Module, *, learning_rate: float) -> FitState:
    """A run at its beginning."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    return FitState(network, {n: w.detach().clone() for n, w in network.state_dict().items()}, optimiser)


def save_state(state: FitState, path: Path) -> None:
    """Writes a checkpoint; the old one stays whole until the new one is."""
    tensors = {f"network.{n}": w.detach().cpu().clone() for n, w in state.network.state_dict().items()}
    tensors |= {f"average.{n}": w.cpu().clone() for n, w in state.average.items()}
    for number, moments in state.optimiser.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimiser.{number}.{name}"] = value.detach().cpu().clone()
    tensors["chance.torch"] = torch.get_rng_state()
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"step": str(state.step), "seconds": repr(state.seconds)})
    part.replace(path)


def load_state(state: FitState, path: Path) -> None:
    """Brings a new run to where a checkpoint was written.

    Raises:
        InputRefusedError: The checkpoint is damaged or of another network.
    """
    try:
        with safe_open(path, framework="pt") as found:
            notes = found.metadata()
        tensors = load_file(path)
        state.network.load_state_dict(_below(tensors, "network."))
        device = next(state.network.parameters()).device
        state.average = {n: w.to(device) for n, w in _below(tensors, "average.").items()}
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _below(tensors, "optimiser.").items():
            number, kind = name.split(".", 1)
            moments.setdefault(int(number), {})[kind] = value
        state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": moments})
        state.step, state.seconds = int(notes["step"]), float(notes["seconds"])
    except (SafetensorError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise InputRefusedError(
            f"the checkpoint {path.name} is damaged or of another network ({type(error).__name__}); delete it to begin "
            "anew"
        ) from error
    torch.set_rng_state(tensors.get("chance.torch", torch.get_rng_state()))


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): w for n, w in tensors.items() if n.startswith(prefix)}


def save_weights(average: Mapping[str, torch.Tensor], path: Path) -> None:
    """Writes the averaged weights as the bundle wants them: safetensors, float16."""
    tensors = {n: w.to(torch.float16).cpu().contiguous() for n, w in average.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part)
    part.replace(path)


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
