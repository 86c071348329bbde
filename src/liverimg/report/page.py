"""The one page: everything in it, nothing fetched, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Lesion
from liverimg.core.side_by_side import side_by_side
from liverimg.report import rows
from liverimg.report.content import ReportContent
from liverimg.report.encode import png_uri
from liverimg.report.figures import Studio, distance_pictures, lesion_pictures, overview
from liverimg.report.overlays import LesionMask, lesion_masks
from liverimg.report.phase_words import phase_words
from liverimg.report.planes import Scene
from liverimg.report.plotly_script import plotly_script
from liverimg.report.projection import LOOKS, projection
from liverimg.report.surface3d import blocks, plotly_figure, surfaces
from liverimg.report.templating import TEMPLATES, as_script, environment, own_file, policy
from liverimg.report.text import date_text, quantity_rows, say
from liverimg.report.verdicts import LesionPanel, verdicts
from liverimg.report.window_cards import window_cards

__all__ = ["TEMPLATES", "render_page"]


def render_page(content: ReportContent) -> str:
    """Lays out the report as one self-contained HTML page.

    The page holds its own pictures, styles and scripts, forbids any request by its content security policy
    and is the same, byte for byte, for the same content. Plotly's script lies packed in the page and is unpacked by the
    browser when the view in three dimensions comes into sight.

    Args:
        content: The study, its labels, numbers and verdicts.

    Returns:
        The HTML text, UTF-8.
    """
    titles = {s: content.title_of(s) for s in Structure}
    colours = {s: content.colour_of(s) for s in Structure}
    scene = Scene.of(content.volume, content.labels)
    masks = lesion_masks(scene, {le.id: le.centroid_lps_mm for le in content.measurements.lesions})
    studio = Studio.of(scene, titles, content.strings)
    said = verdicts(content)
    listed = list(zip(said.panels, content.measurements.lesions, strict=True))
    panels = side_by_side(lambda one: _with_pictures(*one, studio, masks), listed)
    view3d = _view3d(scene, masks, titles, colours, content)
    scripts = {"page": own_file("page.js")}
    plotly = plotly_script() if view3d["scene"] else None
    strings = content.strings
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            t=strings,
            say=lambda key, **values: say(strings, key, **values),
            content=content,
            study_date=date_text(content.study.study_date, strings),
            phase=phase_words(content.reference, strings),
            oblique=_is_oblique(scene, strings["display"]["oblique_from_degrees"]),
            headlines=rows.key_figures(content.measurements.organs, strings["display"]["study_headlines"], strings),
            organs=quantity_rows(content.measurements.organs, strings),
            said=said,
            panels=panels,
            windows=window_cards(scene, masks, colours, studio.window, content),
            overview=overview(studio),
            series=rows.series_rows(content.study, content.reference, strings),
            label_notes=rows.label_notes(content),
            legend=_legend(studio, content),
            colours=colours,
            titles=titles,
            view3d=view3d,
            scripts=scripts,
            plotly=plotly.packed if plotly else "",
            style=own_file("page.css"),
            policy=policy([*scripts.values(), *([plotly.plain] if plotly else [])]),
        )
    )


def _with_pictures(panel: LesionPanel, lesion: Lesion, studio: Studio, masks: Mapping[str, LesionMask]) -> LesionPanel:
    """A lesion's panel with what its pictures show."""
    mask = masks.get(lesion.id)
    return replace(
        panel,
        pictures=lesion_pictures(studio, lesion, mask),
        distances=distance_pictures(studio, lesion, mask),
    )


def _is_oblique(scene: Scene, degrees: float) -> bool:
    cosines = np.abs(scene.grid.directions).max(axis=1)
    return bool(cosines.min() < np.cos(np.deg2rad(degrees)))


def _legend(studio: Studio, content: ReportContent) -> list[tuple[str, str, str]]:
    """Structure, title and colour of what can show in the pictures: what was delineated somewhere."""
    return [
        (str(s), content.title_of(s), content.colour_of(s))
        for s in reversed(studio.structures)
        if content.labels.has(s)
    ]


def _view3d(
    scene: Scene,
    masks: dict[str, LesionMask],
    titles: dict[Structure, str],
    colours: dict[Structure, str],
    content: ReportContent,
) -> dict[str, Any]:
    made = blocks(scene, masks, content.strings)
    figure = plotly_figure(surfaces(made, titles), colours, content.strings)
    stills = []
    for look in LOOKS:
        picture = projection(made, colours, look=look)
        if picture is not None:
            stills.append((look, png_uri(picture), picture.shape[1], picture.shape[0]))
    if not figure["data"]:
        return {"scene": "", "stills": stills}
    return {"scene": as_script(figure), "stills": stills}
