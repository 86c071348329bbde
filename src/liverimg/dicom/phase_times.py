"""When each volume of a study was acquired, by the best clock that its slices carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from liverimg.dicom.frame import Frame
from liverimg.dicom.stack import Stack

# Two phases are never this near to each other; volumes that are share a clock that stood still.
_SAME_S: Final = 0.5


@dataclass(frozen=True)
class Moment:
    """When a volume was acquired.

    Attributes:
        time_s: Seconds since year 1, or since midnight where no date is known; None when no tag says.
        clock: The tags that say so.
        text: The same as ``YYYYMMDDHHMMSS``, where AcquisitionTime says so.
    """

    time_s: float | None
    clock: str = ""
    text: str | None = None


_Clock = Callable[[Frame], float | None]
# Tags that go on counting within a series whose AcquisitionTime stands still.
_INNER: Final[tuple[tuple[str, _Clock], ...]] = (
    ("TemporalPositionTimeOffset", lambda f: f.time_offset_s),
    ("TriggerTime", lambda f: None if f.trigger_ms is None else f.trigger_ms / 1000),
    ("ContentTime", lambda f: f.content_s),
)


def volume_moments(stacks: Sequence[Stack]) -> tuple[Moment, ...]:
    """When each volume was acquired.

    AcquisitionTime counts first. Volumes of one series that share it are told apart by time offset, trigger time or
    content time; where it is missing ContentTime stands in.
    """
    moments = [_own(stack) for stack in stacks]
    groups: dict[tuple[str, str], list[int]] = {}
    for number, stack in enumerate(stacks):
        groups.setdefault((min(f.series_instance_uid for f in stack.frames), moments[number].clock), []).append(number)
    for members in groups.values():
        known = [moments[n].time_s for n in members]
        times = [time_s for time_s in known if time_s is not None]
        if len(members) < 2 or len(times) < len(members) or max(times) - min(times) > _SAME_S:
            continue
        for number, moment in zip(members, _told_apart([stacks[n] for n in members], min(times)), strict=True):
            moments[number] = moment or moments[number]
    return tuple(moments)


def _own(stack: Stack) -> Moment:
    acquired = sorted((f.acquired_s, f.acquired_at) for f in stack.frames if f.acquired_s is not None)
    if acquired:
        return Moment(acquired[0][0], "AcquisitionTime", acquired[0][1])
    content = [f.content_s for f in stack.frames if f.content_s is not None]
    return Moment(min(content), "ContentTime") if content else Moment(None)


def _told_apart(stacks: Sequence[Stack], start_s: float) -> list[Moment | None]:
    for name, clock in _INNER:
        readings = [[value for f in stack.frames if (value := clock(f)) is not None] for stack in stacks]
        if not all(readings):
            continue
        first = [min(values) for values in readings]
        apart = sorted(first)
        if all(b - a > _SAME_S for a, b in pairwise(apart)):
            clock_name = f"AcquisitionTime and {name}"
            own = [_own(stack).text for stack in stacks]
            return [
                Moment(start_s + value - apart[0], clock_name, text if value == apart[0] else None)
                for value, text in zip(first, own, strict=True)
            ]
    return [None] * len(stacks)
