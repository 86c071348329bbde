"""Writes the table of scores into a model's card, between its two marks.

python benchmarks/card_table.py SCORES.json [SCORES.json ...] [--bundle models/liver_ct]

The files come from benchmarks/evaluate_model.py; what a later one holds replaces what an earlier one does.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- scores: written by benchmarks/card_table.py -->", "<!-- end of scores -->"
TREES = ("hepatic_vein", "portal_vein", "bile_duct")
NONE = ""


def number(value: Any, digits: int = 2) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def rows(scores: Mapping[str, Any]) -> list[list[str]]:
    """The table's rows: what, real scan, synthetic hold-out, phantoms, surface error."""
    real, made, phantom = (scores.get(name) or {} for name in ("real", "synthetic", "phantom"))
    liver = real.get("liver") or {}
    growth = 100 * (liver["found_ml"] / liver["truth_ml"] - 1) if liver else None
    errors = made.get("surface_error_mm", {})

    def line(title: str, at_real: str, key: str, digits: int = 2) -> list[str]:
        return [title, at_real, number(made.get(key), digits), number(phantom.get(key), digits), NONE]

    table = [
        [
            *line("liver with contents", number(liver.get("dice"), 3), "liver_with_contents_dice", 3)[:4],
            number(errors.get("liver"), 1),
        ],
        line("liver HD95, mm", number(liver.get("hd95_mm"), 1), "liver_with_contents_hd95_mm", 1),
        ["liver volume error", NONE if growth is None else f"{growth:+.1f} %", NONE, NONE, NONE],
        ["hepatic + portal, inside the liver", number(real.get("veins_dice"), 3), NONE, NONE, NONE],
        ["the same along centre lines (clDice)", number(real.get("veins_centreline_dice"), 3), NONE, NONE, NONE],
        ["best single threshold, chosen on the truth", number(real.get("best_threshold_dice"), 3), NONE, NONE, NONE],
        line("hepatic told from portal, of vein voxels found", "no truth", "told_apart"),
        line("lesions of 10 mm or more found", "no truth", "lesion_recall"),
        line("false lesions of 10 mm or more per case", "no truth", "false_lesions_per_case"),
    ]
    for name, value in made.get("dice", {}).items():
        if name != "liver" and value is not None:
            also = phantom.get("dice", {}).get(name)
            table.append([name.replace("_", " "), "no truth", number(value), number(also), number(errors.get(name), 1)])
    for name in TREES:
        lines = made.get("centreline_dice", {}).get(name)
        if lines is not None:
            also = phantom.get("centreline_dice", {}).get(name)
            table.append([f"{name.replace('_', ' ')}, clDice", "no truth", number(lines), number(also), NONE])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path, nargs="+")
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "liver_ct")
    chosen = parser.parse_args()
    scores: dict[str, Any] = {}
    for path in chosen.scores:
        scores |= json.loads(path.read_text(encoding="utf-8"))
    cases = [(scores.get(name) or {}).get("cases", 0) for name in ("synthetic", "phantom")]
    head = [
        "",
        "real: `ct_ircadb01`",
        f"synthetic hold-out, {cases[0]} studies",
        f"phantoms, {cases[1]}",
        "surface error, mm",
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * 5, *rows(scores))]
    card = chosen.bundle / "docs" / "README.md"
    text = card.read_text(encoding="utf-8")
    if START not in text or END not in text:
        parser.exit(2, f"{card} has no place for the table: expected the marks {START} and {END}\n")
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    card.write_text(before + "\n".join([START, *lines, END]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
