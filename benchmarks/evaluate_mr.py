"""Scores of the shipped MR model on the sample's MR study and, given data, on held-out livers and a real scan.

Run from the repository's root, for instance::

    python benchmarks/evaluate_mr.py scores.json --phantoms 4 --maps mapsv --count 24 \\
        --real ../shared/data/mr_totalsegmentator

Beside each score stand two peers: the CT model's coarse network on the MR image stretched to its window, and the
largest piece above the one threshold that fits the truth best. Training maps for ``--maps`` come from
``python -m liverimg.training.anatomy.maps`` and ``fine_maps``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from liverimg.training.scoring.mr_evaluate import main

ROOT = Path(__file__).resolve().parent.parent
BUNDLE, CT = ROOT / "models" / "liver_mr", ROOT / "models" / "liver_ct"
SAMPLE = ROOT / "sample_dicom"


def show_one(name: str, found: dict[str, Any]) -> None:
    liver = found["liver"]
    error = 100 * (liver["found_ml"] / liver["truth_ml"] - 1)
    peers = ", ".join(f"{peer} {value}" for peer, value in sorted(found["peers"].items()))
    print(f"{name}: liver Dice {liver['dice']:.3f}, HD95 {liver['hd95_mm']:.1f} mm, volume {error:+.1f} % ({peers})")
    print("  " + ", ".join(f"{s} {value:.2f}" for s, value in sorted(found["dice"].items())))
    print(f"  {found['seconds']:.1f} s from volume to labels")


def show(path: Path) -> None:
    scores = json.loads(path.read_text(encoding="utf-8"))
    print(f"model: {scores['model']}")
    for name in ("synthetic", "phantom"):
        if name in scores:
            found = scores[name]
            print(f"{name}, {found['cases']} views: liver {found['liver_with_contents_dice']}, peers {found['peers']}")
            print(f"  by sequence: {found['liver_dice_by_sequence']}")
            for structure, value in sorted(found["dice"].items()):
                print(f"  {structure:<20} Dice {value}")
    for phase, found in scores.get("study", {}).items():
        show_one(f"sample study, {phase}", found)
    if "real" in scores:
        show_one("real scan", scores["real"])


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    labels = SAMPLE / "truth" / "mr_labels.nii.gz"
    study = ["--study", str(SAMPLE / "mr"), "--study-labels", str(labels)]
    main([str(BUNDLE), sys.argv[1], "--ct", str(CT), *study, *sys.argv[2:]])
    show(Path(sys.argv[1]))
