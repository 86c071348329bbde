"""What the page about a cohort says, gathered study by study: numbers only, in as little memory as they take."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.catalogue import row_of
from liverimg.core.rows import filled
from liverimg.files.catalogue import clip_units, quantity_rows
from liverimg.files.result_tables import Cell
from liverimg.files.tables import read_table
from liverimg.pipeline.cohort_rows import MEASUREMENT_COLUMNS, REFUSAL_COLUMNS, StudyRows
from liverimg.report.cohort_content import CohortContent, Distribution, Outlier, Refusal

_AT = {name: n for n, name in enumerate(MEASUREMENT_COLUMNS)}
_REFUSED_AT = {name: n for n, name in enumerate(REFUSAL_COLUMNS)}
# Half of a normal distribution lies within so many standard deviations: a MAD divided by it estimates one.
_MAD_TO_SIGMA = 0.6745


@dataclass(frozen=True)
class SummaryRules:
    """How values are summed up; ``cohort.toml``."""

    outlier_score: float
    least_values: int
    most_outliers: int
    bins: int
    tail: float
    most_refusals: int


@dataclass
class _Values:
    """All values of one quantity, and whose they are."""

    unit: str
    title: str
    values: array[float] = field(default_factory=lambda: array("d"))
    studies: array[int] = field(default_factory=lambda: array("L"))
    targets: list[str] = field(default_factory=list)
    missing: int = 0


class Gathering:
    """Takes in study after study, then says what stands on the page."""

    def __init__(self) -> None:
        self._by_quantity: dict[tuple[str, str, str], _Values] = {}
        self._studies: list[tuple[str, str]] = []
        self._refusals: list[Refusal] = []
        self._series_codes: Counter[str] = Counter()
        self._modalities: Counter[str] = Counter()
        self._phases: Counter[str] = Counter()
        self._phase_counts: Counter[int] = Counter()
        self._targets: dict[str, str] = {}

    def add(self, study: StudyRows) -> None:
        """One study."""
        for row in study.refusals:
            self._add_refusal(row)
        if not study.is_done:
            return
        index = len(self._studies)
        self._studies.append((study.study_id, study.page))
        self._modalities.update(study.modalities)
        self._phases.update(study.phases)
        if study.phases:
            self._phase_counts[len(study.phases)] += 1
        for row in study.measurements:
            self._add_value(index, row)

    def _add_refusal(self, row: tuple[Cell, ...]) -> None:
        cells = {name: row[n] for name, n in _REFUSED_AT.items()}
        if cells["level"] == "series":
            self._series_codes[str(cells["code"])] += 1
        else:
            study_id, code, sentence, stage = (str(cells[n]) for n in ("study_id", "code", "sentence", "stage"))
            self._refusals.append(Refusal(study_id, code, sentence, stage, int(cells["tries"] or 0)))

    def _add_value(self, index: int, row: tuple[Cell, ...]) -> None:
        # One name may come in pixels or in millimetres: these are never put together.
        key = (str(row[_AT["kind"]]), str(row[_AT["quantity"]]), str(row[_AT["unit"]]))
        if key not in self._by_quantity:
            self._by_quantity[key] = _Values(key[2], str(row[_AT["title"]] or key[1]))
        found = self._by_quantity[key]
        value = row[_AT["value"]]
        if isinstance(value, int | float):
            target = str(row[_AT["target"]])
            found.values.append(float(value))
            found.studies.append(index)
            found.targets.append(self._targets.setdefault(target, target))
        else:
            found.missing += 1

    def content(self, *, title: str, total: int) -> CohortContent:
        """All that stands on the page.

        Args:
            title: Of the recipe.
            total: How many studies the cohort has.
        """
        rules = filled(SummaryRules, read_table("cohort"), "cohort.toml")
        order = {name: n for n, name in enumerate(quantity_rows())}
        keys = sorted(self._by_quantity, key=lambda key: (key[0], order.get(key[1], len(order)), *key[1:]))
        return CohortContent(
            title=title,
            total=total,
            done=len(self._studies),
            refusals=tuple(self._refusals[: rules.most_refusals]),
            refusal_codes=tuple(Counter(r.code for r in self._refusals).most_common()),
            series_codes=tuple(self._series_codes.most_common()),
            modalities=tuple(sorted(self._modalities.items())),
            phases=tuple(self._phases.most_common()),
            phase_counts=tuple(sorted(self._phase_counts.items())),
            distributions=tuple(self._distribution(*key, rules) for key in keys),
            outlier_score=rules.outlier_score,
        )

    def _distribution(self, kind: str, name: str, unit: str, rules: SummaryRules) -> Distribution:
        found = self._by_quantity[kind, name, unit]
        values = np.asarray(found.values, dtype=float)
        row = row_of(name, quantity_rows())
        states = row.states if row is not None else ()
        if states:
            counts = Counter(int(v) for v in np.rint(values))
            by_state = tuple((states[n], counts[n]) for n in sorted(counts) if 0 <= n < len(states))
            return Distribution(kind, name, found.title, "", values.size, found.missing, states=by_state)
        if not values.size or unit in clip_units():
            return Distribution(kind, name, found.title, found.unit, values.size, found.missing)
        low, quarter, middle, three_quarters, high = np.percentile(values, (0, 25, 50, 75, 100))
        heights, ends = _histogram(values, rules)
        return Distribution(
            kind,
            name,
            found.title,
            found.unit,
            values.size,
            found.missing,
            quartiles=(float(quarter), float(middle), float(three_quarters)),
            ends=(float(low), float(high)),
            heights=heights,
            drawn_ends=ends,
            outliers=self._outliers(found, values, rules),
        )

    def _outliers(self, found: _Values, values: NDArray[np.float64], rules: SummaryRules) -> tuple[Outlier, ...]:
        """The furthest from the median, by the modified z-score; none where the values hardly spread."""
        middle = np.median(values)
        spread = np.median(np.abs(values - middle))
        if values.size < rules.least_values or spread == 0:
            return ()
        scores = _MAD_TO_SIGMA * np.abs(values - middle) / spread
        far = np.flatnonzero(scores > rules.outlier_score)
        far = far[np.lexsort((far, -scores[far]))][: rules.most_outliers]
        return tuple(
            Outlier(*self._studies[found.studies[n]], found.targets[n], float(values[n]), float(scores[n])) for n in far
        )


def _histogram(values: NDArray[np.float64], rules: SummaryRules) -> tuple[tuple[int, ...], tuple[float, float]]:
    """How many values lie in each bar, and where the first begins and the last ends; far tails go into those."""
    low, high = (float(v) for v in np.percentile(values, (rules.tail, 100 - rules.tail)))
    if low == high:
        return (int(values.size),), (low, high)
    counts, _ = np.histogram(np.clip(values, low, high), bins=rules.bins, range=(low, high))
    return tuple(int(c) for c in counts), (low, high)
