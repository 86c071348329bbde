"""View: where the page can go to, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from liverimg.core.labels import Structure
from liverimg.core.measurement import Lesion, Measured, Measurement, MeasurementSet, find
from liverimg.core.response import LesionResponse, Part, StudyResponse
from liverimg.report.text import band_text, say, value_text
from liverimg.viewer.scene import Line, Place, Strings

_LONG = "axial_long_diameter"


def measured_places(measured: MeasurementSet, colours: Mapping[str, str], words: Strings) -> tuple[Place, ...]:
    """The lesions of a study before ablation."""
    return tuple(_of_lesion(lesion, colours[Structure.TUMOUR], words) for lesion in measured.lesions)


def response_places(response: StudyResponse, colours: Mapping[str, str], words: Strings) -> tuple[Place, ...]:
    """Lesions where they lie now, zones, foci and new tumours of a study after ablation."""
    places = [_of_response(lesion, colours[Structure.TUMOUR], words) for lesion in response.lesions]
    parts = (("zone", response.zones), ("focus", response.foci), ("candidate", response.candidates))
    for kind, found in parts:
        colour = colours.get(kind, colours[Structure.TUMOUR])
        places += [_of_part(part, kind, colour, words) for part in found]
    return tuple(place for place in places if place is not None)


def _of_lesion(lesion: Lesion, colour: str, words: Strings) -> Place:
    return Place(
        lesion.id,
        "lesion",
        say(words, "places.lesion", id=lesion.id),
        "",
        colour,
        lesion.centroid_lps_mm,
        _diameter(lesion.quantities, lesion.id, words),
    )


def _of_response(lesion: LesionResponse, colour: str, words: Strings) -> Place | None:
    if lesion.now_lps_mm is None:
        return None
    title = say(words, "places.lesion", id=lesion.id)
    return Place(lesion.id, "lesion", title, lesion.statement, colour, lesion.now_lps_mm, None)


def _of_part(part: Part, kind: str, colour: str, words: Strings) -> Place:
    title = say(words, f"places.{kind}", id=part.id)
    diameter = _diameter(part.quantities, part.id, words)
    return Place(part.id, kind, title, "", colour, part.centroid_lps_mm, diameter)


def _diameter(quantities: Iterable[Measured], target: str, words: Strings) -> Line | None:
    found = find(tuple(quantities), _LONG, target=target)
    if not isinstance(found, Measurement) or len(found.evidence) < 2:
        return None
    text: Any = say(words, "places.long_diameter", value=value_text(found, words), band=band_text(found, words))
    return Line(text, found.evidence[0].lps_mm, found.evidence[1].lps_mm)
