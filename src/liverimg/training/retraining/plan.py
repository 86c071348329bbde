"""What a retraining run will make: which networks, with which channels and inputs, taught what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverimg.core.errors import InputRefusedError, ModelRefusedError, UsageError
from liverimg.core.labels import Structure
from liverimg.core.study import Modality
from liverimg.segmentation.intensity import Intensity
from liverimg.training.data.layouts import DataSet
from liverimg.training.data.names import NameTable
from liverimg.training.data.prepared import Preparation, Shape
from liverimg.training.data.targets import Targets, targets_for
from liverimg.training.learning.passes import TrainingPass

PASSES = ("coarse", "fine")
# MR signal has no unit; the brightest voxels are fat or artefacts.
_MR_PERCENTILES = {"kind": "percentiles", "low": 1.0, "high": 99.0}
_BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class Template:
    """The bundle that a run starts at.

    Attributes:
        folder: Where it lies.
        metadata: ``configs/metadata.json``.
        inference: ``configs/inference.json``.
        train: ``configs/train.json``.
        weights_used: Whether its weights are a beginning, and not its plan alone.
    """

    folder: Path
    metadata: Mapping[str, Any]
    inference: Mapping[str, Any]
    train: Mapping[str, Any]
    weights_used: bool

    def entry(self, name: str) -> Mapping[str, Any] | None:
        """The contract of one pass."""
        return next((p for p in self.metadata["liverimg"]["passes"] if p["name"] == name), None)


@dataclass(frozen=True, eq=False)
class PassPlan:
    """One network to be trained.

    Attributes:
        training: Its channels, inputs and network.
        targets: What the data set's label values teach it.
        preparation: What it wants of its cases.
        patch: Size (k, j, i) of its windows.
        entry: Its part of the new bundle's contract, still without hash and errors.
        start: Weights to begin with; None for chance.
    """

    training: TrainingPass
    targets: Targets
    preparation: Preparation
    patch: Shape
    entry: dict[str, Any]
    start: Path | None


def read_template(folder: Path, *, weights_used: bool) -> Template:
    """Reads the configuration of a bundle.

    Raises:
        ModelRefusedError: It is none.
    """
    found: list[dict[str, Any]] = []
    for name in ("metadata", "inference", "train"):
        path = folder / "configs" / f"{name}.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelRefusedError(
                f"{folder} is no model that training can start from: configs/{name}.json is missing"
            ) from None
        except (OSError, ValueError) as error:
            raise ModelRefusedError(
                f"configs/{name}.json in {folder} can't be read ({type(error).__name__})"
            ) from error
        found.append(record)
    template = Template(folder, found[0], found[1], found[2], weights_used)
    if not isinstance(template.metadata.get("liverimg"), dict):
        raise ModelRefusedError(f"{folder} has no 'liverimg' block in configs/metadata.json")
    return template


def plan_pass(name: str, template: Template, dataset: DataSet, names: NameTable, *, synthetic: bool) -> PassPlan:
    """Plans one pass.

    A network that begins from chance gets only the channels that something teaches it; one that goes on from
    weights keeps all of its own.

    Args:
        name: ``coarse`` or ``fine``.
        template: What the run starts at.
        dataset: What it learns from.
        names: Where unlabelled structures hide.
        synthetic: Whether made images, which label everything, are mixed in.

    Raises:
        ModelRefusedError: The template has no such pass.
        InputRefusedError: Its data do not teach it what it has to know.
    """
    found = template.entry(name)
    if found is None or f"{name}_network" not in template.inference:
        raise ModelRefusedError(f"the model {template.folder.name} has no {name} pass to train")
    entry = deepcopy(dict(found))
    channels = {int(c): Structure(s) for c, s in entry["channels"].items() if s != _BACKGROUND}
    if not template.weights_used and not synthetic:
        channels = _taught_channels(channels, dataset, names)
    inputs = _inputs(name, entry, template, dataset, synthetic)
    intensity = _intensity(entry, template, dataset)
    inferer = template.inference[f"{name}_inferer"]
    k, j, i = (int(n) for n in entry.get("patch", inferer["roi_size"]))
    around = entry.get("around_liver_mm")
    spacing_mm = float(entry["spacing_mm"])
    network = dict(template.inference[f"{name}_network"])
    network |= {"in_channels": len(inputs), "out_channels": 1 + len(channels)}
    for outdated in ("window_hu", "calibration", "sha256", "surface_error_mm"):
        entry.pop(outdated, None)
    entry |= {
        "inputs": list(inputs),
        "intensity": {"kind": intensity.kind, "low": intensity.low, "high": intensity.high},
        "channels": {"0": _BACKGROUND, **{str(c): s.value for c, s in channels.items()}},
    }
    training = TrainingPass(
        name=name,
        modality=dataset.modality.value,
        channels=channels,
        intensity=intensity,
        inputs=inputs,
        map_spacing_mm=float(template.train.get("map_spacing_mm", {}).get(name, spacing_mm)),
        weights={Structure(s): float(w) for s, w in template.train.get("class_weights", {}).get(name, {}).items()},
        network=network,
    )
    margin_mm = None if around is None else float(around) + spacing_mm * max(k, j, i) / 2
    return PassPlan(
        training=training,
        targets=targets_for(dataset.labels, dataset.complete, channels, names),
        preparation=Preparation(spacing_mm, intensity, inputs, margin_mm),
        patch=(k, j, i),
        entry=entry,
        start=template.folder / str(found["weights"]) if template.weights_used else None,
    )


def check_passes(wanted: Sequence[str], template: Template) -> None:
    """Refuses a choice of passes that makes no whole model.

    Raises:
        UsageError: A fine pass without the coarse one that shows it where to look.
    """
    if not template.weights_used and "coarse" not in wanted:
        raise UsageError(
            "a fine pass alone is no model: it needs a coarse one to show it where the liver is; train both, or give a "
            "model with a coarse pass with --from"
        )


def _taught_channels(channels: Mapping[int, Structure], dataset: DataSet, names: NameTable) -> dict[int, Structure]:
    targets = targets_for(dataset.labels, dataset.complete, channels, names)
    if Structure.LIVER not in targets.taught:
        raise InputRefusedError(
            f"the data set {dataset.name} has no whole label of the liver, and without it no model can begin; start "
            "from one that knows it with --from"
        )
    unsure = [m.structures for m in dataset.labels.values() if len(m.structures) > 1]
    if unsure:
        raise InputRefusedError(
            f"the data set {dataset.name} does not tell {' and '.join(unsure[0])} apart, so a new model can't learn "
            "it; start from one that does with --from, or say with --names what its label is to count as"
        )
    kept = [structure for _, structure in sorted(channels.items()) if structure in targets.taught]
    return dict(enumerate(kept, start=1))


def _inputs(
    name: str, entry: Mapping[str, Any], template: Template, dataset: DataSet, synthetic: bool
) -> tuple[str, ...]:
    """What the network takes: as before when it goes on, else what the data have of it."""
    before = tuple(str(i) for i in entry.get("inputs", ["reference"]))
    if name == "coarse":
        return before[:1]
    if template.weights_used or synthetic:
        return before
    at_hand = [p.value for n, p in enumerate(dataset.phases) if p is not None and n != dataset.reference]
    return ("reference", *dict.fromkeys(at_hand))


def _intensity(entry: Mapping[str, Any], template: Template, dataset: DataSet) -> Intensity:
    """The template's, unless it is of another modality than the data."""
    if dataset.modality.value in template.metadata["liverimg"]["modalities"]:
        return Intensity.from_contract(entry)
    if dataset.modality is Modality.MR:
        return Intensity(**_MR_PERCENTILES)  # type: ignore[arg-type]
    raise UsageError(
        f"the data are {dataset.modality} and the model {template.folder.name} was made for "
        f"{' and '.join(template.metadata['liverimg']['modalities'])}; start from a model for {dataset.modality}"
    )
