"""Scoring a zone network on made crops that its training never saw, and writing what was found into its bundle.

Run ``python -m liverimg.training.zones.score --help``. The first half of the crops chooses the threshold, the second
says how good the network is and how far its borders can be trusted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from liverimg.core.study import Phase
from liverimg.core.volume import Quantity
from liverimg.segmentation.unpack import built, load_weights, read_json
from liverimg.segmentation.zones.bundle import BLOCK
from liverimg.segmentation.zones.calibration import doubt_mm, drawn_zone
from liverimg.segmentation.zones.channels import CHANNELS, Scaling, channels_of
from liverimg.training.synthesis.warp import NoiseBank
from liverimg.training.zones.examples import SPACING_MM, Example, make_example
from liverimg.training.zones.fit import BANK_SIZE

FloatArray = NDArray[np.float32]

HOLD_OUT_SEED = 90_001
_THRESHOLDS = tuple(round(0.2 + 0.05 * n, 2) for n in range(13))
_LEAST_ML = 1.0
_MISSED = 0.1  # a zone with less overlap was not found
_HELD = 90.0  # per cent of the crops whose border lies within the stated error
_SIZE = 64
_ROWS = 5
_FEWEST = 20
_ML = SPACING_MM**3 / 1000


@dataclass(frozen=True)
class CropScore:
    """One crop.

    Attributes:
        modality: ``CT`` or ``MR``.
        unenhanced: Whether there is an unenhanced phase.
        slice_mm: Of its thickest phase.
        truth_ml: Volume of the zone inside the outlined liver.
        found_ml: Volume that was drawn.
        dice: Overlap; None without a zone of 1 ml.
        border_mm: Distance within which 95 % of the border lie, the worse way; None where one of the two is missing.
        doubt_mm: Half the width of the band of doubt; None where nothing was drawn.
    """

    modality: str
    unenhanced: bool
    slice_mm: float
    truth_ml: float
    found_ml: float
    dice: float | None
    border_mm: float | None
    doubt_mm: float | None = None


def opinions(network: torch.nn.Module, *, seed: int, first: int, count: int) -> Iterator[tuple[Example, FloatArray]]:
    """Crops with what the network says of them.

    Args:
        network: In evaluation mode.
        seed: Of the crops.
        first: Number of the first.
        count: How many.
    """
    bank = NoiseBank(seed, size=BANK_SIZE)
    for number in range(first, first + count):
        example = make_example(seed, number, _SIZE, bank)
        with torch.inference_mode():
            logits = network(torch.from_numpy(channels_of(example.view, Scaling()))[None])
        yield example, torch.sigmoid(logits)[0, 0].numpy()


def drawn_at(example: Example, probability: FloatArray, threshold: float) -> NDArray[np.bool_]:
    """What becomes of an opinion in a study: the zone, where it is large enough to be drawn."""
    zone = drawn_zone(example.view, probability, threshold)
    return zone if np.count_nonzero(zone) * _ML >= _LEAST_ML else np.zeros_like(zone)


def _dice(drawn: NDArray[np.bool_], zone: NDArray[np.bool_]) -> float:
    both, all_of = int(np.count_nonzero(drawn & zone)), int(np.count_nonzero(drawn)) + int(np.count_nonzero(zone))
    return 2 * both / max(1, all_of)


def scored(example: Example, probability: FloatArray, threshold: float) -> CropScore:
    """One crop at one threshold; as in a study, what lies in the outlined liver and near the place counts."""
    view = example.view
    truth = example.zone * view.liver
    drawn, zone = drawn_at(example, probability, threshold), truth >= 0.5
    found = np.where(drawn | (probability < threshold), probability, 0) * view.liver
    truth_ml, found_ml = float(truth.sum()) * _ML, float(np.count_nonzero(drawn)) * _ML
    judged = truth_ml >= _LEAST_ML
    return CropScore(
        modality="CT" if view.quantity is Quantity.HU else "MR",
        unenhanced=Phase.UNENHANCED in view.values,
        slice_mm=example.slice_mm,
        truth_ml=truth_ml,
        found_ml=found_ml,
        dice=_dice(drawn, zone) if judged else None,
        border_mm=_border_mm(found, threshold, truth) if judged and drawn.any() and zone.any() else None,
        doubt_mm=doubt_mm(view, probability, drawn) if drawn.any() else None,
    )


def _border_mm(found: FloatArray, threshold: float, truth: FloatArray) -> float:
    one, other = (
        marching_cubes(np.pad(field, 1), level, spacing=(SPACING_MM,) * 3)[0]  # type: ignore[no-untyped-call]
        for field, level in ((found, threshold), (truth, 0.5))
    )
    there, back = cKDTree(other).query(one)[0], cKDTree(one).query(other)[0]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def best_threshold(network: torch.nn.Module, *, seed: int, count: int) -> float:
    """The probability at which zones overlap best with the true ones on average."""
    overlap = np.zeros(len(_THRESHOLDS))
    for example, probability in opinions(network, seed=seed, first=0, count=count):
        truth = example.zone * example.view.liver
        if float(truth.sum()) * _ML >= _LEAST_ML:
            overlap += [_dice(drawn_at(example, probability, one), truth >= 0.5) for one in _THRESHOLDS]
    return _THRESHOLDS[int(overlap.argmax())]


def errors_of(scores: Sequence[CropScore]) -> list[dict[str, Any]]:
    """Rows of the contract's calibration: as many crops in each, the surest first."""
    found = sorted((s.doubt_mm, s.border_mm) for s in scores if s.border_mm is not None and s.doubt_mm is not None)
    rows: list[dict[str, Any]] = []
    count = max(1, min(_ROWS, len(found) // _FEWEST))
    for part in np.array_split(np.array(found), count):
        last = len(rows) == count - 1
        error = round(float(np.percentile(part[:, 1], _HELD)), 2)
        # Who is less sure is never said to be more exact: the bins are small.
        worst = max([error, *(row["error_mm"] for row in rows)])
        limit = None if last else round(float(part[-1, 0]), 3)
        rows.append({"doubt_below_mm": limit, "error_mm": worst, "crops": len(part)})
    return rows


def summary(scores: Sequence[CropScore]) -> dict[str, Any]:
    """Figures by modality."""
    found = {}
    for name in ("CT", "MR"):
        mine = [s for s in scores if s.modality == name]
        judged = [s for s in mine if s.dice is not None]
        empty = [s for s in mine if s.truth_ml < 0.01]
        volume = np.array([s.found_ml / s.truth_ml - 1 for s in judged])
        borders = [s.border_mm for s in judged if s.border_mm is not None]
        found[name] = {
            "crops": len(mine),
            "zones": len(judged),
            "missed": len([s for s in judged if s.dice is not None and s.dice < _MISSED]),
            "dice_mean": round(float(np.mean([s.dice for s in judged])), 3),
            "dice_median": round(float(np.median([s.dice for s in judged])), 3),
            "dice_10th_percentile": round(float(np.percentile([s.dice for s in judged], 10)), 3),
            "volume_error_median": round(float(np.median(volume)), 3),
            "volume_error_absolute_median": round(float(np.median(np.abs(volume))), 3),
            "volume_within_5_percent": round(float(np.mean(np.abs(volume) <= 0.05)), 3),
            "border_95_mm_median": round(float(np.median(borders)), 2),
            "without_zone": len(empty),
            "false_zones": len([s for s in empty if s.found_ml >= _LEAST_ML]),
        }
    return found


def record(bundle: Path, weights: Path | None, *, count: int, seed: int) -> dict[str, Any]:
    """Puts weights into a bundle where given, scores it, and writes threshold, errors and figures into its contract.

    Args:
        bundle: The model's folder.
        weights: From :mod:`liverimg.training.zones.fit`.
        count: Crops of each half.
        seed: Of the hold-out.
    """
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    contract = metadata[BLOCK]
    target = bundle / contract["weights"]
    source = target if weights is None else weights
    contract["sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    contract["inputs"] = list(CHANNELS)
    network = built(read_json(bundle / "configs" / "inference.json"), "network", torch.nn.Module).eval()
    load_weights(network, source, contract["sha256"])
    threshold = best_threshold(network, seed=seed, count=count)
    scores = [scored(*one, threshold) for one in opinions(network, seed=seed, first=count, count=count)]
    contract["calibration"] = {"sha256": contract["sha256"], "threshold": threshold, "errors": errors_of(scores)}
    metadata["eval_metrics"] = {"synthetic": summary(scores)}
    if weights is not None:  # last, so that weights and what is said of them always belong together
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(weights, target)
    path.write_text(json.dumps(metadata, indent=4) + "\n", encoding="utf-8")
    return {"threshold": threshold, "errors": contract["calibration"]["errors"], **metadata["eval_metrics"]}


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path, help="JSON file for the figures")
    parser.add_argument("--weights", type=Path, help="zone.safetensors of a run; else those in the bundle")
    parser.add_argument("--count", type=int, default=200, help="crops of each half")
    parser.add_argument("--seed", type=int, default=HOLD_OUT_SEED)
    chosen = parser.parse_args(arguments)
    found = record(chosen.bundle, chosen.weights, count=chosen.count, seed=chosen.seed)
    chosen.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
