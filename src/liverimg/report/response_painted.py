"""The margin painted on the tumour in three dimensions: a scene to turn, and still pictures of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.report.encode import png_uri, thinned
from liverimg.report.holes import without_holes
from liverimg.report.margin_surface import MarginSurface
from liverimg.report.mesh_view import Points, facing, nearest_placed, nearest_points, normals, placed, shades, spread
from liverimg.report.overlays import bounds
from liverimg.report.planes import letters_of
from liverimg.report.response_bands import Bands
from liverimg.report.surface3d import ViewBox, letters_trace, mesh_trace, packed, scene_layout
from liverimg.report.text import Strings, say
from liverimg.report.window_view import Camera

FloatArray = NDArray[np.float64]

# Right and down of each look.
_LOOKS = {
    "front": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "back": ((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "right": ((0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
    "left": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    "above": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "below": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
}
_UPRIGHT = 0.95
_PIXELS = 220
_FINER = 2
_SPARE = 1.06
_VEIL = "#8a949e"  # grey: a coloured veil would change the colours of the bands under it
_VEIL_OPACITY = 0.12
_PIN, _PIN_SHARE = "#8b5cf6", 0.14
_LEAST_RANGE_MM = 1e-3  # a margin that is the same everywhere still needs a scale of colours
_EYE = 1.3
_ZONE_VEIL, _ZONE_EDGE = 0.10, 0.55
_ZONE_RGB = np.array([0.45, 0.52, 0.60])
_THIN_RGB = np.array([0.05, 0.05, 0.05])
_RING_SHARE, _RING_WIDTH = 0.035, 0.011
_ROOM = 4  # pixels around the tumour, more than gaps are closed over
_VEIL_GAP = 4


@dataclass(frozen=True)
class Still:
    """One look at the painted tumour.

    Attributes:
        image: As a data URI.
        size: Width and height in pixels.
        caption: From where.
        letters: Directions at the left, right, top and bottom of it.
    """

    image: str = field(repr=False)
    size: tuple[int, int]
    caption: str
    letters: tuple[str, str, str, str]


def painted_scene(
    surface: MarginSurface,
    bands: Bands,
    *,
    ends_lps_mm: tuple[FloatArray, FloatArray] | None,
    strings: Strings,
) -> dict[str, Any]:
    """The tumour in its bands, the zone as a veil around it and the smallest margin as a line: a Plotly figure.

    It is seen first from where the margin is smallest.

    Args:
        surface: In the later study.
        bands: Colours.
        ends_lps_mm: The smallest margin's ends on tumour and zone; None when not known.
        strings: Words.
    """
    traces = [_painted_tumour(surface, bands, strings), _veil(surface, strings)]
    box = ViewBox.around(np.concatenate([surface.vertices_lps_mm, surface.zone_vertices_lps_mm]))
    layout = scene_layout(box)
    if ends_lps_mm is not None:
        traces.append(_pin(surface, ends_lps_mm, strings))
        layout["scene"]["camera"].update(eye_towards(ends_lps_mm[0] - surface.middle_lps_mm))
    return {"data": [*traces, letters_trace(box, strings)], "layout": layout}


def _painted_tumour(surface: MarginSurface, bands: Bands, strings: Strings) -> dict[str, Any]:
    low, high = float(surface.margin_mm.min()), float(surface.margin_mm.max())
    high = max(high, low + _LEAST_RANGE_MM)
    return mesh_trace(
        surface.vertices_lps_mm,
        surface.triangles,
        name=say(strings, "margin.tumour"),
        intensity=packed(surface.margin_mm, "float32"),
        cmin=low,
        cmax=high,
        colorscale=[[share, colour] for share, colour in bands.scale(low, high)],
        showscale=False,
        hovertemplate=say(strings, "margin.hover"),
        lighting={"ambient": 0.72, "diffuse": 0.35, "specular": 0.04, "roughness": 0.9, "fresnel": 0.0},
    )


def _veil(surface: MarginSurface, strings: Strings) -> dict[str, Any]:
    return mesh_trace(
        surface.zone_vertices_lps_mm,
        surface.zone_triangles,
        name=say(strings, "margin.zone"),
        color=_VEIL,
        opacity=_VEIL_OPACITY,
        hoverinfo="skip",
    )


def _pin(surface: MarginSurface, ends_lps_mm: tuple[FloatArray, FloatArray], strings: Strings) -> dict[str, Any]:
    """The smallest margin as a line, which stands out of the tumour: the margin's own may hide inside."""
    outward = ends_lps_mm[0] - surface.middle_lps_mm
    size_mm = np.ptp(surface.vertices_lps_mm, axis=0).max()
    head = ends_lps_mm[0] + outward / max(float(np.linalg.norm(outward)), 1e-9) * _PIN_SHARE * size_mm
    ends = np.array([head, *ends_lps_mm])
    return {
        "type": "scatter3d",
        "mode": "lines+markers",
        "name": say(strings, "margin.thinnest"),
        **{axis: [round(float(v), 2) for v in ends[:, n]] for n, axis in enumerate("xyz")},
        "line": {"width": 7, "color": _PIN},
        "marker": {"size": [9, 4, 4], "color": _PIN, "line": {"width": 1, "color": "#ffffff"}},
        "hoverinfo": "name",
        "showlegend": True,
    }


