"""Opening a MONAI bundle through its contract: checked before anything of it runs.

A bundle's ``configs/metadata.json`` carries a block ``liverimg`` that says which structures each network
channel means, at which spacing and window it was trained, which file holds the weights and its SHA-256.
Weights are safetensors only: a pickle can run code, and a configuration may only name networks and inferers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from liverimg.core.errors import ModelRefusedError, UsageError
from liverimg.core.labels import Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity
from liverimg.segmentation.confidence import Calibration
from liverimg.segmentation.intensity import Intensity
from liverimg.segmentation.monai_parts import Inferer
from liverimg.segmentation.unpack import built, load_weights, read_json, refuse_pickles

CONTRACTS = (1, 2)
REFERENCE = "reference"
_BACKGROUND = "background"
_QUANTITY = {Modality.CT: Quantity.HU, Modality.MR: Quantity.MR_SIGNAL}


@dataclass(frozen=True, eq=False)
class Pass:
    """One network of a cascade.

    Attributes:
        name: ``coarse`` or ``fine``.
        spacing_mm: Isotropic spacing that the network works at.
        inputs: What each input channel holds: ``reference`` first, then names of phases.
        intensity: How values are brought to -1..1.
        channels: Structure of each output channel; channel 0 is the background and not in here.
        around_mm: How far around the coarse liver the pass looks; None for the whole view.
        network: In evaluation mode, on the bundle's device.
        inferer: Sliding window.
        calibration: How far the outlines of a case can be trusted; None when nobody has measured that.
    """

    name: str
    spacing_mm: float
    inputs: tuple[str, ...]
    intensity: Intensity
    channels: Mapping[int, Structure]
    around_mm: float | None
    network: torch.nn.Module = field(repr=False)
    inferer: Inferer = field(repr=False)
    calibration: Calibration | None = None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The further phases that the network can make use of."""
        return tuple(Phase(name) for name in self.inputs[1:])


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
        hold_out_real: Whether those images were real scans with labels, and not made ones.
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
    hold_out_real: bool = False

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What the voxels of an image may mean that it was made for."""
        return tuple(_QUANTITY[Modality(m)] for m in self.modalities)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The further phases that any of its passes can make use of."""
        return tuple(dict.fromkeys(phase for one in self.passes for phase in one.phases))


