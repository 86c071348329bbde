"""From the frames of a series to sets of slices that may each be one volume.

One series may hold several phases, orientations, echoes and a localiser; one volume may arrive twice or spread
over two series. Frames are told apart by what the header says first, by their order only when it says nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.dicom.codes import Code, Flag
from liverimg.dicom.copies import without_copies, without_resent
from liverimg.dicom.frame import Frame
from liverimg.dicom.places import Frames, crowding, is_even
from liverimg.dicom.stack import FEWEST_SLICES, SAME_PLACE_MM, depths_mm
from liverimg.dicom.tell_apart import groupings

# Cosines of directions that count as one: 0.006 degrees, 0.03 mm across a body.
_SAME_DIRECTION: Final = 1e-4
# Pixel spacings that differ by rounding only: 0.01 mm across 512 pixels.
_SAME_SPACING_MM: Final = 2e-5

# Frames with these problems belong to no volume and spoil none.
SET_ASIDE: Final = frozenset((
    Code.MODALITY_NOT_SUPPORTED, Code.SECONDARY_CAPTURE, Code.LOCALISER, Code.PROJECTION, Code.COLOUR,
    Code.MULTIFRAME_WITHOUT_GEOMETRY,
))  # fmt: skip


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
    frames, dropped = without_copies(frames)
    flags = (Flag.DUPLICATES_DROPPED,) if dropped else ()
    if any(frame.position_lps_mm is None or frame.row_lps is None or frame.spacing_mm is None for frame in frames):
        # Nobody can say which volume the homeless slice is missing from.
        return (Candidate(frames, flags),)
    found: list[Candidate] = []
    parts = partition(frames)
    for part, continued in zip(parts, _continued(parts), strict=True):
        kept, resent = without_resent(part)
        part_flags = (*((Flag.DUPLICATES_DROPPED,) if dropped or resent else ()), *continued)
        found += [replace(c, flags=(*part_flags, *c.flags)) for c in _split(kept)]
    return tuple(found)


def partition(frames: Frames) -> list[Frames]:
    """Parts that differ in orientation, matrix, kind of image, echo: never slices of one volume."""
    directions: list[FloatArray] = []
    spacings_mm: list[FloatArray] = []
    parts: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        axes = np.array((*(frame.row_lps or ()), *(frame.column_lps or ())))
        key = (
            _number(axes, directions, _SAME_DIRECTION),
            *_kind(frame),
            frame.pixels.rows,
            frame.pixels.columns,
            _number(np.array(frame.spacing_mm or (0.0, 0.0)), spacings_mm, _SAME_SPACING_MM),
        )
        parts.setdefault(key, []).append(frame)
    return [tuple(part) for part in parts.values()]


def _number(value: FloatArray, known: list[FloatArray], tolerance: float) -> int:
    """Which of the known values this one is, to a tolerance; a new one is added."""
    for number, other in enumerate(known):
        if len(other) == len(value) and np.abs(other - value).max() < tolerance:
            return number
    known.append(value)
    return len(known) - 1


def _kind(frame: Frame) -> tuple[Hashable, ...]:
    return (
        frame.frame_of_reference_uid,
        frame.image_type,
        None if frame.echo_ms is None else round(frame.echo_ms, 2),
        frame.b_value,
        frame.kernel,
        frame.stack_id,
    )


def _continued(parts: Sequence[Frames]) -> list[tuple[Flag, ...]]:
    """Marks parts that go on in one another with another matrix or pixel size: neither is the whole scan."""
    flags: list[tuple[Flag, ...]] = [()] * len(parts)
    for n, one in enumerate(parts):
        for m, other in enumerate(parts[:n]):
            if _kind(one[0]) == _kind(other[0]) and _follow_each_other(one, other):
                flags[n] = flags[m] = (Flag.CONTINUED_ELSEWHERE,)
    return flags


def _follow_each_other(one: Frames, other: Frames) -> bool:
    if min(len(one), len(other)) < FEWEST_SLICES:
        return False
    axes = [np.array((*(part[0].row_lps or ()), *(part[0].column_lps or ()))) for part in (one, other)]
    if np.abs(axes[0] - axes[1]).max() >= _SAME_DIRECTION:
        return False
    depth = depths_mm(one + other)
    gap_mm = float(np.median(np.diff(np.sort(depth))))
    own, others = depth[: len(one)], depth[len(one) :]
    between_mm = max(own.min() - others.max(), others.min() - own.max())
    return bool(SAME_PLACE_MM < between_mm <= 2 * gap_mm)


def _split(frames: Frames) -> list[Candidate]:
    """Splits frames that lie in the same place, or interleaved, into phases."""
    if len(frames) < 2 * FEWEST_SLICES:
        return [Candidate(frames)]
    for flag, share, groups in groupings(frames):
        if _are_phases(frames, groups, share=share):
            return [replace(c, flags=tuple(dict.fromkeys((flag, *c.flags)))) for group in groups for c in _split(group)]
    return [Candidate(frames)]


def _are_phases(frames: Frames, groups: Sequence[Frames], *, share: float) -> bool:
    """Whether groups look like volumes over the same part of the body, less crowded than all of them together.

    Args:
        frames: All of them.
        groups: How they might be told apart.
        share: Part of the shorter extent that every two groups have in common; 0 asks for any overlap of any two.
    """
    if len(groups) < 2 or min(len(group) for group in groups) < FEWEST_SLICES:
        return False
    crowded = crowding(frames)
    if crowded > 1 and max(crowding(group) for group in groups) >= crowded:
        return False
    if crowded == 1 and not all(is_even(group) for group in groups):
        return False
    depth_of = {id(frame): float(d) for frame, d in zip(frames, depths_mm(frames), strict=True)}
    ends = [(min(d := [depth_of[id(f)] for f in group]), max(d)) for group in groups]
    shares = [
        (min(a[1], b[1]) - max(a[0], b[0]) + SAME_PLACE_MM) / (min(a[1] - a[0], b[1] - b[0]) + SAME_PLACE_MM)
        for n, a in enumerate(ends)
        for b in ends[n + 1 :]
    ]
    return (min(shares) > share > 0) or ((share == 0 or len(groups) == crowded) and max(shares) > 0)
