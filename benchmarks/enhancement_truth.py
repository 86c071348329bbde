"""Enhancement against lesions whose HU are known: levels, states, motion and viable size on random phantoms.

    python benchmarks/enhancement_truth.py [--scenes 200] [--seed 0]

Each scene is a liver with veins and one ball, four phases on oblique grids of their own with thick or thin slices,
moved by breathing, with correlated noise and partial volume (``tests/measure/enhancing.py``).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.measure.enhancing import (
    HYPER_AND_WASHOUT,
    HYPOVASCULAR,
    LIKE_LIVER,
    LIVER_HU,
    RIM_ONLY,
    Look,
    make,
)

from liverimg.core.measurement import Measurement
from liverimg.core.study import Phase
from liverimg.measure.enhancement import measure_enhancement
from liverimg.measure.subject import Subject

# What each lesion truly shows: hyperenhancement, washout, and whether all of it enhances.
KINDS = {
    "carcinoma": (HYPER_AND_WASHOUT, 2, 2, True),
    "hypovascular": (HYPOVASCULAR, 0, 0, False),
    "rim": (RIM_ONLY, 1, None, None),
    "like the liver": (LIKE_LIVER, 0, 0, None),
    "bright without contrast": (Look.even(95, 99, 120, 104), 0, None, False),
    "faint": (Look.even(55, 92, 103, 86), 2, None, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    states: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    levels: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    motion: list[tuple[float, bool]] = []
    spent = 0.0
    for number in range(options.scenes):
        rng = np.random.default_rng((options.seed, number))
        kind = list(KINDS)[number % len(KINDS)]
        look, hyper, wash, whole = KINDS[kind]
        radius_mm = float(rng.uniform(11 if kind == "rim" else 6, 18))
        made = make(
            rng,
            look,
            radius_mm=radius_mm,
            noise_hu=float(rng.uniform(4, 20)),
            motion_mm=float(rng.uniform(0, 10)),
            slices_mm=(float(rng.uniform(1.5, 3)), float(rng.uniform(2, 5))),
        )
        start = time.process_time()
        body = made.body()
        subject = Subject.of(body.lesions[0], body)
        found = {q.name: q for q in measure_enhancement(subject, body)}
        spent += time.process_time() - start
        for phase, image in body.phases.items():
            if not image.is_reference and not image.why_not:
                astray = float(np.linalg.norm(np.subtract(image.shift_lps_mm, made.moved_lps_mm[phase])))
                motion.append((astray, astray <= image.doubt_mm))
        for name, truth in (("arterial_hyperenhancement", hyper), ("washout", wash)):
            if truth is not None:
                states[kind, name][judged(found[name], truth)] += 1
        if kind != "rim":
            for phase in LIVER_HU:
                note(levels, "attenuation", found[f"attenuation_{phase}"], look.core[phase])
                note(levels, "contrast", found[f"contrast_to_liver_{phase}"], look.core[phase] - LIVER_HU[phase])
            rise = look.core[Phase.ARTERIAL] - look.core[Phase.UNENHANCED]
            note(levels, "enhancement", found["enhancement_arterial"], rise)
        if whole is not None:
            note(levels, "viable diameter (mm)", found["viable_diameter"], 2 * radius_mm if whole else 0.0)
            truth_ml = 4 / 3 * np.pi * radius_mm**3 / 1000 if whole else 0.0
            note(levels, "viable volume (ml)", found["viable_volume"], truth_ml)
    print(f"{options.scenes} scenes, {spent / options.scenes:.2f} s of processor time each")
    for name, pairs in levels.items():
        errors = np.array([e for e, _ in pairs])
        print(
            f"{name}: {len(pairs)} numbers, mean error {errors.mean():+.2f}, spread {errors.std():.2f}, "
            f"in their bands {np.mean([h for _, h in pairs]):.1%}"
        )
    away = np.array([a for a, _ in motion])
    print(
        f"motion found to {np.median(away):.2f} mm (median), {np.percentile(away, 95):.2f} mm (95 %), within the "
        f"stated doubt {np.mean([h for _, h in motion]):.1%}"
    )
    for (kind, name), counts in states.items():
        print(f"{kind}, {name}: " + ", ".join(f"{word} {n}" for word, n in sorted(counts.items())))


def judged(found: object, truth: int) -> str:
    if not isinstance(found, Measurement):
        return "not measured"
    if found.low == found.high:
        return "right" if found.value == truth else "WRONG"
    return "cannot tell" if found.low <= truth <= found.high else "WRONG (excluded)"


def note(levels: dict[str, list[tuple[float, bool]]], name: str, found: object, truth: float) -> None:
    if isinstance(found, Measurement):
        levels[name].append((found.value - truth, found.low <= truth <= found.high))


if __name__ == "__main__":
    main()
