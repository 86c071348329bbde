"""The map of an acoustic window: the entries painted on the skin, with liver, ribs and tumour shining through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from liverimg.core.window import Beam, Transducer, WindowMap
from liverimg.report.encode import png_uri
from liverimg.report.planes import letters_of
from liverimg.report.surface3d import Block
from liverimg.report.text import say
from liverimg.report.window_shapes import Shape, circle, cross, hull, path
from liverimg.report.window_studio import WindowPicture, WindowStudio
from liverimg.report.window_view import Camera, Canvas, seen

FloatArray = NDArray[np.float64]

_NEIGHBOURS = 4
_RIM_POINTS = 72
_HALF = 0.5


def map_picture(
    studio: WindowStudio, window: WindowMap, transducer: Transducer, tumour: Block | None, look: str
) -> WindowPicture:
    """One look at the body, the entries' colours on its skin."""
    camera, skin, under = studio.look(look)
    display = studio.display
    pixel, enlarged = float(display["pixel_mm"]), int(display["enlarged"])
    canvas = Canvas(skin.depth_mm.shape)
    depth = np.full(skin.depth_mm.shape, np.inf)
    for colour, layer in under:
        # Of two solid layers the nearer one hides the other.
        cover = np.where(layer.depth_mm < depth, layer.cover, 0.0)
        canvas.lay(_rgb(colour), layer.shade, cover)
        depth = np.where(cover > _HALF, layer.depth_mm, depth)
    if tumour is not None:
        layer = seen(tumour, camera, level=0.5, mm_per_pixel=pixel, enlarged=enlarged)
        # Through the liver it glows; a rib before it hides most of it.
        ribs = under[-1][1] if len(under) > 1 else None
        hidden = 0.0 if ribs is None else ribs.cover * (ribs.depth_mm < layer.depth_mm)
        canvas.lay(_rgb(str(display["tumour_colour"])), layer.shade, layer.cover * (0.95 - 0.6 * hidden))
    painted, strength = _painted(window, camera.lps_mm(skin.depth_mm, pixel / enlarged), display)
    plain = _rgb(str(display["skin_colour"]))
    veil = float(display["veil"]) + (float(display["paint"]) - float(display["veil"])) * strength
    paint = plain + (painted - plain) * strength[..., None]
    canvas.lay(paint, skin.shade, skin.cover * veil)
    caption = say(studio.strings, f"window.map_{look}", lesion=window.lesion)
    return WindowPicture(
        kind="map",
        width_mm=round(camera.width_mm, 2),
        height_mm=round(camera.height_mm, 2),
        image=png_uri(canvas.rgba()),
        shapes=() if window.beam is None else _cone(camera, window.beam, transducer, window.targets_lps_mm[0]),
        letters=(*letters_of(-camera.right, camera.right), *letters_of(-camera.down, camera.down)),
        scale_mm=50.0,
        caption=caption,
        alt=caption,
    )


def _painted(window: WindowMap, places: FloatArray, display: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Colour of each skin pixel, and how much of it is painted: nothing where no entry is near."""
    usable = window.fits & (window.unseen_percent <= float(display["most_unseen_percent"]))
    reach = float(display["entry_reach_mm"])
    if not usable.any():
        return np.zeros(places.shape), np.zeros(places.shape[:2])
    tree = cKDTree(window.entries_lps_mm[usable])
    count = min(_NEIGHBOURS, int(usable.sum()))
    gaps, which = tree.query(places.reshape(-1, 3), k=count, distance_upper_bound=3 * reach)
    gaps, which = gaps.reshape(-1, count), which.reshape(-1, count)
    weights = np.where(np.isfinite(gaps), 1 / (gaps + reach / 4) ** 2, 0.0)
    values = np.append(window.blocked_percent[usable] + window.avoided_percent[usable], 0.0)
    value = (weights * values[which]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
    strength = np.clip((1.5 * reach - gaps[:, 0]) / (0.5 * reach), 0, 1)
    stops = np.array([_rgb(c) for c in display["colours"]])
    at = np.linspace(0, 100, len(stops))
    colour = np.stack([np.interp(value, at, stops[:, c]) for c in range(3)], axis=1)
    return colour.reshape(places.shape), strength.reshape(places.shape[:2])


def _cone(camera: Camera, beam: Beam, transducer: Transducer, target: FloatArray) -> tuple[Shape, ...]:
    """The transducer's rim, the sides of the cone, the entry and the target, as seen by the camera."""
    fan, other = beam.fans[0].across, beam.fans[1].across
    turn = np.linspace(0, 2 * np.pi, _RIM_POINTS, endpoint=False)
    half = transducer.half_angle
    ring = np.cos(turn)[:, None] * fan + np.sin(turn)[:, None] * other
    skin = target + float((beam.entry_lps_mm - target) @ beam.axis) * (beam.axis + np.tan(half) * ring)
    focus, entry = camera.place(target)[:2], camera.place(beam.entry_lps_mm)[:2]
    sides = hull(np.vstack([camera.place(skin)[:, :2], focus[None]]))
    return (
        Shape("cone", path(sides, closed=True)),
        Shape("footprint", path(camera.place(skin)[:, :2], closed=True)),
        Shape("axis", path(np.array([entry, focus]), closed=False)),
        Shape("target", cross(focus, 4.0)),
        Shape("entry", circle(entry, 4.5)),
    )


def _rgb(colour: str) -> FloatArray:
    return np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
