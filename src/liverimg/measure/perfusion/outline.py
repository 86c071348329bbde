"""A closed line in a picture: area, perimeter, long and short diameter, in whatever unit its points have."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from skimage import measure

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outline:
    """A polygon, closed.

    Attributes:
        points: Down, across, shape (n, 2); in mm or pixels from the middle of the picture's first pixel.
    """

    points: FloatArray = field(repr=False)

    @property
    def area(self) -> float:
        """Enclosed area (shoelace)."""
        down, across = self.points.T
        return float(abs(np.sum(down * np.roll(across, -1) - np.roll(down, -1) * across)) / 2)

    @property
    def perimeter(self) -> float:
        """Length of the line."""
        return float(np.linalg.norm(self.points - np.roll(self.points, -1, axis=0), axis=1).sum())

    @property
    def centre(self) -> FloatArray:
        """Centre of gravity of the enclosed area."""
        down, across = self.points.T
        cross = down * np.roll(across, -1) - np.roll(down, -1) * across
        both = self.points + np.roll(self.points, -1, axis=0)
        return np.asarray((both * cross[:, None]).sum(axis=0) / (3 * cross.sum()))

    def diameters(self) -> tuple[FloatArray, FloatArray]:
        """Long and short diameter, each as its two end points, shape (2, 2).

        The long one joins the two points that lie farthest apart. The short one is the width at right angles to it,
        drawn between the two outermost points.
        """
        hull = self.points[ConvexHull(self.points).vertices]
        apart = np.linalg.norm(hull[:, None] - hull[None], axis=-1)
        a, b = np.unravel_index(int(apart.argmax()), apart.shape)
        long = np.stack([hull[a], hull[b]])
        along = (long[1] - long[0]) / np.linalg.norm(long[1] - long[0])
        beside = np.array([-along[1], along[0]])
        widths = hull @ beside
        middle = float((hull @ along).mean())
        short = np.stack([middle * along + w * beside for w in (widths.min(), widths.max())])
        return long, short

    def grown(self, area: float) -> Outline:
        """The line with so much more area, moved away from its centre in proportion."""
        factor = float(np.sqrt(max(0.0, 1 + area / self.area)))
        return Outline(self.centre + factor * (self.points - self.centre))

    def smooth(self, length: float) -> Outline:
        """The line freed of wiggles shorter than ``length``: a Gaussian along it, its area kept."""
        steps = np.linalg.norm(np.diff(np.vstack([self.points, self.points[:1]]), axis=0), axis=1)
        way = np.concatenate(([0.0], np.cumsum(steps)))
        count = max(64, 2 * len(self.points))
        at = np.linspace(0, way[-1], count, endpoint=False)
        closed = np.vstack([self.points, self.points[:1]])
        even = np.stack([np.interp(at, way, closed[:, n]) for n in (0, 1)], axis=1)
        waves = np.fft.fftfreq(count, d=float(way[-1]) / count)
        gain = np.exp(-2 * (np.pi * waves * length) ** 2)
        smooth = np.fft.ifft(np.fft.fft(even, axis=0) * gain[:, None], axis=0).real
        return Outline(smooth).grown(self.area - Outline(smooth).area)


def outline_at(
    field_values: FloatArray, level: float, *, pitch: tuple[float, float], around: FloatArray
) -> Outline | None:
    """The closed line along which a field passes a level from below, the one that holds a place; None without one.

    Args:
        field_values: Shape (j, i), low inside.
        level: Of the line.
        pitch: Size of a pixel along rows and columns.
        around: A place inside, in the unit of ``pitch``.
    """
    found = []
    for line in measure.find_contours(field_values, level):  # type: ignore[no-untyped-call]
        if len(line) < 8 or not np.allclose(line[0], line[-1]):
            continue
        points = line[:-1] * np.array(pitch)
        if measure.points_in_poly(around[None], points)[0]:  # type: ignore[no-untyped-call]
            found.append(Outline(points))
    return min(found, key=lambda one: one.area) if found else None


def filled(outline: Outline, shape: tuple[int, int], *, pitch: tuple[float, float]) -> NDArray[np.bool_]:
    """Pixels whose middle lies inside."""
    inside = measure.grid_points_in_poly(shape, outline.points / np.array(pitch))  # type: ignore[no-untyped-call]
    return np.asarray(inside, dtype=np.bool_)