def eye_towards(way: FloatArray) -> dict[str, Any]:
    """Plotly's camera that looks at a side of the scene from outside."""
    outward = way / max(float(np.linalg.norm(way)), 1e-9)
    up = [0.0, 0.0, 1.0] if abs(outward[2]) < _UPRIGHT else [0.0, -1.0, 0.0]
    eye = dict(zip("xyz", (round(_EYE * float(c), 4) for c in outward), strict=True))
    return {"eye": eye, "up": dict(zip("xyz", up, strict=True))}


def stills(
    surface: MarginSurface, bands: Bands, *, thinnest_lps_mm: FloatArray | None, strings: Strings
) -> tuple[Still, ...]:
    """The painted tumour from six sides, and first from where its margin is smallest.

    Args:
        surface: In the later study.
        bands: Colours.
        thinnest_lps_mm: Where the margin is smallest; None when not known.
        strings: Words.
    """
    middle = surface.middle_lps_mm
    everything = np.concatenate([surface.vertices_lps_mm, surface.zone_vertices_lps_mm])
    reach = float(np.linalg.norm(everything - middle, axis=1).max()) * _SPARE
    looks: dict[str, tuple[Sequence[float], Sequence[float]]] = dict(_LOOKS)
    if thinnest_lps_mm is not None:
        looks = {"thinnest": _facing(thinnest_lps_mm - middle), **looks}
    pixel = 2 * reach / (_PIXELS * _FINER)
    paint = _Paint.of(surface, bands, pixel)
    veil = spread(surface.zone_vertices_lps_mm, surface.zone_triangles, step_mm=3 * pixel)
    # In single precision points lie a ten-thousandth of a pixel off at most.
    dots, around = (points.lps_mm.astype(np.float32) for points in (paint.points, veil))
    made = []
    for name, (right, down) in looks.items():
        across, fall = np.asarray(right, dtype=float), np.asarray(down, dtype=float)
        camera = Camera(
            across, fall, middle - reach * (across + fall + np.cross(across, fall)), 2 * reach, 2 * reach, 0.0
        )
        places = placed(dots, camera)
        rgba = _look(camera, pixel, places, paint, around)
        if thinnest_lps_mm is not None:
            _ring(rgba, camera.place(thinnest_lps_mm), places, pixel)
        image = png_uri((thinned(rgba, _FINER) * 255 + 0.5).astype(np.uint8))
        letters = (*letters_of(-across, across), *letters_of(-fall, fall))
        made.append(Still(image, (_PIXELS, _PIXELS), say(strings, f"margin.look.{name}"), letters))
    return tuple(made)


