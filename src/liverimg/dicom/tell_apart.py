"""What tells the phases of one series apart: labels, clocks, and the order of instances when nothing else speaks.

The most explicit comes first. Whether a way of grouping makes sense is for :mod:`liverimg.dicom.group` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final

import numpy as np

from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import Frame
from liverimg.dicom.places import Frames, crowding, is_even, place_numbers
from liverimg.dicom.stack import SAME_PLACE_MM, depths_mm

# One acquisition's slices follow each other faster than this; a new phase waits longer.
_SHORTEST_PAUSE_S: Final = 2.0
_SHORTEST_WRITING_PAUSE_S: Final = 10.0

# Two phases of one region share more than this part of the shorter one's extent.
_SHARED_EXTENT: Final = 0.5

# Slices thicker than this many gaps overlap far enough to be those of two volumes.
_OVERLAP: Final = 1.5

Clock = Callable[[Frame], float | None]
Label = Callable[[Frame], Hashable]


def groupings(frames: Frames) -> Iterator[tuple[Flag, float, Sequence[Frames]]]:
    """Ways to tell phases apart, the most explicit first, each with the share of extent that proves it."""
    yield Flag.SPLIT_BY_TAG, 0.0, _by_label(frames, lambda f: f.temporal_position)
    crowded = crowding(frames)
    if crowded == 1 and not _may_interleave(frames):
        return
    for label in _labels(frames):
        yield Flag.SPLIT_BY_TAG, 0.0, _by_label(frames, label)
    # Slices that are unevenly spaced together are not one volume anyhow.
    share = _SHARED_EXTENT if crowded > 1 or is_even(frames) else 0.0
    clocks: tuple[tuple[Clock, float], ...] = (
        (lambda f: f.acquired_s, _SHORTEST_PAUSE_S),
        (lambda f: None if f.trigger_ms is None else f.trigger_ms / 1000, _SHORTEST_PAUSE_S),
        # The time of writing says less: slices of one volume may be written out of order.
        (lambda f: f.content_s, _SHORTEST_PAUSE_S if crowded > 1 else _SHORTEST_WRITING_PAUSE_S),
    )
    for clock, pause_s in clocks:
        if pause_s == _SHORTEST_PAUSE_S:
            yield Flag.SPLIT_BY_TAG, share, _by_label(frames, clock)
        for cuts in range(max(crowded, 2) - 1, max(crowded, 2) + 2):
            yield Flag.SPLIT_BY_TAG, share, _by_pauses(frames, clock, cuts=cuts, pause_s=pause_s)
    if crowded > 1 and all(frame.pixels.frames > 1 for frame in frames):
        yield Flag.SPLIT_BY_TAG, share, _by_label(frames, lambda f: f.sop_instance_uid)
    yield Flag.SPLIT_BY_ORDER, share, _by_runs(frames)
    if crowded > 1:
        yield Flag.SPLIT_BY_ORDER, share, _by_turns(frames, crowded)


def _labels(frames: Frames) -> list[Label]:
    """What is the same on all slices of a phase; of dimension indices, each by itself (PS3.3 C.7.6.17)."""
    count = min(len(frame.dimensions) for frame in frames)
    dimensions: list[Label] = [lambda f, n=n: f.dimensions[n] for n in range(count)]  # type: ignore[misc]
    return [
        lambda f: f.time_offset_s,
        lambda f: f.acquisition_number,
        *dimensions,
        lambda f: f.phase_tags.contrast_agent,
        lambda f: f.phase_tags.series_description,
    ]


def _by_label(frames: Frames, label: Label) -> list[Frames]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(label(frame), []).append(frame)
    return [tuple(groups[key]) for key in sorted(groups, key=lambda k: (k is not None, k))]


def _by_pauses(frames: Frames, clock: Clock, *, cuts: int, pause_s: float) -> list[Frames]:
    """Cuts the sequence in time at its longest pauses, provided that they are long enough."""
    times = [clock(frame) for frame in frames]
    known = [time for time in times if time is not None]
    if len(known) < len(frames):
        return [frames]
    order = sorted(range(len(frames)), key=lambda n: (known[n], frames[n].instance_number or 0))
    pauses = np.diff([known[n] for n in order])
    longest = np.sort(np.argsort(-pauses, kind="stable")[:cuts])
    if pauses[longest].min() < pause_s:
        return [frames]
    return [tuple(frames[n] for n in part) for part in np.split(order, longest + 1)]


def _by_runs(frames: Frames) -> list[Frames]:
    """Cuts the sequence of instance numbers where it stops stepping evenly through the places."""
    ordered = _in_order(frames)
    if ordered is None:
        return [frames]
    depth = depths_mm(tuple(ordered))
    groups: list[list[Frame]] = [[ordered[0]]]
    step = 0.0
    for n in range(1, len(ordered)):
        here = float(depth[n] - depth[n - 1])
        fresh = len(groups[-1]) == 1
        if not fresh and abs(here + step) <= 2 * SAME_PLACE_MM:
            # Turned round at a slice that was not repeated: it may belong to either run.
            return [frames]
        if not fresh and abs(here - step) > 2 * SAME_PLACE_MM:
            groups.append([ordered[n]])
        else:
            groups[-1].append(ordered[n])
            step = here if fresh else step
    return [tuple(group) for group in groups]


def _by_turns(frames: Frames, crowded: int) -> list[Frames]:
    """The first frame of every place, then the second: instances that go through all phases slice by slice."""
    ordered = _in_order(frames)
    if ordered is None or len(frames) % crowded:
        return [frames]
    turns = np.array(place_numbers(tuple(ordered))).reshape(-1, crowded)
    steps = np.diff(turns[:, 0])
    if (turns != turns[:, :1]).any() or not (np.all(steps == 1) or np.all(steps == -1)):
        return [frames]
    return [tuple(ordered[turn::crowded]) for turn in range(crowded)]


def _in_order(frames: Frames) -> list[Frame] | None:
    """Frames by instance number, or None where those are not all there and all different."""
    numbers = [frame.instance_number for frame in frames]
    if None in numbers or len(set(numbers)) < len(frames):
        return None
    return sorted(frames, key=lambda f: f.instance_number or 0)


def _may_interleave(frames: Frames) -> bool:
    """Whether slices at different places may still be two phases.

    CT runs through the body once a phase. MR often acquires odd and even slices in turn: when all of them together
    are evenly spaced, they are one volume, unless each is so thick that every second one would do.
    """
    if frames[0].modality == "CT" or not is_even(frames):
        return True
    gap_mm = float(np.median(np.diff(np.sort(depths_mm(frames)))))
    return (frames[0].thickness_mm or 0.0) > _OVERLAP * gap_mm
