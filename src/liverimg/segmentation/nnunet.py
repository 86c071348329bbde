"""nnU-Net 2 models, when the user has nnU-Net installed and a trained model: its command and results folder.

Options and layout follow nnU-Net's own sources (``inference/predict_from_raw_data.py``, ``utilities/
label_handling``, version 2.8): ``nnUNet_results/DatasetXXX_Name/Trainer__Plans__Configuration/`` with ``dataset.json``,
``plans.json`` and ``fold_X/checkpoint_final.pth``; inputs ``case_0000`` and on, one per channel; output ``case``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from liverimg.core.errors import InputRefusedError, ModelRefusedError, UsageError
from liverimg.core.study import Modality, Phase
from liverimg.segmentation.label_names import plain
from liverimg.segmentation.tool_job import Job, Tool

PREFIX = "nnunet:"
_PREDICT = "nnUNetv2_predict"
_PREDICT_FOLDER = "nnUNetv2_predict_from_modelfolder"
_CHECKPOINT = "checkpoint_final.pth"
_CASE = "case"
_ENDINGS = (".nii.gz", ".nii")
_LAYOUT = "DatasetXXX_Name/Trainer__Plans__Configuration with dataset.json, plans.json and fold_X/checkpoint_final.pth"
_LICENCE = (
    "nnU-Net's code is under the Apache licence 2.0; what its weights may be used for is whoever trained them's to say."
)


@dataclass(frozen=True)
class ChannelNames:
    """What the names of channels say.

    Attributes:
        modalities: Modality of a plain name.
        phases: Phase of a plain name.
    """

    modalities: Mapping[str, Modality]
    phases: Mapping[str, Phase]

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> ChannelNames:
        """From the ``channels`` part of ``label_names.toml``."""
        return cls(
            {plain(n): Modality(m) for m, names in table["modalities"].items() for n in names},
            {plain(n): Phase(p) for p, names in table["phases"].items() for n in names},
        )


def plan(target: str, modality: Modality, names: ChannelNames, *, device: str) -> Tool:
    """What to run.

    Args:
        target: A data set's name or number, below which ``/Trainer__Plans__Configuration`` may follow, looked for in
            ``nnUNet_results``; or a folder with a trained model.
        modality: Of the reference series.
        names: What names of channels mean.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: nnU-Net is not installed, or no such model is there.
        ModelRefusedError: The model's folder is not whole, or wants something that we can't give.
        InputRefusedError: It was trained for the other modality.
    """
    folder = model_folder(target)
    dataset = _json(folder / "dataset.json")
    _json(folder / "plans.json")
    folds = sorted(p.parent.name.removeprefix("fold_") for p in folder.glob(f"fold_*/{_CHECKPOINT}"))
    if not folds:
        raise ModelRefusedError(f"{folder.name} holds no trained fold, expected {_LAYOUT}; copy its weights there")
    if "cascade" in folder.name:
        raise ModelRefusedError(
            f"{folder.name} is the second step of a cascade, which needs the first step's result; name a "
            "full-resolution or low-resolution configuration"
        )
    ending = str(dataset.get("file_ending"))
    if ending not in _ENDINGS:
        raise ModelRefusedError(f"{folder.name} wants {ending} files, expected .nii.gz; train it on NIfTI")
    phases = _channels(folder.name, dataset, modality, names)
    inputs = tuple((f"{_CASE}_{n:04d}{ending}", phase) for n, phase in enumerate(phases))
    numbered = [fold for fold in folds if fold != "all"] or folds
    command, environment = _command(folder, device, numbered)
    version = _version(command[0])
    job = Job(f"nnU-Net's {folder.parent.name}", inputs, command, f"{_CASE}{ending}", _labels(dataset), environment)
    name = f"nnU-Net {version} {folder.parent.name}/{folder.name} (fold {', '.join(numbered)})"
    return Tool(name, _LICENCE, (job,), key=_key(name, folder))


def model_folder(target: str) -> Path:
    """The folder of one trained configuration.

    Raises:
        UsageError: None, or several.
    """
    path = Path(target)
    if not path.is_dir():
        path = _in_results(target)
    if (path / "dataset.json").is_file() and (path / "plans.json").is_file():
        return path.resolve()
    found = sorted(p for p in path.iterdir() if p.name.count("__") == 2 and (p / "plans.json").is_file())
    if len(found) == 1:
        return found[0].resolve()
    listed = ", ".join(p.name for p in found) or "none"
    raise UsageError(
        f"{path.name} holds {len(found)} trained configurations ({listed}), expected one: {_LAYOUT}; name one of them "
        f"as {PREFIX}{path.name}/Trainer__Plans__Configuration"
    )


def _in_results(target: str) -> Path:
    results = os.environ.get("nnUNet_results")  # noqa: SIM112
    if not results or not Path(results).is_dir():
        raise UsageError(
            f"there is no folder {target!r}, and nnUNet_results does not say where trained models lie; set it, or give "
            f"the folder of the model after {PREFIX}"
        )
    first, _, rest = target.partition("/")
    start = f"Dataset{int(first):03d}_" if first.isdigit() else first
    found = sorted(
        p
        for p in Path(results).iterdir()
        if p.is_dir() and (p.name.startswith(start) if first.isdigit() else p.name == start)
    )
    if len(found) != 1 or (rest and not (found[0] / rest).is_dir()):
        raise UsageError(
            f"nnUNet_results holds {len(found)} models {target!r}, expected one: {_LAYOUT}; give its name in full"
        )
    return found[0] / rest


def _json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelRefusedError(
            f"{path.name} of the nnU-Net model can't be read ({type(error).__name__}), expected {_LAYOUT}"
        ) from error
    if not isinstance(record, dict):
        raise ModelRefusedError(f"{path.name} of the nnU-Net model is no JSON object; copy the model anew")
    return record


def _channels(title: str, dataset: Mapping[str, Any], modality: Modality, names: ChannelNames) -> list[Phase | None]:
    """The phase of each channel; None for the reference."""
    listed = dataset.get("channel_names")
    if not isinstance(listed, dict) or sorted(listed) != [str(n) for n in range(len(listed))] or not listed:
        raise ModelRefusedError(f"the dataset.json of {title} names no channels, expected channel_names; copy it anew")
    said = [plain(str(listed[str(n)])) for n in range(len(listed))]
    for name in said:
        words = [name, *name.split()]
        found = next((names.modalities[w] for w in words if w in names.modalities), None)
        if found is not None and found is not modality:
            raise InputRefusedError(
                f"the reference series is {modality}, and {title} was trained on {found}; name another --model"
            )
    if len(said) == 1:
        return [None]
    phases = [_phase(name, names) for name in said]
    if None in phases or len(set(phases)) < len(phases):
        raise ModelRefusedError(
            f"{title} wants {len(said)} channels called {', '.join(map(repr, said))}, which do not tell the contrast "
            "phase of each, expected such as arterial and portal venous; rename them in its dataset.json"
        )
    return list(phases)


def _phase(name: str, names: ChannelNames) -> Phase | None:
    words = name.split()
    pairs = [" ".join(pair) for pair in pairwise(words)]
    return next((names.phases[w] for w in (name, *pairs, *words) if w in names.phases), None)


def _labels(dataset: Mapping[str, Any]) -> dict[str, int]:
    """The value that each label has in the result; regions come out as nnU-Net's ``regions_class_order`` says."""
    listed = dataset.get("labels")
    if not isinstance(listed, dict):
        raise ModelRefusedError("the dataset.json of the nnU-Net model names no labels; copy the model anew")
    named = {
        str(n): v if isinstance(v, list) else [v] for n, v in listed.items() if n != "ignore" and v not in (0, [0])
    }
    try:
        if any(len(values) > 1 for values in named.values()):
            order = [int(v) for v in dataset["regions_class_order"]]
            return dict(zip(named, order, strict=True))
        return {name: int(values[0]) for name, values in named.items()}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelRefusedError(
            f"the labels in the dataset.json of the nnU-Net model can't be understood ({error}); copy the model anew"
        ) from error


