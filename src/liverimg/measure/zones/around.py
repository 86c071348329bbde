"""A zone's border and where the lesion may have been, as distances on the voxels of a patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.zones.border import Patch
from liverimg.measure.zones.distance import signed_mm
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Treated

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a treated lesion lies now.

    Attributes:
        lesion: Of the earlier study; its motion is known.
        mask: Its voxels.
        away_mm: Distance from it, negative inside.
    """

    lesion: Treated
    mask: BoolArray = field(repr=False)
    away_mm: FloatArray = field(repr=False)

    @classmethod
    def of(cls, lesion: Treated, grid: Grid) -> Place:
        """On the voxels of a grid."""
        mask = lesion.on(grid)
        return cls(lesion, mask, -signed_mm(mask, grid))


@dataclass(frozen=True, eq=False)
class Around:
    """A zone's border, and where the lesion may have been.

    Attributes:
        zone: Its voxels, holes not filled.
        place: Where the lesion lies now.
        outside_mm: Distance from the zone, negative inside.
        away_mm: Distance from the place, negative inside.
        near: Where the lesion may have been, its place's error counted.
        error_mm: Of the place, a bound of 95 %.
    """

    zone: BoolArray = field(repr=False)
    place: BoolArray = field(repr=False)
    outside_mm: FloatArray = field(repr=False)
    away_mm: FloatArray = field(repr=False)
    near: BoolArray = field(repr=False)
    error_mm: float

    @classmethod
    def of(cls, patch: Patch, zone: BoolArray, place: BoolArray, rules: ZoneRules, *, error_mm: float) -> Around:
        """Works out the distances; the place's error is a bound of 95 %."""
        return cls._of(patch, zone, place, -signed_mm(place, patch.grid), rules, error_mm)

    @classmethod
    def at(cls, patch: Patch, zone: BoolArray, places: Sequence[Place], rules: ZoneRules) -> Around:
        """Around the places of one lesion or more; the least certain of them counts for all."""
        error_mm = max(place.lesion.error_mm for place in places)
        if len(places) > 1:
            mask = np.logical_or.reduce([place.mask for place in places])
            return cls.of(patch, zone, mask, rules, error_mm=error_mm)
        (place,) = places
        return cls._of(patch, zone, place.mask, place.away_mm, rules, error_mm)

    @classmethod
    def _of(
        cls, patch: Patch, zone: BoolArray, place: BoolArray, away_mm: FloatArray, rules: ZoneRules, error_mm: float
    ) -> Around:
        near = away_mm <= rules.focus.around_mm + error_mm
        return cls(zone, place, -signed_mm(zone, patch.grid), away_mm, near, error_mm)
