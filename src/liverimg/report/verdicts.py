"""What the rules say, as rows that the template lays out: grouped by the table that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from liverimg.core.assessment import Classification, Finding, Verdict
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.sessions import SessionPlan
from liverimg.core.vocabulary import Threshold
from liverimg.report.band_bars import BandBar, band_bar
from liverimg.report.content import ReportContent
from liverimg.report.rows import KeyFigure, key_figures
from liverimg.report.text import (
    QuantityRow,
    Strings,
    band_text,
    item_title,
    named,
    quantity_rows,
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
    parts: tuple[tuple[VerdictChip, str, bool], ...] = ()


@dataclass(frozen=True)
class FindingGroup:
    """The findings of one table on one target.

    Attributes:
        title: The table's.
        tally: How many are met, not met, open.
        rows: The findings.
        is_open: Whether it is laid open: a group with nothing but open answers is folded away.
    """

    title: str
    tally: str
    rows: tuple[FindingRow, ...]
    is_open: bool


@dataclass(frozen=True)
class MatrixRow:
    """One criterion at a glance: its chip for each lesion, with a link to the full finding."""

    title: str
    cells: tuple[tuple[VerdictChip, str] | None, ...]


@dataclass(frozen=True)
class MatrixGroup:
    """The criteria of one table at a glance."""

    title: str
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class ClassRow:
    """A proposed stage, type or class."""

    title: str
    answer: str
    settled: bool
    statement: str
    settled_by: str
    source: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LesionPanel:
    """All rows of one lesion."""

    id: str
    anchor: str
    key_figures: tuple[KeyFigure, ...]
    numbers: tuple[QuantityRow, ...]
    findings: tuple[FindingGroup, ...]
    classes: tuple[ClassRow, ...] = ()
    sessions: SessionPlan | None = None
    pictures: tuple[Any, ...] = field(default=())
    distances: tuple[Any, ...] = field(default=())


@dataclass(frozen=True)
class Verdicts:
    """Everything that the rules say, ready to be laid out.

    Attributes:
        panels: One per lesion, still without pictures.
        matrix: Lesions across, criteria down, by table.
        study: Findings of the whole study, by table.
        classes: Stages and types of the whole study.
        not_applied: What was not asked, and why, by table.
        missing_items: Key and name of what would settle most, asked of the clinical file.
    """

    panels: tuple[LesionPanel, ...]
    matrix: tuple[MatrixGroup, ...]
    study: tuple[FindingGroup, ...]
    classes: tuple[ClassRow, ...]
    not_applied: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    missing_items: tuple[tuple[str, str], ...]


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
        statement=named(finding.statement, strings),
        value=value_text(quantity, strings) if isinstance(quantity, Measurement) else "",
        band=band_text(quantity, strings) if isinstance(quantity, Measurement) and quantity.low < quantity.high else "",
        missing=named(quantity.reason, strings) if isinstance(quantity, NotMeasured) else "",
        thresholds=thresholds,
        source="" if [source for _, source in thresholds] == [finding.source] else finding.source,
        settled_by=named(finding.settled_by, strings),
        notes=tuple(named(note, strings) for note in finding.notes),
        bar=band_bar(quantity, finding.thresholds)
        if isinstance(quantity, Measurement) and finding.thresholds
        else None,
        parts=tuple((chip(p.verdict, strings), named(p.statement, strings), p.decides) for p in finding.parts),
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


def verdicts(content: ReportContent) -> Verdicts:
    """Every finding once, where a reader looks for it."""
    strings, found = content.strings, content.assessment
    rows = finding_rows(found.findings, strings)
    lesions = content.measurements.lesions
    ids = {lesion.id for lesion in lesions}
    plans = {plan.lesion: plan for plan in found.sessions}
    pairs = list(zip(found.findings, rows, strict=True))
    panels = tuple(
        LesionPanel(
            id=lesion.id,
            anchor=f"lesion-{n + 1}",
            key_figures=key_figures(lesion.quantities, strings["display"]["lesion_headlines"], strings),
            numbers=quantity_rows(lesion.quantities, strings),
            findings=_groups([p for p in pairs if p[0].target == lesion.id], content),
            classes=class_rows([c for c in found.classifications if c.target == lesion.id], strings),
            sessions=plans.get(lesion.id),
        )
        for n, lesion in enumerate(lesions)
    )
    return Verdicts(
        panels=panels,
        matrix=_matrix([p for p in pairs if p[0].target in ids], [lesion.id for lesion in lesions], content),
        study=_groups([p for p in pairs if p[0].target not in ids], content),
        classes=class_rows([c for c in found.classifications if c.target not in ids], strings),
        not_applied=_not_applied(content),
        missing_items=_missing(content),
    )


def _table_title(table: str, content: ReportContent) -> str:
    return content.criteria.get(table, table.replace("_", " "))


def _by_table(pairs: Sequence[tuple[Finding, FindingRow]]) -> dict[str, list[tuple[Finding, FindingRow]]]:
    found: dict[str, list[tuple[Finding, FindingRow]]] = {}
    for finding, row in pairs:
        found.setdefault(finding.criteria_set, []).append((finding, row))
    return found


def _groups(pairs: Sequence[tuple[Finding, FindingRow]], content: ReportContent) -> tuple[FindingGroup, ...]:
    groups = []
    for table, own in _by_table(pairs).items():
        said = [finding.verdict for finding, _ in own]
        is_open = any(verdict is not Verdict.UNDETERMINED for verdict in said)
        tally = ", ".join(
            say(content.strings, f"findings.tally_{verdict}", count=said.count(verdict))
            for verdict in Verdict
            if verdict in said
        )
        groups.append(FindingGroup(_table_title(table, content), tally, tuple(row for _, row in own), is_open))
    return tuple(groups)


def _matrix(
    pairs: Sequence[tuple[Finding, FindingRow]], lesions: list[str], content: ReportContent
) -> tuple[MatrixGroup, ...]:
    """Criteria down, lesions across; a criterion not applied to a lesion leaves its cell empty."""
    groups = []
    for table, own in _by_table(pairs).items():
        rows: dict[str, tuple[str, dict[str, tuple[VerdictChip, str]]]] = {}
        for finding, row in own:
            rows.setdefault(finding.criterion_id, (finding.title, {}))[1][finding.target] = (row.chip, row.anchor)
        made = tuple(MatrixRow(title, tuple(cells.get(id_) for id_ in lesions)) for title, cells in rows.values())
        groups.append(MatrixGroup(_table_title(table, content), made))
    return tuple(groups)


def class_rows(found: Iterable[Classification], strings: Strings) -> tuple[ClassRow, ...]:
    """What is proposed, or still possible, and what would settle it."""
    return tuple(
        ClassRow(
            title=c.title,
            answer=c.answer or (" / ".join(c.possible) if c.possible else say(strings, "findings.no_class")),
            settled=bool(c.answer),
            statement=named(c.statement, strings),
            settled_by=named(c.settled_by, strings),
            source=c.source,
            notes=tuple(named(note, strings) for note in c.notes),
        )
        for c in found
    )


def _not_applied(content: ReportContent) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    found: dict[str, list[tuple[str, str]]] = {}
    for said in content.assessment.not_applied:
        name = say(content.strings, "findings.of_lesion", title=said.title, lesion=said.target)
        found.setdefault(_table_title(said.criteria_set, content), []).append(
            (said.title if said.target == "study" else name, named(said.reason, content.strings))
        )
    return tuple((title, tuple(rows)) for title, rows in found.items())


def _missing(content: ReportContent) -> tuple[tuple[str, str], ...]:
    """Clinical items that open answers ask for, the one that most of them ask for first."""
    found = content.assessment
    wanted = [*(f.missing_items for f in found.findings), *(c.missing_items for c in found.classifications)]
    asked = [item for items in wanted for item in items]
    ordered = sorted(dict.fromkeys(asked), key=lambda item: -asked.count(item))
    return tuple((item, item_title(item, content.strings)) for item in ordered)
