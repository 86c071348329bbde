"""The page about a study after treatment: everything in it, nothing fetched, the same bytes for the same input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from liverimg.core.response import LesionResponse
from liverimg.core.side_by_side import side_by_side
from liverimg.report.plotly_script import plotly_script
from liverimg.report.response_content import ResponseContent
from liverimg.report.response_error_map import ErrorView, error_views
from liverimg.report.response_groups import PictureGroup, Studio, focus_group, liver_group, picture_groups
from liverimg.report.response_panels import MarginCard, margin_card, own_parts
from liverimg.report.response_rows import (
    MINIMUM,
    PartRow,
    SummaryRow,
    criterion_row,
    foci_words,
    headline_figures,
    place_rows,
    summary_row,
    untold,
    untold_together,
)
from liverimg.report.rows import KeyFigure, series_rows
from liverimg.report.templating import environment, own_file, policy
from liverimg.report.text import QuantityRow, date_text, named, quantity_rows, say
from liverimg.report.verdicts import ClassRow, class_rows


@dataclass(frozen=True)
class ResponsePanel:
    """All of one lesion, laid out."""

    summary: SummaryRow
    statement: str
    figures: tuple[KeyFigure, ...]
    untold: tuple[str, ...]
    groups: tuple[PictureGroup, ...]
    margin: MarginCard | None
    margin_missing: str
    classes: tuple[ClassRow, ...]
    not_applied: tuple[tuple[str, str], ...]
    zones: tuple[PartRow, ...]
    foci: tuple[tuple[PartRow, PictureGroup | None], ...]
    foci_words: str
    numbers: tuple[QuantityRow, ...]
    before: tuple[QuantityRow, ...]


def render_response_page(content: ResponseContent) -> str:
    """Lays out the page as self-contained HTML.

    The page holds its own pictures, styles and scripts, forbids any request by its content security policy and is the
    same, byte for byte, for the same content. Plotly's script lies packed in the page and is unpacked by the browser
    when a view in three dimensions comes into sight.

    Args:
        content: Both studies, what was found, and the words.

    Returns:
        The HTML text, UTF-8.
    """
    strings, studio = content.strings, Studio.of(content)
    anchored = [(lesion, f"lesion-{n}") for n, lesion in enumerate(content.response.lesions, start=1)]
    panels = tuple(side_by_side(lambda one: _panel(*one, studio), anchored))
    scripts = {"scenes": own_file("page.js"), "response": own_file("response.js")}
    plotly = plotly_script() if any(panel.margin is not None for panel in panels) else None
    response = content.response
    named = {part for lesion in response.lesions for part in (lesion.zone, *lesion.foci)}
    others = tuple(part.id for part in (*response.zones, *response.foci, *response.candidates) if part.id not in named)
    return (
        environment()
        .get_template("response.html.j2")
        .render(
            t=strings,
            say=lambda key, **values: say(strings, key, **values),
            content=content,
            response=response,
            facts=_facts(content),
            warnings=_warnings(content),
            panels=panels,
            untold=untold_together((panel.summary.id, panel.untold) for panel in panels),
            liver=liver_group(studio),
            places=place_rows(content),
            matched=_matched(content),
            error_views=tuple(
                (view, _error_words(view, content))
                for view in error_views(content.alignment, studio.before.liver, strings)
            ),
            error_legend=_error_legend(content),
            criteria=tuple(criterion_row(found, strings) for found in response.criteria),
            other_zones=own_parts(response.zones, others, studio, "zone"),
            candidates=tuple(
                (row, part.zone if part.local else "")
                for part in response.candidates
                for row in own_parts((part,), others, studio, "candidate")
            ),
            series=(
                (content.before, series_rows(content.before.study, content.before.series, strings)),
                (content.now, series_rows(content.now.study, content.now.series, strings)),
            ),
            drawn_names=_drawn_names(studio),
            limits=", ".join(f"{limit:g}" for limit in content.limits_mm),
            scripts=scripts,
            plotly=plotly.packed if plotly else "",
            style=own_file("page.css") + own_file("response.css"),
            policy=policy([*scripts.values(), *([plotly.plain] if plotly else [])]),
        )
    )


def _panel(lesion: LesionResponse, anchor: str, studio: Studio) -> ResponsePanel:
    content, strings = studio.content, studio.content.strings
    margin = margin_card(lesion, studio)
    summary = summary_row(lesion, anchor, content)
    return ResponsePanel(
        summary=summary,
        statement=lesion.statement,
        figures=headline_figures(lesion, content),
        untold=untold(lesion, content),
        groups=picture_groups(lesion, studio),
        margin=margin,
        margin_missing=""
        if margin is not None or summary.margin_known
        else getattr(lesion.quantity(MINIMUM), "reason", ""),
        classes=class_rows(lesion.classifications, strings),
        not_applied=tuple((said.title, named(said.reason, strings)) for said in lesion.not_applied),
        zones=own_parts(content.response.zones, (lesion.zone,), studio, "zone"),
        foci=tuple(
            (row, focus_group(row.id, lesion, studio))
            for row in own_parts(content.response.foci, lesion.foci, studio, "focus")
        ),
        foci_words=foci_words(lesion, content),
        numbers=quantity_rows(lesion.quantities, strings),
        before=quantity_rows(
            tuple(q for q in lesion.baseline if q.name in strings["display"]["baseline_rows"]), strings
        ),
    )


def _drawn_names(studio: Studio) -> tuple[tuple[str, str], ...]:
    """Kind and title of what the pictures may show."""
    bodies = (*studio.before.edges, *studio.now.edges, *studio.tumours.values(), *studio.zones.values(), studio.rest)
    kinds = {body.kind for body in bodies if body is not None}
    return tuple((kind, str(title)) for kind, title in studio.content.strings["outline"].items() if kind in kinds)


def _facts(content: ResponseContent) -> tuple[tuple[str, str], ...]:
    strings, response = content.strings, content.response
    treatments = ", ".join(f"{t.day.isoformat()}{f' ({t.kind})' if t.kind else ''}" for t in response.treatments)
    dates = [date_text(one.study.study_date, strings) for one in (content.now, content.before)]
    image = say(
        strings,
        "header.image",
        modality=str(content.now.series.modality),
        phase=say(strings, f"phase.{content.now.series.phase}"),
    )
    return (
        (say(strings, "header.study_date"), dates[0]),
        (say(strings, "header.baseline"), dates[1]),
        (say(strings, "header.treatment"), treatments or say(strings, "header.no_treatment")),
        (say(strings, "header.phase"), image),
    )


def _warnings(content: ResponseContent) -> tuple[str, ...]:
    """Everything that has to be known first, each sentence once."""
    response = content.response
    said = (*content.notices, response.timepoint.bias, *response.warnings)
    return tuple(dict.fromkeys(sentence for sentence in said if sentence))


def _matched(content: ResponseContent) -> str:
    matched = content.alignment.matched
    if matched is None:
        return ""
    known: Mapping[str, Any] = content.strings["phase"]
    earlier, later = (str(known.get(phase, phase)) for phase in matched)
    return say(content.strings, "alignment.matched", earlier=earlier, later=later)


def _error_legend(content: ResponseContent) -> tuple[tuple[str, str], ...]:
    """Colour and words of each band of the error."""
    strings, display = content.strings, content.strings["display"]["error"]
    limits = [f"{float(limit):g}" for limit in display["limits_mm"]]
    words = (
        say(strings, "alignment.below", limit=limits[0]),
        *(say(strings, "alignment.between", low=a, high=b) for a, b in pairwise(limits)),
        say(strings, "alignment.above", limit=limits[-1]),
    )
    return tuple(zip((str(c) for c in display["colours"]), words, strict=True))


def _error_words(view: ErrorView, content: ResponseContent) -> str:
    """A map of the error for those who can't see it."""
    counts = Counter(cell.level for cell in view.cells)
    words = [title for _, title in _error_legend(content)]
    said = [say(content.strings, "alignment.map_count", count=counts[n], title=words[n]) for n in sorted(counts)]
    return say(content.strings, "alignment.map_alt", look=view.caption.lower(), counts="; ".join(said))
