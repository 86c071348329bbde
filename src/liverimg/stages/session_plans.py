"""How each lesion's target divides into sessions: labels and rules meet here, for the assess stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.assess.sessions import SessionRules, statements, thresholds_of
from liverimg.core.criteria import CriteriaSet
from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.core.measurement import Lesion, Measurement, MeasurementSet, Point
from liverimg.core.orientation import Orientation
from liverimg.core.sessions import SessionPlan
from liverimg.core.side_by_side import side_by_side
from liverimg.files.tables import Table, read_table
from liverimg.measure.distances import extent
from liverimg.measure.lesions import find_lesions
from liverimg.measure.liver import liver_body
from liverimg.measure.scene import Scene
from liverimg.measure.sessions import Division, SessionSettings, divide
from liverimg.measure.settings import MeasureSettings
from liverimg.stages.artefacts import read_labels
from liverimg.workspace import Workspace

_MOST_PIECES = 255  # values of a byte

# The table whose rules speak of sessions; without it there is nothing to divide by.
CRITERIA = "hifu_suitability"
# Where the beam would enter: the best window where there is one, else the nearest place on the skin.
_ENTRIES = (("window_depth", "window_entry"), ("depth_from_skin_near", "on_skin"))


@dataclass(frozen=True, eq=False)
class SessionPieces:
    """The plans of all lesions, and where their pieces lie.

    Attributes:
        plans: One for each lesion in the liver that lies wholly in view.
        labels: Each voxel's piece by its ``label_value``, on ``grid``; 0 outside. Where the targets of two lesions
            overlap, a voxel belongs to the piece of the larger lesion.
        grid: That of the label map.
    """

    plans: tuple[SessionPlan, ...]
    labels: NDArray[np.uint8]
    grid: Grid


def session_plans(
    workspace: Workspace, measured: MeasurementSet, criteria: CriteriaSet, *, sites: dict[str, str]
) -> SessionPieces:
    """A plan for each lesion in the liver that lies wholly in view, with the voxels of its pieces.

    Args:
        workspace: Holds the labels.
        measured: Says where the beam would enter, and where each lesion lies.
        criteria: The table with the rules about sessions.
        sites: Where a reader says that a lesion lies.
    """
    table = read_table("sessions")
    constants = MeasureSettings.from_table(read_table("measure"))
    given = read_labels(workspace)
    scene = Scene.of(given)
    by_id = {lesion.id: lesion for lesion in measured.lesions}
    # The measure stage may have been told to leave small lesions out: only what it measured is divided.
    lesions = find_lesions(scene.labels, minimum_volume_ml=0.0)
    lesions = tuple(lesion for lesion in lesions if lesion.id in by_id)
    inside = [x for x in lesions if sites.get(x.id, by_id[x.id].site) == "liver" and not x.touches_image_edge]
    apart = tuple(lesion for lesion in lesions if lesion not in inside)
    liver = liver_body(scene, apart=apart, settings=constants)
    rules, settings = _rules(table, criteria), _settings(table, criteria)
    plans, upright = [], np.zeros(scene.grid.shape, dtype=np.uint8)
    used = 0
    each = side_by_side(
        lambda lesion: divide(lesion, scene, liver, settings=settings, entry_lps_mm=_entry(by_id[lesion.id])), inside
    )
    for division in each:
        plan = _numbered(division.plan, used)
        _paint(upright, division, used)
        used += len(plan.pieces)
        plans.append(replace(plan, notes=statements(plan, rules)))
    labels = np.ascontiguousarray(Orientation.of(given.grid).turn_back(upright))
    return SessionPieces(tuple(plans), labels, given.grid)


def _numbered(plan: SessionPlan, used: int) -> SessionPlan:
    """The plan with the value of each piece in the label file; those beyond a byte have none."""
    values = [used + piece.order if used + piece.order <= _MOST_PIECES else 0 for piece in plan.pieces]
    pieces = tuple(replace(piece, label_value=v) for piece, v in zip(plan.pieces, values, strict=True))
    return replace(plan, pieces=pieces)


def _paint(labels: NDArray[np.uint8], division: Division, used: int) -> None:
    if not division.pieces.any():
        return
    held = extent(division.pieces > 0)
    window = tuple(slice(s + h.start, s + h.stop) for s, h in zip(division.start_kji, held, strict=True))
    pieces = division.pieces[held]
    values = np.where(pieces > 0, pieces + used, 0)
    free = (labels[window] == 0) & (values > 0) & (values <= _MOST_PIECES)
    labels[window][free] = values[free]


def _entry(lesion: Lesion) -> Point | None:
    for name, role in _ENTRIES:
        quantity = lesion.quantity(name)
        if isinstance(quantity, Measurement):
            for place in quantity.evidence:
                if place.role == role:
                    return place.lps_mm
    return None


def _rules(table: Table, criteria: CriteriaSet) -> SessionRules:
    smallest, largest, typical = thresholds_of(criteria, table["session_volume"]["criterion"])
    days_from, days_to = thresholds_of(criteria, table["days_apart"]["criterion"])
    return SessionRules(smallest, largest, typical, days_from, days_to)


def _settings(table: Table, criteria: CriteriaSet) -> SessionSettings:
    rules = _rules(table, criteria)
    keep_out: dict[str, Any] = table["keep_out"]
    return SessionSettings(
        margin_mm=float(table["margin"]["value"]),
        smallest_ml=rules.smallest.value,
        largest_ml=rules.largest.value,
        crumb_ml=float(table["crumb"]["value"]),
        days_apart=(rules.days_from.value, rules.days_to.value),
        keep_out_mm={Structure(s): thresholds_of(criteria, c)[0].value for s, c in keep_out.items()},
    )
