"""The bands of the margin: their colours, their words, and how much of a surface lies in each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from liverimg.core.measurement import Measured, Measurement
from liverimg.report.text import Strings, band_text, say, value_text

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Bands:
    """Where the bands of the margin begin and end, and how they are painted.

    Attributes:
        limits_mm: Rising.
        colours: ``#rrggbb`` of each band, one more than limits.
    """

    limits_mm: tuple[float, ...]
    colours: tuple[str, ...]

    def of(self, margin_mm: FloatArray) -> NDArray[np.int_]:
        """Which band each margin lies in: a limit belongs to the band above it."""
        return np.asarray(np.searchsorted(self.limits_mm, margin_mm, side="right"))

    def rgb(self) -> FloatArray:
        """The colours from 0 to 1, shape (bands, 3)."""
        return np.array([[int(c[n : n + 2], 16) / 255 for n in (1, 3, 5)] for c in self.colours])

    def scale(self, low_mm: float, high_mm: float) -> list[tuple[float, str]]:
        """Steps of colour from one margin to another, as shares of the way."""
        inner = [limit for limit in self.limits_mm if low_mm < limit < high_mm]
        ends = [low_mm, *inner, high_mm]
        steps = []
        for start, stop in pairwise(ends):
            colour = self.colours[int(self.of(np.array([(start + stop) / 2]))[0])]
            steps += [((at - low_mm) / (high_mm - low_mm), colour) for at in (start, stop)]
        return steps


@dataclass(frozen=True)
class BandRow:
    """One band in the legend.

    Attributes:
        title: From where to where.
        meaning: What it says of the tumour there; empty where nothing is to be said.
        colour: Its colour.
        share: Share of the tumour's surface in it, or why it is not known.
        band: The 95 % band of that share; empty when not measured.
        measured: Whether there is a number.
        hatched: Whether it is hatched as well as coloured.
    """

    title: str
    meaning: str
    colour: str
    share: str
    band: str
    measured: bool
    hatched: bool


def band_rows(bands: Bands, quantities: tuple[Measured, ...], strings: Strings) -> tuple[BandRow, ...]:
    """Every band with its share of the surface."""
    found = {quantity.name: quantity for quantity in quantities}
    limits = bands.limits_mm
    names = (
        f"surface_share_margin_below_{limits[0]:g}_mm",
        *(f"surface_share_margin_{a:g}_to_{b:g}_mm" for a, b in pairwise(limits)),
        f"surface_share_margin_above_{limits[-1]:g}_mm",
    )
    titles = (
        say(strings, "margin.below", limit=f"{limits[0]:g}"),
        *(say(strings, "margin.between", low=f"{a:g}", high=f"{b:g}") for a, b in pairwise(limits)),
        say(strings, "margin.above", limit=f"{limits[-1]:g}"),
    )
    uncovered = len([limit for limit in limits if limit <= 0])
    rows = []
    for number, (name, title) in enumerate(zip(names, titles, strict=True)):
        quantity = found.get(name)
        measured = isinstance(quantity, Measurement)
        rows.append(
            BandRow(
                title=title,
                meaning=say(strings, "margin.uncovered") if number < uncovered else "",
                colour=bands.colours[number],
                share=value_text(quantity, strings)
                if isinstance(quantity, Measurement)
                else say(strings, "numbers.not_measured"),
                band=band_text(quantity, strings) if isinstance(quantity, Measurement) else "",
                measured=measured,
                hatched=number < uncovered,
            )
        )
    return tuple(rows)
