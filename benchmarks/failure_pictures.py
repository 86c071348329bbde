"""Pictures of where a model fails, for its card: the worst hold-out cases by liver, tumours, veins and ducts.

python benchmarks/failure_pictures.py SCORES.json --maps MAPS --fine FINE [--bundle models/liver_ct]

SCORES.json comes from benchmarks/evaluate_model.py with the same maps. Writes PNG files into the bundle's docs folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.typing import NDArray

from liverimg.core.labels import LabelMap, Structure
from liverimg.files.tables import read_table
from liverimg.segmentation.bundle import open_bundle
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.tidy import TidyRules, tidy
from liverimg.training.scoring.cases import Case, synthetic_cases

ROOT = Path(__file__).resolve().parent.parent
COLOURS = {
    Structure.LIVER: "#e8c468",
    Structure.TUMOUR: "#e4572e",
    Structure.HEPATIC_VEIN: "#4ea5d9",
    Structure.PORTAL_VEIN: "#b388eb",
    Structure.BILE_DUCT: "#7bd389",
}
WINDOW_HU = (-60, 200)

Score = Mapping[str, Any]
# What a picture is about, and how bad a case is at it (None: not to be judged).
FAULTS: Mapping[str, tuple[Structure, Callable[[Score], float | None]]] = {
    "liver": (Structure.LIVER, lambda s: 1 - s["liver"]["dice"]),
    "missed_tumour": (Structure.TUMOUR, lambda s: s["lesions"]["present"] - s["lesions"]["found"]),
    "false_tumour": (Structure.TUMOUR, lambda s: s["lesions"]["false_calls"]),
    "hepatic_vein": (Structure.HEPATIC_VEIN, lambda s: _miss(s, "hepatic_vein")),
    "portal_vein": (Structure.PORTAL_VEIN, lambda s: _miss(s, "portal_vein")),
    "bile_duct": (Structure.BILE_DUCT, lambda s: _miss(s, "bile_duct")),
}


def _miss(score: Score, name: str) -> float | None:
    found = score["structures"][name]
    return 1 - found["dice"] if found["truth_ml"] > 1 else None


def worst(scores: list[Score], badness: Callable[[Score], float | None]) -> Score | None:
    """The case that is worst at something; None where no case fails at it."""
    judged = [(value, score) for score in scores if (value := badness(score)) is not None and value > 0]
    return max(judged, key=lambda pair: pair[0])[1] if judged else None


def draw(case: Case, found: LabelMap, structure: Structure, path: Path) -> None:
    """One slice, plain and with outlines: truth on the left, the model's on the right."""
    truth = case.truth
    wrong = found.mask(structure) != truth.mask(structure)
    if case.ignored is not None and structure is not Structure.LIVER:
        wrong &= ~case.ignored
    k = int(np.argmax(wrong.sum(axis=(1, 2))))
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.4), facecolor="black")
    for axis, title, labels in zip(axes, ("image", "truth", "model"), (None, truth, found), strict=True):
        axis.imshow(case.volume.array[k], cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1])
        axis.set_title(title, color="white", fontsize=11)
        axis.axis("off")
        for kind, colour in COLOURS.items():
            if labels is not None and (mask := _shown(labels, kind)[k]).any():
                axis.contour(mask, levels=[0.5], colors=[colour], linewidths=0.9)
    figure.tight_layout()
    figure.savefig(path, dpi=75, facecolor="black")
    plt.close(figure)


def _shown(labels: LabelMap, structure: Structure) -> NDArray[np.bool_]:
    """A mask as it is outlined: the liver with everything in it."""
    return labels.mask(*COLOURS) if structure is Structure.LIVER else labels.mask(structure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--fine", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "liver_ct")
    chosen = parser.parse_args()
    scores = json.loads(chosen.scores.read_text(encoding="utf-8"))["synthetic_cases"]
    bundle = open_bundle(chosen.bundle)
    rules = TidyRules.from_table(read_table("segmentation")["tidy"])
    for name, (structure, badness) in FAULTS.items():
        score = worst(scores, badness)
        if score is None:
            continue
        number = int(score["case"].rsplit("-", 1)[1])
        case = next(synthetic_cases(chosen.maps, chosen.fine, 1, first=number))
        found = tidy(segment_volume(case.volume, bundle, others=dict(case.others)).labels, rules)
        path = chosen.bundle / "docs" / f"failure_{name}.png"
        draw(case, found, structure, path)
        print(f"{path.name}: {score['case']}, {badness(score):.2f}")


if __name__ == "__main__":
    main()
