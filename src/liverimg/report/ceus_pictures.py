"""Pictures of a contrast plane: grey frames and coloured maps with lines drawn over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverimg.report.encode import png_uri

# Colours from dark to bright whose lightness grows evenly, so that they read without colour too (anchors of the
# scales known as inferno and viridis).
_PEAK: Final = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
_TIME: Final = ((68, 1, 84), (65, 68, 135), (42, 120, 142), (34, 168, 132), (122, 209, 81), (253, 231, 37))
_NOTHING: Final = (58, 62, 66)
_ROOT: Final = 0.5
# Enlarged so often that browsers do not blur a small map.
_PIXELS: Final = 3
_MOST_PEAK: Final = 2.0


@dataclass(frozen=True)
class Scale:
    """A bar of colours: gradient stops and the words at its ends."""

    stops: tuple[str, ...]
    low: str
    high: str


@dataclass(frozen=True)
class CeusPicture:
    """One picture; lengths in the unit of the plane (mm, or pixels without calibration).

    Attributes:
        width: What it covers.
        height: What it covers.
        image: As a data URI.
        line: The non-enhancing area as an SVG path, or empty.
        diameters: Ends of the diameters: x1, y1, x2, y2 each.
        foci: Middle and name of each focus.
        scale: Its colours, or None for a grey picture.
        caption: What it shows.
    """

    width: float
    height: float
    image: str
    line: str
    diameters: tuple[tuple[float, float, float, float], ...]
    foci: tuple[tuple[float, float, str], ...]
    scale: Scale | None
    caption: str


@dataclass(frozen=True)
class Frame:
    """Where pixels lie: size of a map's pixel, and of the whole picture."""

    pitch: tuple[float, float]
    width: float
    height: float

    def at(self, point: Sequence[float]) -> tuple[float, float]:
        """x, y of a place given as down, across from the middle of the first pixel of the clip."""
        return round(point[1], 3), round(point[0], 3)


def frame_of(row: Mapping[str, Any], maps: Mapping[str, NDArray[Any]]) -> Frame:
    """Geometry of a plane's maps."""
    block = row["pixel_block"] or 1
    spacing = row["spacing_ji_mm"] or (1.0, 1.0)
    pitch = (spacing[0] * block, spacing[1] * block)
    rows, columns = maps["peak"].shape
    return Frame(pitch, columns * pitch[1], rows * pitch[0])


def pictures_of(
    row: Mapping[str, Any], maps: Mapping[str, NDArray[Any]], *, liver_peak: float | None, captions: Mapping[str, str]
) -> tuple[CeusPicture, ...]:
    """B-mode and contrast with the line, peak and time to peak.

    Args:
        row: The plane's row of ``perfusion.json``.
        maps: Its maps.
        liver_peak: Of the liver's fitted curve; None takes the map's own median.
        captions: By picture: ``b_mode``, ``contrast``, ``peak``, ``time_to_peak``.
    """
    frame = frame_of(row, maps)
    half = frame.pitch[0] / 2, frame.pitch[1] / 2
    line, diameters, foci = _overlays(row, frame, half)
    phase = next((p for p in ("portal", "late", "arterial") if f"enhancement_{p}" in maps), None)
    shown = maps[f"enhancement_{phase}"] if phase else maps["mean_enhancement"]
    peak, time = maps["peak"].astype(float), maps["time_to_peak_s"].astype(float)
    known = peak[np.isfinite(peak)]
    level = liver_peak or (float(np.median(known)) if known.size else 1.0)
    times = time[np.isfinite(time)]
    low_s, high_s = (float(np.percentile(times, p)) for p in (2, 98)) if times.size else (0.0, 1.0)
    high_s = max(high_s, low_s + 1)
    size = frame.width, frame.height
    return (
        CeusPicture(*size, _grey(maps["b_mode"]), line, diameters, foci, None, captions["b_mode"]),
        CeusPicture(*size, _root(shown), line, (), foci, None, captions["contrast"]),
        CeusPicture(
            *size, _coloured(peak / level / _MOST_PEAK, _PEAK), line, (), foci,
            Scale(_stops(_PEAK), "0", f"{_MOST_PEAK:g}"), captions["peak"],
        ),
        CeusPicture(
            *size, _coloured((time - low_s) / (high_s - low_s), _TIME), line, (), foci,
            Scale(_stops(_TIME), f"{low_s:.0f} s", f"{high_s:.0f} s"), captions["time_to_peak"],
        ),
    )  # fmt: skip


def _overlays(
    row: Mapping[str, Any], frame: Frame, half: tuple[float, float]
) -> tuple[str, tuple[tuple[float, float, float, float], ...], tuple[tuple[float, float, str], ...]]:
    def place(point: Sequence[float]) -> tuple[float, float]:
        x, y = frame.at(point)
        return round(x + half[1], 3), round(y + half[0], 3)

    line = ""
    if row["outline"]:
        line = "M" + "L".join(f"{x:g} {y:g}" for x, y in map(place, row["outline"])) + "Z"
    diameters = tuple(
        (*place(ends[0]), *place(ends[1])) for ends in (row["long_diameter_ends"], row["short_diameter_ends"]) if ends
    )
    foci = tuple((*place(focus["centre"]), str(focus["id"])) for focus in row["foci"] or ())
    return line, diameters, foci


def _grey(image: NDArray[Any]) -> str:
    return _uri(np.repeat(image.astype(np.uint8)[..., None], 3, axis=-1))


def _root(power: NDArray[Any]) -> str:
    """The root of power as grey, the brightest hundredth white: the liver is grey, what is brighter still shows."""
    finite = np.where(np.isfinite(power), power, 0.0)
    top = max(float(np.percentile(finite, 99)), 1e-9)
    level = np.maximum(finite / top, 0.0) ** _ROOT
    return _grey(np.clip(255 * level, 0, 255))


def _coloured(values: NDArray[np.float64], anchors: Sequence[tuple[int, int, int]]) -> str:
    """Values from 0 to 1 on a scale of colours; grey where there are none."""
    at = np.linspace(0, 1, len(anchors))
    shown = np.clip(np.nan_to_num(values), 0, 1)
    colour = np.stack([np.interp(shown, at, [c[n] for c in anchors]) for n in range(3)], axis=-1)
    colour[~np.isfinite(values)] = _NOTHING
    return _uri(colour.astype(np.uint8))


def _stops(anchors: Sequence[tuple[int, int, int]]) -> tuple[str, ...]:
    return tuple("#" + "".join(f"{c:02x}" for c in colour) for colour in anchors)


def _uri(rgb: NDArray[np.uint8]) -> str:
    large = rgb.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)
    opaque = np.full((*large.shape[:2], 1), 255, dtype=np.uint8)
    return png_uri(np.concatenate([large, opaque], axis=-1))
