"""Pictures for the look at a study folder: pixels are read, one volume at a time, and nothing of them is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from liverimg.core.errors import DicomRefusedError
from liverimg.core.inspection import Inspection, Pictures
from liverimg.core.study import Rejected, Study
from liverimg.dicom.decode import Decoder
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.showable import stills_of, writing_in
from liverimg.dicom.stack import Stack
from liverimg.dicom.study import StudyHeaders
from liverimg.dicom.ultrasound import ClipSource, load_clip
from liverimg.files.tables import read_table
from liverimg.report.text import Strings, say
from liverimg.report.thumbnails import frame_thumbnails, volume_thumbnails
from liverimg.stages.cines import ultrasound_rules
from liverimg.stages.stage import Progress


def add_pictures(found: Inspection, headers: StudyHeaders, progress: Progress) -> Inspection:
    """Reads pixels; what can't be decoded is moved to what is not used.

    Args:
        found: By headers.
        headers: The files behind it.
        progress: Called with the share that is done.
    """
    strings = read_table("inspection_strings")
    burned_in = read_table("deidentify")["burned_in"]
    total = len(headers.stacks) + len(headers.clips)
    volumes: list[Pictures | Rejected] = []
    with Decoder() as decoder:
        for series, stack in zip(headers.study.series, headers.stacks, strict=True):
            try:
                volumes.append(_volume_pictures(stack, decoder, burned_in, strings))
            except DicomRefusedError as refusal:
                volumes.append(Rejected(series.series_instance_uid, refusal.code, f"{refusal}."))
            progress(len(volumes) / total)
    clips: list[Pictures | Rejected] = []
    for source in headers.clips:
        try:
            clips.append(_clip_pictures(source, burned_in, strings))
        except DicomRefusedError as refusal:
            clips.append(Rejected(source.clip.series_instance_uid, refusal.code, f"{refusal}."))
        progress((len(volumes) + len(clips)) / total)
    return _without_refused(found, volumes, clips)


def _volume_pictures(stack: Stack, decoder: Decoder, burned_in: Mapping[str, Any], strings: Strings) -> Pictures:
    volume = load_volume(stack, decoder=decoder)
    writing = writing_in(stack, burned_in)
    if writing is not None:
        return Pictures(why_none=say(strings, "picture.withheld", reason=writing))
    return Pictures(volume_thumbnails(volume, strings))


def _clip_pictures(source: ClipSource, burned_in: Mapping[str, Any], strings: Strings) -> Pictures:
    loaded = load_clip(source, rules=ultrasound_rules())
    try:
        stills = stills_of(loaded, source, burned_in)
    except DicomRefusedError:
        return Pictures(why_none=say(strings, "picture.withheld", reason=say(strings, "picture.no_regions")))
    spacing_mm = loaded.clip.pictures[0].spacing_mm
    return Pictures(frame_thumbnails(stills, spacing_mm=spacing_mm, strings=strings))


def _without_refused(
    found: Inspection, volumes: list[Pictures | Rejected], clips: list[Pictures | Rejected]
) -> Inspection:
    kept = [place for place, made in enumerate(volumes) if isinstance(made, Pictures)]
    kept_clips = [place for place, made in enumerate(clips) if isinstance(made, Pictures)]
    refused = tuple(made for made in (*volumes, *clips) if isinstance(made, Rejected))
    return replace(
        found,
        study=_cut(found.study, kept, kept_clips, refused),
        slices=tuple(found.slices[place] for place in kept),
        scales=tuple(found.scales[place] for place in kept_clips),
        pixels_read=True,
        volume_pictures=tuple(made for made in volumes if isinstance(made, Pictures)),
        clip_pictures=tuple(made for made in clips if isinstance(made, Pictures)),
    )


def _cut(study: Study, kept: list[int], kept_clips: list[int], refused: tuple[Rejected, ...]) -> Study:
    """The study without volumes and clips that could not be decoded, and with the reasons."""
    return replace(
        study,
        series=tuple(study.series[place] for place in kept),
        clips=tuple(study.clips[place] for place in kept_clips),
        rejected=tuple(sorted((*study.rejected, *refused), key=lambda r: (r.what, r.code, r.reason))),
    )