@dataclass(frozen=True, eq=False)
class _Paint:
    """The tumour as painted points.

    Attributes:
        points: Spread over its surface.
        surface: The surface.
        normals: At its vertices.
        bands: Colours.
    """

    points: Points
    surface: MarginSurface
    normals: FloatArray
    bands: Bands

    @classmethod
    def of(cls, surface: MarginSurface, bands: Bands, pixel: float) -> _Paint:
        """Points close enough for pixels of a size in mm."""
        points = spread(surface.vertices_lps_mm, surface.triangles, step_mm=1.3 * pixel)
        return cls(points, surface, normals(surface.vertices_lps_mm, surface.triangles), bands)

    def rgb(self, which: NDArray[np.int_], camera: Camera) -> FloatArray:
        """Colours of some of the points in a picture, shape (n, 3)."""
        triangles = self.surface.triangles
        margin_mm = self.points.at(which, self.surface.margin_mm, triangles)
        found = np.clip(self.bands.of(margin_mm), 0, len(self.bands.colours) - 1)
        shade = shades(self.points.at(which, facing(self.normals, camera), triangles))
        return np.clip(self.bands.rgb()[found] * shade[:, None], 0, 1)


def _facing(way: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Right and down of a look against a direction, the head up where there is an up."""
    into = -way / max(float(np.linalg.norm(way)), 1e-9)
    up = np.array([0.0, 0.0, 1.0]) if abs(into[2]) < _UPRIGHT else np.array([0.0, -1.0, 0.0])
    down = -(up - (up @ into) * into)
    down /= np.linalg.norm(down)
    return tuple(np.cross(down, into)), tuple(down)


def _look(
    camera: Camera, pixel: float, places: NDArray[np.floating], paint: _Paint, veil: NDArray[np.floating]
) -> NDArray[np.float32]:
    size = _PIXELS * _FINER
    shown = nearest_placed(places, camera, mm_per_pixel=pixel)[:size, :size]
    rgba = np.zeros((*shown.shape, 4), dtype=np.float32)
    around = _filled(nearest_points(veil, camera, mm_per_pixel=pixel)[:size, :size] >= 0, _VEIL_GAP)
    rim = around & ~ndimage.binary_erosion(around, iterations=2)
    rgba[..., :3] = _ZONE_RGB
    rgba[..., 3] = np.where(rim, _ZONE_EDGE, np.where(around, _ZONE_VEIL, 0.0))
    extent = bounds(shown >= 0)
    if extent is not None:
        box = tuple(slice(max(int(a) - _ROOM, 0), int(b) + _ROOM) for a, b in zip(*extent, strict=True))
        _lay(rgba[box], shown[box], paint, camera)
    return rgba


def _filled(hit: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Pixels that points fell on, with what they enclose."""
    return without_holes(ndimage.binary_closing(hit, iterations=gap))


def _lay(rgba: NDArray[np.float32], shown: NDArray[np.int_], paint: _Paint, camera: Camera) -> None:
    """Paints the tumour on the part of a picture around it."""
    hit = shown >= 0
    # Single pixels that no point fell on take their neighbour's colour.
    closed = ndimage.binary_closing(hit, iterations=2) | hit
    gaps = closed & ~hit
    if gaps.any():
        rows, columns = ndimage.distance_transform_edt(~hit, return_distances=False, return_indices=True)[:, gaps]
        shown = shown.copy()
        shown[gaps] = shown[rows, columns]
    rgba[closed, :3] = paint.rgb(shown[closed], camera)
    rgba[closed, 3] = 1.0


def _ring(rgba: NDArray[np.float32], place: FloatArray, places: NDArray[np.floating], pixel: float) -> None:
    """A ring around the thinnest place, where it is not hidden behind the tumour."""
    x, y, depth = place
    size = rgba.shape[0]
    beside = np.flatnonzero(np.abs(places[0] - x) < 4 * pixel)
    beside = beside[np.hypot(places[0, beside] - x, places[1, beside] - y) < 4 * pixel]
    if len(beside) and places[2, beside].min() < depth - size * pixel * _RING_SHARE:
        return
    reach = math.ceil(size * (_RING_SHARE + _RING_WIDTH)) + 1
    top, left = (max(int(at / pixel) - reach, 0) for at in (y, x))
    rgba = rgba[top : top + 2 * reach + 2, left : left + 2 * reach + 2]
    row, column = np.indices(rgba.shape[:2])
    away = np.hypot(column + left - x / pixel, row + top - y / pixel) / size
    inner = np.abs(away - _RING_SHARE)
    rgba[inner < _RING_WIDTH, :3] = 1.0
    rgba[inner < _RING_WIDTH, 3] = 1.0
    rgba[inner < _RING_WIDTH * 0.6, :3] = _THIN_RGB
