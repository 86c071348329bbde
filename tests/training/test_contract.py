"""New weights enter a bundle together with their hash, scores with their errors."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from liverimg.training.learning.contract import install, record_scores


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "configs").mkdir(parents=True)
    entry = {
        "name": "fine",
        "weights": "models/fine.safetensors",
        "sha256": "old",
        "channels": {"0": "background", "1": "liver", "2": "tumour"},
        "surface_error_mm": {"liver": 9.0, "bile_duct": 3.0},
    }
    _write(folder, {"liverimg": {"passes": [entry]}})
    train = {"class_weights": {"fine": {"tumour": 2.5, "liver": 3.0}}, "weights_undone": {"fine": ["tumour"]}}
    (folder / "configs" / "train.json").write_text(json.dumps(train))
    return folder


def _write(folder: Path, metadata: dict[str, Any]) -> None:
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))


def _entry(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "configs" / "metadata.json").read_text())["liverimg"]["passes"][0]
    return found


def test_weights_are_installed_with_their_hash_and_the_class_weight_taken_out(bundle: Path, tmp_path: Path) -> None:
    weights = tmp_path / "fine.safetensors"
    save_file({"head.1.bias": torch.tensor([0.0, 1.0, 2.0])}, weights)
    install(bundle, weights, "fine")
    target = bundle / "models" / "fine.safetensors"
    assert _entry(bundle)["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    bias = load_file(target)["head.1.bias"]
    # Odds of 2.5 to 1 at equal evidence become even.
    assert torch.allclose(bias, torch.tensor([0.0, 1.0, 2.0 - math.log(2.5)]))


def test_scores_become_errors_and_what_was_never_drawn_keeps_its_own(bundle: Path) -> None:
    record_scores(bundle, {"synthetic": {"surface_error_mm": {"liver": 4.5, "bile_duct": None, "spleen": 2.0}}})
    assert _entry(bundle)["surface_error_mm"] == {"liver": 4.5, "bile_duct": 3.0}
    metrics = json.loads((bundle / "configs" / "metadata.json").read_text())["eval_metrics"]
    assert metrics["synthetic"]["surface_error_mm"]["liver"] == 4.5
