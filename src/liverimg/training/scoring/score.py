"""Scoring one case, and what many cases add up to.

What is scored is what a user gets: the whole cascade on the image's own grid, tidied. Veins and ducts are scored
inside the true liver only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.files.tables import read_table, structure_styles
from liverimg.measure.settings import MeasureSettings
from liverimg.segmentation.bundle import Bundle
from liverimg.segmentation.context import ContextRules
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.tidy import TidyRules, tidy
from liverimg.training.scoring.cases import Case
from liverimg.training.scoring.measurement_error import MeasurementError, MeasuringRules, measurement_errors
from liverimg.training.scoring.metrics import (
    Agreement,
    LesionCount,
    SizeTally,
    agreement,
    centreline_dice,
    count_lesions,
    lesions_by_size,
    pooled_95_mm,
    whole_liver,
)

TREES = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
# Where nothing of these shows in any image of a case, drawing them or not is neither right nor wrong.
_MAY_NOT_SHOW = (*TREES, Structure.TUMOUR, Structure.ABLATION_ZONE)
_VEINS = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
# Contrast times from here on (2 is the portal venous phase) show the veins brighter than the liver.
_VENOUS_FROM = 1.6
# Pieces smaller than this sphere are specks and no lesions, on either side.
_SPECK_MM = 4.5

Groups = Mapping[str, tuple[Structure, ...]]


@dataclass(frozen=True)
class CaseScore:
    """One case.

    Attributes:
        case: Name.
        phase: Contrast time, as in :class:`liverimg.training.synthesis.looks.Look`; None where it is unknown.
        seconds: For the whole cascade.
        liver: The liver with everything in it; None where the truth has no liver.
        structures: Each structure, or union of structures, by itself.
        lesions: Above 10 mm.
        told_apart: Of the voxels that are a vein in truth and in the result, the share of the right kind.
        centreline_dice: Of each tree; None where the true tree is empty.
        lesion_sizes: Detection by size of lesion.
        measurements: Errors of the measurements that follow.
    """

    case: str
    phase: float | None
    seconds: float
    liver: Agreement | None
    structures: Mapping[str, Agreement]
    lesions: LesionCount | None = None
    told_apart: float | None = None
    centreline_dice: Mapping[str, float | None] | None = None
    lesion_sizes: Mapping[str, SizeTally] | None = None
    measurements: tuple[MeasurementError, ...] = ()


def measuring_rules() -> MeasuringRules:
    """How the pipeline measures, and which measurements the gate compares."""
    return MeasuringRules(
        settings=MeasureSettings.from_table(read_table("measure")),
        context=ContextRules.from_table(read_table("segmentation")["context"]),
        values={structure: style.value for structure, style in structure_styles().items()},
        quantities=tuple(read_table("gate")["measurements"]),
    )


def score(
    case: Case,
    bundle: Bundle,
    structures: Sequence[Structure],
    *,
    groups: Groups | None = None,
    unknown: BoolArray | None = None,
    not_told: Mapping[Structure, str] | None = None,
    measuring: MeasuringRules | None = None,
) -> CaseScore:
    """Runs the bundle on a case and compares.

    Args:
        case: Image and truth.
        bundle: The model.
        structures: What is scored, each by itself.
        groups: Unions to score instead, by name, where the truth tells less apart than the model.
        unknown: Voxels of which nothing is known, the liver included.
        not_told: Structures that the truth does not tell apart, with the reason: no distance to them is compared.
        measuring: How to measure; None leaves the measurements out.
    """
    start_s = time.perf_counter()
    drawn = segment_volume(case.volume, bundle, others=dict(case.others) or None).labels
    seconds = time.perf_counter() - start_s
    found = tidy(drawn, TidyRules.from_table(read_table("segmentation")["tidy"]))
    if unknown is not None:
        found = LabelMap(np.where(unknown, np.uint8(0), found.array), found.grid, found.structures)
    return _compared(case, found, seconds, groups or {s.value: (s,) for s in structures}, not_told or {}, measuring)


def _compared(
    case: Case,
    found: LabelMap,
    seconds: float,
    groups: Groups,
    not_told: Mapping[Structure, str],
    measuring: MeasuringRules | None,
) -> CaseScore:
    truth, spacing = case.truth, case.volume.grid.spacing_mm
    knows_liver = truth.knows(Structure.LIVER)
    inside = whole_liver(truth if knows_liver else found)
    each: dict[str, Agreement] = {}
    lines: dict[str, float | None] = {}
    lesions, sizes = None, None
    for name, members in groups.items():
        masks = [_scored_mask(labels, members, case, inside) for labels in (found, truth)]
        each[name] = agreement(masks[0], masks[1], spacing)
        if members[0] in TREES:
            lines[name] = centreline_dice(masks[0], masks[1])
        if members == (Structure.TUMOUR,):
            lesions = count_lesions(masks[0], masks[1], spacing)
            sizes = lesions_by_size(masks[0], masks[1], spacing, least_diameter_mm=_SPECK_MM)
    return CaseScore(
        case=case.name,
        phase=None if np.isnan(case.phase) else case.phase,
        seconds=seconds,
        liver=agreement(whole_liver(found), inside, spacing) if knows_liver else None,
        structures=each,
        lesions=lesions,
        told_apart=_told_apart(found, truth, case.ignored) if set(_VEINS) <= _alone(groups) else None,
        centreline_dice=lines,
        lesion_sizes=sizes,
        measurements=()
        if measuring is None
        else measurement_errors(case.volume, found, truth, measuring, not_told=not_told),
    )


def _scored_mask(labels: LabelMap, members: tuple[Structure, ...], case: Case, inside: BoolArray) -> BoolArray:
    mask = labels.mask(*members)
    if members[0] in TREES:
        mask &= inside
    if case.ignored is not None and members[0] in _MAY_NOT_SHOW:
        mask &= ~case.ignored
    return mask


def _alone(groups: Groups) -> set[Structure]:
    return {members[0] for members in groups.values() if len(members) == 1}


def _told_apart(found: LabelMap, truth: LabelMap, ignored: BoolArray | None) -> float | None:
    both = found.mask(*_VEINS) & truth.mask(*_VEINS)
    if ignored is not None:
        both &= ~ignored
    if not both.any():
        return None
    return float((found.mask(_VEINS[0]) == truth.mask(_VEINS[0]))[both].mean())


def summary(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """Means over cases, surface errors per structure, lesion counts and mean errors of measurements."""
    livers = [s.liver for s in scores if s.liver is not None]
    result: dict[str, Any] = {
        "cases": len(scores),
        "liver_with_contents_dice": mean([a.dice for a in livers]),
        "liver_with_contents_hd95_mm": mean([a.hd95_mm for a in livers]),
        "liver_with_contents_assd_mm": mean([a.assd_mm for a in livers]),
        "liver_with_contents_surface_dice_2mm": mean([a.surface_dice_2mm for a in livers]),
        "liver_with_contents_volume_error_percent": mean([volume_error_percent(a) for a in livers]),
        "told_apart": mean([s.told_apart for s in scores]),
        "seconds": mean([s.seconds for s in scores]),
        "dice": {},
        "dice_venous_phases": {},
        "surface_error_mm": {},
        "structures": {},
    }
    trees = {structure.value for structure in TREES}
    for name in dict.fromkeys(name for s in scores for name in s.structures):
        each = [(s.structures[name], s.phase) for s in scores if name in s.structures]
        each = [(a, phase) for a, phase in each if a.truth_ml > 0]
        result["dice"][name] = mean([a.dice for a, _ in each])
        if name in trees:
            seen = [a.dice for a, phase in each if phase is not None and phase >= _VENOUS_FROM]
            result["dice_venous_phases"][name] = mean(seen)
        result["structures"][name] = _structure_summary([a for a, _ in each], scores, name)
        # What was missed, and what was called where nothing is, are matters of recall and precision.
        known = [a.matched_95_mm for a, _ in each]
        if name == Structure.LIVER:
            known = [a.hd95_mm for a in livers]
        result["surface_error_mm"][name] = pooled_95_mm([k for k in known if k is not None])
    if any(s.liver is not None for s in scores) and Structure.LIVER not in result["surface_error_mm"]:
        result["surface_error_mm"]["liver"] = pooled_95_mm([a.hd95_mm for a in livers if a.hd95_mm is not None])
    return result | _lesion_summary(scores) | {"measurement_errors": _measurement_summary(scores)}


def _structure_summary(each: Sequence[Agreement], scores: Sequence[CaseScore], name: str) -> dict[str, Any]:
    lines = [s.centreline_dice.get(name) for s in scores if s.centreline_dice]
    return {
        "cases": len(each),
        "found": sum(a.dice > 0 for a in each),
        "dice": mean([a.dice for a in each]),
        "surface_dice_1mm": mean([a.surface_dice_1mm for a in each]),
        "surface_dice_2mm": mean([a.surface_dice_2mm for a in each]),
        "hd95_mm": mean([a.hd95_mm for a in each]),
        "assd_mm": mean([a.assd_mm for a in each]),
        "volume_error_percent": mean([volume_error_percent(a) for a in each]),
        "centreline_dice": mean(lines),
    }


def _lesion_summary(scores: Sequence[CaseScore]) -> dict[str, Any]:
    counted = [s.lesions for s in scores if s.lesions is not None]
    tallies = [s.lesion_sizes for s in scores if s.lesion_sizes]
    if not counted:
        return {}
    by_size: dict[str, dict[str, int]] = {}
    for tally in tallies:
        for name, one in tally.items():
            row = by_size.setdefault(name, {f.name: 0 for f in fields(SizeTally)})
            for key in row:
                row[key] += getattr(one, key)
    calls, wrong = (sum(row[key] for row in by_size.values()) for key in ("calls", "false_calls"))
    return {
        "lesion_recall": sum(c.found for c in counted) / max(1, sum(c.present for c in counted)),
        "false_lesions_per_case": sum(c.false_calls for c in counted) / len(counted),
        "lesions": {
            "by_size": by_size,
            "precision": round(1 - wrong / calls, 4) if calls else None,
            "false_per_case": round(wrong / len(tallies), 4) if tallies else None,
        },
    }


def _measurement_summary(scores: Sequence[CaseScore]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in dict.fromkeys(e.quantity for s in scores for e in s.measurements):
        each = [e for s in scores for e in s.measurements if e.quantity == name]
        errors = [e.error for e in each if e.error is not None]
        found[name] = {
            "unit": each[0].unit,
            "lesions": len(each),
            "measured": len(errors),
            "mean": mean(errors),
            "median": round(float(np.median(errors)), 4) if errors else None,
            "p95": round(float(np.percentile(errors, 95)), 4) if errors else None,
        }
    return found


def volume_error_percent(found: Agreement) -> float | None:
    """Absolute volume error as a share of the true volume; None where there is nothing in truth."""
    return None if found.truth_ml == 0 else 100 * abs(found.found_ml / found.truth_ml - 1)


def mean(values: Sequence[float | None]) -> float | None:
    """Of what is known, to four decimals; None when nothing is."""
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), 4) if known else None
