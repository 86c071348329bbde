"""Opening a MONAI bundle through its contract: checked before anything of it runs.

A bundle's ``configs/metadata.json`` carries a block ``liverimg`` that says which structures each network
channel means, at which spacing and window it was trained, which file holds the weights and its SHA-256.
Weights are safetensors only: a pickle can run code, and a configuration may only name networks and inferers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from monai.bundle.config_parser import ConfigParser
from monai.inferers.inferer import Inferer
from safetensors import SafetensorError
from safetensors.torch import load_file

from liverimg.core.errors import ModelRefusedError, UsageError
from liverimg.core.labels import Structure

CONTRACT_VERSION = 1
_BACKGROUND = "background"
_ALLOWED_TARGETS = ("monai.networks.nets.", "monai.inferers.", "liverimg.segmentation.network.")
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".ts")


@dataclass(frozen=True, eq=False)
class Pass:
    """One network of a cascade.

    Attributes:
        name: ``coarse`` or ``fine``.
        spacing_mm: Isotropic spacing that the network works at.
        window_hu: Values are clipped to it, then scaled to -1..1.
        channels: Structure of each output channel; channel 0 is the background and not in here.
        around_mm: How far around the coarse liver the pass looks; None for the whole view.
        network: In evaluation mode, on the bundle's device.
        inferer: Sliding window.
    """

    name: str
    spacing_mm: float
    window_hu: tuple[float, float]
    channels: Mapping[int, Structure]
    around_mm: float | None
    network: torch.nn.Module = field(repr=False)
    inferer: Inferer = field(repr=False)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model that keeps our contract.

    Attributes:
        name: As the metadata says.
        version: As the metadata says.
        modalities: DICOM modalities that it was made for.
        passes: Coarse first.
        values: Label value of each structure that it can draw.
        surface_error_mm: Per structure, the distance within which the true surface lies in 95 % of places,
            measured on images that the training never saw.
        hold_out_dice: Per structure, its mean overlap on those images; empty when the model does not say.
        lesion_recall: Share of tumours above 10 mm that it found there; None when the model does not say.
        false_lesions_per_case: Lesions that it drew there where none is, per case; None likewise.
        unproven: Structures that it draws but that were never checked on a real image, each with the reason. They
            are shown, and nothing is measured to them.
        device: Where it runs.
    """

    name: str
    version: str
    modalities: tuple[str, ...]
    passes: tuple[Pass, ...]
    values: Mapping[Structure, int]
    surface_error_mm: Mapping[Structure, float]
    device: torch.device
    hold_out_dice: Mapping[Structure, float] = field(default_factory=dict)
    lesion_recall: float | None = None
    false_lesions_per_case: float | None = None
    unproven: Mapping[Structure, str] = field(default_factory=dict)


