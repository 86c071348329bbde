"""One volume that was stored under several series UIDs becomes one again."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np

from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import Frame
from liverimg.dicom.group import Candidate, partition
from liverimg.dicom.places import Frames, is_even
from liverimg.dicom.stack import FEWEST_SLICES, SAME_PLACE_MM, depths_mm

_JOIN_WITHIN_S: Final = 60.0


def join_split_volumes(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Joins volumes that continue each other across series UIDs: same kind, same time, the next slice in line."""
    waiting = [c for c in found if all(f.problem is None for f in c.frames)]
    joined = [c for c in found if c not in waiting]
    waiting.sort(key=lambda c: (float(depths_mm(c.frames).min()), c.frames[0].series_instance_uid))
    while waiting:
        current = waiting.pop(0)
        index = 0
        while index < len(waiting):
            if _continues(current.frames, waiting[index].frames):
                other = waiting.pop(index)
                flags = tuple(dict.fromkeys((*current.flags, *other.flags, Flag.JOINED_SERIES)))
                current = Candidate(current.frames + other.frames, flags)
                index = 0
            else:
                index += 1
        joined.append(current)
    return tuple(joined)


def _continues(first: Frames, second: Frames) -> bool:
    """Whether two parts make one evenly spaced volume together, and plainly are parts."""
    one, other = first[0], second[0]
    if one.series_instance_uid == other.series_instance_uid or one.frame_of_reference_uid is None:
        return False
    if _kind(one) != _kind(other) or len(partition((one, other))) > 1:
        return False
    times = (one.acquired_s, other.acquired_s)
    if (times[0] is None) != (times[1] is None):
        return False
    if times[0] is not None and times[1] is not None and abs(times[0] - times[1]) > _JOIN_WITHIN_S:
        return False
    depth = depths_mm(first + second)
    gaps_mm = np.diff(np.sort(depth))
    gap_mm = float(np.median(gaps_mm))
    if len(depth) < FEWEST_SLICES or np.abs(gaps_mm - gap_mm).max() > 0.01 * gap_mm or gap_mm < SAME_PLACE_MM:
        return False
    own, others = depth[: len(first)], depth[len(first) :]
    behind_each_other = own.max() < others.min() or others.max() < own.min()
    # Interleaved parts might be two coarse volumes, unless one has holes or the slices are as thick as the fine gaps.
    return bool(
        behind_each_other
        or not (is_even(first) and is_even(second))
        or (one.thickness_mm is not None and abs(one.thickness_mm - gap_mm) <= 0.1 * gap_mm)
    )


def _kind(frame: Frame) -> tuple[Hashable, ...]:
    tags = frame.phase_tags
    return (
        frame.modality,
        tags.series_description,
        tags.protocol_name,
        tags.contrast_agent,
        tags.contrast_start_s,
        frame.acquisition_number,
        frame.temporal_position,
    )
