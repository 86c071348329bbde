"""From the frames of a study to its stacks, in order of time, and to what is not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from liverimg.core.errors import DicomRefusedError
from liverimg.core.study import Rejected
from liverimg.dicom.codes import Code, Flag
from liverimg.dicom.frame import Frame
from liverimg.dicom.group import SET_ASIDE, Candidate, candidates
from liverimg.dicom.join import join_split_volumes
from liverimg.dicom.pixels import padding_is_plausible
from liverimg.dicom.stack import Stack, stack_slices


def set_aside(frames: Sequence[Frame]) -> list[Rejected]:
    """What is listed and spoils no volume: localisers, projections, other modalities."""
    counted: Counter[tuple[str, Code, str]] = Counter(
        (frame.series_instance_uid, frame.problem.code, frame.problem.reason)
        for frame in frames
        if frame.problem is not None and frame.problem.code in SET_ASIDE
    )
    return [
        Rejected(uid, code.value, _sentence(f"{reason} ({count} image{'s' if count > 1 else ''})"))
        for (uid, code, reason), count in counted.items()
    ]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def find_stacks(frames: Sequence[Frame]) -> tuple[tuple[Stack, ...], list[Rejected]]:
    """Groups, joins and orders slices; the volumes in order of time, and what had to be refused."""
    by_series: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame.problem is not None and frame.problem.code in SET_ASIDE:
            continue
        by_series.setdefault(frame.series_instance_uid, []).append(frame)
    found: list[Candidate] = []
    for uid in sorted(by_series):
        found += candidates(tuple(by_series[uid]))
    stacks: list[Stack] = []
    rejected: list[Rejected] = []
    for candidate in join_split_volumes(found):
        try:
            stack = stack_slices(candidate.frames)
        except DicomRefusedError as refusal:
            uid = min(frame.series_instance_uid for frame in candidate.frames)
            rejected.append(Rejected(uid, str(refusal.code), _sentence(str(refusal))))
            continue
        padding = (
            () if all(f.padding is None or padding_is_plausible(f) for f in stack.frames) else (Flag.PADDING_IGNORED,)
        )
        flags = tuple(sorted({*candidate.flags, *stack.flags, *padding}))
        stacks.append(replace(stack, flags=flags))
    stacks.sort(key=_stack_order)
    return tuple(stacks), [
        entry if count == 1 else replace(entry, reason=f"{entry.reason[:-1]} ({count} times).")
        for entry, count in Counter(rejected).items()
    ]


def _stack_order(stack: Stack) -> tuple[object, ...]:
    times = [frame.acquired_s for frame in stack.frames if frame.acquired_s is not None]
    return (
        min(times) if times else float("inf"),
        # Without times the numbers that consoles count on come nearest to the order of acquisition.
        0 if times else stack.frames[0].series_number or 0,
        min(frame.series_instance_uid for frame in stack.frames),
        stack.frames[0].temporal_position or 0,
        stack.frames[0].time_offset_s or 0,
        stack.frames[0].acquisition_number or 0,
        stack.frames[0].trigger_ms or 0,
        min(frame.content_s or 0 for frame in stack.frames),
        stack.frames[0].dimensions,
        min(frame.instance_number or 0 for frame in stack.frames),
        stack.frames[0].sop_instance_uid,
    )
