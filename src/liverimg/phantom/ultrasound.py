"""A contrast-enhanced ultrasound plane with known answers: what lies in it, how it enhances, how it moves.

Places are millimetres in the plane, (down, across) from the middle of the picture's upper edge, in the patient as
built; :class:`Pose` says where they lie in a frame. Enhancement is echo power in arbitrary units, the same that
``10 ** (grey * dynamic_range_db / 2550)`` gives back. The rendering is in
:mod:`liverimg.phantom.ultrasound_render`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Wash:
    """A lognormal time-intensity curve: nothing before ``arrival_s``, ``peak`` at ``arrival_s + rise_s``.

    Attributes:
        peak: Echo power at the peak, arbitrary units.
        arrival_s: After the start of injection.
        rise_s: From arrival to peak.
        sigma: Width of the logarithm of the time; the larger, the slower the wash-out.
    """

    peak: float
    arrival_s: float
    rise_s: float
    sigma: float

    @property
    def peak_s(self) -> float:
        """Time of the peak after the start of injection."""
        return self.arrival_s + self.rise_s

    @property
    def mean_transit_s(self) -> float:
        """First moment of the curve after its arrival: exp(mu + sigma^2 / 2), with mu from the mode."""
        return float(self.rise_s * np.exp(1.5 * self.sigma**2))

    def at(self, times_s: FloatArray) -> FloatArray:
        """Echo power at times after the start of injection."""
        since = np.maximum(np.asarray(times_s, dtype=float) - self.arrival_s, 1e-9)
        # The lognormal density over its value at the mode: exp(-ln(t / mode)^2 / (2 sigma^2)).
        shape = np.exp(-(np.log(since / self.rise_s) ** 2) / (2 * self.sigma**2))
        return np.asarray(np.where(times_s > self.arrival_s, self.peak * shape, 0.0))


@dataclass(frozen=True)
class Outline:
    """A closed line around a centre: an ellipse with gentle bumps.

    Attributes:
        centre_mm: Down, across.
        half_axes_mm: Along the long and the short axis.
        turn_deg: Of the long axis against across, towards down.
        bumps: (waves around, share of the radius, phase in radians) each.
    """

    centre_mm: tuple[float, float]
    half_axes_mm: tuple[float, float]
    turn_deg: float = 0.0
    bumps: tuple[tuple[int, float, float], ...] = ()

    def radius_mm(self, angle: FloatArray, *, scale: float = 1.0) -> FloatArray:
        """From the centre to the line, at an angle from the across axis towards down."""
        own = angle - np.deg2rad(self.turn_deg)
        a, b = self.half_axes_mm
        ellipse = a * b / np.hypot(b * np.cos(own), a * np.sin(own))
        bumps = sum(share * np.cos(waves * own + phase) for waves, share, phase in self.bumps)
        return np.asarray(scale * ellipse * (1 + bumps))

    def depth_mm(self, points_mm: FloatArray, *, scale: float = 1.0) -> FloatArray:
        """How far inside the line points lie, negative outside; along the ray to the centre, near the line exact
        to first order.

        Args:
            points_mm: Shape (..., 2): down, across.
            scale: Of the whole outline, such as in a plane beside its centre.
        """
        down, across = (points_mm[..., n] - self.centre_mm[n] for n in (0, 1))
        angle = np.arctan2(down, across)
        step = 1e-3
        radius = self.radius_mm(angle, scale=scale)
        # The ray meets the line at a slant: the cosine turns the distance along the ray into one along the normal.
        slope = (self.radius_mm(angle + step, scale=scale) - radius) / step / np.maximum(radius, 1e-6)
        return np.asarray((radius - np.hypot(down, across)) / np.sqrt(1 + slope**2))


@dataclass(frozen=True)
class Focus:
    """Living tumour at the margin of the zone: a disc with a curve of its own."""

    centre_mm: tuple[float, float]
    diameter_mm: float
    wash: Wash


@dataclass(frozen=True)
class Vessel:
    """A straight vessel that crosses the plane: from one place to another, with its radius."""

    start_mm: tuple[float, float]
    end_mm: tuple[float, float]
    radius_mm: float


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the patient lies in each frame.

    Attributes:
        down_mm: Shift along depth, shape (t,).
        across_mm: Shift along the probe, shape (t,).
        turn_deg: Rotation about the middle of the picture, shape (t,).
        off_plane_mm: Distance of the scanned plane from the built one, shape (t,).
    """

    down_mm: FloatArray = field(repr=False)
    across_mm: FloatArray = field(repr=False)
    turn_deg: FloatArray = field(repr=False)
    off_plane_mm: FloatArray = field(repr=False)

    @classmethod
    def still(cls, frames: int) -> Motion:
        """No motion at all."""
        return cls(*(np.zeros(frames) for _ in range(4)))


