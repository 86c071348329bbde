"""Putting a retrained model together: a whole bundle that keeps the contract, and a card that says what is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch

from liverimg.core.labels import Structure
from liverimg.files.tables import structure_styles
from liverimg.training.data.layouts import DataSet
from liverimg.training.data.splits import Split
from liverimg.training.learning.contract import install
from liverimg.training.retraining.plan import PassPlan, Template

_CONTRACT = 2
NOT_CHECKED = "no case that was kept from the training has a label of it; it is unknown, not far"


@dataclass(frozen=True)
class Made:
    """How the model came about.

    Attributes:
        name: Of the new model.
        steps: Steps of each trained pass.
        seconds: Time of each.
        seed: Of all chance.
        synthetic_share: Of the examples that were made images.
        images_sha256: Of every image that was learned from, so that nobody scores the model on one by mistake.
    """

    name: str
    steps: Mapping[str, int]
    seconds: Mapping[str, float]
    seed: int
    synthetic_share: float
    images_sha256: Sequence[str]


def assemble(
    folder: Path, template: Template, plans: Sequence[PassPlan], weights: Path, dataset: DataSet, made: Made
) -> None:
    """Writes the new bundle, not yet evaluated, into an empty folder.

    Args:
        folder: Of the bundle.
        template: What the run started at; passes that were not trained are taken over from it.
        plans: The passes that were trained.
        weights: Folder with ``<pass>.safetensors``.
        dataset: What was learned from.
        made: How.
    """
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "docs").mkdir()
    trained = {plan.training.name: plan for plan in plans}
    entries = []
    for name in _pass_names(template, trained):
        plan = trained.get(name)
        if plan is not None:
            entries.append(
                {**plan.entry, "weights": f"models/{name}.safetensors", "sha256": "", "surface_error_mm": {}}
            )
        else:
            old = dict(template.entry(name) or {})
            shutil.copyfile(template.folder / str(old["weights"]), folder / "models" / f"{name}.safetensors")
            entries.append({**old, "weights": f"models/{name}.safetensors"})
    inference = {k: v for k, v in template.inference.items() if not k.endswith(("_network", "_inferer"))}
    for entry in entries:
        name = entry["name"]
        inference[f"{name}_inferer"] = template.inference[f"{name}_inferer"]
        plan = trained.get(name)
        inference[f"{name}_network"] = dict(plan.training.network) if plan else template.inference[f"{name}_network"]
    metadata = _metadata(template, entries, plans, dataset, made)
    train = {**template.train, "bundle_root": "."}
    for stem, record in (("metadata", metadata), ("inference", inference), ("train", train)):
        _write(folder / "configs" / f"{stem}.json", record)
    evaluate = template.folder / "configs" / "evaluate.json"
    if evaluate.is_file():
        kept = json.loads(evaluate.read_text(encoding="utf-8"))
        _write(folder / "configs" / "evaluate.json", {**kept, "bundle_root": "."})
    for name in trained:
        install(folder, weights / f"{name}.safetensors", name)
    _write_licence(folder, template, dataset)


def _pass_names(template: Template, trained: Mapping[str, PassPlan]) -> list[str]:
    known = [str(p["name"]) for p in template.metadata["liverimg"]["passes"]]
    return [name for name in known if name in trained or template.weights_used]


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=4) + "\n", encoding="utf-8")


def _metadata(
    template: Template, entries: Sequence[Mapping[str, Any]], plans: Sequence[PassPlan], dataset: DataSet, made: Made
) -> dict[str, Any]:
    drawn = list(dict.fromkeys(s for e in entries for c, s in e["channels"].items() if c != "0"))
    values = {structure.value: style.value for structure, style in structure_styles().items()}
    old = template.metadata["liverimg"]["labels"] if template.weights_used else {}
    kept = {
        key: template.metadata[key]
        for key in ("schema", "intended_use", "network_data_format")
        if key in template.metadata
    }
    went_on = (
        f", begun from {template.metadata['name']} {template.metadata['version']}" if template.weights_used else ""
    )
    beside = f", {made.synthetic_share:.0%} of the examples made images" if made.synthetic_share else ""
    metadata = {
        **kept,
        "name": made.name,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"trained on {dataset.name}{went_on}{beside}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"safetensors": "0.5"},
        "task": f"Segmentation of {', '.join(drawn).replace('_', ' ')} on {dataset.modality}",
        "description": f"Retrained on {dataset.name} with liverimg train{went_on}.",
        "authors": "whoever ran liverimg train",
        "copyright": "see docs/data_license.txt",
        "license": "see docs/data_license.txt",
        "data_source": dataset.name,
        "data_type": f"{dataset.modality} volume",
        "label_classes": "see liverimg.labels",
        "pred_classes": "see liverimg.passes[].channels",
        "liverimg": {
            "contract": _CONTRACT,
            "evaluated": False,
            "modalities": [dataset.modality.value],
            "array_order": "k to superior, j to posterior, i to left",
            "labels": {name: int(old.get(name, values[name])) for name in drawn},
            "passes": [dict(entry) for entry in entries],
            "unproven": _unproven(template, entries, plans),
            "trained": {
                "steps": dict(made.steps),
                "seed": made.seed,
                "synthetic_share": made.synthetic_share,
                "images_sha256": sorted(made.images_sha256),
            },
        },
    }
    _describe_tensors(metadata, plans[-1])
    return metadata


def _unproven(template: Template, entries: Sequence[Mapping[str, Any]], plans: Sequence[PassPlan]) -> dict[str, str]:
    """Until it is evaluated nothing that was trained is proven; what was taken over is as it was."""
    before = dict(template.metadata["liverimg"].get("unproven", {})) if template.weights_used else {}
    drawn = {s for e in entries for s in e["channels"].values()}
    trained = {s.value for plan in plans for s in plan.training.channels.values()}
    return {s: why for s, why in before.items() if s in drawn} | dict.fromkeys(sorted(trained), NOT_CHECKED)


def _describe_tensors(metadata: dict[str, Any], plan: PassPlan) -> None:
    """MONAI's description of what goes in and comes out, for the last network."""
    record = json.loads(json.dumps(metadata.get("network_data_format", {"inputs": {}, "outputs": {}})))
    image, pred = record["inputs"].setdefault("image", {}), record["outputs"].setdefault("pred", {})
    inputs, channels = plan.training.inputs, plan.entry["channels"]
    image |= {"num_channels": len(inputs), "channel_def": {str(n): name for n, name in enumerate(inputs)}}
    image["modality"] = plan.training.modality
    pred |= {"num_channels": len(channels), "channel_def": dict(channels)}
    metadata["network_data_format"] = record


