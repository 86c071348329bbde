"""What a lesion's panel holds beside its pictures: the painted margin, its zone and its foci."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from markupsafe import Markup

from liverimg.core.response import LesionResponse, Part
from liverimg.report.response_bands import BandRow, band_rows
from liverimg.report.response_groups import Studio, thinnest_ends
from liverimg.report.response_map import FlatMap, flat_map
from liverimg.report.response_painted import Still, eye_towards, painted_scene, stills
from liverimg.report.response_rows import MINIMUM, PartRow, part_row, spot_words, with_band
from liverimg.report.templating import as_script


@dataclass(frozen=True)
class MarginCard:
    """The painted margin of one lesion.

    Attributes:
        scene: Plotly figure as JSON, without a sign that could end a script.
        eye: Camera at the smallest margin, as JSON; None when that place is not known.
        stills: The same for print and for browsers that cannot draw in three dimensions.
        flat: The map of all directions.
        bands: The legend with the share of the surface in each band.
        minimum: Smallest margin with its band.
        where: Where it lies, in words.
    """

    scene: Markup = field(repr=False)
    eye: str | None
    stills: tuple[Still, ...]
    flat: FlatMap
    bands: tuple[BandRow, ...]
    minimum: str
    where: tuple[str, ...]


def margin_card(lesion: LesionResponse, studio: Studio) -> MarginCard | None:
    """The painted margin; None for a lesion without one."""
    content = studio.content
    surface = content.margins.get(lesion.id)
    if surface is None or not len(surface.triangles):
        return None
    ends = thinnest_ends(lesion)
    place = None if ends is None else ends[0]
    line = None if ends is None or ends[1] is None else (ends[0], ends[1])
    figure = painted_scene(surface, studio.bands, ends_lps_mm=line, strings=content.strings)
    return MarginCard(
        scene=as_script(figure),
        eye=None if place is None else json.dumps(eye_towards(place - surface.middle_lps_mm), sort_keys=True),
        stills=stills(surface, studio.bands, thinnest_lps_mm=place, strings=content.strings),
        flat=flat_map(surface, studio.bands, thinnest_lps_mm=place),
        bands=band_rows(studio.bands, lesion.quantities, content.strings),
        minimum=with_band(lesion.quantity(MINIMUM), content.strings),
        where=spot_words(lesion.thinnest, content.strings),
    )


def own_parts(parts: tuple[Part, ...], names: tuple[str, ...], studio: Studio, kind: str) -> tuple[PartRow, ...]:
    """Rows of the zones or foci of these names."""
    headlines = studio.content.strings["display"]["response_headlines"][kind]
    return tuple(part_row(part, studio.content.strings, headlines=headlines) for part in parts if part.id in names)
