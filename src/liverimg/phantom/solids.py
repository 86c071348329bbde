"""Implicit solids: functions of (x, y, z) in LPS mm, negative inside, near the surface about the distance in mm.

Coordinates come as three arrays that broadcast against each other, so that on an axis-aligned grid a term in
x alone is worked out once a column and not once a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from liverimg.phantom.capsules import Capsules

Array = NDArray[Any]
Triple = tuple[float, float, float]


class Implicit(Protocol):
    """A solid, asked at many points."""

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """Negative inside, positive outside, in mm near the surface."""
        ...


def at_points(solid: Implicit, points_lps_mm: Array) -> Array:
    """The solid's value at points (..., 3)."""
    points = np.asarray(points_lps_mm)
    value = solid(points[..., 0], points[..., 1], points[..., 2])
    return np.asarray(np.broadcast_to(value, points.shape[:-1]))


def rotation(*, about_x_deg: float = 0, about_y_deg: float = 0, about_z_deg: float = 0) -> NDArray[np.float64]:
    """Rotation matrix: first about x, then y, then z (right-handed, LPS axes)."""
    turned = np.eye(3)
    for axis, angle in enumerate((about_x_deg, about_y_deg, about_z_deg)):
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[a, a], step[a, b], step[b, a], step[b, b] = c, -s, s, c
        turned = step @ turned
    return turned


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid; ``axes`` are its unit half-axis directions as rows of a 3 x 3 nested tuple, or None.

    Attributes:
        centre: LPS mm.
        radii: Half-axes in mm.
        axes: Direction of each half-axis.
    """

    centre: Triple
    radii: Triple
    axes: tuple[Triple, Triple, Triple] | None = None

    @property
    def frame(self) -> NDArray[np.float64]:
        """Unit directions of the half-axes as rows."""
        return np.eye(3) if self.axes is None else np.array(self.axes)

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        if self.axes is None:
            u, v, w = dx, dy, dz
        else:
            u, v, w = (dx * a[0] + dy * a[1] + dz * a[2] for a in self.axes)
        u2, v2, w2 = ((c / r) ** 2 for c, r in zip((u, v, w), self.radii, strict=True))
        level2 = u2 + v2 + w2
        slope2 = u2 / self.radii[0] ** 2 + v2 / self.radii[1] ** 2 + w2 / self.radii[2] ** 2
        # First-order distance: level (level - 1) / |gradient|, kept finite at the centre.
        return np.asarray((level2 - np.sqrt(level2)) / np.sqrt(slope2 + 1e-12))

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest corner of the tight axis-aligned box."""
        reach = np.sqrt(((self.frame * np.array(self.radii)[:, None]) ** 2).sum(axis=0))
        return np.array(self.centre) - reach, np.array(self.centre) + reach


def turned_ellipsoid(centre: Triple, radii: Triple, **angles_deg: float) -> Ellipsoid:
    """An ellipsoid turned by :func:`rotation`'s angles."""
    frame = rotation(**angles_deg).T
    rows = tuple((float(r[0]), float(r[1]), float(r[2])) for r in frame)
    return Ellipsoid(centre, radii, (rows[0], rows[1], rows[2]))


@dataclass(frozen=True)
class Trunk:
    """A body-like cylinder along z: |x / a|^2.25 + |y / b|^2.25 = 1, waisted, with a groove over the spine.

    Attributes:
        half_width_mm: a at z = 0.
        half_depth_mm: b at z = 0.
        centre_y_mm: Middle between front and back.
        flare: Relative change of a and b per 100 mm towards the head.
        waist: Relative change of a and b with the square of z / 100 mm.
        groove_mm: Depth of the groove over the spine.
        belly_mm: How far the front bulges around z = -60.
    """

    half_width_mm: float
    half_depth_mm: float
    centre_y_mm: float = 0.0
    flare: float = 0.0
    waist: float = 0.0
    groove_mm: float = 0.0
    belly_mm: float = 0.0

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        size = 1 + self.flare * (z / 100) + self.waist * (z / 100) ** 2
        back = y - self.centre_y_mm
        if self.groove_mm:
            back = back + self.groove_mm * np.exp(-((x / 24) ** 2)) * 0.5 * (1 + np.tanh(back / 40))
        if self.belly_mm:
            front = 0.5 * (1 - np.tanh(back / 40))
            back = back + self.belly_mm * np.exp(-(((z + 60) / 90) ** 2)) * front
        across, deep = np.abs(x / (self.half_width_mm * size)), np.abs(back / (self.half_depth_mm * size))
        across, deep = across * across * np.sqrt(np.sqrt(across)), deep * deep * np.sqrt(np.sqrt(deep))
        level = (across + deep) ** (1 / 2.25)
        return np.asarray((level - 1) * (0.5 * (self.half_width_mm + self.half_depth_mm)) * size)


