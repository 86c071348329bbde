"""The longest line through a blob, without the bias of a maximum.

The largest of many distances is too long: among the thousands of lines between surface points that are nearly as long
as the longest, that one wins whose two ends are off outward, by what each point errs on its own. So the surface around
either end is fitted by a quadric, over the cap that lies less than a pitch below the end: as wide as the surface is
smooth there, for it follows the curvature, and wide enough that the errors of some dozens of points average out. The
line then runs between the tops of the two caps.
"""

from __future__ import annotations

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.measure.axial import farthest
from liverimg.measure.surface import Surface

_CAP_PITCHES = 1.0  # height of the fitted cap in mean pitches of the grid
_SHEET = 3.0  # heights of the cap: what lies deeper beneath it is another part of the surface
_RIM = 2.0  # standard deviations of a disc's points: its radius
_MOST_SHIFT = 0.5  # of the cap's height: a fit that moves the end farther has taken in another surface
_FEWEST_POINTS = 10  # a quadric has six coefficients


def longest_span(surface: Surface) -> FloatArray:
    """End points of the longest line, LPS mm, shape (2, 3): on the fitted caps, on the line between two vertices."""
    points = surface.vertices_lps_mm
    ends = farthest(points)
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    height_mm = _CAP_PITCHES * float(np.prod(surface.spacing_mm) ** (1 / 3))
    first = ends[0] - top_mm(points - ends[0], -along, height_mm) * along
    second = ends[1] + top_mm(points - ends[1], along, height_mm) * along
    return np.stack([first, second])


def top_mm(points: FloatArray, outward: FloatArray, height_mm: float) -> float:
    """How far the top of the cap around the origin lies outward of it; 0 where no smooth cap is found there.

    It is negative as a rule: the origin was chosen for lying farther out than the points around it.

    Args:
        points: Of the surface, seen from the end of the line.
        outward: Unit direction.
        height_mm: Of the cap.
    """
    rise = points @ outward
    flat = points @ _across(outward)
    cap = rise >= -height_mm
    if np.count_nonzero(cap) < _FEWEST_POINTS:
        return 0.0
    centred = flat - flat[cap].mean(axis=0)
    spread = centred[cap].T @ centred[cap] / np.count_nonzero(cap)
    if np.linalg.eigvalsh(spread)[0] <= 0:
        return 0.0
    inverse = np.linalg.inv(spread)
    chosen = np.einsum("na,ab,nb->n", centred, inverse, centred) <= _RIM**2
    chosen &= rise >= -_SHEET * height_mm
    if np.count_nonzero(chosen) < _FEWEST_POINTS:
        return 0.0
    x, y = centred[chosen].T
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    level, *rest = np.linalg.lstsq(terms, rise[chosen], rcond=None)[0]
    slope, bend = np.array(rest[:2]), np.array([[2 * rest[2], rest[3]], [rest[3], 2 * rest[4]]])
    top = float(level)
    if np.linalg.eigvalsh(bend)[1] < 0:
        summit = -np.linalg.solve(bend, slope)
        if float(summit @ inverse @ summit) <= _RIM**2:
            top += float(slope @ summit) / 2
    return top if abs(top) <= _MOST_SHIFT * height_mm else 0.0


def _across(direction: FloatArray) -> FloatArray:
    """Two unit vectors at right angles to a direction and each other, as columns, shape (3, 2)."""
    least = np.eye(3)[int(np.argmin(np.abs(direction)))]
    first = np.cross(direction, least)
    first /= np.linalg.norm(first)
    return np.column_stack([first, np.cross(direction, first)])
