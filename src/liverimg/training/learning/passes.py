"""What a bundle says about the network to be trained for one of its passes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.bundle.config_parser import ConfigParser

from liverimg.core.labels import Structure
from liverimg.segmentation.intensity import Intensity


@dataclass(frozen=True)
class TrainingPass:
    """One pass, read from ``configs/metadata.json`` and ``configs/train.json``.

    Attributes:
        name: ``coarse`` or ``fine``.
        modality: DICOM modality of the images.
        channels: Structure of each network channel but the background.
        intensity: How values are brought to -1..1.
        inputs: What the network's input channels hold: ``reference``, then further phases.
        map_spacing_mm: Of the training maps.
        weights: Weight of a structure in the cross-entropy, 1 where absent.
        network: MONAI bundle definition of the network.
    """

    name: str
    modality: str
    channels: Mapping[int, Structure]
    intensity: Intensity
    inputs: tuple[str, ...]
    map_spacing_mm: float
    weights: Mapping[Structure, float]
    network: Mapping[str, object]


def read_pass(bundle: Path, name: str) -> TrainingPass:
    """Reads one pass of a bundle."""
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    inference = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    train = json.loads((bundle / "configs" / "train.json").read_text(encoding="utf-8"))
    found = next(p for p in metadata["liverimg"]["passes"] if p["name"] == name)
    return TrainingPass(
        name=name,
        modality=str(metadata["liverimg"]["modalities"][0]),
        channels={int(c): Structure(s) for c, s in found["channels"].items() if s != "background"},
        intensity=Intensity.from_contract(found),
        inputs=tuple(found.get("inputs", ["reference"])),
        map_spacing_mm=float(train["map_spacing_mm"][name]),
        weights={Structure(s): float(w) for s, w in train["class_weights"].get(name, {}).items()},
        network=inference[f"{name}_network"],
    )


def network_for(training: TrainingPass) -> torch.nn.Module:
    """A network with fresh weights."""
    network = ConfigParser({"network": dict(training.network)}).get_parsed_content("network")
    if not isinstance(network, torch.nn.Module):
        raise TypeError(f"the bundle's {training.name}_network is no torch module")
    return network
