"""Scoring a bundle on made images and on one real scan. Run ``python -m liverimg.training.scoring.evaluate --help``.

For data sets with labels there is ``liverimg evaluate`` (:mod:`liverimg.training.scoring.evaluation`).
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.labels import Structure
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study
from liverimg.files import nifti
from liverimg.files.tables import read_table
from liverimg.segmentation.bundle import Bundle, open_bundle
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.tidy import TidyRules, tidy
from liverimg.training.scoring.cases import Case, phantom_cases, synthetic_cases
from liverimg.training.scoring.metrics import agreement, centreline_dice, dice, whole_liver
from liverimg.training.scoring.score import CaseScore, measuring_rules, score, summary

_log = logging.getLogger(__name__)


def score_real(study: Path, liver: Path, vessels: Path | None, bundle: Bundle) -> dict[str, Any]:
    """Scores a real CT with a liver mask and, if there is one, a mask of all veins inside the liver.

    The masks may lie about their place in space: only their voxel order is trusted.
    """
    headers = read_study(study, phase_rules=PhaseRules.from_table(read_table("phases")))
    volume = load_volume(headers.stacks[0])
    turn = Orientation.of(volume.grid)
    standard = Volume(turn.turn(volume.array), turn.turn_grid(volume.grid), volume.quantity)
    truth = _standard_mask(liver)
    start_s = time.perf_counter()
    drawn = segment_volume(standard, bundle).labels
    seconds = time.perf_counter() - start_s
    found = tidy(drawn, TidyRules.from_table(read_table("segmentation")["tidy"]))
    spacing = standard.grid.spacing_mm
    result: dict[str, Any] = {
        "seconds": round(seconds, 2),
        "liver": asdict(agreement(whole_liver(found), truth, spacing)),
    }
    if vessels is not None:
        veins = found.mask(Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
        tree = _standard_mask(vessels) & truth
        result["veins_dice"] = dice(veins & truth, tree)
        result["veins_centreline_dice"] = centreline_dice(veins & truth, tree)
        result["veins_recall"] = float((veins & tree).sum() / tree.sum())
        result["best_threshold_dice"] = best_threshold_dice(standard, truth, tree)
    result["found_ml"] = {s.value: round(float(found.mask(s).sum()) * standard.grid.voxel_ml, 1) for s in bundle.values}
    return result


def best_threshold_dice(volume: Volume, liver: NDArray[np.bool_], tree: NDArray[np.bool_]) -> float:
    """The peer: one HU threshold in the liver, chosen on the truth itself, with or without smoothing by 1 mm."""
    hu = volume.array.astype(np.float32)
    best = 0.0
    for sigma_mm in (0.0, 1.0):
        smooth = ndimage.gaussian_filter(hu, sigma_mm / volume.grid.spacing_mm) if sigma_mm else hu
        levels = float(np.median(smooth[liver])) + np.arange(0, 100, 2)
        best = max(best, *(dice((smooth > level) & liver, tree) for level in levels))
    return best


def _standard_mask(path: Path) -> NDArray[np.bool_]:
    mask = nifti.read_volume(path, Quantity.HU)
    return np.asarray(Orientation.of(mask.grid).turn(mask.array) > 0)


def scored_sets(
    sets: dict[str, Iterator[Case]], bundle: Bundle, structures: Sequence[Structure], *, measure: bool
) -> dict[str, Any]:
    """Summary and cases of each set, as they go into the JSON file."""
    record: dict[str, Any] = {}
    rules = measuring_rules() if measure else None
    for name, cases in sets.items():
        scores: list[CaseScore] = []
        for case in cases:
            scores.append(score(case, bundle, structures, measuring=rules))
            liver = scores[-1].liver
            _log.info("%s: liver %.3f in %.1f s", case.name, liver.dice if liver else 0.0, scores[-1].seconds)
        record |= {name: summary(scores), f"{name}_cases": [asdict(s) for s in scores]}
    return record


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path, help="JSON file for the scores")
    parser.add_argument("--maps", type=Path, help="folder of body maps with veins, val-*.npz")
    parser.add_argument("--fine", type=Path, help="folder of fine maps")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--phantoms", type=int, default=0, help="how many analytic phantoms")
    parser.add_argument("--real", type=Path, help="folder with dicom/, liver.nii.gz and vessels.nii.gz")
    parser.add_argument("--measurements", action="store_true", help="compare the measurements that follow, too")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    bundle = open_bundle(chosen.bundle, device=chosen.device)
    record: dict[str, Any] = {"model": f"{bundle.name} {bundle.version}"}
    structures = sorted(bundle.values)
    sets: dict[str, Iterator[Case]] = {}
    if chosen.maps is not None:
        sets["synthetic"] = synthetic_cases(chosen.maps, chosen.fine, chosen.count)
    if chosen.phantoms:
        sets["phantom"] = phantom_cases(chosen.phantoms, tuple(structures))
    record |= scored_sets(sets, bundle, structures, measure=chosen.measurements)
    if chosen.real is not None:
        vessels = chosen.real / "vessels.nii.gz"
        record["real"] = score_real(
            chosen.real / "dicom", chosen.real / "liver.nii.gz", vessels if vessels.is_file() else None, bundle
        )
        _log.info("%s", json.dumps(record["real"], indent=2))
    chosen.out.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
