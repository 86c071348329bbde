"""Scoring a bundle on images it never saw. Run ``python -m liverimg.training.evaluate --help``.

What is scored is what a user gets: the whole cascade on the image's own grid, tidied. Veins and ducts are scored
inside the true liver only.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.labels import LabelMap, Structure
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
from liverimg.training.cases import Case, phantom_cases, synthetic_cases
from liverimg.training.metrics import Agreement, LesionCount, agreement, count_lesions, dice, pooled_95_mm, whole_liver

_log = logging.getLogger(__name__)

# Contrast times from here on (2 is the portal venous phase) show the veins brighter than the liver.
_VENOUS_FROM = 1.6
_TREES = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)


@dataclass(frozen=True)
class CaseScore:
    """One case.

    Attributes:
        case: Name.
        phase: Contrast time, as in :class:`liverimg.training.looks.Look`; None for a real scan.
        seconds: For the whole cascade.
        liver: The liver with everything in it.
        structures: Each structure by itself.
        lesions: Above 10 mm.
        told_apart: Of the voxels that are a vein in truth and in the result, the share of the right kind.
    """

    case: str
    phase: float | None
    seconds: float
    liver: Agreement
    structures: Mapping[str, Agreement]
    lesions: LesionCount | None = None
    told_apart: float | None = None


def score(case: Case, bundle: Bundle, structures: Sequence[Structure]) -> CaseScore:
    """Runs the bundle on a case and compares."""
    start_s = time.perf_counter()
    drawn = segment_volume(case.volume, bundle).labels
    seconds = time.perf_counter() - start_s
    found, truth = tidy(drawn, _tidy_rules()), case.truth
    spacing = case.volume.grid.spacing_mm
    inside = whole_liver(truth)
    each = {}
    for structure in structures:
        masks = [labels.mask(structure) for labels in (found, truth)]
        if structure in _TREES:
            masks = [mask & inside for mask in masks]
        each[structure.value] = agreement(masks[0], masks[1], spacing)
    liver = agreement(whole_liver(found), inside, spacing)
    lesions, apart = None, None
    if Structure.TUMOUR in structures:
        lesions = count_lesions(found.mask(Structure.TUMOUR), truth.mask(Structure.TUMOUR), spacing)
    if Structure.HEPATIC_VEIN in structures:
        apart = _told_apart(found, truth)
    return CaseScore(case.name, case.phase, seconds, liver, each, lesions, apart)


def _tidy_rules() -> TidyRules:
    return TidyRules.from_table(read_table("segmentation")["tidy"])


def _told_apart(found: LabelMap, truth: LabelMap) -> float | None:
    veins = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
    both = found.mask(*veins) & truth.mask(*veins)
    if not both.any():
        return None
    return float((found.mask(veins[0]) == truth.mask(veins[0]))[both].mean())


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
    found = tidy(drawn, _tidy_rules())
    spacing = standard.grid.spacing_mm
    result: dict[str, Any] = {
        "seconds": round(seconds, 2),
        "liver": asdict(agreement(whole_liver(found), truth, spacing)),
    }
    if vessels is not None:
        veins = found.mask(Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
        tree = _standard_mask(vessels) & truth
        result["veins_dice"] = dice(veins & truth, tree)
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


def summary(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """Means over cases, surface errors per structure and lesion counts."""
    result: dict[str, Any] = {
        "cases": len(scores),
        "liver_with_contents_dice": _mean([s.liver.dice for s in scores]),
        "liver_with_contents_hd95_mm": _mean([s.liver.hd95_mm for s in scores]),
        "told_apart": _mean([s.told_apart for s in scores]),
        "dice": {},
        "dice_venous_phases": {},
        "surface_error_mm": {},
    }
    for name in scores[0].structures:
        each = [(s.structures[name], s.phase) for s in scores if s.structures[name].truth_ml > 0]
        result["dice"][name] = _mean([a.dice for a, _ in each])
        if name in _TREES:
            seen = [a.dice for a, phase in each if phase is not None and phase >= _VENOUS_FROM]
            result["dice_venous_phases"][name] = _mean(seen)
        # What was missed, and what was called where nothing is, are matters of recall and precision.
        known = [a.matched_95_mm for a, _ in each]
        if name == Structure.LIVER:
            known = [s.liver.hd95_mm for s in scores]
        result["surface_error_mm"][name] = pooled_95_mm([k for k in known if k is not None])
    lesions = [s.lesions for s in scores if s.lesions is not None]
    if lesions:
        result["lesion_recall"] = sum(c.found for c in lesions) / max(1, sum(c.present for c in lesions))
        result["false_lesions_per_case"] = sum(c.false_calls for c in lesions) / len(lesions)
    return result


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), 4) if known else None


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
    for name, cases in sets.items():
        scores = []
        for case in cases:
            scores.append(score(case, bundle, structures))
            _log.info("%s: liver %.3f in %.1f s", case.name, scores[-1].liver.dice, scores[-1].seconds)
        record |= {name: summary(scores), f"{name}_cases": [asdict(s) for s in scores]}
    if chosen.real is not None:
        vessels = chosen.real / "vessels.nii.gz"
        record["real"] = score_real(
            chosen.real / "dicom", chosen.real / "liver.nii.gz", vessels if vessels.is_file() else None, bundle
        )
        _log.info("%s", json.dumps(record["real"], indent=2))
    chosen.out.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
