"""What a measurement may be told: sizes below which nothing is reported, constants of the bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from liverimg.core.errors import RecordInvalidError


@dataclass(frozen=True)
class MeasureSettings:
    """The table ``measure.toml`` as values.

    Attributes:
        minimum_lesion_volume_ml: Smaller unnumbered parts of the tumour label are not reported.
        liver_closing_radius_mm: Vessels count as inside the liver where liver lies around them this near.
        band_long_diameter: Half width of the axial long diameter's 95 % band as a share of the pitch along it.
        band_short_diameter: The same for the axial short diameter.
        band_extent: The same for the craniocaudal extent.
        band_3d_diameter: Likewise of the largest 3-D diameter, of the wider of that pitch and the voxels' mean pitch.
        band_distance: The same for distances between structures.
        band_depth: The same for depths from the skin.
        band_volume: Half width of a volume's band as a share of the root of border voxels, in voxels.
    """

    minimum_lesion_volume_ml: float
    liver_closing_radius_mm: float
    band_long_diameter: float
    band_short_diameter: float
    band_extent: float
    band_3d_diameter: float
    band_distance: float
    band_depth: float
    band_volume: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> MeasureSettings:
        """Reads a mapping of ``{name: {value, unit, source}}``; each name has to be there."""
        values = {}
        for item in fields(cls):
            entry = table.get(item.name)
            if not isinstance(entry, Mapping) or not isinstance(entry.get("value"), int | float):
                raise RecordInvalidError(
                    f"the measure table has no number for {item.name}; expected [{item.name}] with value, unit "
                    "and source"
                )
            values[item.name] = float(entry["value"])
        return cls(**values)
