"""When did the injection begin? Every second that a study allows is tried, and what all good ones agree on is evidence.

The order of acquisitions and the pauses between them tell phases apart where no start of injection is on record:
three volumes after contrast, 35 s and 2 min apart, can hardly be anything but arterial, portal venous and delayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverimg.core.study import Modality, Phase
from liverimg.dicom.phase_rules import OrderRules, TimeWindow

_STEP_S: Final = 1.0
_LONGEST_S: Final = 3600.0
# Volumes further apart are no one examination, and more of them are a perfusion run; neither has an order to read.
_LONGEST_STUDY_S: Final = 4 * 3600.0
_MOST_VOLUMES: Final = 40
_NEVER: Final = -1
_TIE: Final = 1e-9


@dataclass(frozen=True)
class Timed:
    """One acquisition of a study.

    Attributes:
        time_s: When, from any zero.
        allowed: Phases that its own evidence leaves possible, apart from names.
        named: What its own evidence names; UNKNOWN for nothing.
        also: Phases that go by the same name.
        usable: Whether its time is that of a scan: derived images carry other times.
    """

    time_s: float
    allowed: frozenset[Phase]
    named: Phase = Phase.UNKNOWN
    usable: bool = True
    also: tuple[Phase, ...] = ()


def phases_by_order(volumes: Sequence[Timed], modality: Modality, rules: OrderRules) -> Mapping[int, frozenset[Phase]]:
    """Phases that the best starts of injection give to each volume, never resting on what the volume itself says.

    Args:
        volumes: Those of one modality, in any order.
        modality: CT or MR.
        rules: Usual windows and points.

    Returns:
        By index; volumes of which the study's order proves nothing are absent.
    """
    windows = _windows(volumes, modality, rules)
    usable = [n for n, volume in enumerate(volumes) if volume.usable]
    if len(usable) < 2 or not windows:
        return {}
    found: dict[int, frozenset[Phase]] = {}
    for index in usable:
        others = [n for n in usable if abs(volumes[n].time_s - volumes[index].time_s) > rules.same_acquisition_s]
        phases = _phases_of(volumes[index], [volumes[n] for n in others], windows, rules)
        if phases:
            found[index] = phases
    return found


def _windows(volumes: Sequence[Timed], modality: Modality, rules: OrderRules) -> tuple[TimeWindow, ...]:
    """Usual times of the phases; none where the volumes' times make no examination."""
    times = [volume.time_s for volume in volumes if volume.usable]
    if not times or len(times) > _MOST_VOLUMES or max(times) - min(times) > _LONGEST_STUDY_S:
        return ()
    return rules.usual.get(modality, ())


def misnamed(volumes: Sequence[Timed], modality: Modality, rules: OrderRules) -> frozenset[int]:
    """Volumes whose names are in doubt: no start of injection allows all names, and the best ones drop these.

    Args:
        volumes: Those of one modality, in any order.
        modality: CT or MR.
        rules: Usual windows and points.

    Returns:
        Indices; empty when every way to explain the study contradicts as much.
    """
    windows = _windows(volumes, modality, rules)
    named = [n for n, v in enumerate(volumes) if v.usable and v.named is not Phase.UNKNOWN]
    if len(named) < 3 or not windows:
        return frozenset()
    taking_part = [v for v in volumes if v.usable]
    starts = _starts([v.time_s for v in taking_part])
    phases = [_phase_index(v.time_s - starts, windows) for v in taking_part]
    points, _ = _points(taking_part, phases, windows, rules)
    points += rules.another_phase * _count_of_enhanced(phases, windows)
    best = points >= points.max() - _TIE
    hits = np.array(
        [_hits(volumes[n], _phase_index(volumes[n].time_s - starts, windows), windows)[best] for n in named]
    )
    if hits.all(axis=0).any():
        return frozenset()
    wrong = frozenset(n for n, hit in zip(named, hits, strict=True) if not hit.all())
    return wrong if len(wrong) < len(named) else frozenset()


