"""Numbers that the assessment of contrast ultrasound rests on, from ``ceus.toml``; lengths in mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class _Part:
    """One part of the table: each field is a row of it, with value, unit and source."""

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Reads the values."""
        return cls(**{f.name: float(table[f.name]["value"]) for f in fields(cls)})


@dataclass(frozen=True)
class DisplaySettings(_Part):
    """What grey levels are taken to mean, in dB, and how many of them may be clipped."""

    assumed_dynamic_range_db: float
    least_assumed_dynamic_range_db: float
    most_assumed_dynamic_range_db: float
    most_saturated_share: float
    most_saturated_share_for_area: float
    assumed_picture_depth_mm: float


@dataclass(frozen=True)
class PhaseSettings(_Part):
    """Borders of the phases in seconds after injection."""

    arterial_from_s: float
    arterial_to_s: float
    portal_to_s: float
    assumed_arrival_s: float


@dataclass(frozen=True)
class MotionSettings(_Part):
    """Which frames show the same plane: correlation with the reference, and how many must remain."""

    least_similarity: float
    similarity_share: float
    least_kept_share: float


@dataclass(frozen=True)
class CurveSettings(_Part):
    """When a curve is a bolus, and the model's own error."""

    baseline_frames: float
    least_rise: float
    least_r_squared: float
    floor_share: float
    model_share: float
    shape_share: float
    frame_share: float


@dataclass(frozen=True)
class ZoneSettings(_Part):
    """How the non-enhancing area is found, outlined and given its band."""

    smooth: float
    blur: float
    least_contrast: float
    wide: float
    opening: float
    least_diameter: float
    most_border_share: float
    rival_share: float
    ring_from: float
    ring_to: float
    ring_smooth: float
    band_edge: float
    band_diameter: float
    band_arterial: float


@dataclass(frozen=True)
class FocusSettings(_Part):
    """What counts as an enhancing focus at the margin."""

    least_diameter: float
    opening: float
    least_rise: float
    rim: float
    reach: float
    outside_share: float
    late_share: float
    band_diameter: float


@dataclass(frozen=True)
class PerfusionSettings:
    """All of ``ceus.toml`` that measuring needs."""

    display: DisplaySettings
    phase: PhaseSettings
    motion: MotionSettings
    curve: CurveSettings
    zone: ZoneSettings
    focus: FocusSettings
    same_axis_share: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Reads the table."""
        return cls(
            DisplaySettings.from_table(table["display"]),
            PhaseSettings.from_table(table["phase"]),
            MotionSettings.from_table(table["motion"]),
            CurveSettings.from_table(table["curve"]),
            ZoneSettings.from_table(table["zone"]),
            FocusSettings.from_table(table["focus"]),
            float(table["volume"]["same_axis_share"]["value"]),
        )
