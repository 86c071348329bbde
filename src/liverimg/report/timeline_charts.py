"""Charts of the course as SVG shapes: numbers with their bands over days, treatments as lines across time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 640.0
_HEIGHT: Final = 230.0
_LEFT: Final = 52.0
_BOTTOM: Final = 34.0
_TOP: Final = 16.0
_RIGHT: Final = 14.0
_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
_WANTED_TICKS: Final = 5
_ROOM: Final = 0.06  # of the range, above and below
_LEAST_DAYS: Final = 7.0
_DECIMALS: Final = 1


@dataclass(frozen=True)
class Dot:
    """One number on its day, with the ends of its band."""

    day: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Trace:
    """One quantity over time.

    Attributes:
        name: For a reader.
        style: Name of its style in the page's stylesheet.
        dots: In order of their days.
    """

    name: str
    style: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Drawn:
    """A trace in the box: its line, and for each dot x, y and the ends of the band."""

    name: str
    style: str
    path: str
    dots: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class TimeChart:
    """A chart in a box of ``width`` by ``height``.

    Attributes:
        width: Of the box.
        height: Of the box.
        frame: x, y, width and height of the plotting area.
        caption: What it shows.
        traces: What is drawn.
        x_ticks: Place and word of each mark below.
        y_ticks: Place and word of each mark on the left.
        treatments: Place and word of each treatment.
        levels: Place and word of each line across.
    """

    width: float
    height: float
    frame: tuple[float, float, float, float]
    caption: str
    traces: tuple[Drawn, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    treatments: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]


def time_chart(
    traces: Sequence[Trace],
    *,
    caption: str,
    last_day: float,
    treatments: Sequence[tuple[float, str]] = (),
    levels: Sequence[tuple[float, str]] = (),
    signed: bool = False,
) -> TimeChart | None:
    """A chart of some quantities of one unit; None where nothing was measured.

    Args:
        traces: The quantities.
        caption: What it shows.
        last_day: Of the course; the baseline is day 0.
        treatments: Day and word of each.
        levels: Values to draw a line across at, each with its word.
        signed: Whether values below zero make sense; else the axis starts at zero.
    """
    shown = [trace for trace in traces if trace.dots]
    if not shown:
        return None
    values = [v for trace in shown for dot in trace.dots for v in (dot.low, dot.high)] + [v for v, _ in levels]
    low, high = min(values), max(values)
    low = low if signed else min(0.0, low)
    room = max(high - low, 1.0) * _ROOM
    y_ends = (low - room if signed else low, high + room)
    first_day = min([0.0, *(day for day, _ in treatments)])
    x_ends = (first_day, max(last_day, first_day + _LEAST_DAYS))

    def x(day: float) -> float:
        return _place(day, x_ends, _LEFT, _WIDTH - _RIGHT)

    def y(value: float) -> float:
        return _place(value, y_ends, _HEIGHT - _BOTTOM, _TOP)

    drawn = tuple(
        Drawn(
            trace.name,
            trace.style,
            "M" + "L".join(f"{x(d.day):g} {y(d.value):g}" for d in trace.dots) if len(trace.dots) > 1 else "",
            tuple((x(d.day), y(d.value), y(d.low), y(d.high)) for d in trace.dots),
        )
        for trace in shown
    )
    return TimeChart(
        width=_WIDTH,
        height=_HEIGHT,
        frame=(_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM),
        caption=caption,
        traces=drawn,
        x_ticks=tuple((x(v), f"{v:g}") for v in ticks(*x_ends)),
        y_ticks=tuple((y(v), f"{v:g}") for v in ticks(*y_ends)),
        treatments=tuple((x(day), word) for day, word in treatments),
        levels=tuple((y(value), word) for value, word in levels),
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends, about five."""
    rough = (high - low) / _WANTED_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in _STEPS if s * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(n * step, 10) + 0.0 for n in range(first, last + 1)]


def _place(value: float, ends: tuple[float, float], start: float, end: float) -> float:
    low, high = ends
    return round(start + (value - low) / (high - low) * (end - start), _DECIMALS)
