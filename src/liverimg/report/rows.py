"""What the tables of the page say, as plain rows that the template lays out."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.measurement import Measured, Measurement
from liverimg.core.study import Series, Study
from liverimg.report.content import ReportContent
from liverimg.report.text import (
    Strings,
    band_text,
    number,
    quantity_title,
    say,
    unit_label,
    value_text,
)


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
