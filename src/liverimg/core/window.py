"""The acoustic window: a transducer, and what a beam from it meets on its way to a target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray

_MOST_ELEVATION_DEG = 90.0
_MOST_AZIMUTH_DEG = 180.0


@dataclass(frozen=True)
class Transducer:
    """A focused transducer outside the body: a spherical cap whose centre of curvature is the focus.

    Attributes:
        id: Its key in the table.
        title: For readers.
        aperture_mm: Diameter of the rim.
        focal_length_mm: Radius of the cap, from its surface to the focus.
        opening_mm: Diameter of a hole in its middle that sends no sound.
        frequency_mhz: Of the sound.
        standoff_mm: Least water between its surface and the skin.
        azimuth_deg: From which sides it may come: 0 from the front, 90 from the patient's right, -90 from the left.
        elevation_deg: How far it may be tilted out of the axial plane, positive from the head's side.
        source: Where these figures are from.
    """

    id: str
    title: str
    aperture_mm: float
    focal_length_mm: float
    opening_mm: float
    frequency_mhz: float
    standoff_mm: float
    azimuth_deg: tuple[float, float]
    elevation_deg: tuple[float, float]
    source: str

    def __post_init__(self) -> None:
        lengths = (self.aperture_mm, self.focal_length_mm, self.frequency_mhz)
        if not all(math.isfinite(v) and v > 0 for v in lengths):
            raise ValueError("aperture_mm, focal_length_mm and frequency_mhz are positive numbers")
        if self.aperture_mm >= 2 * self.focal_length_mm:
            raise ValueError("aperture_mm is smaller than twice focal_length_mm: the cap is less than half a sphere")
        if not 0 <= self.opening_mm < self.aperture_mm or not 0 <= self.standoff_mm < self.focal_length_mm:
            raise ValueError("opening_mm lies below aperture_mm and standoff_mm below focal_length_mm, none negative")
        limits = ((self.azimuth_deg, _MOST_AZIMUTH_DEG), (self.elevation_deg, _MOST_ELEVATION_DEG))
        for (low, high), most in limits:
            if not -most <= low < high <= most:
                raise ValueError(f"azimuth_deg and elevation_deg are rising pairs within -{most:g} to {most:g} degrees")

    @property
    def half_angle(self) -> float:
        """Angle between the beam's axis and its outermost rays, in radians."""
        return math.asin(self.aperture_mm / 2 / self.focal_length_mm)

    @property
    def opening_half_angle(self) -> float:
        """Angle between the beam's axis and its innermost rays, in radians; 0 without an opening."""
        return math.asin(self.opening_mm / 2 / self.focal_length_mm)

    @property
    def reach_mm(self) -> float:
        """The greatest depth of a focus under the skin."""
        return self.focal_length_mm - self.standoff_mm


@dataclass(frozen=True)
class PathPiece:
    """A stretch of one tissue on the beam's axis, lengths from the skin inwards.

    Attributes:
        tissue: Its name.
        start_mm: Where it begins.
        end_mm: Where it ends.
    """

    tissue: str
    start_mm: float
    end_mm: float


@dataclass(frozen=True, eq=False)
class Fan:
    """Rays of a beam in one plane through its axis; all arrays of shape (n, 3) in LPS mm.

    Attributes:
        across: Unit vector in the plane, square to the axis.
        aperture_lps_mm: Where each ray leaves the transducer.
        skin_lps_mm: Where it enters the body.
        stop_lps_mm: Where it is first blocked on its way in; the target where it is not.
        blocked_by: Name of the tissue that blocks it, empty where none does.
    """

    across: FloatArray
    aperture_lps_mm: FloatArray = field(repr=False)
    skin_lps_mm: FloatArray = field(repr=False)
    stop_lps_mm: FloatArray = field(repr=False)
    blocked_by: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Beam:
    """The beam from the best entry to the target's centre.

    Attributes:
        entry: Index of the entry.
        entry_lps_mm: The skin point on the beam's axis.
        axis: Unit vector from the target to the transducer.
        transducer_lps_mm: Middle of the transducer's surface.
        path: Tissues on the axis, from the skin inwards.
        fans: Rays in two planes through the axis: across the body and along it.
    """

    entry: int
    entry_lps_mm: FloatArray
    axis: FloatArray
    transducer_lps_mm: FloatArray
    path: tuple[PathPiece, ...]
    fans: tuple[Fan, ...]


@dataclass(frozen=True, eq=False)
class WindowMap:
    """What a beam to one lesion would meet from each place on the skin that the transducer can reach.

    Attributes:
        lesion: Its id.
        targets_lps_mm: Points of the target, its centre of gravity first, shape (m, 3).
        entries_lps_mm: Skin points on the beam's axis, shape (n, 3).
        depth_mm: From there to the centre, shape (n,).
        blocked_percent: Blocked share of the aperture, mean over the target's points, shape (n,).
        blocked_by_percent: The same by the tissue that a ray meets first on its way in; these add up to it.
        avoided_percent: Share of the aperture behind bowel or stomach, gas seen or not, target's centre.
        unseen_percent: Share of the aperture whose rays leave the image before the skin, target's centre.
        fits: Whether the transducer keeps its distance from the skin.
        usable: Whether the entry keeps all limits.
        beam: The beam from the best entry; None when there is none.
    """

    lesion: str
    targets_lps_mm: FloatArray = field(repr=False)
    entries_lps_mm: FloatArray = field(repr=False)
    depth_mm: FloatArray = field(repr=False)
    blocked_percent: FloatArray = field(repr=False)
    blocked_by_percent: Mapping[str, FloatArray] = field(repr=False)
    avoided_percent: FloatArray = field(repr=False)
    unseen_percent: FloatArray = field(repr=False)
    fits: NDArray[np.bool_] = field(repr=False)
    usable: NDArray[np.bool_] = field(repr=False)
    beam: Beam | None