@dataclass(frozen=True)
class Display:
    """How the scanner shows echo power.

    Attributes:
        shape: Rows and columns of one pane.
        spacing_mm: Pixel spacing along rows and columns.
        dynamic_range_db: Echo power between grey level 0 and 255.
        calibrated: Whether the file says how large a pixel is.
    """

    shape: tuple[int, int] = (112, 112)
    spacing_mm: tuple[float, float] = (0.7, 0.7)
    dynamic_range_db: float = 60.0
    calibrated: bool = True

    def points_mm(self) -> FloatArray:
        """Middle of each pixel, shape (j, i, 2): down, across."""
        rows, columns = self.shape
        down = (np.arange(rows) + 0.5) * self.spacing_mm[0]
        across = (np.arange(columns) - (columns - 1) / 2) * self.spacing_mm[1]
        return np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1)

    def grey(self, power: FloatArray) -> NDArray[np.uint8]:
        """Log compression: 255 / DR * 10 log10(power), clipped to what a byte holds."""
        level = 255 / self.dynamic_range_db * 10 * np.log10(np.maximum(power, 1e-3))
        return np.asarray(np.clip(np.rint(level), 0, 255), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class ContrastPlane:
    """One plane followed over time after an injection.

    Attributes:
        display: Panes and grey scale.
        times_s: Of each frame after the start of injection.
        motion: Of each frame.
        zone: Outline of the ablation zone; None for a liver without one.
        zone_depth_mm: Half axis of the zone across the plane: how fast it shrinks beside the plane.
        liver: How the liver enhances.
        rim: How the hyperaemic rim around the zone enhances.
        rim_mm: Its thickness.
        vessel: How vessels enhance.
        vessels: Where they run.
        foci: Living tumour at the margin.
        noise: Echo power of the contrast pane without contrast.
        seed: Of speckle and echogenicity.
    """

    display: Display
    times_s: FloatArray = field(repr=False)
    motion: Motion = field(repr=False)
    zone: Outline | None
    zone_depth_mm: float
    liver: Wash
    rim: Wash
    rim_mm: float
    vessel: Wash
    vessels: tuple[Vessel, ...] = ()
    foci: tuple[Focus, ...] = ()
    noise: float = 10.0
    seed: int = 0

    def to_built_mm(self, points_mm: FloatArray, frame: int) -> FloatArray:
        """Points of a frame as places in the patient as built."""
        middle = np.array([self.display.shape[0] * self.display.spacing_mm[0] / 2, 0.0])
        moved = points_mm - middle - self._shift(frame)
        return np.asarray(moved @ _turn(self.motion.turn_deg[frame]) + middle)

    def to_frame_mm(self, places_mm: FloatArray, frame: int) -> FloatArray:
        """The inverse of :meth:`to_built_mm`."""
        middle = np.array([self.display.shape[0] * self.display.spacing_mm[0] / 2, 0.0])
        return np.asarray((places_mm - middle) @ _turn(self.motion.turn_deg[frame]).T + middle + self._shift(frame))

    def _shift(self, frame: int) -> FloatArray:
        return np.array([self.motion.down_mm[frame], self.motion.across_mm[frame]])


def _turn(degrees: float) -> FloatArray:
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
