"""Measured against exact: every quantity of the sample study, with exact labels and with the model's.

Usage: ``python benchmarks/phantom_agreement.py [--labels-only]``; prints a Markdown table per run. A phantom is a
phantom: these figures say that the geometry is right, not how the model does on patients.
"""

import argparse
import sys
import tempfile
from pathlib import Path

# Run from the top of a checkout, as a script.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.truth import pairs, read

from liverimg.pipeline.recipe import load_recipe
from liverimg.pipeline.runner import run

SAMPLE = Path(__file__).resolve().parent.parent / "sample_dicom"


def table(title: str, out: Path) -> None:
    """Prints one run's quantities beside their exact answers."""
    measured = read(out / "measurements.json")
    truth = read(SAMPLE / "truth" / "pre_ct.json")
    compared = list(pairs(measured, truth))
    print(f"\n## {title}\n\n| lesion | quantity | exact | measured | 95 % band | inside |\n|---|---|---|---|---|---|")
    for pair in compared:
        if pair.quantity is None:
            print(f"| {pair.lesion} | {pair.name} | {pair.truth:.2f} | lesion not found | | |")
        elif "value" in pair.quantity:
            low, high = pair.quantity["low"], pair.quantity["high"]
            inside = "yes" if pair.inside_its_band else "NO"
            value = pair.quantity["value"]
            print(
                f"| {pair.lesion} | {pair.name} | {pair.truth:.2f} | {value:.2f} | {low:.2f} to {high:.2f} | {inside} |"
            )
        else:
            print(f"| {pair.lesion} | {pair.name} | {pair.truth:.2f} | not measured | | |")
    liver = next(q for q in measured["organs"] if q["name"] == "liver_volume")
    exact_ml = truth["liver"]["volume_ml"]
    band = f"{liver['low']:.1f} to {liver['high']:.1f}"
    print(f"\nLiver volume: exact {exact_ml:.1f} ml, measured {liver['value']:.1f} ({band}).")
    print(f"Lesions: exact {len(truth['lesions'])}, measured {len(measured['lesions'])}.")


def main() -> None:
    """Runs the recipe once or twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels-only", action="store_true", help="skip the run with the model")
    arguments = parser.parse_args()
    recipe = load_recipe("pre_ablation", only=["ingest", "segment", "measure"])
    recipe = recipe.with_settings("ingest", study=SAMPLE / "pre_ct")
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "exact"
        run(recipe.with_settings("segment", labels=SAMPLE / "truth" / "pre_ct_labels.nii.gz"), exact)
        table("Exact labels", exact)
        if not arguments.labels_only:
            drawn = Path(folder) / "model"
            run(recipe, drawn)
            table("Labels of the model", drawn)


if __name__ == "__main__":
    main()
