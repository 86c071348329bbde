"""What the tables of the page say, as plain rows that the template lays out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from liverimg.core.assessment import Assessment, Finding, Verdict
from liverimg.core.criteria import Threshold
from liverimg.core.measurement import Lesion, Measured, Measurement, NotMeasured
from liverimg.core.study import Series, Study
from liverimg.report.content import ReportContent
from liverimg.report.text import (
    QuantityRow,
    Strings,
    band_text,
    number,
    quantity_rows,
    quantity_title,
    say,
    unit_label,
    value_text,
)

# Drawn in the verdict's chip and named beside it: colour alone never carries the answer.
_SYMBOLS = {Verdict.MET: "met", Verdict.NOT_MET: "not-met", Verdict.UNDETERMINED: "undetermined"}


@dataclass(frozen=True)
class VerdictChip:
    """A verdict as a symbol and a word."""

    kind: str
    word: str


@dataclass(frozen=True)
class BandBar:
    """A number's band against thresholds, each as a share 0 to 100 of the bar's length."""

    low: float
    high: float
    value: float
    thresholds: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class FindingRow:
    """One finding, every word of it."""

    anchor: str
    title: str
    chip: VerdictChip
    statement: str
    value: str
    band: str
    missing: str
    thresholds: tuple[tuple[str, str], ...]
    source: str
    settled_by: str
    notes: tuple[str, ...]
    bar: BandBar | None


@dataclass(frozen=True)
class MatrixRow:
    """One criterion at a glance: its chip for each lesion, with a link to the full finding."""

    title: str
    cells: tuple[tuple[VerdictChip, str] | None, ...]


@dataclass(frozen=True)
class KeyFigure:
    """A number that heads the page or a lesion."""

    title: str
    value: str
    detail: str
    measured: bool


@dataclass(frozen=True)
class SeriesRow:
    """One series that became a volume."""

    reference: bool
    phase: str
    modality: str
    description: str
    geometry: str
    evidence: tuple[str, ...]
    flags: tuple[str, ...]
    uid: str


@dataclass(frozen=True)
class LesionPanel:
    """All rows of one lesion."""

    id: str
    anchor: str
    key_figures: tuple[KeyFigure, ...]
    numbers: tuple[QuantityRow, ...]
    findings: tuple[FindingRow, ...]
    pictures: tuple[Any, ...] = field(default=())
    distances: tuple[Any, ...] = field(default=())


def chip(verdict: Verdict, strings: Strings) -> VerdictChip:
    """Symbol and word of a verdict."""
    return VerdictChip(_SYMBOLS[verdict], say(strings, f"verdict.{verdict}"))


def finding_rows(findings: tuple[Finding, ...], strings: Strings, *, start: int = 0) -> tuple[FindingRow, ...]:
    """One row per finding; ``start`` keeps the anchors of several tables apart."""
    return tuple(_finding(f, strings, f"finding-{start + n + 1}") for n, f in enumerate(findings))


def _finding(finding: Finding, strings: Strings, anchor: str) -> FindingRow:
    quantity = finding.quantity
    thresholds = _by_source(finding.thresholds, strings)
    return FindingRow(
        anchor=anchor,
        title=finding.title,
        chip=chip(finding.verdict, strings),
        statement=finding.statement,
        value=value_text(quantity, strings) if isinstance(quantity, Measurement) else "",
        band=band_text(quantity, strings) if isinstance(quantity, Measurement) and quantity.low < quantity.high else "",
        missing=quantity.reason if isinstance(quantity, NotMeasured) else "",
        thresholds=thresholds,
        source="" if [source for _, source in thresholds] == [finding.source] else finding.source,
        settled_by=finding.settled_by,
        notes=finding.notes,
        bar=band_bar(quantity, finding.thresholds)
        if isinstance(quantity, Measurement) and finding.thresholds
        else None,
    )


def _by_source(thresholds: tuple[Threshold, ...], strings: Strings) -> tuple[tuple[str, str], ...]:
    """Each source once, with all that it says."""
    found: dict[str, dict[str, None]] = {}
    for threshold in thresholds:
        found.setdefault(threshold.source, {})[threshold_text(threshold, strings)] = None
    return tuple((", ".join(texts), source) for source, texts in found.items())


def threshold_text(threshold: Threshold, strings: Strings) -> str:
    """A threshold as its table gives it, without digits that the table does not have."""
    return f"{threshold.value:g}{unit_label(threshold.unit, strings)}"


def band_bar(quantity: Measurement, thresholds: tuple[Threshold, ...]) -> BandBar | None:
    """Where the band lies against the thresholds; None when their units differ."""
    if any(t.unit != quantity.unit for t in thresholds):
        return None
    places = [quantity.low, quantity.high, *(t.value for t in thresholds)]
    lower, upper = min(0.0, *places), max(places)
    span = (upper - lower) * 1.12 or 1.0

    def share(value: float) -> float:
        return float(round(100 * (value - lower) / span, 2))

    marks = tuple((share(t.value), f"{t.value:g}") for t in thresholds)
    return BandBar(share(quantity.low), share(quantity.high), share(quantity.value), marks)


def matrix(
    assessment: Assessment, lesions: tuple[Lesion, ...], anchors: dict[int, str], strings: Strings
) -> tuple[MatrixRow, ...]:
    """Criteria down, lesions across; a criterion not applied to a lesion leaves its cell empty."""
    rows: dict[tuple[str, str], tuple[str, dict[str, tuple[VerdictChip, str]]]] = {}
    names = {lesion.id for lesion in lesions}
    for finding in assessment.findings:
        if finding.target in names:
            key = (finding.criteria_set, finding.criterion_id)
            cells = rows.setdefault(key, (finding.title, {}))[1]
            cells[finding.target] = (chip(finding.verdict, strings), anchors[id(finding)])
    return tuple(MatrixRow(title, tuple(cells.get(lesion.id) for lesion in lesions)) for title, cells in rows.values())


def key_figures(quantities: tuple[Measured, ...], names: list[str], strings: Strings) -> tuple[KeyFigure, ...]:
    """The named quantities as headline numbers; one that nobody asked for is left out."""
    by_name = {q.name: q for q in quantities}
    figures = []
    for name in names:
        quantity = by_name.get(name)
        if quantity is None:
            continue
        title = quantity_title(name, strings)
        if isinstance(quantity, Measurement):
            detail = say(strings, "numbers.band_short", band=band_text(quantity, strings))
            figures.append(KeyFigure(title, value_text(quantity, strings), detail, measured=True))
        else:
            missing = say(strings, "numbers.not_measured")
            figures.append(KeyFigure(title, missing, quantity.reason, measured=False))
    return tuple(figures)


def series_rows(study: Study, reference: Series, strings: Strings) -> tuple[SeriesRow, ...]:
    """One row per volume, the reference first."""
    ordered = sorted(study.series, key=lambda s: s is not reference and s != reference)
    return tuple(_series(s, _is_same(s, reference), strings) for s in ordered)


def _is_same(one: Series, other: Series) -> bool:
    return one is other or (one.series_instance_uid, one.phase) == (other.series_instance_uid, other.phase)


def _series(series: Series, reference: bool, strings: Strings) -> SeriesRow:
    k, j, i = series.grid.shape
    slice_mm, row_mm, column_mm = (f"{s:.2f}" for s in series.grid.spacing_mm)
    evidence = tuple(
        say(
            strings,
            "series.evidence",
            source=e.source,
            phase=say(strings, f"phase.{e.says}"),
            detail=e.detail,
        )
        for e in series.phase_evidence
    )
    return SeriesRow(
        reference=reference,
        phase=say(strings, f"phase.{series.phase}"),
        modality=str(series.modality),
        description=series.description,
        geometry=say(strings, "series.geometry", k=k, j=j, i=i, row=row_mm, column=column_mm, slice=slice_mm),
        evidence=evidence,
        flags=series.flags,
        uid=series.series_instance_uid,
    )


def label_notes(content: ReportContent) -> tuple[str, ...]:
    """How the labels came about and what cannot be judged on this image."""
    strings, quality = content.strings, content.quality
    origins = strings["labels"]["origin"]
    notes = [str(origins.get(quality.origin, quality.origin))]
    for structure, reason in quality.not_visible.items():
        notes.append(say(strings, "labels.not_visible", structure=content.title_of(structure), reason=reason))
    for structure, error_mm in quality.surface_error_mm.items():
        notes.append(
            say(
                strings,
                "labels.surface_error_assumed" if quality.surface_error_assumed else "labels.surface_error",
                structure=content.title_of(structure),
                error=number(error_mm, "mm", strings) + unit_label("mm", strings),
            )
        )
    return tuple(notes)


def lesion_panels(content: ReportContent) -> tuple[tuple[LesionPanel, ...], tuple[FindingRow, ...], dict[int, str]]:
    """A panel per lesion (still without pictures), the findings of the whole study, and every anchor."""
    strings, findings = content.strings, content.assessment.findings
    rows = finding_rows(findings, strings)
    anchors = {id(f): row.anchor for f, row in zip(findings, rows, strict=True)}
    by_target: dict[str, list[FindingRow]] = {}
    for finding, row in zip(findings, rows, strict=True):
        by_target.setdefault(finding.target, []).append(row)
    panels = []
    for n, lesion in enumerate(content.measurements.lesions):
        panels.append(
            LesionPanel(
                id=lesion.id,
                anchor=f"lesion-{n + 1}",
                key_figures=key_figures(lesion.quantities, strings["display"]["lesion_headlines"], strings),
                numbers=quantity_rows(lesion.quantities, strings),
                findings=tuple(by_target.pop(lesion.id, ())),
            )
        )
    whole = tuple(row for rows_of in by_target.values() for row in rows_of)
    return tuple(panels), whole, anchors
