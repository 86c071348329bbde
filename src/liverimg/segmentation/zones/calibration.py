"""How far a zone network's border lies from the true one, by how unsure it is, as it was measured on its hold-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from liverimg.core.labels import BoolArray
from liverimg.core.zone_view import ZoneView

FloatArray = NDArray[np.float32]

REACH_MM: Final = 11.0
"""Beyond the place of a lesion: what the place may be wrong by in training, and what counts as near to it."""

_FACES: Final = 6
_BETWEEN: Final = (0.1, 0.9)  # probabilities of places that the network is in doubt of
_AROUND_MM: Final = 10.0
_BALL: Final = (36 * np.pi) ** (1 / 3)  # surface of a ball from the power 2/3 of its volume


@dataclass(frozen=True)
class ErrorRow:
    """Crops of which the network is about as unsure.

    Attributes:
        doubt_below_mm: Half the width of the band of doubt around the zone is below this; None for no limit.
        error_mm: Nine in ten hold-out crops had 95 % of their border within this distance.
        crops: How many there were.
    """

    doubt_below_mm: float | None
    error_mm: float
    crops: int


def rows_from(found: Sequence[Mapping[str, Any]]) -> tuple[ErrorRow, ...]:
    """Rows of a contract, the surest first.

    Raises:
        KeyError: A row lacks a field.
        TypeError: A field is of another kind.
        ValueError: A number is none, or no row is without a limit.
    """
    rows = [
        ErrorRow(
            doubt_below_mm=None if row["doubt_below_mm"] is None else float(row["doubt_below_mm"]),
            error_mm=float(row["error_mm"]),
            crops=int(row["crops"]),
        )
        for row in found
    ]
    if not any(row.doubt_below_mm is None for row in rows):
        raise ValueError("one row of the errors has to be without a limit")
    return tuple(sorted(rows, key=_limit))


def error_of(rows: Sequence[ErrorRow], doubt_mm: float) -> float:
    """The error of the first row whose limit the doubt keeps to."""
    return next(row.error_mm for row in rows if doubt_mm < _limit(row) or row.doubt_below_mm is None)


def _limit(row: ErrorRow) -> float:
    return float("inf") if row.doubt_below_mm is None else row.doubt_below_mm


def drawn_zone(view: ZoneView, probability: FloatArray, threshold: float) -> BoolArray:
    """What of an opinion is zone: connected parts in the liver that come near a lesion's place.

    Args:
        view: What the network was shown.
        probability: What it said.
        threshold: From which on a place belongs to the zone.
    """
    parts = cc3d.connected_components((probability >= threshold) & view.liver, connectivity=_FACES)
    kept = np.zeros(int(parts.max()) + 1, dtype=bool)
    kept[np.unique(parts[view.place_mm > -REACH_MM])] = True
    kept[0] = False
    return np.asarray(kept[parts])


def doubt_mm(view: ZoneView, probability: FloatArray, zone: BoolArray) -> float:
    """Half the width of the band around a zone in which the network is in doubt; infinite where there is no zone.

    The band's volume over the surface of a ball as large as the zone: a wavy border has more band, and more doubt.

    Args:
        view: What the network was shown.
        probability: What it said.
        zone: What became of it.
    """
    if not zone.any():
        return float("inf")
    spacing_mm = float(view.grid.spacing_mm[0])
    near = np.asarray(distance_transform_edt(~zone, sampling=view.grid.spacing_mm)) <= _AROUND_MM
    band = near & view.liver & (probability > _BETWEEN[0]) & (probability < _BETWEEN[1])
    surface = _BALL * np.count_nonzero(zone) ** (2 / 3)
    return float(np.count_nonzero(band) / surface * spacing_mm / 2)
