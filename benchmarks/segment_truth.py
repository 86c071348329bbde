"""How well Couinaud segments are told: against people's segments in livers that were never fitted to.

    python benchmarks/segment_truth.py --label-maps DIR [--ircadb DIR] [--maps DIR] [--every N]

Dice of each segment and share of right places; whether the band of each segment's and each remnant's volume holds the
truth; how often the segment of a place is named with certainty, and how often that name is right (places stand for
the centres of lesions). ``--maps`` adds the livers whose vessels are known: their trees are told apart
(``liverimg.training.anatomy``), named, and used, so that shape alone and shape with veins can be compared. Those
livers were fitted to in the shape's functions, so only the comparison counts there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.files.tables import read_table
from liverimg.measure.branches import name_trees
from liverimg.measure.segments import ROMAN, SEGMENTS, Segments, find_segments, share_of
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body
from liverimg.training.anatomy.bodies import read_standard
from liverimg.training.anatomy.fine_maps import FINE_SPACING_MM, fine_place, paint_real, read_vessels
from liverimg.training.anatomy.maps import is_held_out, liver_files, load_map, read_liver, read_segments
from liverimg.training.synthesis.tissues import Tissue

SETTINGS = MeasureSettings.from_table(read_table("measure"))
DRAWN = {
    Structure.LIVER: (Tissue.LIVER,),
    Structure.HEPATIC_VEIN: (Tissue.HEPATIC_VEIN,),
    Structure.PORTAL_VEIN: (Tissue.PORTAL_VEIN,),
    Structure.INFERIOR_VENA_CAVA: (Tissue.VENA_CAVA,),
}


@dataclass(frozen=True)
class Score:
    """One liver: Dice and share right, held volumes, certain and right-when-certain shares."""

    dice: tuple[float, ...]
    right: float
    held: tuple[bool, ...]
    certain: float
    right_if_certain: float
    veins: int


def plain_case(path: Path) -> tuple[LabelMap, np.ndarray]:
    labels, spacing_mm = read_standard(path)
    # Two voxels of nothing around: the maps are cropped to the liver.
    labels = np.pad(labels, 2).astype(np.uint8)
    grid = Grid.from_axes(labels.shape, spacing_mm=spacing_mm)
    return LabelMap((labels > 0).astype(np.uint8), grid, {Structure.LIVER: 1}), labels


def vessel_case(case: str, maps: Path, label_maps: Path) -> tuple[LabelMap, np.ndarray] | None:
    found = sorted(maps.glob(f"*-{case}-*.npz"))
    if not found:
        return None
    body_map = load_map(found[0])
    liver = read_liver(label_maps / "couinaud" / f"{case}.nii.gz", spacing_mm=FINE_SPACING_MM)
    place = fine_place(body_map, liver)
    vessels = read_vessels(label_maps / "vessels" / f"{case}.nii.gz", liver.shape)
    tissue = paint_real(place, body_map, vessels)
    truth = np.zeros(tissue.shape, dtype=np.uint8)
    truth[place.liver] = read_segments(label_maps / "couinaud" / f"{case}.nii.gz", liver, spacing_mm=FINE_SPACING_MM)[
        liver
    ]
    array = np.zeros(tissue.shape, dtype=np.uint8)
    for value, (_, tissues) in enumerate(DRAWN.items(), start=1):
        array[np.isin(tissue, tissues)] = value
    return LabelMap(array, place.grid, {s: n for n, s in enumerate(DRAWN, start=1)}), truth


def score(labels: LabelMap, truth: np.ndarray, *, with_veins: bool) -> Score | str:
    body = Body.of(labels, LabelQuality("external"), settings=SETTINGS)
    trees = name_trees(body) if with_veins else {}
    segments = find_segments(body, trees)
    if not isinstance(segments, Segments):
        return segments
    index = np.rint(labels.grid.lps_mm_to_index(segments.places_lps_mm)).astype(int)
    true = truth[tuple(index.T)]
    known = true > 0
    levels, true = segments.levels(segments.places_lps_mm[known]), true[known]
    named = levels.argmax(axis=1) + 1
    dice = tuple(
        2 * float(((named == s) & (true == s)).sum()) / max(1, int((named == s).sum() + (true == s).sum()))
        for s in SEGMENTS
    )
    sets = [(s,) for s in SEGMENTS]
    sets += [tuple(s for s in SEGMENTS if s not in taken) for taken in SETTINGS.segments.resections.values()]
    held = tuple(
        share_of(levels, kept, raised=-segments.doubt)
        <= float(np.isin(true, kept).mean())
        <= share_of(levels, kept, raised=segments.doubt)
        for kept in sets
    )
    ordered = np.sort(levels, axis=1)
    certain = ordered[:, -1] - ordered[:, -2] > segments.doubt
    right_if = float((named == true)[certain].mean()) if certain.any() else float("nan")
    return Score(dice, float((named == true).mean()), held, float(certain.mean()), right_if, len(segments.veins))


def cases(options: argparse.Namespace) -> Iterator[tuple[str, LabelMap, np.ndarray]]:
    for case, path in liver_files(options.label_maps).items():
        if path.parent.name == "couinaud" and is_held_out(case):
            yield case, *plain_case(path)
    if options.ircadb:
        yield "ct_ircadb01", *plain_case(options.ircadb / "couinaud.nii.gz")


def table(name: str, scores: list[Score]) -> None:
    mean = np.mean([s.dice for s in scores], axis=0)
    print(f"{name}: {len(scores)} livers")
    print(
        "  Dice  " + "  ".join(f"{r} {d:.2f}" for r, d in zip(ROMAN, mean, strict=True)) + f"  mean {mean.mean():.2f}"
    )
    print(f"  places in the right segment {np.mean([s.right for s in scores]):.1%}")
    held = np.mean([s.held for s in scores], axis=0)
    print(f"  volumes held by their bands: segments {held[:8].mean():.1%}, remnants {held[8:].mean():.1%}")
    print(
        f"  places named with certainty {np.mean([s.certain for s in scores]):.1%}, of these right "
        f"{np.nanmean([s.right_if_certain for s in scores]):.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--ircadb", type=Path, default=None)
    parser.add_argument("--maps", type=Path, default=None, help="body maps made by liverimg.training.anatomy.maps")
    parser.add_argument("--every", type=int, default=1, help="take every n-th liver with vessels")
    options = parser.parse_args()
    found = []
    for case, labels, truth in cases(options):
        one = score(labels, truth, with_veins=False)
        print(case, one if isinstance(one, str) else f"{one.right:.3f}", flush=True)
        found += [] if isinstance(one, str) else [one]
    table("never fitted to, shape alone", found)
    if options.maps is None:
        return
    alone, together = [], []
    with_vessels = sorted(p.name.removesuffix(".nii.gz") for p in (options.label_maps / "vessels").glob("*.nii.gz"))
    known = [c for c in with_vessels if (options.label_maps / "couinaud" / f"{c}.nii.gz").exists()]
    for case in known[:: options.every]:
        read = vessel_case(case, options.maps, options.label_maps)
        if read is None:
            continue
        one, both = (score(*read, with_veins=veins) for veins in (False, True))
        if isinstance(one, Score) and isinstance(both, Score):
            print(case, f"{one.right:.3f} {both.right:.3f} veins {both.veins}", flush=True)
            if both.veins:
                alone.append(one)
                together.append(both)
    if together:
        table("with named veins, shape alone", alone)
        table("with named veins, shape and veins", together)


if __name__ == "__main__":
    main()
