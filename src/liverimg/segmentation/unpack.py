"""Reading a bundle's files without running anything of them: plain JSON, known classes, hashed safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from liverimg.core.errors import ModelRefusedError
from liverimg.segmentation.monai_parts import ConfigParser

_ALLOWED_TARGETS = ("monai.networks.nets.", "monai.inferers.", "liverimg.segmentation.network.")
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".ts")


def read_json(path: Path) -> dict[str, Any]:
    """One of a bundle's configurations.

    Raises:
        ModelRefusedError: Missing, unreadable or no JSON object.
    """
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


def refuse_pickles(folder: Path) -> None:
    """Refuses a bundle with a pickle among its weights, used or not.

    Raises:
        ModelRefusedError: Naming it.
    """
    for path in sorted((folder / "models").glob("*")):
        if path.suffix.lower() in _PICKLES:
            raise ModelRefusedError(
                f"the model in {folder.name} holds {path.name}, which can run code when it is loaded; expected "
                ".safetensors only, so convert it and remove it"
            )


def built(config: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    """The object that a configuration describes, when it is made of classes that we know.

    Raises:
        ModelRefusedError: It is not described, asks for code, or is no ``kind``.
    """
    if key not in config:
        raise ModelRefusedError(f"configs/inference.json of the model has no {key!r}; restore it")
    _refuse_code(config[key], key)
    try:
        # Targets are whole paths; MONAI would look through all its modules for the places of short names.
        found = ConfigParser({key: config[key]}, excludes="monai").get_parsed_content(key)
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


def load_weights(network: torch.nn.Module, path: Path, sha256: str) -> None:
    """Fills a network.

    Raises:
        ModelRefusedError: Another hash than the contract's, damaged, or the weights of another network.
    """
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