def open_bundle(folder: Path, *, device: str = "auto") -> Bundle:
    """Opens a model.

    Args:
        folder: The bundle's folder.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ModelRefusedError: Damaged, unsafe, or keeping another contract than ours.
        UsageError: The device does not exist here.
    """
    metadata = _read_json(folder / "configs" / "metadata.json")
    contract = metadata.get("liverimg")
    if not isinstance(contract, dict):
        raise ModelRefusedError(
            f"the model in {folder.name} has no 'liverimg' block in configs/metadata.json, so its channels have no "
            "names; add the block that docs/reference describes"
        )
    if contract.get("contract") != CONTRACT_VERSION:
        raise ModelRefusedError(
            f"the model in {folder.name} keeps label contract {contract.get('contract')!r}, expected "
            f"{CONTRACT_VERSION}; use a model made for this version"
        )
    _refuse_pickles(folder)
    chosen = _device(device)
    try:
        values = {Structure(name): int(value) for name, value in contract["labels"].items()}
        passes = tuple(_open_pass(folder, entry, chosen) for entry in contract["passes"])
        errors = {Structure(s): float(mm) for p in contract["passes"] for s, mm in p["surface_error_mm"].items()}
        bundle = Bundle(
            name=str(metadata["name"]),
            version=str(metadata["version"]),
            modalities=tuple(contract["modalities"]),
            passes=passes,
            values=values,
            surface_error_mm=errors,
            hold_out_dice=_hold_out_dice(metadata),
            lesion_recall=_hold_out(metadata).get("lesion_recall"),
            false_lesions_per_case=_hold_out(metadata).get("false_lesions_per_case"),
            unproven={Structure(name): str(why) for name, why in contract.get("unproven", {}).items()},
            device=chosen,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelRefusedError(
            f"the 'liverimg' block of the model in {folder.name} is not as expected ({error!r}); compare it with "
            "models/liver_ct/configs/metadata.json"
        ) from error
    _check_labels(bundle, folder)
    return bundle


def _hold_out(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metadata.get("eval_metrics", {}).get("synthetic", {})
    return found


def _hold_out_dice(metadata: Mapping[str, Any]) -> dict[Structure, float]:
    found = _hold_out(metadata).get("dice", {})
    return {Structure(name): float(dice) for name, dice in found.items() if dice is not None}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelRefusedError(
            f"{path.parent.parent.name} is not a model: configs/{path.name} is missing; give the folder of a MONAI "
            "bundle"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelRefusedError(f"configs/{path.name} of the model cannot be read ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise ModelRefusedError(f"configs/{path.name} of the model is no JSON object; restore it")
    return found


def _refuse_pickles(folder: Path) -> None:
    for path in sorted((folder / "models").glob("*")):
        if path.suffix.lower() in _PICKLES:
            raise ModelRefusedError(
                f"the model in {folder.name} holds {path.name}, which can run code when it is loaded; expected "
                ".safetensors only, so convert it and remove it"
            )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in {"cpu", "cuda"}:
        raise UsageError(f"the device {name!r} is unknown; expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is at hand; use --device cpu or auto")
    return torch.device(name)


def _open_pass(folder: Path, entry: Mapping[str, Any], device: torch.device) -> Pass:
    name = str(entry["name"])
    channels = {int(c): Structure(s) for c, s in entry["channels"].items() if s != _BACKGROUND}
    if sorted(channels) != list(range(1, len(channels) + 1)) or entry["channels"].get("0") != _BACKGROUND:
        raise ModelRefusedError(
            f"the channels of pass {name} are {sorted(entry['channels'])}, expected 0 for the background and the "
            "structures from 1 on without gaps"
        )
    config = _read_json(folder / "configs" / "inference.json")
    network = _built(config, f"{name}_network", torch.nn.Module)
    inferer = _built(config, f"{name}_inferer", Inferer)
    _load_weights(network, folder / str(entry["weights"]), str(entry["sha256"]))
    low, high = (float(v) for v in entry["window_hu"])
    around = entry.get("around_liver_mm")
    return Pass(
        name=name,
        spacing_mm=float(entry["spacing_mm"]),
        window_hu=(low, high),
        channels=channels,
        around_mm=None if around is None else float(around),
        network=network.to(device).eval(),
        inferer=inferer,
    )


def _built(config: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    if key not in config:
        raise ModelRefusedError(f"configs/inference.json of the model has no {key!r}; restore it")
    _refuse_code(config[key], key)
    try:
        found = ConfigParser({key: config[key]}).get_parsed_content(key)
    except (RuntimeError, ValueError, TypeError, ModuleNotFoundError) as error:
        raise ModelRefusedError(
            f"{key!r} of the model cannot be built ({type(error).__name__}); its configuration asks for a network "
            "that this version does not have"
        ) from error
    if not isinstance(found, kind):
        raise ModelRefusedError(f"{key!r} of the model is a {type(found).__name__}, expected a {kind.__name__}")
    return found


def _refuse_code(node: Any, key: str) -> None:
    """Configurations may hold ``$`` expressions and any import path: both run code, so neither is taken."""
    if isinstance(node, dict):
        target = node.get("_target_")
        if target is not None and not str(target).startswith(_ALLOWED_TARGETS):
            raise ModelRefusedError(
                f"{key!r} of the model wants to run {str(target)!r}; expected one of {', '.join(_ALLOWED_TARGETS)}"
            )
        for value in node.values():
            _refuse_code(value, key)
    elif isinstance(node, list):
        for value in node:
            _refuse_code(value, key)
    elif isinstance(node, str) and node.startswith(("$", "@", "%")):
        raise ModelRefusedError(f"{key!r} of the model holds the expression {node!r}; expected plain values")


def _load_weights(network: torch.nn.Module, path: Path, sha256: str) -> None:
    if path.suffix != ".safetensors":
        raise ModelRefusedError(f"the weights {path.name} are not .safetensors; convert them")
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelRefusedError(f"the weights {path.name} cannot be read ({type(error).__name__})") from error
    if found != sha256:
        raise ModelRefusedError(
            f"the weights {path.name} have SHA-256 {found[:12]}..., the model's contract says {sha256[:12]}...; "
            "fetch the model again"
        )
    try:
        tensors = load_file(path)
        network.load_state_dict({n: w.float() for n, w in tensors.items()}, strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise ModelRefusedError(
            f"the weights {path.name} do not fit the network that configs/inference.json describes "
            f"({type(error).__name__})"
        ) from error


def _check_labels(bundle: Bundle, folder: Path) -> None:
    drawn = {s for p in bundle.passes for s in p.channels.values()}
    nameless = sorted(drawn - set(bundle.values))
    if nameless or Structure.LIVER not in drawn or 0 in bundle.values.values():
        raise ModelRefusedError(
            f"the model in {folder.name} draws {', '.join(sorted(drawn)) or 'nothing'}, of which "
            f"{', '.join(nameless) or 'none'} lack a label value; expected a value above 0 for each, the liver included"
        )
    if not bundle.passes or bundle.passes[0].around_mm is not None:
        raise ModelRefusedError(f"the first pass of the model in {folder.name} does not see the whole view")
