"""Where the clock of a contrast clip starts: the user's word, a tag, an annotation, or the signal itself.

A start of injection and an arrival of contrast are different zeros, and the record says which one it is. See
``docs/explanation/ultrasound.md`` for the method of arrival and its uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverimg.core.cine import Clip, Clock, ClockZero
from liverimg.dicom.codes import Flag

_DAY_S: Final = 86400.0


@dataclass(frozen=True)
class ClockTags:
    """What the header says about the clock; times of day in seconds after midnight.

    Attributes:
        contrast_start_s: ContrastBolusStartTime.
        first_frame_s: When the first frame was acquired; None when unknown.
        first_frame_doubt_s: By how much that may be off: ContentTime is written before, during or after a clip.
        frames_of_interest: Marked frames, by index and lower-case description.
    """

    contrast_start_s: float | None
    first_frame_s: float | None
    first_frame_doubt_s: float
    frames_of_interest: tuple[tuple[int, str], ...] = ()


def clock_from_header(
    tags: ClockTags, times_s: Sequence[float] | None, *, user_s: float | None, limits: Mapping[str, Any]
) -> Clock | None:
    """The clock as the user, a tag or an annotation gives it, in this order; None when nobody does.

    Args:
        tags: From the header.
        times_s: Seconds of each stored frame after the first.
        user_s: Start of injection in seconds after the clip's first frame, as the user says.
        limits: Table ``clock`` of ``ultrasound.toml``.
    """
    if user_s is not None:
        return Clock(ClockZero.USER, user_s, 0.0, f"start of injection {user_s:g} s after the first frame, by the user")
    duration_s = times_s[-1] if times_s else 0.0
    if tags.contrast_start_s is not None and tags.first_frame_s is not None:
        zero_s = (tags.contrast_start_s - tags.first_frame_s % _DAY_S + _DAY_S / 2) % _DAY_S - _DAY_S / 2
        if -limits["most_before_clip_s"] <= zero_s <= duration_s + limits["tag_uncertainty_s"]:
            doubt_s = limits["tag_uncertainty_s"] + tags.first_frame_doubt_s
            where = f"{abs(zero_s):.1f} s {'before' if zero_s < 0 else 'after'} the first frame"
            return Clock(ClockZero.CONTRAST_TAG, zero_s, doubt_s, f"ContrastBolusStartTime, {where}")
    for index, words in tags.frames_of_interest:
        if times_s and 0 <= index < len(times_s) and any(word in words for word in limits["injection_words"]):
            step_s = duration_s / max(1, len(times_s) - 1)
            return Clock(
                ClockZero.ANNOTATION, times_s[index], step_s, f"frame {index + 1} is marked as the start of injection"
            )
    return None


def clock_from_signal(
    curve: NDArray[np.float64], times_s: NDArray[np.float64], *, limits: Mapping[str, Any]
) -> Clock | str:
    """The arrival of contrast, by the tangent method, or why it can't be seen.

    The baseline is the mean of the first frames. The steepest rise of the smoothed curve is drawn down to it; where
    the two meet is the arrival. Half the width of its interval is the larger of one frame, half the time from the
    tangent's foot to where the curve leaves the noise, and the baseline's noise divided by the slope.

    Args:
        curve: Mean grey level of the contrast picture, per kept frame.
        times_s: Seconds of each kept frame after the first.
        limits: Table ``onset`` of ``ultrasound.toml``.
    """
    n_base = max(int(limits["baseline_frames"]), int(np.searchsorted(times_s - times_s[0], limits["baseline_s"])))
    if len(curve) < 2 * n_base or times_s[-1] <= times_s[0]:
        return "too few frames for a baseline and a rise"
    width = max(1, n_base // 2)
    smooth = np.convolve(np.pad(curve, width, mode="edge"), np.ones(2 * width + 1) / (2 * width + 1), mode="valid")
    base, noise = float(curve[:n_base].mean()), float(curve[:n_base].std())
    peak = int(smooth.argmax())
    rise = float(smooth[peak]) - base
    threshold = max(limits["rise_deviations"] * noise, limits["rise_part"] * rise)
    if rise < limits["least_rise_levels"] or rise <= threshold:
        return f"the contrast picture does not brighten (by {max(rise, 0.0):.1f} grey levels)"
    below = np.flatnonzero(smooth[: peak + 1] <= base + threshold)
    if not len(below) or below[-1] < n_base - 1:
        return "the contrast picture brightens from its first frames on: the arrival lies before the clip"
    leaves = int(below[-1])
    slopes = np.gradient(smooth, times_s)
    steepest = leaves + int(slopes[leaves : peak + 1].argmax())
    slope = float(slopes[steepest])
    if slope <= 0:
        return "the contrast picture does not brighten steadily"
    foot_s = float(times_s[steepest] - (smooth[steepest] - base) / slope)
    foot_s = min(max(foot_s, float(times_s[0])), float(times_s[steepest]))
    frame_s = float(np.median(np.diff(times_s)))
    doubt_s = max(frame_s, abs(float(times_s[leaves]) - foot_s) / 2, noise / slope)
    return Clock(
        ClockZero.SIGNAL_ONSET,
        foot_s,
        round(doubt_s, 3),
        f"contrast arrives {foot_s:.1f} s after the first frame (tangent on the mean level); not the injection",
    )


def share_zero(clips: Sequence[Clip], *, limits: Mapping[str, Any]) -> tuple[Clip, ...]:
    """Clips without a zero of their own count from that of the clip before, where both know when they began.

    Args:
        clips: Of one study.
        limits: Table ``clock`` of ``ultrasound.toml``.
    """
    shared = []
    for clip in clips:
        known = [
            c for c in clips if c is not clip and c.clock is not None and c.clock.zero is not ClockZero.FIRST_FRAME
        ]
        earlier = [(seconds, c) for c in known if (seconds := _between_s(c, clip)) is not None and seconds >= 0]
        if clip.clock is None or clip.clock.zero is not ClockZero.FIRST_FRAME or not earlier:
            shared.append(clip)
            continue
        seconds, source = min(earlier, key=lambda entry: entry[0])
        assert source.clock is not None
        if seconds - source.clock.zero_s > limits["most_before_clip_s"]:
            shared.append(clip)
            continue
        doubt_s = (source.clock.uncertainty_s or 0.0) + limits["tag_uncertainty_s"]
        detail = f"{source.clock.detail}, in the clip that began {seconds:.0f} s earlier"
        clock = Clock(ClockZero.OTHER_CLIP, source.clock.zero_s - seconds, doubt_s, detail)
        flags = tuple(flag for flag in clip.flags if flag != Flag.CLOCK_ZERO_UNKNOWN.value)
        shared.append(replace(clip, clock=clock, flags=flags))
    return tuple(shared)


def _between_s(first: Clip, second: Clip) -> float | None:
    if first.acquired_at is None or second.acquired_at is None:
        return None
    moments = [datetime.strptime(clip.acquired_at or "", "%Y%m%d%H%M%S") for clip in (first, second)]
    return (moments[1] - moments[0]).total_seconds()
