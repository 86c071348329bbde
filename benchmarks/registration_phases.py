"""Phases of one study laid onto the series that was outlined, held against known motions.

    python benchmarks/registration_phases.py [--bodies 100 114] [--pairs 2] [--turn-deg 3] [--mr] [--keep FOLDER]

Bodies and motions are those of benchmarks/registration_pairs.py (breathing of 5 to 25 mm, turns, bending), here
between the portal venous series, on which liver and tumours are drawn, and another phase of the same study. Error of
a lesion: root mean square, over points on the tumour's surface, of the distance between where the phase's shift puts
them and where they truly are. Phases that must not be believed: another person's, one that lies upside down, and one
that shows none of the liver's edges.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Volume
from liverimg.files.tables import read_table
from liverimg.measure.phases import PhaseImage
from liverimg.measure.region import Region
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body as Measured
from liverimg.measure.subject import Subject
from registration_bodies import Body
from registration_pairs import SLICES_MM, centre_of, draw_motion, drawn, examination, surface_points
from registration_truth import body_of

_VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2}
_FRAME = "1.2.3"
_TARGET_MEDIAN_MM, _TARGET_MM = 1.5, 3.0  # of the median and of 95 %: what is asked for


def draw_phases(body: Body, seed: tuple[int, ...], turn_deg: float) -> tuple[dict[Phase, PhaseImage], dict]:
    """The reference and one other phase that was breathed elsewhere; labels, motion and what was drawn beside them."""
    rng = np.random.default_rng(seed)
    motion = draw_motion(rng, centre_of(body), turn_deg=turn_deg)
    other = str(rng.choice([n for n in body.images if n not in ("portal_venous", "fluid", "second")]))
    slices = [float(s) for s in rng.choice(SLICES_MM, 2)]
    noise = float(rng.uniform(8, 18))
    image, liver = examination(body, body.images["portal_venous"], body.signed_mm, None, slices[0], noise, rng)
    moved, _ = examination(body, body.images[other], body.signed_mm, motion, slices[1], noise, rng)
    array = liver.astype(np.uint8)
    for shape in body.tumours.values():
        array[drawn(shape, image.grid)] = 2
    phases = {
        Phase.PORTAL_VENOUS: PhaseImage(_framed(image), is_reference=True, source="1"),
        Phase(other): PhaseImage(_framed(moved), source="2"),
    }
    labels = LabelMap(array, _grid(image.grid), _VALUES)
    facts = {"phase": other, "slices_mm": slices, "few_vessels": body.few_vessels, "push_mm": motion.most_mm}
    return phases, {"labels": labels, "motion": motion, "facts": facts}


def rows_of(body: Body, phases: dict[Phase, PhaseImage], made: dict, settings: MeasureSettings) -> list[dict]:
    """One row a lesion."""
    began = time.process_time()
    scene = Measured.of(
        made["labels"],
        LabelQuality("external"),
        settings=settings,
        image=phases[Phase.PORTAL_VENOUS].volume,
        phases=phases,
    )
    whole_s = time.process_time() - began
    other = next(p for p in phases if p is not Phase.PORTAL_VENOUS)
    rows = []
    for lesion in scene.lesions:
        subject = Subject.of(lesion, scene)
        began = time.process_time()
        image = Region.of(subject, scene).images[other]
        row = dict(made["facts"]) | {"whole_s": whole_s, "seconds": time.process_time() - began, "why": image.why_not}
        if not image.why_not:
            points = surface_points(_nearest(body, subject))
            true = made["motion"].from_built(points, tolerance_mm=1e-3)
            row |= {"doubt": image.doubt_mm, "unseen": image.doubt_mm >= settings.alignment.unseen_residual_mm}
            whole = scene.phases[other]
            row["rms"] = _rms(points, true, image)
            row |= {"whole_rms": _rms(points, true, whole), "whole_doubt": whole.doubt_mm}
            row["unmoved"] = float(np.linalg.norm(true - points, axis=1).mean())
        rows.append(row)
    return rows


def _rms(points: np.ndarray, true: np.ndarray, image: PhaseImage) -> float:
    moved = points + np.array(image.shift_lps_mm) if image.motion is None else image.motion.apply(points)
    return float(np.sqrt(np.square(moved - true).sum(axis=1).mean()))


def _nearest(body: Body, subject: Subject):
    middle = subject.surface.vertices_lps_mm.mean(axis=0)
    return min(body.tumours.values(), key=lambda shape: float(np.linalg.norm(np.array(shape.centre) - middle)))


def _grid(grid: Grid) -> Grid:
    return replace(grid, frame_of_reference_uid=_FRAME)


def _framed(volume: Volume) -> Volume:
    return replace(volume, grid=_grid(volume.grid))


def print_rows(title: str, rows: list[dict]) -> None:
    known = [r for r in rows if "rms" in r]
    print(f"\n{title}: {len(rows)} lesions, {len(rows) - len(known)} without a place")
    for words in sorted({r["why"] for r in rows if r["why"]}):
        print(f"  none: {words}")
    _line("the liver as one", known, lambda r: "whole_rms" in r, "whole_rms", "whole_doubt")
    _line("at the lesion", known, lambda r: "rms" in r)
    _line("whose doubt says that little tells", known, lambda r: r["unseen"])
    for phase in sorted({r["phase"] for r in known}):
        _line(phase, known, lambda r, phase=phase: r["phase"] == phase)
    _line("few vessels", known, lambda r: r["few_vessels"])
    _line("a slice of 5 mm", known, lambda r: max(r["slices_mm"]) >= 5)
    if known:
        print(
            f"  processor time: {np.mean([r['whole_s'] for r in known]):.2f} s a phase with all that a study's body "
            f"wants, {np.mean([r['seconds'] for r in known]):.2f} s a lesion and phase"
        )


def _line(name: str, rows: list[dict], keep: Callable[[dict], bool], key: str = "rms", doubted: str = "doubt") -> None:
    own = [r for r in rows if keep(r)]
    if not own:
        return
    off, doubt = np.array([r[key] for r in own]), np.array([r[doubted] for r in own])
    print(
        f"  {name:36} n {len(own):3d}  error median {np.median(off):.2f}, 95 % within {np.percentile(off, 95):.2f}, "
        f"worst {off.max():.2f} mm; above {_TARGET_MM:.0f} mm {np.sum(off > _TARGET_MM)}; in the doubt "
        f"{np.mean(off <= doubt):.1%} (median {np.median(doubt):.2f} mm)"
    )


def failures(bodies: list[Body], settings: MeasureSettings, turn_deg: float) -> None:
    """Phases that must not be believed: what is said of each."""
    print("\nfailures")
    drawn_ones = [(body, *draw_phases(body, (n, 5), turn_deg)) for n, body in enumerate(bodies[:4])]
    said = count = 0
    for n, (body, phases, made) in enumerate(drawn_ones):
        other_body, others, _ = drawn_ones[(n + 1) % len(drawn_ones)]
        own = _other(phases)
        for name, volume in (
            ("another person", _moved(_other(others), centre_of(body) - centre_of(other_body))),
            ("upside down", replace(own, array=own.array[::-1])),
            ("left and right exchanged", replace(own, array=own.array[:, :, ::-1])),
        ):
            wrong = {p: i if i.is_reference else replace(i, volume=volume) for p, i in phases.items()}
            rows = rows_of(body, wrong, made, settings)
            flagged = all(row["why"] or row["unseen"] for row in rows)
            count, said = count + 1, said + flagged
            words = sorted({row["why"] or f"doubt {row['doubt']:.1f} mm" for row in rows})
            print(f"  {name:26} {'' if flagged else 'NOT SAID: '}{'; '.join(words)}")
    print(f"  said of {said} of {count}")


def _other(phases: dict[Phase, PhaseImage]) -> Volume:
    return next(i.volume for i in phases.values() if not i.is_reference)


def _moved(volume: Volume, shift: np.ndarray) -> Volume:
    affine = np.array(volume.grid.affine)
    affine[:3, 3] += shift
    return replace(volume, grid=replace(volume.grid, affine=affine))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, nargs=2, default=(100, 114))
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--turn-deg", type=float, default=3.0, help="standard deviation of the turn about each axis")
    parser.add_argument("--mr", action="store_true", help="MR contrasts instead of CT's")
    parser.add_argument("--keep", type=Path, help="folder in which made bodies are kept for the next run")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    settings = MeasureSettings.from_table(read_table("measure"))
    rows, bodies = [], []
    for seed in range(*given.bodies):
        body = body_of(seed, given.keep, Modality.MR if given.mr else Modality.CT)
        if body is None:
            continue
        for n in range(given.pairs):
            rows += rows_of(body, *draw_phases(body, (seed, n, 78), given.turn_deg), settings)
        if len(bodies) < 4:
            bodies.append(body)
        if given.out:
            given.out.write_text(json.dumps(rows, indent=1, default=float))
    print_rows("phases of made people", rows)
    failures(bodies, settings, given.turn_deg)


if __name__ == "__main__":
    main()
