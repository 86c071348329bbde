"""Ablation zones and residual foci against known ones: volume, border, foci, beside plain peers.

    python benchmarks/zone_truth.py [--ct 40] [--mr 20] [--seed 0] [--error-mm 0 2 5] [--ircadb DIR] [--fit] [--jobs N]
                                    [--model]

Livers with veins, treated (``zone_cases.py``): rims, gas, blood, oil, zones at the surface and beside veins, open veins
through the zone, tumour missed on one side and living nodules, with and without an unenhanced phase, phases moved by
breathing, slices of 1.25 to 5 mm. The lesions' motion is the true one, moved by ``--error-mm`` in a random direction.
``--fit`` prints what the rows of ``zones.toml`` that say "fitted" come from; it takes seeds from 1000 on.
``--model`` draws the same zones by the bundled zone network as well.
``--ircadb`` paints zones into a real portal venous CT (``ct_ircadb01``); without an arterial phase only the volume is
judged there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.study import Modality
from liverimg.files.bundled import bundled_folder
from liverimg.files.tables import read_table
from liverimg.measure.zones.by_model import ZoneModel, find_zones_by_model
from liverimg.measure.zones.find import find_zones
from liverimg.measure.zones.rules import ZoneRules
from zone_cases import Case, make_case
from zone_painted import painted, timed
from zone_peers import PEERS, smoothed
from zone_scores import CaseScore, ZoneScore, score

RULES = ZoneRules.from_tables(read_table("zones"), read_table("measure"))
FIT_SEED = 1000
GOAL = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=int, default=40)
    parser.add_argument("--mr", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--error-mm", type=float, nargs="*", default=[0.0, 2.0, 5.0])
    parser.add_argument("--ircadb", type=Path)
    parser.add_argument("--painted", type=int, default=12)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the seeds")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--model", action="store_true", help="the bundled zone network beside the rule")
    options = parser.parse_args()
    first = FIT_SEED + options.seed if options.fit else options.seed
    for modality, count in ((Modality.CT, options.ct), (Modality.MR, options.mr)):
        scores: dict[tuple[str, float], list[CaseScore]] = defaultdict(list)
        peers: dict[str, list[float]] = defaultdict(list)
        seeds = range(first, first + count)
        with_peers = options.peers and modality is Modality.CT
        methods = ["rule", "model"] if options.model else ["rule"]
        work = partial(one_case, modality=modality, errors_mm=options.error_mm, methods=methods, peers=with_peers)
        with ProcessPoolExecutor(options.jobs) as pool:
            for seed, (found, others) in zip(seeds, pool.map(work, seeds), strict=True):
                for key, one in found.items():
                    scores[key].append(one)
                for name, errors in others.items():
                    peers[name] += errors
                for method in methods:
                    said = line(found[method, options.error_mm[0]])
                    print(f"{modality} {seed} by {method}: {said}", file=sys.stderr, flush=True)
        for (method, error), found in scores.items():
            report(f"{modality} by {method}, motion wrong by {error:g} mm", found, fit=options.fit)
        for name, errors in peers.items():
            print(f"  beside it, {name}: {volumes(np.array(errors))}")
    if options.ircadb:
        on_real(options.ircadb, count=options.painted, seed=options.seed, model=options.model)


def on_real(folder: Path, *, count: int, seed: int, model: bool) -> None:
    """Zones painted into a real CT."""
    if not (folder / "dicom").is_dir():
        print(f"{folder} is not there: the real CT is left out")
        return
    errors, seconds = painted(folder, count=count, seed=seed, model=network() if model else None)
    print(f"real CT with painted zones, portal venous phase alone: {np.mean(seconds):.1f} s of processor time each")
    for name, found in errors.items():
        print(f"  {name}: {volumes(np.array(found))}")
    spent, zones = timed(folder)
    print(f"four phases and three zones on that series: {spent:.1f} s of processor time, {zones} zones drawn")


def one_case(
    seed: int, *, modality: Modality, errors_mm: list[float], methods: list[str], peers: bool
) -> tuple[dict[tuple[str, float], CaseScore], dict[str, list[float]]]:
    """Scores of one seed by method and the error of the place, and the peers' errors."""
    case = make_case(seed, modality)
    others: dict[str, list[float]] = defaultdict(list)
    if peers:
        beside(case, others)
    return {(m, error): judged(case, seed, error, m) for m in methods for error in errors_mm}, dict(others)


def judged(case: Case, seed: int, error_mm: float, method: str) -> CaseScore:
    rng = np.random.default_rng((seed, 97))
    treated = []
    for lesion in case.treated:
        way = rng.normal(size=3)
        astray = RigidMotion(np.eye(3), way / np.linalg.norm(way) * error_mm)
        treated.append(replace(lesion, motion=astray, error_mm=error_mm))
    given = (case.reference, case.labels, case.phases, treated, RULES)
    if method == "rule":
        start = time.process_time()
        found = find_zones(*given)
    else:
        drawing = network()
        start = time.process_time()
        found = find_zones_by_model(*given, drawing)
    return score(case, found, time.process_time() - start)


