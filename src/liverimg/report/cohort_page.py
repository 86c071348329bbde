"""The page about a cohort: self-contained, nothing fetched, no script; studies go by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from liverimg.report.cohort_content import CohortContent, Distribution, Outlier
from liverimg.report.templating import environment, own_file
from liverimg.report.text import number, say, unit_label

Strings = Mapping[str, Any]

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_BAR: Final = 10.0
_TALL: Final = 44.0
_LEAST_TALL: Final = 1.5


@dataclass(frozen=True)
class OutlierRow:
    """One value far out: where its study's report lies, and words."""

    link: str
    study_id: str
    target: str
    value: str


@dataclass(frozen=True)
class QuantityRow:
    """One quantity: its numbers as words, its histogram as bars (x, y, height) in a box of ``width``."""

    title: str
    name: str
    measured: int
    missing: int
    middle: str
    middle_half: str
    whole: str
    ends: tuple[str, str]
    width: float
    bars: tuple[tuple[float, float, float], ...]
    states: tuple[tuple[str, int, float], ...]
    outliers: tuple[OutlierRow, ...]


def render_cohort_page(content: CohortContent, strings: Strings, *, provenance: Sequence[tuple[str, str]] = ()) -> str:
    """Lays the page out; the same content gives the same bytes.

    Args:
        content: Of one cohort.
        strings: The table ``cohort_strings``, and units with their decimals.
        provenance: Rows of label and value.
    """
    kinds = [
        (str(strings["kind"].get(kind, kind)), [_row(d, strings) for d in rows])
        for kind, rows in groupby(content.distributions, key=lambda d: d.kind)
    ]
    return (
        environment()
        .get_template("cohort.html.j2")
        .render(
            t=strings,
            say=lambda key, **values: say(strings, key, **values),
            policy=_POLICY,
            style=own_file("page.css") + own_file("cohort.css"),
            c=content,
            tall=_TALL,
            bar=_BAR - 1,
            not_done=content.total - content.done,
            refused_more=content.total - content.done - len(content.refusals),
            refusals=[(r, _code(r.code, strings)) for r in content.refusals],
            refusal_codes=_shares(content.refusal_codes, strings),
            series_codes=_shares(content.series_codes, strings),
            kinds=kinds,
            provenance=provenance,
        )
    )


def _shares(codes: Sequence[tuple[str, int]], strings: Strings) -> list[tuple[str, str, int, float]]:
    """Code, what it means, count, and the length of its bar in percent of the longest."""
    most = max((count for _, count in codes), default=1)
    return [(code, _code(code, strings), count, round(100 * count / most, 1)) for code, count in codes]


def _code(code: str, strings: Strings) -> str:
    return str(strings["code"].get(code, ""))


def _row(found: Distribution, strings: Strings) -> QuantityRow:
    unit = unit_label(found.unit, strings) if found.unit else ""

    def words(value: float) -> str:
        return number(value, found.unit, strings)

    middle = half = whole = ""
    if found.quartiles is not None and found.ends is not None:
        first, median, third = found.quartiles
        middle = f"{words(median)}{unit}"
        half = f"{words(first)} – {words(third)}"
        whole = f"{words(found.ends[0])} – {words(found.ends[1])}"
    elif found.measured:
        # Counted only; the row of the same name in another unit has its numbers.
        middle = unit.strip()
    most = max((count for _, count in found.states), default=1)
    return QuantityRow(
        title=found.title,
        name=found.name,
        measured=found.measured,
        missing=found.missing,
        middle=middle,
        middle_half=half,
        whole=whole,
        ends=(words(found.drawn_ends[0]), words(found.drawn_ends[1])),
        width=_BAR * max(1, len(found.heights)),
        bars=_bars(found.heights),
        states=tuple((word, count, round(100 * count / most, 1)) for word, count in found.states),
        outliers=tuple(_outlier(o, words(o.value) + unit) for o in found.outliers),
    )


def _bars(heights: Sequence[int]) -> tuple[tuple[float, float, float], ...]:
    """x, y and height of each bar that is not empty; one value can still be seen beside a thousand."""
    most = max(heights, default=1)
    bars = []
    for n, count in enumerate(heights):
        if count:
            tall = max(_LEAST_TALL, round(_TALL * count / most, 1))
            bars.append((n * _BAR, round(_TALL - tall, 1), tall))
    return tuple(bars)


def _outlier(found: Outlier, value: str) -> OutlierRow:
    link = f"studies/{quote(found.study_id)}/{quote(found.page)}" if found.page else ""
    return OutlierRow(link, found.study_id, found.target, value)
