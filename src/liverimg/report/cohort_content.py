"""What the page about a cohort is poured from: counts and numbers under ids, and nobody's identity."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outlier:
    """A value far from the median of all.

    Attributes:
        study_id: Whose it is.
        page: Name of the study's report in its folder; empty without one.
        target: Lesion or structure.
        value: The value.
        score: How far out it lies, by the modified z-score.
    """

    study_id: str
    page: str
    target: str
    value: float
    score: float


@dataclass(frozen=True)
class Distribution:
    """One quantity over all studies.

    Attributes:
        kind: What it is a quantity of: ``lesion``, ``study``, ``zone``, ...
        name: As in the records.
        title: For a reader.
        unit: Its unit; empty for states.
        measured: How many values there are.
        missing: How often it could not be measured.
        quartiles: First quartile, median, third quartile; None without values.
        ends: Least and greatest value; None without values.
        heights: Values in each bar of the histogram.
        drawn_ends: Where the first bar begins and the last one ends.
        outliers: Values far out, the furthest first.
        states: Word and count of each state, for a quantity that is one.
    """

    kind: str
    name: str
    title: str
    unit: str
    measured: int
    missing: int
    quartiles: tuple[float, float, float] | None = None
    ends: tuple[float, float] | None = None
    heights: tuple[int, ...] = ()
    drawn_ends: tuple[float, float] = (0.0, 0.0)
    outliers: tuple[Outlier, ...] = ()
    states: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A study that is not done."""

    study_id: str
    code: str
    sentence: str
    stage: str
    tries: int


@dataclass(frozen=True)
class CohortContent:
    """All that stands on the page.

    Attributes:
        title: What was done, in words.
        total: Studies.
        done: Of these, done.
        refusals: Studies that are not done, as many as the page lists.
        refusal_codes: Code and count, over all of them.
        series_codes: Code and count of series and files that were not used, in studies that are done.
        modalities: Modality and how many studies have it.
        phases: Contrast phase and how many studies have it.
        phase_counts: Number of phases and how many studies have so many.
        distributions: One a quantity, in the order of the page.
        outlier_score: From which score on a value is listed as far out.
    """

    title: str
    total: int
    done: int
    refusals: tuple[Refusal, ...]
    refusal_codes: tuple[tuple[str, int], ...]
    series_codes: tuple[tuple[str, int], ...]
    modalities: tuple[tuple[str, int], ...]
    phases: tuple[tuple[str, int], ...]
    phase_counts: tuple[tuple[int, int], ...]
    distributions: tuple[Distribution, ...]
    outlier_score: float
