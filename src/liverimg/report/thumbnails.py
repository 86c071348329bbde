"""Small pictures by which a series is recognised: the middle axial and coronal slice, a frame of a loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from liverimg.core.cine import Pane
from liverimg.core.inspection import Thumbnail
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume
from liverimg.report.planes import Plane, View
from liverimg.report.text import Strings, say

# The signal's percentiles are taken from about so many voxels along each axis.
_SAMPLED = 64


def volume_thumbnails(volume: Volume, strings: Strings) -> tuple[Thumbnail, ...]:
    """The middle axial and coronal slices, seen as radiologists see them, on square pixels.

    An oblique volume is cut along its own axes; the letters at the edges then have two parts.

    Args:
        volume: In any orientation.
        strings: The table ``inspection_strings``.
    """
    orientation = Orientation.of(volume.grid)
    grid, array = orientation.turn_grid(volume.grid), orientation.turn(volume.array)
    low, high, detail = _window(volume, strings)
    pictures = []
    for view in (View.AXIAL, View.CORONAL):
        plane = Plane.through(view, grid, tuple(grid.centre_lps_mm.tolist()))
        cut = plane.cut(array).astype(np.float32)
        grey = np.clip((cut - low) / (high - low), 0, 1) * 255
        shown = _fitted(grey, plane.spacing_mm, strings["display"]["picture_pixels"])
        pictures.append(Thumbnail(shown, str(view), plane.letters(), detail))
    return tuple(pictures)


def frame_thumbnails(
    stills: list[tuple[Pane, NDArray[np.uint8]]], *, spacing_mm: tuple[float, float] | None, strings: Strings
) -> tuple[Thumbnail, ...]:
    """Frames of a clip, one for each of its pictures.

    Args:
        stills: What each shows, and its grey levels, free of writing.
        spacing_mm: Of a pixel along j and i; square when unknown.
        strings: The table ``inspection_strings``.
    """
    pixels = strings["display"]["picture_pixels"]
    masked = say(strings, "picture.masked")
    return tuple(
        Thumbnail(
            _fitted(grey.astype(np.float32), spacing_mm or (1.0, 1.0), pixels),
            "frame",
            (),
            f"{say(strings, f'picture.pane_{pane.value}')} {masked}",
        )
        for pane, grey in stills
    )


def _window(volume: Volume, strings: Strings) -> tuple[float, float, str]:
    """Grey values shown as black and as white, and the sentence that says so."""
    display: Mapping[str, Any] = strings["display"]
    if volume.quantity is Quantity.HU:
        width, level = display["ct_window_width_hu"], display["ct_window_level_hu"]
        return level - width / 2, level + width / 2, say(strings, "picture.window_ct", width=width, level=level)
    thin = tuple(slice(None, None, max(1, n // _SAMPLED)) for n in volume.grid.shape)
    least, most = display["mr_window_percentiles"]
    low, high = (float(value) for value in np.percentile(volume.array[thin], (least, most)))
    return low, high if high > low else low + 1.0, say(strings, "picture.window_mr", low=least, high=most)


def _fitted(grey: NDArray[np.float32], spacing_mm: tuple[float, float], pixels: int) -> NDArray[np.uint8]:
    """On square pixels, at most ``pixels`` on the longer side; averaged where the picture shrinks."""
    heights_mm = grey.shape[0] * spacing_mm[0], grey.shape[1] * spacing_mm[1]
    rows, columns = (max(1, round(pixels * mm / max(heights_mm))) for mm in heights_mm)
    image = Image.fromarray(np.ascontiguousarray(grey, dtype=np.float32))
    shown = image.resize((columns, rows), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(shown) + 0.5, 0, 255).astype(np.uint8)