def _hits(volume: Timed, at: NDArray[np.int_], windows: Sequence[TimeWindow]) -> NDArray[np.bool_]:
    """Which starts put a volume where its name says."""
    fits = {volume.named, *volume.also}
    return np.array([w.phase in fits for w in windows] + [False])[at]


def _starts(times_s: Sequence[float]) -> NDArray[np.float64]:
    """Every second at which the injection may have begun."""
    return np.arange(min(times_s) - _LONGEST_S, max(times_s) + _LONGEST_S / 2, _STEP_S)


def _points(
    volumes: Sequence[Timed], phases: Sequence[NDArray[np.int_]], windows: Sequence[TimeWindow], rules: OrderRules
) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Points of each start of injection, and how many names it satisfies."""
    points = np.zeros(len(phases[0]))
    satisfied = np.zeros(len(phases[0]), dtype=int)
    for volume, at in zip(volumes, phases, strict=True):
        points += rules.in_window * (at != _NEVER)
        allowed = np.array([w.phase in volume.allowed for w in windows] + [True])
        points += rules.excluded * ~allowed[at]
        if volume.named is not Phase.UNKNOWN:
            hit = _hits(volume, at, windows)
            # Names of phases are mixed up; that an unenhanced scan bears the name of an enhanced one is rare.
            plain = volume.named is Phase.UNENHANCED
            crossed = np.array([(w.phase is Phase.UNENHANCED) is not plain for w in windows] + [False])[at]
            points += rules.excluded * crossed
            points += rules.as_named * hit
            satisfied += hit
    return points, satisfied


def _phases_of(
    own: Timed, others: Sequence[Timed], windows: Sequence[TimeWindow], rules: OrderRules
) -> frozenset[Phase]:
    """What the best starts of injection make of a volume, by what the others say of themselves."""
    if len(others) == 0:
        return frozenset()
    starts = _starts([own.time_s, *(volume.time_s for volume in others)])
    phases = [_phase_index(volume.time_s - starts, windows) for volume in others]
    here = _phase_index(own.time_s - starts, windows)
    points, satisfied = _points(others, phases, windows, rules)
    points += rules.in_window * (here != _NEVER)
    enhanced = _count_of_enhanced((*phases, here), windows)
    points += rules.another_phase * enhanced
    best = points >= points.max() - _TIE
    # Any start would do for a study of which nothing is known: without names it takes several phases to believe one.
    proven = best & ((satisfied > 0) | (enhanced >= rules.enough_phases))
    if not (proven == best).all():
        return frozenset()
    given = set(here[best].tolist())
    return frozenset() if _NEVER in given else frozenset(windows[n].phase for n in given)


def _phase_index(delays_s: NDArray[np.float64], windows: Sequence[TimeWindow]) -> NDArray[np.int_]:
    """Which window each delay falls into; -1 for none."""
    index = np.full(len(delays_s), _NEVER)
    for number, window in enumerate(windows):
        index[(delays_s >= window.from_s) & (delays_s < window.below_s)] = number
    return index


def _count_of_enhanced(phases: Sequence[NDArray[np.int_]], windows: Sequence[TimeWindow]) -> NDArray[np.int_]:
    """How many different phases after contrast each start gives."""
    shown = np.zeros((len(windows), len(phases[0])), dtype=bool)
    for number, window in enumerate(windows):
        if window.phase is not Phase.UNENHANCED:
            shown[number] = np.any([at == number for at in phases], axis=0)
    return np.asarray(shown.sum(axis=0))


def rising_phases(open_to: Sequence[frozenset[Phase]]) -> list[frozenset[Phase]]:
    """Phases that each of several acquisitions in a row may show, when each shows a later one than that before.

    Args:
        open_to: What each acquisition may show by itself, in order.

    Returns:
        What is left for each; empty when there is no way to order them.
    """
    order = [phase for phase in Phase if phase is not Phase.UNKNOWN]
    ways = [
        chosen
        for chosen in combinations(order, len(open_to))
        if all(phase in possible for phase, possible in zip(chosen, open_to, strict=True))
    ]
    return [frozenset(way[place] for way in ways) for place in range(len(open_to))] if ways else []
