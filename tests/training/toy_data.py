"""Small data sets and a small model, made on the spot: a body, a liver with a vein and a tumour, in 32 x 32 x 32."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap
from liverimg.core.volume import Quantity, Volume
from liverimg.files import nifti

SPACING_MM = 4.0
LABELS = {"background": 0, "liver": 1, "tumour": 2, "portal_vein": 3}
HU = {"air": -1000.0, "body": 20.0, "liver": 110.0, "tumour": 55.0, "portal_vein": 190.0}


def grid() -> Grid:
    """The grid of every toy case: standard axes, off-origin."""
    return Grid.from_axes((32, 32, 32), spacing_mm=(SPACING_MM,) * 3, origin_lps_mm=(-60, -50, 700))


def toy_case(number: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """CT in HU and label values (1 liver, 2 tumour, 3 portal vein); each number is another patient."""
    rng = np.random.default_rng(number)
    k, j, i = np.indices((32, 32, 32), dtype=np.float32)
    at = rng.uniform(-1, 1, size=3)

    def ball(centre: Sequence[float], radii: Sequence[float]) -> NDArray[np.bool_]:
        parts = [((x - c - s) / r) ** 2 for x, c, s, r in zip((k, j, i), centre, at, radii, strict=True)]
        return np.asarray(sum(parts) < 1)

    values = np.zeros(k.shape, dtype=np.uint8)
    values[ball((16, 15, 13), (10, 9, 9))] = 1
    values[ball((16, 16, 13), (1.3, 1.3, 7))] = 3
    values[ball((19, 12, 12), (3.2, 3.2, 3.2))] = 2
    hu = np.full(k.shape, HU["air"])
    hu[ball((16, 16, 16), (60, 14, 15))] = HU["body"]
    for value, name in ((1, "liver"), (3, "portal_vein"), (2, "tumour")):
        hu[values == value] = HU[name]
    return np.rint(hu + rng.normal(0, 6, size=k.shape)).astype(np.int16), values


def write_nnunet(
    folder: Path, cases: Sequence[str], *, labels: dict[str, Any] | None = None, channels: int = 1
) -> Path:
    """A data set in the nnU-Net layout; further channels are the same image, darker."""
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    names = ["CT portal venous", "CT arterial", "CT delayed"][:channels]
    record = {
        "channel_names": {str(n): name for n, name in enumerate(names if channels > 1 else ["CT"])},
        "labels": labels or LABELS,
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(record))
    for number, case in enumerate(cases):
        hu, values = toy_case(number)
        for channel in range(channels):
            image = Volume((hu - 20 * channel).astype(np.int16), grid(), Quantity.HU)
            nifti.write_volume(folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz", image)
        nifti.write_labels(folder / "labelsTr" / f"{case}.nii.gz", LabelMap(values, grid(), {}))
    return folder


def write_msd(folder: Path, cases: Sequence[str], *, labels: dict[str, str] | None = None) -> Path:
    """A data set in the MSD layout, with a liver and its tumours."""
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    record = {
        "name": "Toy",
        "modality": {"0": "CT"},
        "labels": labels or {"0": "background", "1": "liver", "2": "cancer"},
        "numTraining": len(cases),
        "training": [{"image": f"./imagesTr/{c}.nii.gz", "label": f"./labelsTr/{c}.nii.gz"} for c in cases],
    }
    (folder / "dataset.json").write_text(json.dumps(record))
    for number, case in enumerate(cases):
        hu, values = toy_case(number)
        values[values == 3] = 1
        nifti.write_volume(folder / "imagesTr" / f"{case}.nii.gz", Volume(hu, grid(), Quantity.HU))
        nifti.write_labels(folder / "labelsTr" / f"{case}.nii.gz", LabelMap(values, grid(), {}))
    return folder


def write_template(folder: Path, *, inputs: Sequence[str] = ("reference",)) -> Path:
    """A bundle with two tiny networks and no weights: what a run without ``--from`` starts at."""
    coarse = {"0": "background", "1": "liver", "2": "spleen"}
    fine = {"0": "background", "1": "liver", "2": "tumour", "3": "portal_vein", "4": "hepatic_vein"}
    passes = [
        _pass("coarse", coarse, None, ["reference"]),
        _pass("fine", fine, 20.0, list(inputs)),
    ]
    values = {"liver": 1, "tumour": 2, "hepatic_vein": 3, "portal_vein": 4, "spleen": 9}
    metadata = {
        "name": "toy",
        "version": "0.1.0",
        "license": "none",
        "data_source": "none",
        "network_data_format": {"inputs": {"image": {}}, "outputs": {"pred": {}}},
        "liverimg": {"contract": 2, "modalities": ["CT"], "labels": values, "passes": passes},
    }
    inference: dict[str, Any] = {}
    for name, channels, count in (("coarse", coarse, 1), ("fine", fine, len(inputs))):
        inference[f"{name}_network"] = {
            "_target_": "liverimg.segmentation.network.WideUNet",
            "in_channels": count,
            "out_channels": len(channels),
            "channels": [4, 8],
            "width": 4,
            "num_res_units": 1,
        }
        inference[f"{name}_inferer"] = {
            "_target_": "monai.inferers.SlidingWindowInferer",
            "roi_size": [16, 16, 16],
            "overlap": 0.25,
            "padding_mode": "constant",
            "cval": -1.0,
        }
    train = {"map_spacing_mm": {"coarse": 2.5, "fine": 1.25}, "class_weights": {"fine": {"tumour": 2.0}}}
    (folder / "configs").mkdir(parents=True)
    for name, record in (("metadata", metadata), ("inference", inference), ("train", train)):
        (folder / "configs" / f"{name}.json").write_text(json.dumps(record))
    return folder


def _pass(name: str, channels: dict[str, str], around_mm: float | None, inputs: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "weights": f"models/{name}.safetensors",
        "sha256": "",
        "spacing_mm": SPACING_MM,
        "patch": [16, 16, 16],
        "inputs": inputs,
        "intensity": {"kind": "window", "low": -150, "high": 250},
        "around_liver_mm": around_mm,
        "channels": channels,
        "surface_error_mm": {},
    }
