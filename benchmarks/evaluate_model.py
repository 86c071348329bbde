"""Scores of the shipped model on the real evaluation scan, on analytic phantoms and, given maps, on held-out livers.

Run from the repository's root, for instance::

    python benchmarks/evaluate_model.py scores.json --real ../shared/data/ct_ircadb01 --phantoms 4

Training maps for ``--maps`` and ``--fine`` come from ``python -m liverimg.training.anatomy.maps`` and ``fine_maps``.
"""

import json
import sys
from pathlib import Path

from liverimg.training.scoring.evaluate import main

BUNDLE = Path(__file__).resolve().parent.parent / "models" / "liver_ct"


def show(path: Path) -> None:
    scores = json.loads(path.read_text(encoding="utf-8"))
    print(f"model: {scores['model']}")
    for name in ("synthetic", "phantom"):
        if name in scores:
            found = scores[name]
            print(f"{name}, {found['cases']} cases: liver with contents Dice {found['liver_with_contents_dice']}")
            for structure, value in sorted(found["dice"].items()):
                print(f"  {structure:<20} Dice {value}")
    if "real" in scores:
        real = scores["real"]
        liver = real["liver"]
        error = 100 * (liver["found_ml"] / liver["truth_ml"] - 1)
        print(f"real: liver Dice {liver['dice']:.4f}, HD95 {liver['hd95_mm']:.1f} mm, volume {error:+.1f} %")
        print(f"  veins in the liver: Dice {real['veins_dice']:.3f}", end="")
        print(f" (best single threshold, chosen on the truth: {real['best_threshold_dice']:.3f})")
        print(f"  {real['seconds']:.1f} s from volume to labels")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main([str(BUNDLE), *sys.argv[1:]])
    show(Path(sys.argv[1]))
