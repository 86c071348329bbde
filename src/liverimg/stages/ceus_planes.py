"""Clips into planes: which clips can be assessed, which belong together, and from when their frames count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from liverimg.core.cine import Cine, Clip, ClockZero, Pane
from liverimg.core.errors import UsageError
from liverimg.dicom.codes import Flag
from liverimg.dicom.ultrasound import LoadedClip
from liverimg.measure.perfusion.plane import PlaneInput

_INJECTION = (ClockZero.USER, ClockZero.CONTRAST_TAG, ClockZero.ANNOTATION)
_FEWEST_FRAMES = 2


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane to be assessed.

    Attributes:
        given: Its frames.
        clips: What it was made of, in order of time.
        dynamic_range_from: ``user``, ``tag`` or ``assumed``.
    """

    given: PlaneInput
    clips: tuple[Clip, ...]
    dynamic_range_from: str


@dataclass(frozen=True)
class NotUsed:
    """A clip that no plane was made of, and why (one clause)."""

    series_instance_uid: str
    reason: str


def planes_of(
    loaded: Sequence[LoadedClip], *, names: Mapping[str, str], dynamic_range_db: float | None
) -> tuple[tuple[Plane, ...], tuple[NotUsed, ...]]:
    """Planes in order of time. Each clip is a plane of its own, unless the user says that clips show the same one.

    Args:
        loaded: Every clip of the study.
        names: Name of the plane that a clip shows, by SeriesInstanceUID.
        dynamic_range_db: As the user knows it.

    Raises:
        UsageError: A name for a clip that is not there, or clips under one name that can't be joined.
    """
    uids = {entry.clip.series_instance_uid for entry in loaded}
    if unknown := sorted(set(names) - uids):
        raise UsageError(f"--plane names series {unknown[0]!r}, which holds no ultrasound clip of this study")
    not_used, groups = [], dict[str, list[LoadedClip]]()
    for n, entry in enumerate(loaded):
        uid = entry.clip.series_instance_uid
        reason = refusal(entry)
        if reason:
            not_used.append(NotUsed(uid, reason))
        else:
            groups.setdefault(f"={names[uid]}" if uid in names else str(n), []).append(entry)
    planes = []
    for number, group in enumerate(groups.values(), start=1):
        planes.append(_plane(f"P{number}", group, [e.clip for e in loaded], dynamic_range_db))
    return tuple(planes), tuple(not_used)


def refusal(entry: LoadedClip) -> str:
    """Why a clip can't be assessed, one clause; empty when it can."""
    clip = entry.clip
    if len(clip.kept_frames) < _FEWEST_FRAMES:
        return "it is a single frame: enhancement over time needs a loop from before the arrival of contrast"
    if Flag.COLOUR_OVERLAY.value in clip.flags:
        return "colours lie over the picture, as in colour Doppler: the grey levels under them are not echo power"
    if clip.picture(Pane.CONTRAST) is None:
        panes = ", ".join(p.pane.value.replace("_", "-") for p in clip.pictures)
        return (
            f"no picture of it is known to show contrast ({panes}): expected a contrast picture beside B-mode; name it "
            "with --pane if you know it"
        )
    if clip.picture(Pane.B_MODE) is None:
        return "no B-mode picture lies beside the contrast, so that motion can't be compensated"
    if clip.times_s is None:
        return f"its frames have no times: {clip.times_detail}"
    return ""


def _plane(name: str, group: Sequence[LoadedClip], study: Sequence[Clip], dynamic_range_db: float | None) -> Plane:
    ordered = sorted(group, key=lambda e: (e.clip.acquired_at or "9", e.clip.series_instance_uid))
    first = ordered[0]
    contrast, b_mode = _joined(ordered, Pane.CONTRAST), _joined(ordered, Pane.B_MODE)
    tagged = {e.clip.dynamic_range_db for e in ordered}
    tag = tagged.pop() if len(tagged) == 1 else None
    source = "user" if dynamic_range_db is not None else "tag" if tag is not None else "assumed"
    given = PlaneInput(
        name,
        contrast,
        b_mode,
        injection_known(first.clip, study),
        dynamic_range_db if dynamic_range_db is not None else tag,
        tuple(e.clip.series_instance_uid for e in ordered),
    )
    return Plane(given, tuple(e.clip for e in ordered), source)


def injection_known(clip: Clip, study: Sequence[Clip]) -> bool:
    """Whether the clip's zero is the injection, its own or that of the clip that it took its zero from."""
    if clip.clock is None:
        return False
    if clip.clock.zero is ClockZero.OTHER_CLIP:
        return any(
            c.clock is not None and c.clock.zero in _INJECTION and clip.clock.detail.startswith(c.clock.detail)
            for c in study
        )
    return clip.clock.zero in _INJECTION


def _cine(entry: LoadedClip, pane: Pane) -> Cine:
    return next(c for p, c in zip(entry.clip.pictures, entry.cines, strict=True) if p.pane is pane)


def _joined(group: Sequence[LoadedClip], pane: Pane) -> Cine:
    """The frames of several clips as one cine, on the clock of the first."""
    first = _cine(group[0], pane)
    if len(group) == 1:
        return first
    arrays, times = [first.array], [np.asarray(first.times_s)]
    for entry in group[1:]:
        cine = _cine(entry, pane)
        same_scale = (cine.spacing_mm is None) == (first.spacing_mm is None) and (
            cine.spacing_mm is None or first.spacing_mm is None or np.allclose(cine.spacing_mm, first.spacing_mm)
        )
        if cine.array.shape[1:] != first.array.shape[1:] or not same_scale:
            raise UsageError(
                f"--plane joins series {entry.clip.series_instance_uid} with another whose pictures have another size "
                "or scale; only clips of the same settings can be joined"
            )
        arrays.append(cine.array)
        times.append(np.asarray(cine.times_s) + _later_s(group[0].clip, entry.clip))
    joined = np.concatenate(times)
    if (np.diff(joined) < 0).any():
        raise UsageError("--plane joins clips that overlap in time; only clips that follow each other can be joined")
    return Cine(np.concatenate(arrays), joined, first.spacing_mm, pane, first.unknown)


def _later_s(first: Clip, second: Clip) -> float:
    """What the second clip's own times lack on the first one's clock."""
    if first.acquired_at is None or second.acquired_at is None or first.clock is None or second.clock is None:
        raise UsageError("--plane joins clips that do not say when they were acquired; they can't be put in order")
    moments = [datetime.strptime(c.acquired_at or "", "%Y%m%d%H%M%S") for c in (first, second)]
    return (moments[1] - moments[0]).total_seconds() + second.clock.zero_s - first.clock.zero_s