def network() -> ZoneModel:
    """The bundled zone network; once opened it stays open."""
    from liverimg.segmentation.zones.bundle import open_zone_network  # imports torch

    return open_zone_network(bundled_folder("models") / "zone_post", device="cpu")


def beside(case: Case, peers: dict[str, list[float]]) -> None:
    """The peers' volumes of single zones."""
    if len(case.treated) > 1:
        return
    share = next(iter(case.dead.values()))
    liver = case.labels.mask(Structure.LIVER, Structure.TUMOUR) | (share > 0.5) | case.living
    values = smoothed(case.reference.array, case.reference.grid)
    place = case.treated[0].on(case.reference.grid)
    truth = float(share.sum())
    for name, peer in PEERS.items():
        peers[name].append(np.count_nonzero(peer(values, liver, place)) / truth - 1)


def report(title: str, scores: list[CaseScore], *, fit: bool) -> None:
    zones = [zone for one in scores for zone in one.zones]
    errors = np.array([zone.error for zone in zones])
    drawn = [zone for zone in zones if zone.found_ml is not None]
    rests, hit = sum(s.rests for s in scores), sum(s.rests_found for s in scores)
    able = [s for s in scores if not s.unknown]
    print(f"{title}: {len(scores)} cases, {len(zones)} zones, {len(zones) - len(drawn)} not drawn")
    print(f"  volume: {volumes(errors)}")
    border = np.array([zone.border_mm for zone in drawn])
    held = np.mean([within(zone) for zone in drawn])
    dice = [zone.dice for zone in zones]
    print(f"  Dice: mean {np.mean(dice):.3f}, median {np.median(dice):.3f}, least {np.min(dice):.3f}")
    print(f"  border: 95 % of it within {np.median(border):.2f} mm (median of zones), stated error holds in {held:.0%}")
    print(f"  drawn as one zone exactly when it is one: {np.mean([zone.one for zone in zones]):.0%}")
    judged, found_there = sum(s.rests for s in able), sum(s.rests_found for s in able)
    false = sum(s.false_foci for s in scores) / len(scores)
    print(
        f"  foci of 5 mm and more: {hit} of {rests} found ({hit / max(rests, 1):.0%}); {judged} of {rests} "
        f"({judged / max(rests, 1):.0%}) lie where it says that all from 5 mm on can be told, {found_there} of "
        f"these found ({found_there / max(judged, 1):.0%}); {false:.2f} false a case"
    )
    for name, chosen in groups(scores).items():
        part = np.array([zone.error for one in chosen for zone in one.zones])
        some, all_of = sum(s.rests_found for s in chosen), sum(s.rests for s in chosen)
        print(
            f"    {name:16s} {len(part):3d} zones, within 5 %: {np.mean(abs(part) <= GOAL):4.0%}; foci {some}/{all_of}"
        )
    print(f"  processor time {np.mean([s.seconds for s in scores]):.2f} s a case")
    if fit:
        for zone in drawn:
            print(f"    fit: border {zone.border_mm:.2f} mm, stated {zone.stated_mm:.2f} mm, {zone.truth_ml:.1f} ml")


def volumes(errors: np.ndarray) -> str:
    return (
        f"mean error {errors.mean():+.1%}, median {np.median(errors):+.1%}, spread {errors.std():.1%}, "
        f"within 5 %: {np.mean(np.abs(errors) <= GOAL):.0%} of {len(errors)}"
    )


def within(zone: ZoneScore) -> bool:
    return zone.border_mm <= np.hypot(zone.stated_mm, zone.pitch_mm * 0.3)


def groups(scores: list[CaseScore]) -> dict[str, list[CaseScore]]:
    tests = {
        "free": lambda t: t.where == "free",
        "subcapsular": lambda t: t.where == "subcapsular",
        "beside a vein": lambda t: t.where == "vein",
        "unenhanced": lambda t: t.unenhanced,
        "no unenhanced": lambda t: not t.unenhanced,
        "rim": lambda t: t.rim,
        "open veins": lambda t: t.open_veins,
        "blood": lambda t: "blood" in t.inside,
        "gas": lambda t: "gas" in t.inside,
        "oil": lambda t: "oil" in t.inside,
        "carcinoma": lambda t: t.kind == "hcc",
        "metastasis": lambda t: t.kind == "metastasis",
        "hole in label": lambda t: t.labels_as == "hole",
        "two lesions": lambda t: t.two,
    }
    found = {name: [s for s in scores if test(s.traits)] for name, test in tests.items()}
    return {name: chosen for name, chosen in found.items() if chosen}


def line(one: CaseScore) -> str:
    parts = [f"{zone.truth_ml:.1f} ml {zone.error:+.1%}" for zone in one.zones]
    return f"{', '.join(parts)}; foci {one.rests_found}/{one.rests}, false {one.false_foci}; {one.seconds:.1f} s"


if __name__ == "__main__":
    main()
