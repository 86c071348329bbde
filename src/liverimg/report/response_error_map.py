"""The error of the alignment over the liver: its pieces, seen through the liver from the front, the right and below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from liverimg.core.alignment import Alignment, Pieces
from liverimg.report.holes import without_holes
from liverimg.report.planes import letters_of
from liverimg.report.response_cuts import Body
from liverimg.report.text import Strings, say
from liverimg.report.window_shapes import path
from liverimg.report.window_view import Camera

FloatArray = NDArray[np.float64]

LOOKS = {
    "front": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "right": ((0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
    "below": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
}
_LEAST_CELL_MM = 6.0
_ALIKE_MM = 0.5
_ROOM_MM = 12.0
_PIXEL_MM = 2.0


@dataclass(frozen=True)
class ErrorCell:
    """All pieces along one line of sight.

    Attributes:
        x: Of its middle, mm from the left.
        y: Of its middle, mm from the top.
        level: Which band the largest error lies in, counted from the smallest.
        astray: Whether a piece there was found elsewhere than expected.
    """

    x: float
    y: float
    level: int
    astray: bool


@dataclass(frozen=True)
class ErrorView:
    """One look through the liver, lengths in mm.

    Attributes:
        caption: From where.
        width_mm: Of the picture.
        height_mm: Of the picture.
        outline: Of the liver, as SVG path.
        cells: Where pieces were looked for.
        cell_mm: Width and height of a cell.
        lesions: x, y and name of each lesion.
        letters: Directions at the left, right, top and bottom.
    """

    caption: str
    width_mm: float
    height_mm: float
    outline: str
    cells: tuple[ErrorCell, ...]
    cell_mm: tuple[float, float]
    lesions: tuple[tuple[float, float, str], ...]
    letters: tuple[str, str, str, str]


def error_views(alignment: Alignment, liver: Body | None, strings: Strings) -> tuple[ErrorView, ...]:
    """Three looks at the pieces in the earlier study; none where no piece was looked for."""
    if alignment.pieces is None or not len(alignment.pieces.places_lps_mm):
        return ()
    limits = tuple(float(mm) for mm in strings["display"]["error"]["limits_mm"])
    surface = _surface_lps_mm(liver)
    return tuple(_view(alignment, alignment.pieces, surface, name, limits, strings) for name in LOOKS)


def _surface_lps_mm(liver: Body | None) -> FloatArray:
    """Voxels at the liver's surface, thinned: enough for its shadow."""
    if liver is None:
        return np.zeros((0, 3))
    steps = np.maximum(1, np.floor(_PIXEL_MM / liver.grid.spacing_mm)).astype(int)
    thin = liver.mask[tuple(slice(None, None, int(s)) for s in steps)]
    inside = ndimage.binary_erosion(thin)
    return liver.grid.index_to_lps_mm(np.argwhere(thin & ~inside) * steps)


def _view(
    alignment: Alignment, pieces: Pieces, surface: FloatArray, name: str, limits: tuple[float, ...], strings: Strings
) -> ErrorView:
    right, down = (np.array(d) for d in LOOKS[name])
    lesions = {place.name: np.array(place.place_lps_mm) for place in alignment.lesions}
    everything = [pieces.places_lps_mm, surface, *(at[None] for at in lesions.values())]
    tight = Camera.around(np.concatenate([p for p in everything if len(p)]), right=tuple(right), down=tuple(down))
    corner = tight.corner_lps_mm - _ROOM_MM * (right + down)
    camera = Camera(right, down, corner, tight.width_mm + 2 * _ROOM_MM, tight.height_mm + 2 * _ROOM_MM, 0.0)
    placed = camera.place(pieces.places_lps_mm)[:, :2]
    cell = np.array([_pitch_mm(placed[:, axis]) for axis in (0, 1)])
    return ErrorView(
        caption=say(strings, f"view3d.{name}"),
        width_mm=round(camera.width_mm, 1),
        height_mm=round(camera.height_mm, 1),
        outline=_shadow(camera, surface),
        cells=_cells(placed, cell, pieces, limits),
        cell_mm=(float(cell[0]), float(cell[1])),
        lesions=tuple((*(round(float(c), 1) for c in camera.place(at)[:2]), key) for key, at in lesions.items()),  # type: ignore[misc]
        letters=(*letters_of(-right, right), *letters_of(-down, down)),
    )


def _pitch_mm(along: FloatArray) -> float:
    """How far pieces lie apart along one side of the picture, when they were laid out in rows."""
    steps = np.diff(np.unique(np.round(along / _ALIKE_MM) * _ALIKE_MM))
    steps = steps[steps > _LEAST_CELL_MM / 2]
    return max(float(np.median(steps)), _LEAST_CELL_MM) if len(steps) else _LEAST_CELL_MM


def _cells(placed: FloatArray, size: FloatArray, pieces: Pieces, limits: tuple[float, ...]) -> tuple[ErrorCell, ...]:
    """The worst piece of each cell: a small error in front does not hide a large one behind."""
    start = placed.min(axis=0) - size / 2
    cell = np.floor((placed - start) / size).astype(int)
    found = []
    for column, row in np.unique(cell, axis=0):
        own = (cell == (column, row)).all(axis=1)
        used = own & pieces.agrees
        level = int(np.searchsorted(limits, pieces.error_mm[used].max() if used.any() else np.inf, side="right"))
        x, y = (round(float(c), 1) for c in start + (np.array([column, row]) + 0.5) * size)
        found.append(ErrorCell(x, y, level, bool((own & ~pieces.agrees).any())))
    return tuple(found)


def _shadow(camera: Camera, surface: FloatArray) -> str:
    if not len(surface):
        return ""
    rows, columns = int(camera.height_mm / _PIXEL_MM) + 1, int(camera.width_mm / _PIXEL_MM) + 1
    at = (camera.place(surface)[:, :2] / _PIXEL_MM).astype(int)
    covered = np.zeros((rows, columns), dtype=bool)
    covered[np.clip(at[:, 1], 0, rows - 1), np.clip(at[:, 0], 0, columns - 1)] = True
    lines = measure.find_contours(_closed(covered).astype(float), 0.5)  # type: ignore[no-untyped-call]
    longest = [line for line in lines if len(line) > 12]
    return "".join(path((line[::2, ::-1] + 0.5) * _PIXEL_MM, closed=True) for line in longest)


def _closed(covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return without_holes(ndimage.binary_closing(covered, iterations=2))
