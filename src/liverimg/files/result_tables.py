"""The results of one study as plain tables: one row per lesion and quantity, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from liverimg.core.assessment import Assessment
from liverimg.core.catalogue import QuantityRow, row_of
from liverimg.core.measurement import Lesion, Measured, Measurement, MeasurementSet
from liverimg.files.catalogue import quantity_rows, unit_codes
from liverimg.files.records import Record

Cell = str | float | int | None

_STUDY = "study"
_DECIMALS = 4
TIDY_HEADER = (
    "study_instance_uid",
    "study_date",
    "kind",
    "lesion",
    "site",
    "target",
    "quantity",
    "title",
    "measured",
    "value",
    "low",
    "high",
    "unit",
    "ucum",
    "state",
    "reason",
    "method",
    "meaning",
    "code_scheme",
    "code_value",
    "code_meaning",
    "points_lps_mm",
    "series_instance_uids",
)


@dataclass(frozen=True)
class Results:
    """What a finished study left.

    Attributes:
        study: ``study.json``.
        measured_on: The ``study`` part of ``measurements.json``.
        labels: Its ``labels`` part.
        measurements: The numbers.
        assessment: What the rules say; None when nothing was assessed.
        criteria: The tables that were used.
    """

    study: Record
    measured_on: Record
    labels: Record
    measurements: MeasurementSet
    assessment: Assessment | None = None
    criteria: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """One table.

    Attributes:
        title: Short, as it stands on a tab.
        header: Names of the columns.
        rows: One cell per column.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...] = field(default=())


def tidy(results: Results) -> Sheet:
    """One row per lesion and quantity, per quantity of the study, and per series that was refused.

    What was not measured keeps its row, with the reason and an empty value: never a zero.
    """
    rows = []
    for lesion in results.measurements.lesions:
        rows += [quantity_row(results, q, "lesion", lesion) for q in lesion.quantities]
    rows += [quantity_row(results, q, _STUDY, None) for q in results.measurements.organs]
    rows += [_refused_row(results, each) for each in results.study["rejected"]]
    return Sheet("quantities", TIDY_HEADER, tuple(rows))


def all_sheets(results: Results) -> tuple[Sheet, ...]:
    """Every table of a workbook, the widest use first."""
    sheets = [_wide(results), tidy(results)]
    if results.assessment is not None:
        sheets += [_findings(results.assessment), _classes(results.assessment), _sessions(results.assessment)]
    return (*sheets, refused(results), about(results))


def quantity_row(results: Results, quantity: Measured, kind: str, lesion: Lesion | None) -> tuple[Cell, ...]:
    """One quantity as a row of :data:`TIDY_HEADER`.

    Args:
        results: Of the study.
        quantity: With its number, or the reason why there is none.
        kind: What it is a quantity of: ``lesion``, ``study``, ``zone``, ...
        lesion: The lesion, or None for one of the study.
    """
    row = row_of(quantity.name, quantity_rows())
    known = _columns_of(row)
    where = (lesion.id, lesion.site) if lesion is not None else ("", "")
    start = (*_study(results), kind, *where, quantity.target, quantity.name, known["title"])
    codes = (known["meaning"], known["scheme"], known["code"], known["code_meaning"])
    if isinstance(quantity, Measurement):
        numbers: tuple[Cell, ...] = tuple(round(n, _DECIMALS) for n in (quantity.value, quantity.low, quantity.high))
        ucum = unit_codes().get(quantity.unit, "")
        points = "; ".join(f"{p.role}: {' '.join(f'{c:.2f}' for c in p.lps_mm)}" for p in quantity.evidence)
        middle: tuple[Cell, ...] = ("yes", *numbers, quantity.unit, ucum, _state(row, quantity), "", quantity.method)
        return (*start, *middle, *codes, points, " ".join(quantity.sources))
    unit = row.unit if row is not None else ""
    return (*start, "no", None, None, None, unit, unit_codes().get(unit, ""), "", quantity.reason, "", *codes, "", "")


def _refused_row(results: Results, refused: Record) -> tuple[Cell, ...]:
    start = (*_study(results), "refused", "", "", refused["what"], "series", "Series or file that was not used")
    blank = ("",) * (len(TIDY_HEADER) - len(start) - 8)
    return (*start, "no", None, None, None, "", "", "", f"{refused['code']}: {refused['reason']}", *blank)


def _study(results: Results) -> tuple[Cell, Cell]:
    return results.measured_on["study_instance_uid"], _date(results.measured_on["study_date"])


def _date(dicom: str | None) -> str:
    return f"{dicom[:4]}-{dicom[4:6]}-{dicom[6:8]}" if dicom else ""


def _columns_of(row: QuantityRow | None) -> Mapping[str, Cell]:
    if row is None:
        return dict.fromkeys(("title", "meaning", "scheme", "code", "code_meaning"), "")
    code = row.code
    return {
        "title": row.title,
        "meaning": row.meaning,
        "scheme": code.scheme if code else "",
        "code": code.value if code else "",
        "code_meaning": code.meaning if code else "",
    }


