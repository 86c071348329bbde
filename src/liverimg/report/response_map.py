"""The margin as a flat map: every direction from the tumour's centre once, equal solid angles equally large.

Mollweide's projection, seen from the front: anterior in the middle, the patient's right on the left, posterior at both
ends. Where several parts of the surface lie in one direction the smallest margin is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.report.encode import png_uri, thinned
from liverimg.report.level_lines import level_lines, simplified
from liverimg.report.margin_surface import MarginSurface
from liverimg.report.mesh_view import spread
from liverimg.report.response_bands import Bands
from liverimg.report.window_shapes import Shape, circle, path

FloatArray = NDArray[np.float64]

WIDTH, HEIGHT = 200.0, 100.0  # of the map, in its own units
_HALF_WIDTH, _HALF_HEIGHT = 2 * np.sqrt(2.0), np.sqrt(2.0)
_PIXEL = 0.25
_FINER = 2
_ROUNDS = 12
_CLOSE = 1e-9  # a step is followed by one of about its square
_STEP_SHARE = 0.01  # of the tumour's size: a few pixels of the map
_REACH_PIXELS = 6.0
_SMOOTH_PIXELS = 1.5
_SIMPLER_PIXELS = 0.6
_SIGN = 2.6
_EMPTY = 0.55


@dataclass(frozen=True, eq=False)
class FlatMap:
    """The map, in units of which it is 200 wide and 100 high.

    Attributes:
        image: As a data URI.
        hatched: Where the tumour is not covered, as SVG path; empty where it is covered everywhere.
        lines: Where bands meet.
        graticule: Meridians and the equator.
        letters: x, y and word of each direction.
        thinnest: Signs at the smallest margin; none where it is not known.
        thinnest_at: x, y of it, or None.
    """

    image: str
    hatched: str
    lines: str
    graticule: str
    letters: tuple[tuple[float, float, str], ...]
    thinnest: tuple[Shape, ...] = ()
    thinnest_at: tuple[float, float] | None = None


def mollweide(directions: FloatArray) -> FloatArray:
    """Where directions lie on the map, shape (n, 2).

    Longitude is counted from anterior to the left, latitude to the head. The auxiliary angle t of
    ``2 t + sin 2t = pi sin(latitude)`` is found by Newton's method.

    Args:
        directions: In LPS, of any length but 0, shape (n, 3).
    """
    length = np.maximum(np.linalg.norm(directions, axis=1), 1e-12)
    sine = np.clip(directions[:, 2] / length, -1.0, 1.0)
    longitude = np.arctan2(directions[:, 0], -directions[:, 1])
    angle = np.arcsin(sine) * 0.9
    open_still = np.arange(len(angle))  # near the poles the steps shrink slowly, elsewhere a few are enough
    for _ in range(_ROUNDS):
        now = angle[open_still]
        slope = np.maximum(2 + 2 * np.cos(2 * now), 1e-9)
        step = (2 * now + np.sin(2 * now) - np.pi * sine[open_still]) / slope
        angle[open_still] = np.clip(now - step, -np.pi / 2, np.pi / 2)
        open_still = open_still[np.abs(step) > _CLOSE]
    angle = np.where(np.abs(sine) > 1 - 1e-9, np.sign(sine) * np.pi / 2, angle)
    x = _HALF_WIDTH / np.pi * longitude * np.cos(angle)
    y = _HALF_HEIGHT * np.sin(angle)
    return np.stack([(x / _HALF_WIDTH + 1) * WIDTH / 2, (1 - y / _HALF_HEIGHT) * HEIGHT / 2], axis=1)


def flat_map(surface: MarginSurface, bands: Bands, *, thinnest_lps_mm: FloatArray | None) -> FlatMap:
    """Paints the margin of every direction.

    Args:
        surface: In the later study.
        bands: Colours.
        thinnest_lps_mm: Where the margin is smallest, in the later study; None when not known.
    """
    centre = surface.middle_lps_mm
    margin, inside = _margins(surface, centre)
    known = np.isfinite(margin)
    colour = np.full((*margin.shape, 4), _EMPTY)
    colour[..., 3] = 1.0
    colour[known, :3] = bands.rgb()[bands.of(margin[known])]
    rgba = np.where(inside[..., None], colour, 0.0)
    small = thinned(rgba, _FINER)
    filled = np.where(known, margin, np.inf)
    uncovered = np.where(inside, filled, np.inf) < min(bands.limits_mm)
    signs: tuple[Shape, ...] = ()
    at = None
    if thinnest_lps_mm is not None:
        place = mollweide((thinnest_lps_mm - centre)[None])[0]
        at = (float(place[0]), float(place[1]))
        signs = (Shape("thin-ring", circle(place, _SIGN)),)
    return FlatMap(
        image=png_uri((small * 255 + 0.5).astype(np.uint8)),
        hatched=_edges(uncovered.astype(float), 0.5, closed=True) if min(bands.limits_mm) <= 0 else "",
        lines="".join(_edges(np.where(known & inside, margin, np.nan), limit) for limit in bands.limits_mm),
        graticule=_graticule(),
        letters=_letters(),
        thinnest=signs,
        thinnest_at=at,
    )


def _margins(surface: MarginSurface, centre: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The smallest margin at each pixel of the map (NaN where no surface lies that way), and which pixels are map."""
    rows, columns = int(HEIGHT / _PIXEL), int(WIDTH / _PIXEL)
    extent = np.ptp(surface.vertices_lps_mm, axis=0).max()
    points = spread(surface.vertices_lps_mm, surface.triangles, step_mm=_STEP_SHARE * float(extent))
    values = points.of_corners(surface.margin_mm, surface.triangles)
    place = mollweide(points.lps_mm - centre) / _PIXEL
    row = np.clip(place[:, 1].astype(int), 0, rows - 1)
    column = np.clip(place[:, 0].astype(int), 0, columns - 1)
    least = np.full((rows, columns), np.inf)
    np.minimum.at(least.ravel(), row * columns + column, values)  # a view: what is flat is found faster
    y, x = np.meshgrid((np.arange(rows) + 0.5) * _PIXEL, (np.arange(columns) + 0.5) * _PIXEL, indexing="ij")
    inside = ((x - WIDTH / 2) / (WIDTH / 2)) ** 2 + ((y - HEIGHT / 2) / (HEIGHT / 2)) ** 2 <= 1
    empty = ~np.isfinite(least)
    if empty.all():
        return np.full((rows, columns), np.nan), inside
    # Between the points of a coarse mesh pixels stay free; those take their neighbour's. Wide gaps are gaps.
    gap, nearest = ndimage.distance_transform_edt(empty, return_indices=True)
    closed = least[tuple(nearest)]
    known = gap <= _REACH_PIXELS
    # Several points fall on a pixel and their smallest is taken, which is ragged by a pixel or two.
    weight = ndimage.gaussian_filter(known.astype(float), _SMOOTH_PIXELS, mode=("nearest", "wrap"))
    smooth = ndimage.gaussian_filter(np.where(known, closed, 0.0), _SMOOTH_PIXELS, mode=("nearest", "wrap"))
    return np.where(known, smooth / np.maximum(weight, 1e-9), np.nan), inside


