"""From the frames of a series to sets of slices that may each be one volume.

One series may hold several phases, orientations, echoes and a localiser; one volume may arrive twice or spread
over two series. Frames are told apart by what the header says first, by their order only when it says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.dicom.codes import Code, Flag
from liverimg.dicom.frame import Frame, Problem
from liverimg.dicom.pixels import same_content
from liverimg.dicom.stack import FEWEST_SLICES, SAME_PLACE_MM, depths_mm

# Cosine between directions that count as one: 0.006 degrees, 0.03 mm across a body.
_SAME_DIRECTION: Final = 1e-4
# One acquisition's slices follow each other faster than this; a new phase waits longer.
_SHORTEST_PAUSE_S: Final = 2.0
_SHORTEST_WRITING_PAUSE_S: Final = 10.0

# Frames with these problems belong to no volume and spoil none.
SET_ASIDE: Final = frozenset((
    Code.MODALITY_NOT_SUPPORTED, Code.SECONDARY_CAPTURE, Code.LOCALISER, Code.PROJECTION, Code.COLOUR,
    Code.MULTIFRAME_WITHOUT_GEOMETRY,
))  # fmt: skip

# Two phases of one region share more than this part of the shorter one's extent.
_SHARED_EXTENT: Final = 0.5

Frames = tuple[Frame, ...]
Clock = Callable[[Frame], float | None]


@dataclass(frozen=True)
class Candidate:
    """Slices that may be one volume, and how they were found."""

    frames: Frames
    flags: tuple[Flag, ...] = ()


def candidates(frames: Frames) -> tuple[Candidate, ...]:
    """Splits the usable frames of one series into candidate volumes.

    Args:
        frames: Of one series, without those that are set aside.
    """
    frames, dropped = _without_copies(frames)
    flags = (Flag.DUPLICATES_DROPPED,) if dropped else ()
    if any(frame.position_lps_mm is None or frame.row_lps is None or frame.spacing_mm is None for frame in frames):
        # Nobody can say which volume the homeless slice is missing from.
        return (Candidate(frames, flags),)
    found: list[Candidate] = []
    for part in partition(frames):
        kept, resent = _without_resent(part)
        part_flags = (Flag.DUPLICATES_DROPPED,) if dropped or resent else ()
        found += [replace(c, flags=(*part_flags, *c.flags)) for c in _split(kept)]
    return tuple(found)


def _without_copies(frames: Frames) -> tuple[Frames, bool]:
    """Drops files that are another file again; marks as unusable what shares a UID but not its content."""
    first_of: dict[tuple[str, int], Frame] = {}
    kept: list[Frame] = []
    dropped = False
    for frame in frames:
        key = (frame.sop_instance_uid, frame.number)
        earlier = first_of.get(key) if frame.sop_instance_uid else None
        if earlier is None:
            first_of[key] = frame
            kept.append(frame)
        elif same_content(earlier, frame):
            dropped = True
        else:
            clash = Problem(Code.DUPLICATE_POSITIONS, "two files share a SOPInstanceUID but not their content")
            kept.append(replace(frame, problem=clash))
    return tuple(kept), dropped


def partition(frames: Frames) -> list[Frames]:
    """Parts that differ in orientation, matrix, kind of image, echo: never slices of one volume."""
    directions: list[FloatArray] = []
    parts: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        axes = np.array((*(frame.row_lps or ()), *(frame.column_lps or ())))
        same = [n for n, known in enumerate(directions) if np.abs(known - axes).max() < _SAME_DIRECTION]
        if not same:
            directions.append(axes)
        spacing_mm = frame.spacing_mm or (0.0, 0.0)
        key = (
            same[0] if same else len(directions) - 1,
            frame.frame_of_reference_uid,
            frame.pixels.rows,
            frame.pixels.columns,
            round(spacing_mm[0], 5),
            round(spacing_mm[1], 5),
            frame.image_type,
            None if frame.echo_ms is None else round(frame.echo_ms, 2),
            frame.b_value,
            frame.kernel,
            frame.stack_id,
        )
        parts.setdefault(key, []).append(frame)
    return [tuple(part) for part in parts.values()]


def _place_numbers(frames: Frames) -> list[int]:
    """For each frame the number of the place along the normal where it lies."""
    depth = depths_mm(frames)
    order = np.argsort(depth, kind="stable")
    steps = np.diff(depth[order]) > SAME_PLACE_MM
    ranks = np.concatenate(([0], np.cumsum(steps)))
    numbers = np.empty(len(frames), dtype=int)
    numbers[order] = ranks
    return [int(n) for n in numbers]


def _crowding(frames: Frames) -> int:
    """The largest number of frames at one place."""
    return max(Counter(_place_numbers(frames)).values())


def _without_resent(frames: Frames) -> tuple[Frames, bool]:
    """Drops slices sent again under a new UID, where only a minority of places is doubled."""
    numbers = _place_numbers(frames)
    crowded = [n for n, count in Counter(numbers).items() if count > 1]
    if not crowded or len(crowded) * 2 > len(set(numbers)):
        return frames, False
    kept: list[Frame] = []
    at_place: dict[int, Frame] = {}
    for frame, number in zip(frames, numbers, strict=True):
        if number in at_place and same_content(at_place[number], frame):
            continue
        at_place.setdefault(number, frame)
        kept.append(frame)
    return tuple(kept), len(kept) < len(frames)


def _split(frames: Frames) -> list[Candidate]:
    """Splits frames that lie in the same place, or interleaved, into phases."""
    if len(frames) < 2 * FEWEST_SLICES:
        return [Candidate(frames)]
    for flag, share, groups in _groupings(frames):
        if _are_phases(frames, groups, share=share):
            return [replace(c, flags=tuple(dict.fromkeys((flag, *c.flags)))) for group in groups for c in _split(group)]
    return [Candidate(frames)]


def _groupings(frames: Frames) -> Iterator[tuple[Flag, float, Sequence[Frames]]]:
    """Ways to tell phases apart, the most explicit first, each with the share of extent that proves it."""
    yield Flag.SPLIT_BY_TAG, 0.0, _by_label(frames, lambda f: f.temporal_position)
    crowding = _crowding(frames)
    if crowding == 1 and not _may_interleave(frames):
        return
    yield Flag.SPLIT_BY_TAG, 0.0, _by_label(frames, lambda f: f.acquisition_number)
    # Slices that are unevenly spaced together are not one volume anyhow.
    share = _SHARED_EXTENT if crowding > 1 or is_even(frames) else 0.0
    clocks: tuple[tuple[Clock, float], ...] = (
        (lambda f: f.acquired_s, _SHORTEST_PAUSE_S),
        (lambda f: None if f.trigger_ms is None else f.trigger_ms / 1000, _SHORTEST_PAUSE_S),
        # The time of writing says less: slices of one volume may be written out of order.
        (lambda f: f.content_s, _SHORTEST_PAUSE_S if crowding > 1 else _SHORTEST_WRITING_PAUSE_S),
    )
    for clock, pause_s in clocks:
        if pause_s == _SHORTEST_PAUSE_S:
            yield Flag.SPLIT_BY_TAG, share, _by_label(frames, clock)
        for cuts in range(max(crowding, 2) - 1, max(crowding, 2) + 2):
            yield Flag.SPLIT_BY_TAG, share, _by_pauses(frames, clock, cuts=cuts, pause_s=pause_s)
    yield Flag.SPLIT_BY_ORDER, share, _by_runs(frames)


def _by_label(frames: Frames, label: Callable[[Frame], Hashable]) -> list[Frames]:
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
    numbers = [frame.instance_number for frame in frames]
    if None in numbers or len(set(numbers)) < len(frames):
        return [frames]
    ordered = sorted(frames, key=lambda f: f.instance_number or 0)
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


def _are_phases(frames: Frames, groups: Sequence[Frames], *, share: float) -> bool:
    """Whether groups look like volumes over the same part of the body, less crowded than all of them together.

    Args:
        frames: All of them.
        groups: How they might be told apart.
        share: Part of the shorter extent that every two groups have in common; 0 asks for any overlap of any two.
    """
    if len(groups) < 2 or min(len(group) for group in groups) < FEWEST_SLICES:
        return False
    crowding = _crowding(frames)
    if crowding > 1 and max(_crowding(group) for group in groups) >= crowding:
        return False
    if crowding == 1 and not all(is_even(group) for group in groups):
        return False
    depth_of = {id(frame): float(d) for frame, d in zip(frames, depths_mm(frames), strict=True)}
    ends = [(min(d := [depth_of[id(f)] for f in group]), max(d)) for group in groups]
    shares = [
        (min(a[1], b[1]) - max(a[0], b[0]) + SAME_PLACE_MM) / (min(a[1] - a[0], b[1] - b[0]) + SAME_PLACE_MM)
        for n, a in enumerate(ends)
        for b in ends[n + 1 :]
    ]
    return (min(shares) > share > 0) or ((share == 0 or len(groups) == crowding) and max(shares) > 0)


def is_even(frames: Frames) -> bool:
    """Whether slices follow each other at one distance."""
    if len(frames) < FEWEST_SLICES:
        return True
    gaps_mm = np.diff(np.sort(depths_mm(frames)))
    return bool(np.abs(gaps_mm - np.median(gaps_mm)).max() <= SAME_PLACE_MM)


def _may_interleave(frames: Frames) -> bool:
    """Whether slices at different places may still be two phases.

    CT runs through the body once a phase. MR often acquires odd and even slices in turn: when all of them together
    are evenly spaced, they are one volume.
    """
    if frames[0].modality == "CT":
        return True
    return not is_even(frames)