def _state(row: QuantityRow | None, quantity: Measurement) -> str:
    """The word of a state, where the band leaves one only."""
    if row is None or not row.states or quantity.low != quantity.high:
        return "" if row is None or not row.states else "cannot tell"
    index = round(quantity.value)
    return row.states[index] if 0 <= index < len(row.states) else ""


def _wide(results: Results) -> Sheet:
    """One row per lesion; value, lower and upper end of each quantity; empty where it was not measured."""
    names = dict.fromkeys(q.name for lesion in results.measurements.lesions for q in lesion.quantities)
    header = ["lesion", "site", "x_lps_mm", "y_lps_mm", "z_lps_mm"]
    for name in names:
        row = row_of(name, quantity_rows())
        unit = f" [{row.unit}]" if row is not None and row.unit != "1" else ""
        header += [f"{name}{unit}", f"{name} low", f"{name} high"]
    rows = []
    for lesion in results.measurements.lesions:
        cells: list[Cell] = [lesion.id, lesion.site, *(round(c, 2) for c in lesion.centroid_lps_mm)]
        for name in names:
            quantity = lesion.quantity(name)
            if isinstance(quantity, Measurement):
                cells += [round(n, _DECIMALS) for n in (quantity.value, quantity.low, quantity.high)]
            else:
                cells += ["not measured", None, None]
        rows.append(tuple(cells))
    return Sheet("lesions", tuple(header), tuple(rows))


def _findings(assessment: Assessment) -> Sheet:
    header = (
        "table",
        "criterion",
        "target",
        "title",
        "verdict",
        "statement",
        "missing",
        "settled_by",
        "source",
        "notes",
    )
    rows = [
        (f.criteria_set, f.criterion_id, f.target, f.title, f.verdict.value, f.statement, ", ".join(f.missing_items),
         f.settled_by, f.source, " ".join(f.notes))
        for f in assessment.findings
    ]  # fmt: skip
    rows += [
        (n.criteria_set, "", n.target, n.title, "NOT_ASKED", n.reason, "", "", "", "") for n in assessment.not_applied
    ]
    return Sheet("findings", header, tuple(rows))


def _classes(assessment: Assessment) -> Sheet:
    header = (
        "table",
        "category",
        "target",
        "title",
        "answer",
        "possible",
        "statement",
        "missing",
        "settled_by",
        "source",
    )
    rows = tuple(
        (c.criteria_set, c.category_id, c.target, c.title, c.answer or "undetermined", " or ".join(c.possible),
         c.statement, ", ".join(c.missing_items), c.settled_by, c.source)
        for c in assessment.classifications
    )  # fmt: skip
    return Sheet("stages and types", header, rows)


def _sessions(assessment: Assessment) -> Sheet:
    header = (
        "lesion",
        "session",
        "volume_ml",
        "x_lps_mm",
        "y_lps_mm",
        "z_lps_mm",
        "reach_mm",
        "share_of_tumour",
        "note",
    )
    rows: list[tuple[Cell, ...]] = []
    for plan in assessment.sessions:
        for piece in plan.pieces:
            places = (round(c, 2) for c in piece.centroid_lps_mm)
            share = round(piece.share_of_tumour, _DECIMALS)
            rows.append(
                (plan.lesion, piece.order, round(piece.volume_ml, 2), *places, round(piece.reach_mm, 1), share, "")
            )
        rows += [(plan.lesion, *(None,) * 7, note) for note in plan.notes]
    return Sheet("sessions", header, tuple(rows))


def refused(results: Results) -> Sheet:
    """Series and files that were not used, with reasons."""
    rows = tuple((r["what"], r["code"], r["reason"]) for r in results.study["rejected"])
    return Sheet("not used", ("what", "code", "reason"), rows)


def about(results: Results) -> Sheet:
    """What the tables are of: study, outlines, rules, warnings."""
    on, labels = results.measured_on, results.labels
    rows: list[tuple[Cell, ...]] = [
        ("what this is", "numbers and verdicts of liverimg: research use only, not a medical device"),
        ("study_instance_uid", on["study_instance_uid"]),
        ("study_date", _date(on["study_date"])),
        ("series measured", on["reference_series_instance_uid"]),
        ("modality", on["modality"]),
        ("contrast phase", on["phase"]),
        ("outlines drawn by", labels["model"] or labels["origin"]),
        ("hash of the outlines", labels["sha256"]),
        ("bands", "low and high are the ends of the 95 % band; an empty value was not measured, which is never zero"),
        ("coordinates", "DICOM patient coordinates (LPS) in millimetres"),
    ]
    rows += [("rules", f"{c['title']}, {c['edition']}") for c in results.criteria]
    rows += [("warning", warning) for warning in results.measurements.warnings]
    rows += [("conflict between sources", text) for text in _conflicts(results)]
    return Sheet("about", ("item", "text"), tuple(rows))


def _conflicts(results: Results) -> Iterable[str]:
    return results.assessment.conflicts if results.assessment is not None else ()