def open_bundle(folder: Path, *, device: str = "auto", unevaluated: bool = False) -> Bundle:
    """Opens a model.

    Args:
        folder: The bundle's folder.
        device: ``auto``, ``cpu`` or ``cuda``.
        unevaluated: Open it although nobody has evaluated it yet, in order to do so.

    Raises:
        ModelRefusedError: Not evaluated, damaged, unsafe, or keeping another contract than ours.
        UsageError: The device does not exist here.
    """
    metadata = read_json(folder / "configs" / "metadata.json")
    contract = metadata.get("liverimg")
    if not isinstance(contract, dict):
        raise ModelRefusedError(
            f"the model in {folder.name} has no 'liverimg' block in configs/metadata.json, so its channels have no "
            "names; add the block that docs/reference describes"
        )
    if contract.get("contract") not in CONTRACTS:
        raise ModelRefusedError(
            f"the model in {folder.name} keeps label contract {contract.get('contract')!r}, expected "
            f"{' or '.join(str(c) for c in CONTRACTS)}; use a model made for this version"
        )
    refuse_pickles(folder)
    if contract.get("evaluated") is False and not unevaluated:
        raise ModelRefusedError(
            f"the model in {folder.name} has not been evaluated, so nobody knows how far to trust its outlines; do it "
            f"with: liverimg evaluate {folder.name} --data FOLDER --out scores.json --record"
        )
    chosen = resolved_device(device)
    try:
        values = {Structure(name): int(value) for name, value in contract["labels"].items()}
        passes = tuple(_open_pass(folder, entry, chosen) for entry in contract["passes"])
        errors = {Structure(s): float(mm) for p in contract["passes"] for s, mm in p["surface_error_mm"].items()}
        bundle = Bundle(
            name=str(metadata["name"]),
            version=str(metadata["version"]),
            modalities=tuple(Modality(m) for m in contract["modalities"]),
            passes=passes,
            values=values,
            surface_error_mm=errors,
            hold_out_dice=_hold_out_dice(metadata),
            lesion_recall=_hold_out(metadata).get("lesion_recall"),
            false_lesions_per_case=_hold_out(metadata).get("false_lesions_per_case"),
            unproven={Structure(name): str(why) for name, why in contract.get("unproven", {}).items()},
            device=chosen,
            hold_out_real="validation" in metadata.get("eval_metrics", {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelRefusedError(
            f"the 'liverimg' block of the model in {folder.name} is not as expected ({error!r}); compare it with "
            "models/liver_ct/configs/metadata.json"
        ) from error
    _check_labels(bundle, folder)
    return bundle


def _hold_out(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Scores on cases that the training never saw: real ones with labels, if there were any, else made ones."""
    metrics = metadata.get("eval_metrics", {})
    found: Mapping[str, Any] = metrics.get("validation") or metrics.get("synthetic", {})
    return found


def _hold_out_dice(metadata: Mapping[str, Any]) -> dict[Structure, float]:
    found = _hold_out(metadata).get("dice", {})
    return {Structure(name): float(dice) for name, dice in found.items() if dice is not None}


def resolved_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes a GPU where there is one.

    Raises:
        UsageError: It does not exist here.
    """
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
    config = read_json(folder / "configs" / "inference.json")
    network = built(config, f"{name}_network", torch.nn.Module)
    inferer = built(config, f"{name}_inferer", Inferer)
    load_weights(network, folder / str(entry["weights"]), str(entry["sha256"]))
    inputs = _inputs(entry, config[f"{name}_network"])
    around = entry.get("around_liver_mm")
    return Pass(
        name=name,
        spacing_mm=float(entry["spacing_mm"]),
        inputs=inputs,
        intensity=Intensity.from_contract(entry),
        channels=channels,
        around_mm=None if around is None else float(around),
        network=network.to(device).eval(),
        inferer=inferer,
        calibration=_calibration(entry),
    )


def _calibration(entry: Mapping[str, Any]) -> Calibration | None:
    """What was measured on these very weights; what belongs to earlier ones says nothing of them."""
    found = entry.get("calibration")
    if found is None or found["sha256"] != entry["sha256"]:
        return None
    return Calibration.from_contract(found)


def _inputs(entry: Mapping[str, Any], network: Mapping[str, Any]) -> tuple[str, ...]:
    """What the input channels hold; a bundle of contract 1 has the reference alone."""
    inputs = tuple(str(name) for name in entry.get("inputs", [REFERENCE]))
    further = [Phase(name) for name in inputs[1:]]
    if inputs[:1] != (REFERENCE,) or len(set(further)) != len(further):
        raise ModelRefusedError(
            f"the inputs of pass {entry['name']} are {', '.join(inputs) or 'none'}; expected {REFERENCE} first, then "
            "each further phase once"
        )
    channels = network.get("in_channels", 1)
    if channels != len(inputs):
        raise ModelRefusedError(
            f"the network of pass {entry['name']} takes {channels} images, its contract names {len(inputs)} inputs; "
            "restore the model"
        )
    return inputs


def _check_labels(bundle: Bundle, folder: Path) -> None:
    drawn = {s for p in bundle.passes for s in p.channels.values()}
    nameless = sorted(drawn - set(bundle.values))
    if nameless or Structure.LIVER not in drawn or 0 in bundle.values.values():
        raise ModelRefusedError(
            f"the model in {folder.name} draws {', '.join(sorted(drawn)) or 'nothing'}, of which "
            f"{', '.join(nameless) or 'none'} lack a label value; expected a value above 0 for each, the liver included"
        )
    first = bundle.passes[0] if bundle.passes else None
    if first is None or first.around_mm is not None or Structure.LIVER not in first.channels.values():
        raise ModelRefusedError(
            f"the first pass of the model in {folder.name} does not look for the liver in the whole view; expected "
            "around_liver_mm null and a channel for the liver"
        )
    if first.inputs != (REFERENCE,):
        # It also says whether a further phase lies where the reference does, so it can't rely on one.
        raise ModelRefusedError(
            f"the first pass of the model in {folder.name} takes {', '.join(first.inputs)}; expected the {REFERENCE} "
            "alone"
        )