def _write_licence(folder: Path, template: Template, dataset: DataSet) -> None:
    lines = [
        f"This model was trained on the data set {dataset.name!r}. liverimg does not know its terms: whoever passes",
        "the model on has to state them here, and whether they allow it.",
    ]
    own = template.folder / "docs" / "data_license.txt"
    if template.weights_used and own.is_file():
        lines += ["", f"It began from {template.metadata['name']}, whose data came under these terms:", ""]
        lines.append(own.read_text(encoding="utf-8"))
    (folder / "docs" / "data_license.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_card(
    folder: Path,
    plans: Sequence[PassPlan],
    split: Split,
    made: Made,
    scores: Mapping[str, Any] | None,
) -> None:
    """The model card: what is known, what was scored, and what its author has still to say."""
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    lines = [
        f"# {made.name}",
        "",
        f"{metadata['changelog']['0.1.0'].capitalize()}. **Research use only, not a medical device.**",
        "",
        "| pass | spacing, mm | inputs | draws | taught by labels | steps | minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for plan in sorted(plans, key=lambda p: p.training.name):
        one, name = plan.training, plan.training.name
        taught = [s.value for s in one.channels.values() if s in plan.targets.taught]
        lines.append(
            f"| {name} | {plan.preparation.spacing_mm:g} | {', '.join(one.inputs)} | "
            f"{', '.join(s.value for s in one.channels.values())} | {', '.join(taught) or 'none'} | "
            f"{made.steps[name]} | {made.seconds[name] / 60:.1f} |"
        )
    lines += [
        "",
        f"Cases: {len(split.train)} to learn from, {len(split.validation)} for validation, split by patients.",
    ]
    lines += _score_lines(scores)
    lines += ["", *_unknown_lines(metadata), ""]
    (folder / "docs" / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _score_lines(scores: Mapping[str, Any] | None) -> list[str]:
    if scores is None:
        return ["", "**Not evaluated yet**: `liverimg evaluate MODEL --data FOLDER --record` does it."]
    rows = [
        "",
        "## Scores on the validation cases",
        "",
        "| | Dice | surface Dice, 2 mm | HD95, mm |",
        "|---|---|---|---|",
    ]
    whole = [scores[f"liver_with_contents_{key}"] for key in ("dice", "surface_dice_2mm", "hd95_mm")]
    rows.append(f"| liver with contents | {' | '.join(map(_figure, whole))} |")
    for name, one in scores["structures"].items():
        cells = [_figure(one[key]) for key in ("dice", "surface_dice_2mm", "hd95_mm")]
        rows.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    rows += ["", "| error of the measurement | lesions | median | 95 % below |", "|---|---|---|---|"]
    for name, one in scores["measurement_errors"].items():
        errors = f"{_figure(one['median'])} {one['unit']} | {_figure(one['p95'])} {one['unit']}"
        rows.append(f"| {name.replace('_', ' ')} | {one['measured']} of {one['lesions']} | {errors} |")
    return rows


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _unknown_lines(metadata: Mapping[str, Any]) -> list[str]:
    unproven = metadata["liverimg"]["unproven"]
    lines = ["## What is not known", ""]
    lines += [f"- {Structure(name).value.replace('_', ' ')}: {why}" for name, why in unproven.items()]
    lines.append("- Who the patients were, on which scanners, and whether they are like yours: its author has to say.")
    return lines