def _edges(field: FloatArray, level: float, *, closed: bool = False) -> str:
    if closed:
        field = np.pad(field, 1)
    shift = 0.5 - int(closed)
    lines = simplified(level_lines(field, level), _SIMPLER_PIXELS)
    return "".join(path((line[:, ::-1] + shift) * _PIXEL, closed=closed) for line in lines if len(line) > 2)


def _graticule() -> str:
    turn = np.linspace(-np.pi / 2, np.pi / 2, 61)
    lines = []
    for longitude in (-90.0, 0.0, 90.0):
        around = np.deg2rad(longitude)
        ring = np.stack([np.cos(turn) * np.sin(around), -np.cos(turn) * np.cos(around), np.sin(turn)], axis=1)
        lines.append(path(mollweide(ring), closed=False))
    return "".join(lines) + f"M0 {HEIGHT / 2:g}H{WIDTH:g}"


def _letters() -> tuple[tuple[float, float, str], ...]:
    ways = {"A": (0, -1, 0), "L": (1, 0, 0), "R": (-1, 0, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    places = mollweide(np.array(list(ways.values()), dtype=float))
    placed = [(float(x), float(y), name) for (x, y), name in zip(places, ways, strict=True)]
    return (*placed, (0.0, HEIGHT / 2, "P"), (WIDTH, HEIGHT / 2, "P"))
