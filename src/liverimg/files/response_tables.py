"""The results of a study after treatment as plain tables."""

from __future__ import annotations

from collections.abc import Iterator

from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.measurement import Lesion, Measured, Measurement
from liverimg.core.response import CriterionResponse, LesionResponse, Part, Spot, StudyResponse
from liverimg.files.result_tables import TIDY_HEADER, Cell, Results, Sheet, about, quantity_row, refused

_DECIMALS = 2
_MARGIN = ("minimal_ablation_margin", "npv_ratio", "viable_diameter")


def response_rows(response: StudyResponse, results: Results) -> Sheet:
    """One row per quantity: of each lesion before (kind ``baseline``) and after, of zones, foci and new tumours."""
    rows: list[tuple[Cell, ...]] = []
    for found in response.lesions:
        before = Lesion(found.id, found.before_lps_mm, found.baseline)
        after = Lesion(found.id, found.now_lps_mm or found.before_lps_mm, found.quantities)
        rows += [quantity_row(results, q, "lesion", after) for q in after.quantities]
        rows += [quantity_row(results, q, "baseline", before) for q in before.quantities]
    for kind, parts in (("zone", response.zones), ("focus", response.foci), ("candidate", response.candidates)):
        for part in parts:
            lesion = Lesion(part.id, part.centroid_lps_mm, part.quantities)
            rows += [quantity_row(results, q, kind, lesion) for q in part.quantities]
    sums = (q for c in response.criteria for q in (c.baseline, c.nadir, c.current))
    rows += [quantity_row(results, q, "study", None) for q in sums]
    return Sheet("quantities", TIDY_HEADER, tuple(rows))


def response_sheets(response: StudyResponse, results: Results) -> tuple[Sheet, ...]:
    """Every table of a workbook about a study after treatment, the widest use first."""
    return (
        Sheet("lesions", _LESIONS, tuple(_lesion(found) for found in response.lesions)),
        Sheet("response", _RESPONSE, tuple(_criterion(found) for found in response.criteria)),
        Sheet("places", _PLACES, tuple(_places(response))),
        response_rows(response, results),
        Sheet("answers", _ANSWERS, tuple(_answers(response))),
        refused(results),
        about(results),
    )


_LESIONS = (
    "lesion", "tracking_uid", "fate", "zone", "foci", "minimal_ablation_margin [mm]", "low", "high", "npv_ratio [%]",
    "low", "high", "viable_diameter [mm]", "low", "high", "statement",
)  # fmt: skip
_RESPONSE = ("criterion", "targets", "baseline", "nadir", "current", "unit", "answer", "possible", "statement")
_PLACES = (
    "what", "id", "x_lps_mm", "y_lps_mm", "z_lps_mm", "before_x_lps_mm", "before_y_lps_mm", "before_z_lps_mm",
    "direction", "segments", "vessel", "vessel_distance_mm",
)  # fmt: skip
_ANSWERS = ("category", "target", "title", "answer", "possible", "statement", "settled_by", "source", "notes")


def _lesion(found: LesionResponse) -> tuple[Cell, ...]:
    numbers: list[Cell] = []
    for name in _MARGIN:
        numbers += _numbers(found.quantity(name))
    head = (found.id, found.tracking_uid, found.fate.value, found.zone, ", ".join(found.foci))
    return (*head, *numbers, found.statement)


def _numbers(quantity: Measured) -> tuple[Cell, ...]:
    if isinstance(quantity, Measurement):
        return tuple(round(n, _DECIMALS) for n in (quantity.value, quantity.low, quantity.high))
    return ("not measured", None, None)


def _criterion(found: CriterionResponse) -> tuple[Cell, ...]:
    sums = tuple(_numbers(q)[0] for q in (found.baseline, found.nadir, found.current))
    unit = found.baseline.unit if isinstance(found.baseline, Measurement) else ""
    answer = found.overall.answer or "undetermined"
    words = (answer, " or ".join(found.overall.possible), found.overall.statement)
    return (found.overall.title, ", ".join(found.targets), *sums, unit, *words)


def _places(response: StudyResponse) -> Iterator[tuple[Cell, ...]]:
    for lesion in response.lesions:
        if lesion.thinnest is not None:
            yield _place("thinnest margin", lesion.id, lesion.thinnest)
    named: tuple[tuple[str, tuple[Part, ...]], ...] = (("focus", response.foci), ("candidate", response.candidates))
    for what, parts in named:
        yield from (_place(what, part.id, part.spot) for part in parts if part.spot is not None)


def _place(what: str, name: str, spot: Spot) -> tuple[Cell, ...]:
    before: tuple[Cell, ...] = spot.before_lps_mm or (None, None, None)
    places = (*spot.now_lps_mm, *before)
    rounded = tuple(round(c, _DECIMALS) if isinstance(c, float) else c for c in places)
    distance = _numbers(spot.vessel_distance)[0] if spot.vessel else None
    return (what, name, *rounded, spot.direction, ", ".join(str(s) for s in spot.segments), spot.vessel, distance)


def _answers(response: StudyResponse) -> Iterator[tuple[Cell, ...]]:
    for lesion in response.lesions:
        yield from (_answer(c) for c in lesion.classifications)
        yield from (_not_asked(n) for n in lesion.not_applied)
    yield from (_answer(criterion.target) for criterion in response.criteria)
    yield from (_answer(criterion.overall) for criterion in response.criteria)
    yield from (_not_asked(n) for n in response.not_applied)


def _answer(found: Classification) -> tuple[Cell, ...]:
    possible = " or ".join(found.possible)
    head = (found.category_id, found.target, found.title, found.answer or "undetermined", possible)
    return (*head, found.statement, found.settled_by, found.source, " ".join(found.notes))


def _not_asked(row: NotApplied) -> tuple[Cell, ...]:
    return ("", row.target, row.title, "not asked", "", row.reason, "", "", "")
