"""Numbers that the assessment of contrast ultrasound rests on, from ``ceus.toml``; lengths in mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from liverimg.core.rows import filled


@dataclass(frozen=True)
class DisplaySettings:
    """What grey levels are taken to mean, in dB, and how many of them may be clipped."""

    assumed_dynamic_range_db: float
    least_assumed_dynamic_range_db: float
    most_assumed_dynamic_range_db: float
    most_saturated_share: float
    most_saturated_share_for_area: float
    assumed_picture_depth_mm: float


@dataclass(frozen=True)
class PhaseSettings:
    """Borders of the phases in seconds after injection."""

    arterial_from_s: float
    arterial_to_s: float
    portal_to_s: float
    assumed_arrival_s: float


@dataclass(frozen=True)
class MotionSettings:
    """Which frames show the same plane: correlation with the reference, and how many must remain."""

    least_similarity: float
    similarity_share: float
    least_kept_share: float


@dataclass(frozen=True)
class CurveSettings:
    """When a curve is a bolus, and the model's own error."""

    baseline_frames: float
    least_rise: float
    least_r_squared: float
    floor_share: float
    model_share: float
    shape_share: float
    frame_share: float


@dataclass(frozen=True)
class ZoneSettings:
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
class FocusSettings:
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
class _Volume:
    same_axis_share: float


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
        share = filled(_Volume, table["volume"], "ceus volume").same_axis_share
        return filled(cls, table, "ceus", same_axis_share=share)
