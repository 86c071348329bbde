"""Closed forms of ellipsoids: volume, axial diameters, exact distance, points spread over the surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverimg.phantom.deformation import Deformation
from liverimg.phantom.solids import Ellipsoid

FloatArray = NDArray[np.float64]

_MM3_PER_ML = 1000.0
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def volume_ml(shape: Ellipsoid) -> float:
    """4/3 pi a b c."""
    return float(4 / 3 * np.pi * np.prod(shape.radii) / _MM3_PER_ML)


def is_sphere(shape: Ellipsoid) -> bool:
    """Whether all half-axes are equal."""
    return bool(max(shape.radii) == min(shape.radii))


def axial_diameters_mm(shape: Ellipsoid) -> tuple[float, float]:
    """Long and short diameter of the largest axial section, in mm.

    Sections across z are similar ellipses, and the one through the centre is the largest. Its half-axes are
    the inverse roots of the eigenvalues of the quadratic form's x-y block.
    """
    frame = shape.frame
    form = frame.T @ np.diag(1 / np.square(shape.radii)) @ frame
    low, high = np.linalg.eigvalsh(form[:2, :2])
    return float(2 / np.sqrt(low)), float(2 / np.sqrt(high))


def placed(shape: Ellipsoid, deformation: Deformation | None) -> Ellipsoid:
    """The ellipsoid where the patient lies at the examination.

    Exact when it lies in a ball that the smooth part leaves still; refuses otherwise.
    """
    if deformation is None:
        return shape
    if not any(
        np.linalg.norm(np.subtract(shape.centre, b.centre_lps_mm)) + max(shape.radii) <= b.radius_mm
        for b in deformation.still
    ):
        raise ValueError("the ellipsoid lies where the body bends, so that it is no ellipsoid any more")
    centre = deformation.from_built(np.array(shape.centre))
    frame = shape.frame @ deformation.rotation  # row vectors: R^T applied to each axis
    rows = [(float(r[0]), float(r[1]), float(r[2])) for r in frame]
    return Ellipsoid((float(centre[0]), float(centre[1]), float(centre[2])), shape.radii, (rows[0], rows[1], rows[2]))


def unit_directions(count: int) -> FloatArray:
    """Directions spread evenly over the sphere (Fibonacci lattice), shape (count, 3)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    ring = np.sqrt(1 - z * z)
    angle = _GOLDEN_ANGLE * np.arange(count)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)


def surface_points(shape: Ellipsoid, directions: FloatArray) -> FloatArray:
    """Surface points that unit directions map to, shape (n, 3)."""
    return np.asarray(np.array(shape.centre) + (directions * shape.radii) @ shape.frame)


def surface_weights(shape: Ellipsoid, directions: FloatArray) -> FloatArray:
    """Share of the surface area that each evenly spread direction stands for; sums to 1."""
    stretch = np.prod(shape.radii) * np.linalg.norm(directions / shape.radii, axis=1)
    return np.asarray(stretch / stretch.sum())


def extreme_on_surface(
    shape: Ellipsoid,
    value: Callable[[FloatArray], FloatArray],
    *,
    largest: bool = False,
    start: int = 3000,
    candidates: int = 8,
) -> tuple[float, FloatArray]:
    """Smallest (or largest) value of a function over the ellipsoid's surface, and where.

    Evenly spread points first, then ever smaller caps around the best few, down to about a nanometre: a function
    with several valleys, such as the distance to a tree, may be lowest in another one than its coarse sample says.

    Args:
        shape: The ellipsoid.
        value: Takes points (n, 3) to values (n,).
        largest: Whether the largest value is wanted.
        start: Evenly spread points.
        candidates: Valleys that are followed.
    """
    sign = -1.0 if largest else 1.0
    directions = unit_directions(start)
    spread = 4.4 / np.sqrt(start)
    found = []
    for best in _valleys(directions, sign * value(surface_points(shape, directions)), spread, candidates):
        direction, width = best, spread
        for _ in range(14):
            around = _cap(direction, width)
            values = sign * value(surface_points(shape, around))
            direction, width = around[int(values.argmin())], 0.25 * width
        point = surface_points(shape, direction[None])
        found.append((float(value(point)[0]), point[0]))
    return max(found, key=lambda f: f[0]) if largest else min(found, key=lambda f: f[0])


def _valleys(directions: FloatArray, values: FloatArray, apart: float, most: int) -> list[FloatArray]:
    """The best directions that lie at least ``apart`` from every better one."""
    chosen: list[FloatArray] = []
    for row in np.argsort(values, kind="stable"):
        if all(np.linalg.norm(directions[row] - other) > apart for other in chosen):
            chosen.append(directions[row])
            if len(chosen) == most:
                break
    return chosen


def _cap(direction: FloatArray, width: float, *, count: int = 160) -> FloatArray:
    """A direction and others spread evenly within ``width`` (radian) of it."""
    disc = np.sqrt((np.arange(count) + 0.5) / count) * width
    angle = _GOLDEN_ANGLE * np.arange(count)
    aside = np.cross(direction, np.eye(3)[int(np.abs(direction).argmin())])
    aside /= np.linalg.norm(aside)
    other = np.cross(direction, aside)
    near = direction + np.outer(disc * np.cos(angle), aside) + np.outer(disc * np.sin(angle), other)
    return np.concatenate([direction[None], near / np.linalg.norm(near, axis=1, keepdims=True)])


def signed_distance(points: ArrayLike, shape: Ellipsoid) -> FloatArray:
    """Exact signed distance in mm from points (n, 3) to the ellipsoid's surface, negative inside.

    Closest points by bisection on Eberly's equation, which has one root in the bracket for every point.
    """
    local = np.abs((np.asarray(points, dtype=float).reshape(-1, 3) - np.array(shape.centre)) @ shape.frame.T)
    radii = np.array(shape.radii)
    least = float(radii.min())
    if is_sphere(shape):
        return np.asarray(np.linalg.norm(local, axis=1) - least)
    local = np.maximum(local, 1e-9)  # on a symmetry plane the nearest point may lie off it; a nudge finds it

    def level(t: Any) -> Any:
        return ((radii * local / (t[:, None] + radii**2)) ** 2).sum(axis=1) - 1

    low = np.full(len(local), -(least**2)) + least * local[:, int(radii.argmin())]
    high = np.linalg.norm(radii * local, axis=1)
    low = np.minimum(low, high)
    for _ in range(200):
        middle = 0.5 * (low + high)
        above = level(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    t = 0.5 * (low + high)
    nearest = radii**2 * local / (t[:, None] + radii**2)
    gap = np.linalg.norm(nearest - local, axis=1)
    inside = ((local / radii) ** 2).sum(axis=1) < 1
    return np.asarray(np.where(inside, -gap, gap))
