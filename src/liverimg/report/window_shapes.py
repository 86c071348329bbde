"""Shapes drawn over pictures of windows, as SVG paths in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """Something drawn over a picture.

    Attributes:
        kind: Its class in the style sheet.
        path: SVG path data in mm from the picture's upper left corner.
    """

    kind: str
    path: str


def hull(points: FloatArray) -> FloatArray:
    """Corners of the convex hull, in order (monotone chain)."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]

    def half(some: FloatArray) -> list[FloatArray]:
        chain: list[FloatArray] = []
        for point in some:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))


def _turn(a: FloatArray, b: FloatArray, c: FloatArray) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def arc(points: FloatArray) -> str:
    """The transducer's face; a hole in it is left open."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    breaks = np.flatnonzero(steps > 2.5 * np.median(steps)) + 1
    return "".join(path(part, closed=False) for part in np.split(points, breaks) if len(part) > 1)


def path(points: FloatArray, *, closed: bool) -> str:
    """A line through points."""
    steps = "L".join(f"{_mm(x)} {_mm(y)}" for x, y in points.tolist())
    return f"M{steps}{'Z' if closed else ''}"


def circle(centre: FloatArray, radius: float) -> str:
    """A circle."""
    x, y, r = centre[0], centre[1], radius
    return f"M{_mm(x - r)} {_mm(y)}a{r} {r} 0 1 0 {_mm(2 * r)} 0a{r} {r} 0 1 0 {_mm(-2 * r)} 0Z"


def cross(centre: FloatArray, size: float) -> str:
    """An upright cross of arms as long as the size."""
    x, y = centre
    return f"M{_mm(x - size)} {_mm(y)}h{_mm(2 * size)}M{_mm(x)} {_mm(y - size)}v{_mm(2 * size)}"


def _mm(value: float) -> str:
    return f"{float(value):.1f}".removesuffix(".0")
