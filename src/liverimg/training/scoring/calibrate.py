"""How far a bundle's outlines can be trusted, case by case.

Run ``python -m liverimg.training.scoring.calibrate BUNDLE --help``.

Half of the held-out livers set the factors, the other half show whether the bands that follow from them hold the true
surface. Both are synthetic: what the bands promise on real scans is another question, and ``docs/explanation`` says so.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.files.tables import read_table
from liverimg.measure.lesions import find_lesions
from liverimg.segmentation.bundle import Bundle, Pass, open_bundle
from liverimg.segmentation.confidence import (
    Calibration,
    calibrated_percent,
    half_bands_mm,
    lesion_half_bands_mm,
    structure_probability,
)
from liverimg.segmentation.infer import Segmentation, segment_volume
from liverimg.segmentation.tidy import TidyRules, tidy
from liverimg.training.scoring.cases import Case, synthetic_cases
from liverimg.training.scoring.conformal import calibration_error, conformal_factor, coverage, temperature_for
from liverimg.training.scoring.metrics import whole_liver

_log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
_BETWEEN = (0.1, 0.9)
# Cases from here on are no cases that a model is scored on.
_FIRST_CASE = 1000
_TREES = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
_BY_SIGHT = (*_TREES, Structure.TUMOUR)
_PAD = 3
_DECIMALS = 3


@dataclass(frozen=True, eq=False)
class Outline:
    """One outline on one image.

    Attributes:
        band_mm: Half width of its band of doubt.
        errors_mm: Distance of each of its surface points.
    """

    band_mm: float
    errors_mm: FloatArray = field(repr=False)

    @property
    def scores(self) -> FloatArray:
        """Errors in units of the band."""
        return np.asarray(self.errors_mm / self.band_mm)


@dataclass(frozen=True, eq=False)
class Tally:
    """How often the label of voxels with each percentage was right.

    Attributes:
        right: Per percentage 0 to 100.
        total: Per percentage 0 to 100.
    """

    right: FloatArray
    total: FloatArray

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.total + other.total)


@dataclass(frozen=True, eq=False)
class CaseOutlines:
    """What one case says: outlines by structure, each tumour by itself, and a tally for each pass by name."""

    outlines: Mapping[Structure, tuple[Outline, ...]]
    tallies: Mapping[str, Tally]


def look_at(case: Case, bundle: Bundle, rules: TidyRules) -> CaseOutlines:
    """Runs the bundle on a case and compares its doubt with its errors."""
    segmentation = segment_volume(case.volume, bundle, others=case.others)
    found = tidy(segmentation.labels, rules)
    outlines: dict[Structure, tuple[Outline, ...]] = {}
    for output in segmentation.passes:
        bands = half_bands_mm(output.probability, output.one.channels, output.grid, _BETWEEN)
        for structure, band_mm in bands.items():
            if structure is not Structure.TUMOUR:
                errors_mm = _errors_mm(structure, found, case)
                outlines[structure] = (Outline(band_mm, errors_mm),) if len(errors_mm) else ()
        if Structure.TUMOUR in output.one.channels.values():
            tumour = structure_probability(output.probability, output.one.channels, Structure.TUMOUR)
            lesions = {x.id: (x.mask, x.grid) for x in find_lesions(found, minimum_volume_ml=0.0)}
            widths = lesion_half_bands_mm(lesions, tumour, output.grid, _BETWEEN)
            outlines[Structure.TUMOUR] = tuple(_lesion_outlines(found, case, widths))
    return CaseOutlines(outlines, _tallies(segmentation, found, case, bundle))


def _errors_mm(structure: Structure, found: LabelMap, case: Case) -> FloatArray:
    """Distances both ways between surfaces that touch; of trees only from what was drawn.

    A branch, or a whole organ, that was missed is no error of an outline: ``incomplete`` and ``not_visible`` say so.
    """
    if structure is Structure.LIVER:
        return _both_ways(whole_liver(found), whole_liver(case.truth), case)
    drawn, true = found.mask(structure), case.truth.mask(structure)
    if structure in _BY_SIGHT and case.ignored is not None:
        drawn, true = drawn & ~case.ignored, true & ~case.ignored
    drawn, true = _touching(drawn, true), _touching(true, drawn) if structure not in _TREES else true
    return _both_ways(drawn, true, case, only_drawn=structure in _TREES)


def _both_ways(drawn: BoolArray, true: BoolArray, case: Case, *, only_drawn: bool = False) -> FloatArray:
    if not drawn.any() or not true.any():
        return np.zeros(0)
    box = _box(drawn | true)
    borders = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (drawn, true)]
    spacing = tuple(float(s) for s in case.volume.grid.spacing_mm)
    away = [edt.edt(np.ascontiguousarray(~border), anisotropy=spacing, black_border=False) for border in borders]
    there, back = away[1][borders[0]], away[0][borders[1]]
    return np.asarray(there if only_drawn else np.concatenate([there, back]), dtype=np.float64)


def _touching(mask: BoolArray, other: BoolArray) -> BoolArray:
    """The pieces of one mask that overlap with another."""
    pieces = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26)
    kept = np.unique(pieces[other & mask])
    return np.asarray(np.isin(pieces, kept[kept > 0]))


def _box(mask: BoolArray) -> tuple[slice, ...]:
    hits = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(slice(max(0, int(h[0]) - _PAD), int(h[-1]) + 1 + _PAD) for h in hits)


def _lesion_outlines(found: LabelMap, case: Case, widths: Mapping[str, float]) -> list[Outline]:
    true = case.truth.mask(Structure.TUMOUR)
    if case.ignored is not None:
        true = true & ~case.ignored
    outlines = []
    for lesion in find_lesions(found, minimum_volume_ml=0.0):
        drawn = np.zeros(found.grid.shape, dtype=bool)
        k, j, i = (slice(s, s + n) for s, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
        drawn[k, j, i] = lesion.mask
        errors_mm = _both_ways(drawn, _touching(true, drawn), case)
        if lesion.id in widths and len(errors_mm):
            outlines.append(Outline(widths[lesion.id], errors_mm))
    return outlines


def _tallies(segmentation: Segmentation, found: LabelMap, case: Case, bundle: Bundle) -> dict[str, Tally]:
    """Voxels that carry a label or should carry one, by the pass that has the last word on that structure."""
    theirs = np.zeros(256, dtype=np.uint8)
    for structure, value in case.truth.structures.items():
        theirs[value] = bundle.values.get(structure, 0)
    truth = theirs[case.truth.array]
    values = np.where(found.array > 0, found.array, truth)
    tallies = {}
    for one in bundle.passes:
        own = np.zeros(256, dtype=bool)
        own[[bundle.values[structure] for structure in last_word(bundle, one)]] = True
        here = own[values] & (segmentation.labels.array == found.array)
        if case.ignored is not None:
            here &= ~case.ignored
        percent, right = segmentation.confidence[here], (found.array == truth)[here]
        tallies[one.name] = Tally(
            np.bincount(percent[right], minlength=101).astype(float), np.bincount(percent, minlength=101).astype(float)
        )
    return tallies


def last_word(bundle: Bundle, one: Pass) -> tuple[Structure, ...]:
    """The structures that a pass draws and none after it."""
    later = [s for other in bundle.passes[bundle.passes.index(one) + 1 :] for s in other.channels.values()]
    return tuple(s for s in one.channels.values() if s not in later)


def calibrated(cases: Sequence[CaseOutlines], bundle: Bundle, one: Pass) -> Calibration:
    """The calibration of one pass from the cases that were set apart for it."""
    factors = {}
    for structure in last_word(bundle, one):
        found = conformal_factor([o.scores for case in cases for o in case.outlines.get(structure, ())])
        if found is not None and found > 0:
            factors[structure] = round(found, _DECIMALS)
    tally = _sum(cases, one)
    return Calibration(_BETWEEN, factors, round(temperature_for(tally.right, tally.total), _DECIMALS))


def _sum(cases: Sequence[CaseOutlines], one: Pass) -> Tally:
    total = Tally(np.zeros(101), np.zeros(101))
    for case in cases:
        total = total + case.tallies[one.name]
    return total


def checked(
    calibration: Calibration, cases: Sequence[CaseOutlines], one: Pass, pooled_mm: Mapping[Structure, float]
) -> dict[str, Any]:
    """What a calibration is worth on cases that it was not made from, beside one error for all cases alike."""
    rows = {}
    for structure, factor in calibration.factors.items():
        outlines = [o for case in cases for o in case.outlines.get(structure, ())]
        if outlines:
            constant = pooled_mm.get(structure, 0.0)
            rows[structure.value] = {
                "outlines": len(outlines),
                "coverage": _rounded(coverage([o.scores for o in outlines], factor)),
                "mean_error_mm": _rounded(float(np.mean([factor * o.band_mm for o in outlines]))),
                "pooled_coverage": _rounded(coverage([o.errors_mm for o in outlines], constant)),
                "pooled_error_mm": constant,
            }
    tally = _sum(cases, one)
    return {
        "structures": rows,
        "ece_before": _rounded(calibration_error(tally.right, tally.total)),
        "ece_after": _rounded(calibration_error(tally.right, tally.total, calibrated_percent(calibration.temperature))),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)


def write(folder: Path, found: Mapping[str, tuple[Calibration, dict[str, Any]]], *, cases: int) -> None:
    """Puts calibrations into a bundle's contract, bound to the weights that they were measured on."""
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    for entry in metadata["liverimg"]["passes"]:
        calibration, check = found[entry["name"]]
        entry["calibration"] = {
            "sha256": entry["sha256"],
            "between": list(calibration.between),
            "factors": {s.value: factor for s, factor in sorted(calibration.factors.items())},
            "temperature": calibration.temperature,
            "cases": cases,
            "check": check,
        }
    path.write_text(json.dumps(metadata, indent=4) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--maps", type=Path, required=True, help="folder of body maps with veins, val-*.npz")
    parser.add_argument("--fine", type=Path, required=True, help="folder of fine maps")
    parser.add_argument("--count", type=int, default=48, help="cases, of which half set the factors")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    opened = open_bundle(chosen.bundle, device=chosen.device)
    # Percentages as the networks give them: an earlier calibration would be calibrated once more.
    bundle = replace(opened, passes=tuple(replace(one, calibration=None) for one in opened.passes))
    rules = TidyRules.from_table(read_table("segmentation")["tidy"])
    halves: tuple[list[CaseOutlines], list[CaseOutlines]] = ([], [])
    livers: dict[str, int] = {}
    for case in synthetic_cases(chosen.maps, chosen.fine, chosen.count, first=_FIRST_CASE):
        # One liver is on one side only, however often it is bent and scanned anew.
        side = livers.setdefault(case.name.rsplit("-", 1)[0], len(livers) % 2)
        halves[side].append(look_at(case, bundle, rules))
        _log.info("%s: %s", case.name, "sets the factors" if side == 0 else "checks them")
    found = {}
    for one in bundle.passes:
        calibration = calibrated(halves[0], bundle, one)
        check = checked(calibration, halves[1], one, bundle.surface_error_mm)
        found[one.name] = (calibration, check)
        _log.info("%s: %s", one.name, json.dumps(check, indent=1))
    write(chosen.bundle, found, cases=len(halves[0]))


if __name__ == "__main__":
    main()
