"""What a search for ways in may be told: the transducer, tissues by HU, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liverimg.core.rows import filled
from liverimg.core.window import Transducer


@dataclass(frozen=True)
class ApproachSettings:
    """The table ``acoustics.toml`` as values; what each means stands there.

    Attributes:
        gas_below_hu: On CT, values below are gas or lung.
        fat_low_hu: Least value of fat.
        fat_high_hu: Greatest value of fat.
        muscle_high_hu: Greatest value of muscle and other soft tissue.
        bone_above_hu: Values above are bone, outside labelled organs.
        lung_least_ml: A space of air at least this large may be lung.
        lung_least_hu: Median of its values from which it is lung and not gas.
        skin_most_mm: Soft tissue this thin at the outside is skin.
        window_tissue_cell_mm: Size of the cells in which tissue is looked up.
        window_directions: Directions on the whole sphere around a target.
        window_same_blocked_percent: Blocked shares this near count as equal.
        window_usable_blocked_percent: Greatest blocked share of a usable entry.
        window_unseen_percent: Greatest unseen share of an entry that is judged.
        window_avoided_percent: Greatest share behind bowel or stomach of a usable entry.
        band_window: Share of the cell by which what blocks is grown and shrunk for the band.
        attenuation_fat: Of sound, dB/cm/MHz.
        attenuation_muscle: Likewise.
        attenuation_liver: Likewise.
        attenuation_other: Likewise.
        attenuation_fluid: Likewise.
        attenuation_spread: Relative error of these.
        needle_most_mm: Longest needle path.
        needle_most_elevation_deg: Greatest angle out of the axial plane.
        needle_azimuth_low_deg: Leftmost side, from the front.
        needle_azimuth_high_deg: Rightmost side, from the front.
        needle_liver_least_mm: Wanted length in liver before the tumour.
        needle_clearance_mm: Wanted distance from all that must not be pierced.
    """

    gas_below_hu: float
    fat_low_hu: float
    fat_high_hu: float
    muscle_high_hu: float
    bone_above_hu: float
    lung_least_ml: float
    lung_least_hu: float
    skin_most_mm: float
    window_tissue_cell_mm: float
    window_directions: float
    window_same_blocked_percent: float
    window_usable_blocked_percent: float
    window_unseen_percent: float
    window_avoided_percent: float
    band_window: float
    attenuation_fat: float
    attenuation_muscle: float
    attenuation_liver: float
    attenuation_other: float
    attenuation_fluid: float
    attenuation_spread: float
    needle_most_mm: float
    needle_most_elevation_deg: float
    needle_azimuth_low_deg: float
    needle_azimuth_high_deg: float
    needle_liver_least_mm: float
    needle_clearance_mm: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> ApproachSettings:
        """Reads a mapping of ``{name: {value, unit, source}}``; each name has to be there."""
        return filled(cls, table, "acoustics")


@dataclass(frozen=True)
class Approach:
    """How ways in are looked for.

    Attributes:
        transducer: For the acoustic window.
        settings: Tissues and limits.
    """

    transducer: Transducer
    settings: ApproachSettings
