"""The nearest vessel that is wide enough to carry heat away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.band import banded, evidence
from liverimg.measure.branches import Branch, NamedTree
from liverimg.measure.calibre import Calibre
from liverimg.measure.reach import Nowhere, Place, half_width_mm, nearest_part
from liverimg.measure.strays import rough_width_mm
from liverimg.measure.vessels import BLOOD, Walls, diameter_half_width_mm, diameter_row

NAMES = ("heat_sink_vessel_distance", "heat_sink_vessel_diameter")
_MOST_LOOKS = 6
_STRETCH_MM = 8.0  # of a vessel that one look settles
_CLEARLY_WIDER = 1.2
_SLACK = 0.75  # a cell's rough width may be so much too small


@dataclass(frozen=True, eq=False)
class Sink:
    """A vessel that is wide enough.

    Attributes:
        place: Where the lesion comes nearest to it.
        calibre: How wide it is there.
        at_least_mm: How near another vessel lies that may be wide enough.
    """

    place: Place
    calibre: Calibre
    at_least_mm: float


def measure_heat_sink(found: Sequence[Place | Nowhere], walls: Walls) -> list[Measured]:
    """Distance to the nearest vein or portal branch that is wide enough to cool, and its diameter there.

    Args:
        found: The nearest places of everything.
        walls: What is known of the vessels.
    """
    lesion, least_mm = walls.subject.lesion.id, walls.rules.heat_sink_least_diameter_mm
    whole = {p.structure: p for p in found if p.structure in BLOOD and p.name == p.structure}
    unknown = [p.reason for p in whole.values() if isinstance(p, Nowhere)]
    sinks = [s for p in whole.values() if isinstance(p, Place) for s in _sink(p, least_mm, walls)]
    wide = [s for s in sinks if s.calibre.diameter_mm >= least_mm]
    if not wide:
        reason = f"no vessel of {least_mm:g} mm or more was found near the lesion as drawn"
        return [NotMeasured(name, lesion, "; ".join([reason, *unknown])) for name in NAMES]
    best = min(wide, key=lambda s: s.place.found.distance_mm)
    return [
        _distance_row(best, min(s.at_least_mm for s in sinks), unknown, walls),
        diameter_row(NAMES[1], best.calibre, best.place, walls),
    ]


def _sink(nearest: Place, least_mm: float, walls: Walls) -> list[Sink]:
    """The nearest part of a vessel that is wide enough, looked for from the nearest outward."""
    tree = walls.around.trees.get(nearest.structure)
    if tree is None:
        calibre = walls.calibre(nearest.structure, nearest.found.on_structure)
        return [] if calibre is None else [Sink(nearest, calibre, nearest.found.distance_mm)]
    rough = rough_width_mm(tree.cells)
    keep = rough >= _SLACK * least_mm
    at_least, place = np.inf, nearest
    for _ in range(_MOST_LOOKS):
        part = nearest_part(walls.subject.target, walls.body.scene, tree, keep)
        if part is None:
            return []
        place = Place(nearest.name, nearest.structure, part, branches=_names(tree, part.on_structure))
        calibre = walls.calibre(nearest.structure, part.on_structure)
        if calibre is not None:
            half = diameter_half_width_mm(calibre, nearest.structure, walls)
            if calibre.diameter_mm + half >= least_mm:
                at_least = min(at_least, part.distance_mm)
            if calibre.diameter_mm >= least_mm:
                return [Sink(place, calibre, at_least)]
        away = np.linalg.norm(tree.cells.points_lps_mm - part.on_structure, axis=1)
        # What lies beside it and is no wider is too thin as well; a wider vessel that it runs into is not.
        keep &= (away > _STRETCH_MM) | (rough > _CLEARLY_WIDER * rough[int(np.argmin(away))])
    return []


def _distance_row(sink: Sink, at_least_mm: float, unknown: list[str], walls: Walls) -> Measurement:
    place, body, quality = sink.place, walls.body, walls.subject.quality
    found, half = place.found, half_width_mm(place, walls.subject, body)
    names = " or ".join(b.replace("_", " ") for b in place.branches) or place.name.replace("_", " ")
    method = f"shortest line to a vessel of {walls.rules.heat_sink_least_diameter_mm:g} mm or more: {names}"
    low = min(found.distance_mm, at_least_mm) - half - walls.subject.target.between_slices_mm / 2
    partly = [quality.incomplete[s] for s in BLOOD if s in quality.incomplete]
    if at_least_mm < found.distance_mm:
        method += f"; one that may be as wide lies {at_least_mm:.1f} mm away"
    if unknown or partly:
        method += "; a nearer one may not be drawn: " + "; ".join([*unknown, *partly])
        low = 0.0
    row = banded(
        NAMES[0],
        walls.subject.lesion.id,
        found.distance_mm,
        "mm",
        half=half,
        method=method,
        points=(evidence("on_tumour", found.on_lesion), evidence("on_vessel", found.on_structure)),
        sources=body.sources,
        at_least=low,
    )
    if not found.touching:
        return row
    overlap = walls.overlap(place)
    value, low, high = overlap.as_distance(half)
    return replace(row, value=value, low=low, high=high, method=f"{method}; {overlap.words}")


def _names(tree: NamedTree, place_lps_mm: FloatArray) -> tuple[Branch, ...]:
    return tree.names_at(int(np.argmin(np.linalg.norm(tree.cells.points_lps_mm - place_lps_mm, axis=1))))
