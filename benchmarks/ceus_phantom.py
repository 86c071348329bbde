"""Contrast ultrasound held against phantoms with known answers: still, breathing, breathing and out of the plane.

Usage: ``python benchmarks/ceus_phantom.py [--planes 50] [--first-seed 0] [--jobs 1] [--conditions breathing ...]``.
Prints one Markdown table. Seeds from 1000 were used to choose limits and bands; others were not looked at for that.
A phantom is a phantom: its curves follow the model that is fitted, and its liver has no shadows.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from liverimg.core.cine import Cine, Pane
from liverimg.core.measurement import Measurement
from liverimg.files.tables import read_table
from liverimg.measure.perfusion.plane import PlaneInput
from liverimg.measure.perfusion.result import assess_plane
from liverimg.measure.perfusion.settings import PerfusionSettings
from liverimg.phantom.ultrasound_random import Conditions, random_plane
from liverimg.phantom.ultrasound_render import render
from liverimg.phantom.ultrasound_truth import OFF_PLANE_MM, truth_record

CONDITIONS = {
    "still": Conditions(breathing=False, off_plane=False),
    "breathing": Conditions(breathing=True, off_plane=False),
    "breathing, off plane": Conditions(breathing=True, off_plane=True),
}
# Name of the measurement, and where its truth lies.
COMPARED = {
    "ceus_non_enhancing_area": ("zone", "area_mm2"),
    "ceus_long_diameter": ("zone", "long_mm"),
    "ceus_short_diameter": ("zone", "short_mm"),
    "ceus_peak": ("liver", "peak"),
    "ceus_time_to_peak": ("liver", "time_to_peak_s"),
    "ceus_arrival_time": ("liver", "arrival_s"),
    "ceus_rise_time": ("liver", "rise_s"),
    "ceus_mean_transit_time": ("liver", "mean_transit_s"),
    "ceus_wash_in_rate": ("liver", "wash_in_rate"),
    "ceus_wash_in_area": ("liver", "wash_in_area"),
}
NEAR_MM = 5.0


def jpeg(frames: np.ndarray) -> np.ndarray:
    """Frames as they come back from lossy compression, as most clips are stored."""
    made = np.empty_like(frames)
    for n, frame in enumerate(frames):
        stream = BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=95)
        made[n] = np.asarray(Image.open(stream))
    return made


def one(seed: int, conditions: Conditions) -> dict:
    """Renders, measures and compares one plane."""
    plane = random_plane(seed, conditions)
    clip = render(plane)
    contrast, b_mode = jpeg(clip.contrast), jpeg(clip.b_mode)
    spacing = plane.display.spacing_mm
    times = plane.times_s
    given = PlaneInput(
        "P1",
        Cine(contrast, times, spacing, Pane.CONTRAST),
        Cine(b_mode, times, spacing, Pane.B_MODE),
        injection_known=True,
        dynamic_range_db=plane.display.dynamic_range_db,
    )
    result = assess_plane(given, settings=PerfusionSettings.from_table(read_table("ceus")))
    truth = truth_record(plane)
    by_name = {(q.name, q.target): q for q in result.quantities}
    pairs = {}
    for name, (part, key) in COMPARED.items():
        q = by_name[(name, "P1" if part == "zone" else "P1 liver")]
        true = truth[part][key]
        if isinstance(q, Measurement):
            pairs[name] = [q.value / true - 1, q.low <= true <= q.high, (q.high - q.low) / 2 / true]
        else:
            pairs[name] = q.reason
    off = np.abs(plane.motion.off_plane_mm) > OFF_PLANE_MM
    record = {"seed": seed, "pairs": pairs, "foci": foci(plane, result, truth)}
    if result.motion is not None:
        rejected = ~result.motion.kept
        record["off"] = [int((off & rejected).sum()), int(off.sum()), int((rejected & ~off).sum()), int((~off).sum())]
    return record


def foci(plane, result, truth) -> dict:
    """Foci matched by place; diameters of matched ones."""
    found = [] if result.reading is None else list(result.reading.foci)
    diameters = [q for q in result.quantities if q.name == "ceus_focus_diameter"]
    spacing = np.array(plane.display.spacing_mm)
    left = list(range(len(found)))
    hits, inside = 0, 0
    for focus in truth["foci"]:
        reference = result.motion.reference if result.motion is not None else 0
        at = plane.to_frame_mm(np.array([focus["centre_mm"]]), reference)[0]
        places = {
            n: np.array(found[n].centre) + spacing / 2 - [0, plane.display.shape[1] * spacing[1] / 2] for n in left
        }
        near = [n for n in left if np.linalg.norm(places[n] - at) < NEAR_MM]
        if near:
            best = min(near, key=lambda n: np.linalg.norm(places[n] - at))
            left.remove(best)
            hits += 1
            inside += diameters[best].low <= focus["diameter_mm"] <= diameters[best].high
    return {"true": len(truth["foci"]), "hit": hits, "false": len(left), "inside": int(inside)}


def summary(records: list[dict]) -> list[str]:
    """Rows of the table."""
    rows = []
    for name in COMPARED:
        pairs = [r["pairs"][name] for r in records if not isinstance(r["pairs"][name], str)]
        errors = np.array([p[0] for p in pairs])
        inside = np.mean([p[1] for p in pairs]) if pairs else 0
        width = np.median([p[2] for p in pairs]) if pairs else 0
        rows.append(
            f"| {name} | {len(pairs)}/{len(records)} | {100 * np.median(errors):+.1f} | "
            f"{100 * np.percentile(np.abs(errors), 95):.1f} | {100 * np.abs(errors).max():.1f} | "
            f"{100 * np.mean(np.abs(errors) <= 0.05):.0f} | {100 * inside:.0f} | {100 * width:.1f} |"
            if pairs
            else f"| {name} | 0/{len(records)} | | | | | | |"
        )
    return rows


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--conditions", nargs="*", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--json", type=Path, help="write every comparison here")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.planes)
    kept = {}
    for name in arguments.conditions:
        with ProcessPoolExecutor(arguments.jobs) as pool:
            records = list(pool.map(partial(one, conditions=CONDITIONS[name]), seeds))
        kept[name] = records
        print(f"\n## {name}, {len(records)} planes\n")
        print("| quantity | measured | median error % | 95th % | worst % | within 5 % | in band % | band ± % |")
        print("|---|---|---|---|---|---|---|---|")
        print(*summary(records), sep="\n")
        total = {key: sum(r["foci"][key] for r in records) for key in ("true", "hit", "false", "inside")}
        print(
            f"\nResidual foci: {total['hit']} of {total['true']} found, {total['false']} false in "
            f"{len(records)} planes; "
            f"diameter in its band {total['inside']} of {total['hit']}."
        )
        off = np.sum([r["off"] for r in records if "off" in r], axis=0)
        print(f"Frames out of plane: {off[0]} of {off[1]} rejected; {off[2]} of {off[3]} frames in plane rejected.")
        for record in records:
            for quantity, pair in record["pairs"].items():
                if isinstance(pair, str):
                    print(f"- seed {record['seed']}: {quantity}: {pair}")
                    break
        print(flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(kept, default=float))


if __name__ == "__main__":
    main()
