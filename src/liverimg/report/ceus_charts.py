"""Charts of a contrast plane as SVG paths: curves over time, and how frames resemble the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 640.0
_HEIGHT: Final = 260.0
_LEFT: Final = 62.0
_BOTTOM: Final = 34.0
_ROOM: Final = 10.0
_COLOURS: Final = {"liver": "#2f7fb8", "zone": "#8a949e", "rim": "#c98a1b"}
_FOCUS_COLOURS: Final = ("#d23b2f", "#9b3fb5", "#1f9d6b", "#6b5b00")
_STEPS: Final = (1, 2, 5)


@dataclass(frozen=True)
class Series:
    """One region's dots and fitted line."""

    name: str
    colour: str
    dots: tuple[tuple[float, float], ...]
    path: str


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn in a box of ``width`` by ``height``.

    Attributes:
        width: Of the box.
        height: Of the box.
        frame: x, y, width and height of the plotting area.
        series: What is drawn.
        x_ticks: Place and word of each mark below.
        y_ticks: Place and word of each mark on the left.
        bands: Phases: from, to, name.
        level: A dashed line across, or None.
    """

    width: float
    height: float
    frame: tuple[float, float, float, float]
    series: tuple[Series, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    bands: tuple[tuple[float, float, str], ...] = ()
    level: float | None = None


class _Axes:
    """From data to the box."""

    def __init__(self, x_ends: tuple[float, float], y_ends: tuple[float, float]) -> None:
        self.x_ends, self.y_ends = x_ends, y_ends

    def x(self, value: float) -> float:
        low, high = self.x_ends
        return round(_LEFT + (value - low) / max(high - low, 1e-9) * (_WIDTH - _LEFT - _ROOM), 1)

    def y(self, value: float) -> float:
        low, high = self.y_ends
        return round(_HEIGHT - _BOTTOM - (value - low) / max(high - low, 1e-9) * (_HEIGHT - _BOTTOM - _ROOM), 1)

    @property
    def frame(self) -> tuple[float, float, float, float]:
        return _LEFT, _ROOM, _WIDTH - _LEFT - _ROOM, _HEIGHT - _BOTTOM - _ROOM

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return "M" + "L".join(f"{self.x(a):g} {self.y(b):g}" for a, b in zip(xs, ys, strict=True))


def _ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers between two ends."""
    rough = max(high - low, 1e-9) / wanted
    power = 10.0 ** np.floor(np.log10(rough))
    step = next((s * power for s in _STEPS if s * power >= rough), 10 * power)
    # Adding zero makes a plain zero of a negative one; rounding, one of what sums left of it.
    return [float(v) + 0.0 for v in np.round(np.arange(np.ceil(low / step) * step, high + step / 100, step), 9)]


def curve_chart(
    curves: Mapping[str, Any], *, titles: Mapping[str, str], phases: Sequence[tuple[float, float, str]]
) -> Chart:
    """Echo power of the regions over time, with fits.

    Args:
        curves: As in ``perfusion.json``.
        titles: Name of each region for readers.
        phases: From, to (seconds on the clip's clock) and name.
    """
    times = np.array(curves["times_s"], dtype=float)
    tops = [v for region in curves["regions"] for v in region["power"] if v is not None]
    axes = _Axes((float(times[0]), float(times[-1])), (0.0, 1.05 * float(np.percentile(tops, 99.5)) if tops else 1.0))
    series, focus = [], 0
    for region in curves["regions"]:
        name = region["name"]
        if name in _COLOURS:
            colour = _COLOURS[name]
        else:
            colour = _FOCUS_COLOURS[focus % len(_FOCUS_COLOURS)]
            focus += 1
        dots = tuple(
            (axes.x(t), axes.y(p))
            for t, p in zip(times, region["power"], strict=True)
            if p is not None and p <= axes.y_ends[1]
        )
        series.append(Series(titles[name], colour, dots, _fit_path(axes, region["fit"])))
    bands = tuple(
        (axes.x(max(low, times[0])), axes.x(min(high, times[-1])), name)
        for low, high, name in phases
        if low < times[-1] and high > times[0]
    )
    return Chart(
        _WIDTH, _HEIGHT, axes.frame, tuple(series),
        tuple((axes.x(v), f"{v:g} s") for v in _ticks(*axes.x_ends, 8)),
        tuple((axes.y(v), f"{v:g}") for v in _ticks(*axes.y_ends)),
        bands,
    )  # fmt: skip


def _fit_path(axes: _Axes, fit: Mapping[str, float] | None) -> str:
    if fit is None:
        return ""
    times = np.linspace(*axes.x_ends, 240)
    since = np.maximum(times - fit["start_s"], 1e-9)
    shape = np.where(
        times > fit["start_s"], np.exp(-(np.log(since / fit["rise_s"]) ** 2) / (2 * fit["sigma"] ** 2)), 0.0
    )
    power = np.minimum(fit["baseline"] + fit["peak"] * shape, axes.y_ends[1])
    return axes.path(times.tolist(), power.tolist())


def similarity_chart(after: NDArray[Any], before: NDArray[Any], *, limit: float | None) -> Chart:
    """Likeness of each frame to the reference before and after compensation, over the number of the frame."""
    axes = _Axes((0.0, float(max(1, len(after) - 1))), (min(0.0, float(min(after.min(), before.min()))), 1.0))
    numbers = list(range(len(after)))
    series = (
        Series("before", "#9aa4ae", (), axes.path(numbers, before.tolist())),
        Series("after", "#2f7fb8", tuple((axes.x(n), axes.y(float(v))) for n, v in enumerate(after)), ""),
    )
    return Chart(
        _WIDTH, _HEIGHT, axes.frame, series,
        tuple((axes.x(v), f"{v:g}") for v in _ticks(*axes.x_ends, 8)),
        tuple((axes.y(v), f"{v:g}") for v in _ticks(*axes.y_ends)),
        (), None if limit is None else axes.y(limit),
    )  # fmt: skip
