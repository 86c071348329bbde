"""When each frame of a clip was acquired, relative to the first: from the best tag, held against the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import Frame
from liverimg.dicom.ultrasound_header import TimingTags

# CineRate and RecommendedDisplayFrameRate are whole numbers (IS): rounding alone moves them by this much.
_RATE_ROUNDING: Final = 0.5
# Fewer rising increments than this may be chance.
_FEWEST_RISING: Final = 4


@dataclass(frozen=True)
class FrameTimes:
    """Seconds after the first frame, or None; the tag they come from or the reason; what was odd."""

    times_s: tuple[float, ...] | None
    detail: str
    flags: tuple[Flag, ...] = ()


def loop_times(timing: TimingTags, frames: int, *, agreement: float) -> FrameTimes:
    """Times of the frames of one multi-frame object (PS3.3 C.7.6.5).

    FrameTimeVector goes first, then FrameTime, CineRate, RecommendedDisplayFrameRate. The first increment of a
    vector has no meaning and is ignored, whatever it says.

    Args:
        timing: What the tags say.
        frames: Number of frames.
        agreement: Part by which two tags may differ unflagged.
    """
    if frames == 1:
        return FrameTimes((0.0,), "a single frame")
    flags: set[Flag] = set()
    found = _vector(timing, frames, agreement)
    if found is None and timing.vector_present:
        flags.add(Flag.FRAME_TIMES_INVALID)
    if found is None:
        for source, interval_s, _ in _intervals(timing):
            found = source, np.arange(frames) * interval_s
            break
    if found is None:
        return FrameTimes(
            None,
            "no FrameTimeVector, FrameTime, CineRate or RecommendedDisplayFrameRate that can be read",
            tuple(sorted({*flags, Flag.FRAME_TIMES_UNKNOWN})),
        )
    source, times_s = found
    if source.endswith(_ABSOLUTE):
        flags.add(Flag.FRAME_TIMES_ABSOLUTE)
    if _conflicts(timing, float(times_s[-1]) / (frames - 1), frames, agreement, source):
        flags.add(Flag.FRAME_TIMES_CONFLICT)
    return FrameTimes(tuple(round(float(t), 6) for t in times_s), source, tuple(sorted(flags)))


_ABSOLUTE: Final = "(times, not increments)"


def _vector(timing: TimingTags, frames: int, agreement: float) -> tuple[str, np.ndarray] | None:
    """Times from FrameTimeVector; None when it is absent or can't be increments."""
    if timing.vector_ms is None or len(timing.vector_ms) != frames:
        return None
    steps_s = np.asarray(timing.vector_ms[1:]) / 1000
    if (steps_s < 0).any() or not steps_s.any():
        return None
    if _reads_as_times(steps_s, timing, agreement):
        stamps_s = np.asarray(timing.vector_ms) / 1000
        return f"FrameTimeVector {_ABSOLUTE}", stamps_s - stamps_s[0]
    return "FrameTimeVector", np.concatenate(([0.0], np.cumsum(steps_s)))


def _reads_as_times(steps_s: np.ndarray, timing: TimingTags, agreement: float) -> bool:
    """Whether ever growing "increments" are times since the first frame, as another tag's interval shows."""
    if len(steps_s) < _FEWEST_RISING or not (np.diff(steps_s) > 0).all():
        return False
    interval_s = float(np.diff(steps_s).mean())
    return any(abs(interval_s - other_s) <= agreement * other_s + slack_s for _, other_s, slack_s in _intervals(timing))


def _intervals(timing: TimingTags) -> list[tuple[str, float, float]]:
    """Frame interval by each tag that gives one, best first, with the slack that rounding gives it, in s."""
    found = []
    if timing.frame_time_ms is not None:
        found.append(("FrameTime", timing.frame_time_ms / 1000, 0.0))
    for name, rate in (("CineRate", timing.cine_rate), ("RecommendedDisplayFrameRate", timing.display_rate)):
        if rate is not None:
            found.append((name, 1 / rate, 1 / max(rate - _RATE_ROUNDING, _RATE_ROUNDING) - 1 / rate))
    return found


def _conflicts(timing: TimingTags, interval_s: float, frames: int, agreement: float, source: str) -> bool:
    others = [entry for entry in _intervals(timing) if entry[0] != source]
    if timing.duration_s is not None:
        # EffectiveDuration may or may not count the time that the last frame stands.
        others.append(("EffectiveDuration", timing.duration_s / frames, timing.duration_s / (frames - 1) / frames))
    return any(abs(interval_s - other_s) > agreement * other_s + slack_s for _, other_s, slack_s in others)


def still_times(frames: Sequence[Frame]) -> tuple[tuple[int, ...], FrameTimes]:
    """Order and times of the stills of one series.

    AcquisitionDateTime (or AcquisitionDate and AcquisitionTime) where every still has one, else ContentTime.

    Returns:
        The order in time as indices into ``frames``, and the times in that order.
    """
    for detail, seconds in (
        ("AcquisitionDateTime of each still", [f.acquired_s for f in frames]),
        ("ContentTime of each still", [f.content_s for f in frames]),
    ):
        known = [s for s in seconds if s is not None]
        if len(known) != len(frames) or (len(frames) > 1 and len(set(known)) == 1):
            continue
        order = sorted(range(len(frames)), key=lambda n: (known[n], frames[n].instance_number or 0, n))
        first_s = known[order[0]]
        return tuple(order), FrameTimes(tuple(round(known[n] - first_s, 6) for n in order), detail)
    order = sorted(range(len(frames)), key=lambda n: (frames[n].instance_number or 0, frames[n].sop_instance_uid))
    if len(frames) == 1:
        return tuple(order), FrameTimes((0.0,), "a single frame")
    detail = "the stills carry no acquisition or content times that tell them apart"
    return tuple(order), FrameTimes(None, detail, (Flag.FRAME_TIMES_UNKNOWN,))