@dataclass(frozen=True)
class Dome:
    """A vertical elliptical cylinder with a rounded top, as the diaphragm is.

    Attributes:
        centre_x_mm: Axis.
        centre_y_mm: Axis.
        radius_x_mm: Below the shoulder.
        radius_y_mm: Below the shoulder.
        shoulder_z_mm: Where the wall starts to round off.
        height_mm: From the shoulder to the top.
        spread: How much wider per 100 mm below the shoulder.
    """

    centre_x_mm: float
    centre_y_mm: float
    radius_x_mm: float
    radius_y_mm: float
    shoulder_z_mm: float
    height_mm: float
    spread: float = 0.25

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        up = np.maximum(z - self.shoulder_z_mm, 0) / self.height_mm
        wide = 1 + self.spread * np.maximum(self.shoulder_z_mm - z, 0) / 100
        across = ((x - self.centre_x_mm) / self.radius_x_mm) ** 2 + ((y - self.centre_y_mm) / self.radius_y_mm) ** 2
        level = np.sqrt(across / wide**2 + up * up)
        return np.asarray((level - 1) * min(self.radius_x_mm, self.radius_y_mm, self.height_mm))


@dataclass(frozen=True)
class HalfSpace:
    """Everything on the side of a plane that ``outward`` points away from."""

    point: Triple
    outward: Triple

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        n = np.array(self.outward) / np.linalg.norm(self.outward)
        return np.asarray((x - self.point[0]) * n[0] + (y - self.point[1]) * n[1] + (z - self.point[2]) * n[2])


@dataclass(frozen=True)
class Blend:
    """Smooth union of two solids: their seam is filled over ``width_mm``."""

    first: Implicit
    second: Implicit
    width_mm: float

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        return _smooth_min(self.first(x, y, z), self.second(x, y, z), self.width_mm)


@dataclass(frozen=True)
class Common:
    """Smooth intersection of two solids: their edge is rounded over ``width_mm``."""

    first: Implicit
    second: Implicit
    width_mm: float = 0.0

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        return -_smooth_min(-self.first(x, y, z), -self.second(x, y, z), self.width_mm)


@dataclass(frozen=True)
class Without:
    """The first solid without the second, the edge rounded over ``width_mm``."""

    first: Implicit
    second: Implicit
    width_mm: float = 0.0

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        return -_smooth_min(-self.first(x, y, z), self.second(x, y, z), self.width_mm)


@dataclass(frozen=True)
class Grown:
    """A solid grown by ``by_mm``, shrunk where it is negative."""

    solid: Implicit
    by_mm: float

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        return np.asarray(self.solid(x, y, z) - self.by_mm)


def _smooth_min(a: Array, b: Array, width_mm: float) -> Array:
    if width_mm <= 0:
        return np.asarray(np.minimum(a, b))
    overlap = np.maximum(width_mm - np.abs(a - b), 0) / width_mm
    return np.asarray(np.minimum(a, b) - overlap * overlap * (width_mm / 4))


@dataclass(frozen=True)
class Spine:
    """Vertebrae, one every ``pitch_mm``: body, pedicles, laminae, transverse and spinous processes.

    Attributes:
        body_y_mm: Centre of the vertebral bodies.
        radius_x_mm: Of a body.
        radius_y_mm: Of a body.
        pitch_mm: From one disc to the next.
        disc_mm: Height of a disc.
        shrink_mm: Taken off every surface: 0 gives the cortex, more gives the marrow.
    """

    body_y_mm: float
    radius_x_mm: float
    radius_y_mm: float
    pitch_mm: float
    disc_mm: float
    shrink_mm: float = 0.0

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        level = np.mod(z, self.pitch_mm) - self.pitch_mm / 2
        side, back = np.abs(x), y - self.body_y_mm - self.radius_y_mm
        waist = 1 - 0.12 * (1 - (level / (self.pitch_mm / 2)) ** 2)
        round_ = np.sqrt((x / self.radius_x_mm) ** 2 + ((y - self.body_y_mm) / self.radius_y_mm) ** 2)
        wall = (round_ / waist - 1) * self.radius_y_mm
        body = np.maximum(wall, np.abs(level) - (self.pitch_mm - self.disc_mm) / 2)
        part = body
        for start, end, radius in (
            ((12, -4, 4), (15, 12, 3), 5.0),
            ((15, 12, 2), (0, 24, -4), 4.0),
            ((15, 13, 3), (38, 22, 1), 4.5),
            ((0, 24, -4), (0, 40, -11), 4.0),
        ):
            part = np.minimum(part, _rod(side, back, level, start, end) - radius)
        return np.asarray(part + self.shrink_mm)


def _rod(x: Array, y: Array, z: Array, start: Triple, end: Triple) -> Array:
    axis = np.subtract(end, start)
    dx, dy, dz = x - start[0], y - start[1], z - start[2]
    share = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) / (axis @ axis), 0, 1)
    return np.asarray(np.sqrt((dx - share * axis[0]) ** 2 + (dy - share * axis[1]) ** 2 + (dz - share * axis[2]) ** 2))


@dataclass(frozen=True, eq=False)
class Rods:
    """A few tapered capsules as a solid; trees of many belong in ``Tubes``."""

    capsules: Capsules

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """See :class:`Implicit`."""
        best = self.capsules.distance_of_row(0, x, y, z)
        for row in range(1, len(self.capsules)):
            best = np.minimum(best, self.capsules.distance_of_row(row, x, y, z))
        return best
