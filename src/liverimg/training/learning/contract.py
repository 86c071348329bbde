"""Putting freshly trained weights into a bundle and writing their hashes and errors into its contract."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from liverimg.core.labels import Structure

_HEAD_BIAS = "head.1.bias"
_MISSED = "it was not found in any case that was kept from the training; it is unknown, not far"


def install(bundle: Path, weights: Path, name: str) -> None:
    """Writes the weights of one pass into the bundle and records their SHA-256.

    Classes that weigh more in the cross-entropy are called too readily: their odds come out multiplied by their
    weight. For the structures that ``configs/train.json`` lists under ``weights_undone`` the bias of the head is
    lowered by the logarithm of the weight, which divides the odds by it again.

    Args:
        bundle: The model's folder.
        weights: Safetensors file from :mod:`liverimg.training.learning.fit`.
        name: Of the pass.
    """
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    entry = next(p for p in metadata["liverimg"]["passes"] if p["name"] == name)
    target = bundle / entry["weights"]
    target.parent.mkdir(exist_ok=True)
    train = json.loads((bundle / "configs" / "train.json").read_text(encoding="utf-8"))
    undone = set(train.get("weights_undone", {}).get(name, []))
    lowered = {
        int(channel): math.log(train["class_weights"][name][structure])
        for channel, structure in entry["channels"].items()
        if structure in undone
    }
    tensors = load_file(weights)
    for channel, by in lowered.items():
        tensors[_HEAD_BIAS][channel] -= by
    save_file(tensors, target)
    entry["sha256"] = hashlib.sha256(target.read_bytes()).hexdigest()
    path.write_text(json.dumps(metadata, indent=4) + "\n", encoding="utf-8")


def record_scores(bundle: Path, scores: dict[str, Any]) -> None:
    """Writes what :mod:`liverimg.training.scoring.evaluate` found into the contract.

    A structure that was never drawn keeps the error it had. The coarse pass's error for a structure that the
    fine pass draws too is the same number: it is the cascade that was measured.
    """
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    errors = scores["synthetic"]["surface_error_mm"]
    for entry in metadata["liverimg"]["passes"]:
        known = {s: mm for s, mm in errors.items() if s in entry["surface_error_mm"] and mm is not None}
        entry["surface_error_mm"].update(known)
    kept = {name: scores[name] for name in ("synthetic", "phantom", "real") if name in scores}
    metadata["eval_metrics"] = kept
    path.write_text(json.dumps(metadata, indent=4) + "\n", encoding="utf-8")


def record_validation(bundle: Path, scores: Mapping[str, Any]) -> None:
    """Writes into the contract what ``liverimg evaluate`` found on labelled cases that the model never saw.

    Structures that were scored are proven from now on. Without a figure for the liver the model stays unevaluated.

    Args:
        bundle: The model's folder.
        scores: Summary from :func:`liverimg.training.scoring.score.summary`.
    """
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    contract = metadata["liverimg"]
    known = {name: mm for name, mm in scores["surface_error_mm"].items() if mm is not None}
    for entry in contract["passes"]:
        drawn = set(entry["channels"].values())
        entry["surface_error_mm"] = {**entry.get("surface_error_mm", {}), **_among(known, drawn)}
    missed = {name for name, one in scores["structures"].items() if one["cases"] and name not in known}
    unproven = {s: _MISSED if s in missed else why for s, why in contract.get("unproven", {}).items()}
    contract["unproven"] = {s: why for s, why in unproven.items() if s not in known}
    contract["evaluated"] = contract.get("evaluated", True) or "liver" in known
    # Unions of structures are scored as well; the contract speaks of structures.
    named = {key: {n: v for n, v in scores[key].items() if n in set(Structure)} for key in ("dice", "surface_error_mm")}
    metadata["eval_metrics"] = {**metadata.get("eval_metrics", {}), "validation": {**scores, **named}}
    path.write_text(json.dumps(metadata, indent=4) + "\n", encoding="utf-8")


def _among(known: Mapping[str, float], drawn: set[str]) -> dict[str, float]:
    return {name: mm for name, mm in known.items() if name in drawn}


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="<pass>.safetensors files")
    parser.add_argument("--scores", type=Path, help="JSON from liverimg.training.scoring.evaluate")
    chosen = parser.parse_args(arguments)
    for weights in chosen.weights:
        install(chosen.bundle, weights, weights.stem)
    if chosen.scores is not None:
        record_scores(chosen.bundle, json.loads(chosen.scores.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
