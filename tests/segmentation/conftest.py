"""A bundle small enough to be made for each test."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from liverimg.segmentation.network import WideUNet

NETWORK = {
    "_target_": "liverimg.segmentation.network.WideUNet",
    "out_channels": 3,
    "channels": [4, 8],
    "width": 4,
    "num_res_units": 1,
}
INFERER = {"_target_": "monai.inferers.SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.25}


@pytest.fixture
def small_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle that keeps the contract; ``change`` may spoil its metadata or its configuration."""

    def write(
        change: Callable[[dict[str, Any], dict[str, Any]], None] = lambda metadata, inference: None,
    ) -> Path:
        folder = tmp_path / "bundle"
        for name in ("configs", "models"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        torch.manual_seed(1)
        network = WideUNet(out_channels=3, channels=(4, 8), width=4, num_res_units=1)
        weights = folder / "models" / "coarse.safetensors"
        save_file({n: w.half() for n, w in network.state_dict().items()}, weights)
        metadata: dict[str, Any] = {
            "name": "small",
            "version": "0.0.1",
            "liverimg": {
                "contract": 1,
                "modalities": ["CT"],
                "labels": {"liver": 1, "spleen": 9},
                "passes": [
                    {
                        "name": "coarse",
                        "weights": "models/coarse.safetensors",
                        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
                        "spacing_mm": 4.0,
                        "window_hu": [-160, 260],
                        "around_liver_mm": None,
                        "channels": {"0": "background", "1": "liver", "2": "spleen"},
                        "surface_error_mm": {"liver": 4.0, "spleen": 5.0},
                    }
                ],
            },
        }
        inference = {"coarse_network": dict(NETWORK), "coarse_inferer": dict(INFERER)}
        change(metadata, inference)
        (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
        (folder / "configs" / "inference.json").write_text(json.dumps(inference))
        return folder

    return write