def _command(folder: Path, device: str, folds: list[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    dataset, parts = folder.parent.name, folder.name.split("__")
    in_layout = bool(re.match(r"Dataset\d{3}_", dataset)) and len(parts) == 3
    wanted = _PREDICT if in_layout else _PREDICT_FOLDER
    command = shutil.which(wanted)
    if command is None:
        raise UsageError(
            f"nnU-Net is not installed: no command {wanted} was found; install it with 'pip install nnunetv2' in an "
            "environment on your PATH, or name another --model"
        )
    common = ("-i", "{inputs}", "-o", "{outputs}", "-f", *folds, "-device", _device(device))
    if not in_layout:
        return (command, *common, "-m", str(folder)), {}
    trainer, plans, configuration = parts
    own = ("-d", dataset, "-c", configuration, "-tr", trainer, "-p", plans)
    return (command, *common, *own), {"nnUNet_results": str(folder.parent.parent)}


def _device(device: str) -> str:
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _version(command: str) -> str:
    """The version of the nnU-Net that a command belongs to, from the metadata installed beside it."""
    for link in (Path(command), Path(command).resolve()):
        found = sorted(link.parent.parent.glob("lib/python3*/site-packages/nnunetv2-*.dist-info"))
        if found:
            return found[0].name.removeprefix("nnunetv2-").removesuffix(".dist-info")
    return "of unknown version"


def _key(name: str, folder: Path) -> str:
    """Weights may be gigabytes: their size and time stand for them."""
    files = [folder / "dataset.json", folder / "plans.json"]
    texts = [path.read_text(encoding="utf-8") for path in files]
    weights = sorted(folder.glob(f"fold_*/{_CHECKPOINT}"))
    stats = [f"{p.parent.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in weights]
    return "\n".join([name, *texts, *stats])
