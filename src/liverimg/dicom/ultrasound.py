"""Ultrasound loops and series of stills: headers to clips, pixels to one cine per picture.

Ultrasound has no patient space. A clip yields frames, their times, and millimetres only where a valid region says
how large a pixel is; a clip whose clock, scale or layout the file does not tell is read all the same, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.cine import Box, Cine, Clip, Clock, ClockZero, DroppedFrames, Pane, Picture
from liverimg.core.errors import DicomRefusedError
from liverimg.core.study import Rejected
from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import Frame
from liverimg.dicom.headers import safe_uid
from liverimg.dicom.ultrasound_clock import ClockTags, clock_from_header, clock_from_signal, share_zero
from liverimg.dicom.ultrasound_header import UltrasoundHeader, read_ultrasound_header
from liverimg.dicom.ultrasound_panes import Named, name_pair, name_single, split_by_content, summarise
from liverimg.dicom.ultrasound_pixels import Frames, colour_map_of, load_frames
from liverimg.dicom.ultrasound_regions import calibration, clip_calibration, picture_boxes
from liverimg.dicom.ultrasound_repeats import without_repeats
from liverimg.dicom.ultrasound_times import loop_times, still_times


@dataclass(frozen=True)
class UltrasoundRules:
    """Limits and words from ``ultrasound.toml``."""

    table: Mapping[str, Any]

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """One of its tables."""
        found: Mapping[str, Any] = self.table[name]
        return found


@dataclass(frozen=True)
class ClipSource:
    """A clip as its headers describe it, and the files in order of time.

    Attributes:
        clip: Without pictures, clock and kept frames: those need pixels.
        headers: One for a loop, one per still.
    """

    clip: Clip
    headers: tuple[UltrasoundHeader, ...] = field(repr=False)


def is_ultrasound(frame: Frame) -> bool:
    """Whether the frame belongs to this room."""
    return frame.modality == "US"


def clip_sources(
    frames: Sequence[Frame], *, rules: UltrasoundRules
) -> tuple[tuple[ClipSource, ...], tuple[Rejected, ...]]:
    """Groups ultrasound files into clips.

    A multi-frame object is a clip of its own. Stills of one series with the same matrix and the same regions are
    one clip in order of time; others of the series, calibrated otherwise, are another.

    Args:
        frames: Of ultrasound files, as :func:`liverimg.dicom.headers.read_folder` gives them, one per file.
        rules: Limits.

    Returns:
        The clips in order of acquisition, and what was refused.
    """
    groups: dict[tuple[Any, ...], list[UltrasoundHeader]] = {}
    refused: dict[tuple[str, str, str], int] = {}
    seen: set[tuple[str, int]] = set()
    for frame in sorted(frames, key=lambda f: (f.series_instance_uid, f.sop_instance_uid, f.number)):
        try:
            header = read_ultrasound_header(frame)
        except DicomRefusedError as refusal:
            entry = (frame.series_instance_uid, str(refusal.code), str(refusal))
            refused[entry] = refused.get(entry, 0) + 1
            continue
        if frame.sop_instance_uid and (frame.sop_instance_uid, frame.number) in seen:
            continue  # a copy of a file that is already there
        seen.add((frame.sop_instance_uid, frame.number))
        block = frame.pixels
        one_of_many = block.frames == 1
        key = (frame.series_instance_uid, block.rows, block.columns, header.regions)
        groups.setdefault(key if one_of_many else (*key, frame.sop_instance_uid, str(header.path)), []).append(header)
    sources = [_source(headers, rules) for headers in groups.values()]
    sources.sort(key=lambda s: (s.clip.acquired_at or "9", s.clip.series_instance_uid, s.clip.sop_instance_uids))
    rejected = tuple(
        Rejected(uid, code, f"{reason[:1].upper()}{reason[1:]} ({count} file{'s' if count > 1 else ''}).")
        for (uid, code, reason), count in sorted(refused.items())
    )
    return _compared(sources, rules), rejected


def _source(headers: Sequence[UltrasoundHeader], rules: UltrasoundRules) -> ClipSource:
    frames = [header.frame for header in headers]
    if frames[0].pixels.frames > 1:
        order: tuple[int, ...] = (0,)
        times = loop_times(headers[0].timing, frames[0].pixels.frames, agreement=rules["times"]["agreement"])
    else:
        order, times = still_times(frames)
    first = frames[order[0]]
    ordered = tuple(headers[n] for n in order)
    lossy = (Flag.LOSSY_COMPRESSION,) if any(frame.lossy for frame in frames) else ()
    clip = Clip(
        series_instance_uid=first.series_instance_uid,
        sop_instance_uids=tuple(safe_uid(header.frame.sop_instance_uid) for header in ordered),
        description=first.phase_tags.series_description,
        flags=_flags(times.flags, lossy),
        acquired_at=_content_at(first) if times.detail.startswith("ContentTime") else first.acquired_at,
        stored_frames=first.pixels.frames if len(headers) == 1 else len(headers),
        stored_shape=(first.pixels.rows, first.pixels.columns),
        times_s=times.times_s,
        times_detail=times.detail,
        regions=headers[0].regions,
        dynamic_range_db=_said_by_all([header.dynamic_range_db for header in headers]),
    )
    return ClipSource(clip, ordered)


def _said_by_all(values: Sequence[float | None]) -> float | None:
    """The value that every file of a clip gives; None where one gives none or another."""
    return values[0] if len(set(values)) == 1 else None


def _content_at(first: Frame) -> str | None:
    """ContentDate and ContentTime of a still: nothing else says when a still was made."""
    if first.content_s is None or first.content_s < 86400:
        return None
    seconds = int(first.content_s)
    day = np.datetime64("0001-01-01") + np.timedelta64(seconds // 86400 - 1, "D")
    clock = seconds % 86400
    return f"{str(day).replace('-', '')}{clock // 3600:02d}{clock // 60 % 60:02d}{clock % 60:02d}"


def _flags(*parts: Sequence[Flag | str]) -> tuple[str, ...]:
    return tuple(sorted({str(flag) for part in parts for flag in part}))


def _compared(sources: Sequence[ClipSource], rules: UltrasoundRules) -> tuple[ClipSource, ...]:
    """Flags every clip of a study whose clips have pixels of different size."""
    spacings = {clip_calibration(source.clip, limits=rules["calibration"]).spacing_mm for source in sources} - {None}
    if len(spacings) < 2:
        return tuple(sources)
    return tuple(
        replace(s, clip=replace(s.clip, flags=_flags(s.clip.flags, (Flag.CALIBRATION_DIFFERS,)))) for s in sources
    )


@dataclass(frozen=True)
class LoadedClip:
    """A clip with its pixels: one cine per entry of ``clip.pictures``, in the same order."""

    clip: Clip
    cines: tuple[Cine, ...]


def load_clip(
    source: ClipSource,
    *,
    rules: UltrasoundRules,
    contrast_start_s: float | None = None,
    pane: str | None = None,
) -> LoadedClip:
    """Reads a clip's pixels: grey levels, pictures, repeated frames, clock.

    Args:
        source: From :func:`clip_sources`.
        rules: Limits.
        contrast_start_s: Start of injection in seconds after the first frame, as the user knows it.
        pane: Which picture shows contrast as the user knows it: ``left``, ``right``, ``whole`` or ``none``.

    Raises:
        DicomRefusedError: Pixels that can't be decoded.
    """
    frames = load_frames(source.headers)
    summary = summarise(frames)
    boxes, split_flags = _boxes(source.clip, frames, summary, rules)
    has_agent = bool(source.headers[0].frame.phase_tags.contrast_agent)
    named: tuple[Named, ...]
    if pane is not None:
        named = _as_the_user_says(pane, len(boxes))
    elif len(boxes) == 2:
        named = name_pair(summary, *boxes, limits=rules["panes"])
    else:
        named = (name_single(summary, boxes[0], has_agent=has_agent, limits=rules["panes"]),)
    clip = source.clip
    dropped: tuple[DroppedFrames, ...] = ()
    kept = list(range(clip.stored_frames))
    if frames_are_a_loop(source):
        kept, dropped = without_repeats(frames.grey, boxes)
    pictures, picture_flags = _pictures(clip, boxes, named, frames, rules)
    clip = replace(
        clip,
        kept_frames=tuple(kept),
        dropped=dropped,
        pictures=pictures,
        flags=_flags(clip.flags, split_flags, picture_flags, (Flag.FRAMES_DROPPED,) if dropped else ()),
    )
    arrays = [frames.grey[(slice(None), *p.box.slices)][kept] for p in pictures]
    clock = _clock(source, clip, arrays, rules, contrast_start_s)
    unknown_zero = (Flag.CLOCK_ZERO_UNKNOWN,) if clock.zero is ClockZero.FIRST_FRAME else ()
    clip = replace(clip, clock=clock, flags=_flags(clip.flags, unknown_zero))
    return LoadedClip(clip, tuple(clip.cine_of(p, a) for p, a in zip(pictures, arrays, strict=True)))


def frames_are_a_loop(source: ClipSource) -> bool:
    """Whether repeats are looked for: stills are single decisions of a person and all kept."""
    return len(source.headers) == 1 and source.clip.stored_frames > 1


def _boxes(
    clip: Clip, frames: Frames, summary: Any, rules: UltrasoundRules
) -> tuple[tuple[Box, ...], tuple[Flag, ...]]:
    by_regions = picture_boxes(clip.regions, clip.stored_shape)
    if len(by_regions) == 2:
        return by_regions, ()
    box = by_regions[0] if by_regions else Box(0, frames.grey.shape[1], 0, frames.grey.shape[2])
    halves = split_by_content(summary, box, limits=rules["panes"])
    return ((box,), ()) if halves is None else (halves, (Flag.PANES_BY_CONTENT,))


def _as_the_user_says(pane: str, count: int) -> tuple[Named, ...]:
    said = ("named by the user",)
    if pane == "none" or count == 1:
        return (Named(Pane.B_MODE if pane == "none" else Pane.CONTRAST, said),) * count
    contrast, other = Named(Pane.CONTRAST, said), Named(Pane.B_MODE, said)
    return (contrast, other) if pane == "left" else (other, contrast)


def _pictures(
    clip: Clip, boxes: Sequence[Box], named: Sequence[Named], frames: Frames, rules: UltrasoundRules
) -> tuple[tuple[Picture, ...], tuple[Flag, ...]]:
    pictures, flags = [], list[Flag]()
    for box, name in zip(boxes, named, strict=True):
        scale = calibration(box, clip.regions, clip.stored_shape, limits=rules["calibration"])
        colour_map, overlay = None, False
        if frames.colour is not None:
            colour_map, overlay = colour_map_of(
                frames.colour[(slice(None), *box.slices)], tint_levels=rules["panes"]["tint_levels"]
            )
        flags += [*scale.flags, *((Flag.COLOUR_OVERLAY,) if overlay else ())]
        flags += [Flag.NOT_CALIBRATED] if scale.spacing_mm is None else []
        flags += [Flag.PANE_UNKNOWN] if name.pane is Pane.UNKNOWN else []
        pictures.append(Picture(name.pane, name.evidence, box, scale.spacing_mm, scale.detail, colour_map))
    return tuple(pictures), tuple(flags)


def _clock(
    source: ClipSource,
    clip: Clip,
    arrays: Sequence[NDArray[np.uint8]],
    rules: UltrasoundRules,
    user_s: float | None,
) -> Clock:
    first = source.headers[0].frame
    duration_s = clip.times_s[-1] if clip.times_s else 0.0
    tags = ClockTags(
        contrast_start_s=first.phase_tags.contrast_start_s,
        first_frame_s=first.acquired_s if first.acquired_s is not None else first.content_s,
        first_frame_doubt_s=0.0 if first.acquired_s is not None else duration_s,
        frames_of_interest=source.headers[0].frames_of_interest,
    )
    found = clock_from_header(tags, clip.times_s, user_s=user_s, limits=rules["clock"])
    if found is not None:
        return found
    why = "no tag, annotation or user says when contrast was injected"
    contrast = [n for n, picture in enumerate(clip.pictures) if picture.pane is Pane.CONTRAST]
    if not contrast:
        why += ", and no picture is known to show contrast"
    elif clip.times_s is None:
        why += ", and the frames have no times"
    else:
        array = arrays[contrast[0]]
        curve = array.reshape(len(array), -1).mean(axis=1, dtype=np.float64)
        seen = clock_from_signal(curve, np.asarray(clip.times_s)[list(clip.kept_frames)], limits=rules["onset"])
        if isinstance(seen, Clock):
            return seen
        why += f"; {seen}"
    return Clock(ClockZero.FIRST_FRAME, 0.0, None, why)


def with_shared_clock(loaded: Sequence[LoadedClip], *, rules: UltrasoundRules) -> tuple[LoadedClip, ...]:
    """Clips without a zero of their own get that of the clip before; their cines count from it."""
    clips = share_zero([entry.clip for entry in loaded], limits=rules["clock"])
    return tuple(
        LoadedClip(clip, tuple(clip.cine_of(p, c.array) for p, c in zip(clip.pictures, entry.cines, strict=True)))
        for clip, entry in zip(clips, loaded, strict=True)
    )
