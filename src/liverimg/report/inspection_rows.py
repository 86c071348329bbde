"""What a look at a study says, as plain rows that the terminal and the page lay out alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liverimg.core.cine import Clip
from liverimg.core.inspection import AcquiredSlices, ClipScale, Inspection, ListedSeries, Pictures
from liverimg.core.study import Confidence, ImageKind, Phase, Rejected, Role, RoleChoice, Series
from liverimg.report.inspection_content import ClipRow, InspectionRows, RefusedRow, Remark, VolumeRow
from liverimg.report.inspection_text import (
    evidence_sentences,
    gap_text,
    may_have_phase,
    phase_or_kind,
    pixel_text,
    series_number,
    sureness,
    thickness_text,
    time_text,
    use_text,
)
from liverimg.report.text import Strings, date_text, say

_STEPS = (Confidence.NONE, Confidence.LOW, Confidence.MODERATE, Confidence.HIGH)
_NO_PICTURES = Pictures()
# The study's own warnings say it volume by volume, with all that disagrees.
_SAID_BY_THE_STUDY = frozenset(("phase_conflict",))
# How the action of a code begins when there is nothing to do.
_NEEDS_NOBODY = ("Nothing", "Not used")


def inspection_rows(inspection: Inspection, strings: Strings, codes: Mapping[str, Any]) -> InspectionRows:
    """Puts a look at a study into words.

    Args:
        inspection: What was found.
        strings: The table ``inspection_strings``.
        codes: The table ``refusal_codes``.
    """
    study = inspection.study
    listed = {one.series_instance_uid: one for one in inspection.listing}
    roles: dict[int, list[RoleChoice]] = {}
    for choice in study.roles:
        roles.setdefault(choice.series, []).append(choice)
    volumes = tuple(
        _volume(number, series, slices, _at(inspection.volume_pictures, number), listed, roles.get(number, []), strings)
        for number, (series, slices) in enumerate(zip(study.series, inspection.slices, strict=True))
    )
    clips = tuple(
        _clip(number, clip, scale, _at(inspection.clip_pictures, number), listed, strings)
        for number, (clip, scale) in enumerate(zip(study.clips, inspection.scales, strict=True))
    )
    refused = tuple(_refused(entry, listed, strings, codes) for entry in study.rejected)
    warnings, notes = _remarks(volumes, clips, strings, codes)
    chosen = next((row for row in volumes if row.is_reference), None)
    return InspectionRows(
        date=date_text(study.study_date, {"header": strings["page"]}),
        usable=_usable(len(volumes), len(clips), strings),
        left=_count(len(refused), "refused_one", "refused", strings)
        if refused
        else say(strings, "summary.refused_none"),
        basis=say(strings, "page.pixels_read" if inspection.pixels_read else "page.headers_only"),
        reference=say(strings, "page.no_reference")
        if chosen is None
        else say(strings, "page.reference_fact", number=chosen.number, series=chosen.series),
        volumes=volumes,
        clips=clips,
        refused=tuple(sorted(refused, key=_refused_order)),
        warnings=(*(Remark(text) for text in study.warnings), *_nameless(volumes, study.series, strings), *warnings),
        notes=notes,
    )


def _at(pictures: Sequence[Pictures], place: int) -> Pictures:
    return pictures[place] if place < len(pictures) else _NO_PICTURES


def _volume(
    place: int,
    series: Series,
    slices: AcquiredSlices,
    pictures: Pictures,
    listed: Mapping[str, ListedSeries],
    roles: Sequence[RoleChoice],
    strings: Strings,
) -> VolumeRow:
    rows, columns = slices.matrix
    gap_mm, down_mm, across_mm = series.grid.spacing_mm
    confidence = sureness(series)
    agreeing, against = evidence_sentences(series, strings)
    return VolumeRow(
        number=series.number or place + 1,
        series=series_number(series.series_instance_uid, listed, strings),
        uid=series.series_instance_uid,
        modality=series.modality.value,
        description=series.description or say(strings, "volume.no_description"),
        what=phase_or_kind(series, strings),
        is_known=series.phase is not Phase.UNKNOWN or series.kind not in (ImageKind.UNKNOWN, ImageKind.CT),
        confidence=say(strings, f"confidence.{confidence.value}"),
        steps=_STEPS.index(confidence),
        time=time_text(series, slices, strings),
        matrix=say(strings, "volume.matrix", slices=slices.count, columns=columns, rows=rows),
        pixel=pixel_text(float(down_mm), float(across_mm), strings),
        gap=gap_text(slices, float(gap_mm), strings),
        thickness=thickness_text(slices, strings),
        use=use_text(roles, strings),
        is_reference=any(choice.role is Role.REFERENCE for choice in roles),
        evidence=(*agreeing, *series.kind_evidence),
        against=against,
        flags=series.flags,
        pictures=pictures,
    )


def _clip(
    place: int,
    clip: Clip,
    scale: ClipScale,
    pictures: Pictures,
    listed: Mapping[str, ListedSeries],
    strings: Strings,
) -> ClipRow:
    down, across = clip.stored_shape
    lasts = say(strings, "clip.unknown_duration")
    if clip.times_s is not None:
        lasts = say(strings, "clip.duration", seconds=f"{clip.times_s[-1]:.2f}")
    size = say(strings, "clip.pixels_only")
    if scale.spacing_mm is not None:
        down_mm, across_mm = scale.spacing_mm
        size = say(strings, "clip.scale", across=f"{across_mm:.3f}", down=f"{down_mm:.3f}")
    frames = say(strings, "clip.frame")
    if clip.stored_frames > 1:
        frames = say(strings, "clip.frames", count=clip.stored_frames, duration=lasts)
    return ClipRow(
        number=place + 1,
        series=series_number(clip.series_instance_uid, listed, strings),
        uid=clip.series_instance_uid,
        description=clip.description or say(strings, "volume.no_description"),
        frames=frames,
        times=clip.times_detail,
        pixels=say(strings, "clip.pixels", across=across, down=down),
        scale=size,
        scale_detail=scale.detail,
        is_calibrated=scale.spacing_mm is not None,
        use=say(strings, "clip.use"),
        flags=clip.flags,
        pictures=pictures,
    )


def _refused(
    entry: Rejected, listed: Mapping[str, ListedSeries], strings: Strings, codes: Mapping[str, Any]
) -> RefusedRow:
    series = listed.get(entry.what)
    what = entry.what
    if series is not None:
        key = "refused.image" if series.images == 1 else "refused.images"
        named = series.description or say(strings, "volume.no_description")
        what = f"{series.modality} {named}, {say(strings, key, count=series.images)}".strip()
    return RefusedRow(
        series="" if series is None else series_number(entry.what, listed, strings),
        what=what,
        uid=entry.what if series is not None else "",
        reason=entry.reason,
        code=entry.code,
        action=str(codes["codes"].get(entry.code, {}).get("action", "")),
    )


def _refused_order(row: RefusedRow) -> tuple[bool, int, str, str]:
    return not row.series.isdigit(), int(row.series) if row.series.isdigit() else 0, row.what, row.code


def _remarks(
    volumes: Sequence[VolumeRow], clips: Sequence[ClipRow], strings: Strings, codes: Mapping[str, Any]
) -> tuple[tuple[Remark, ...], tuple[Remark, ...]]:
    """One sentence for each flag and the rows that carry it: what needs a person, and what does not."""
    warnings: list[Remark] = []
    notes: list[Remark] = []
    for rows, key in ((volumes, "warning.where_volume"), (clips, "warning.where_clip")):
        carried: dict[str, list[int]] = {}
        for row in rows:
            for flag in row.flags:
                carried.setdefault(flag, []).append(row.number)
        for flag in sorted(set(carried) - _SAID_BY_THE_STUDY):
            told = codes["flags"].get(flag, {"meaning": flag, "action": ""})
            where = _where(key, carried[flag], strings)
            needs_nobody = told["action"].startswith(_NEEDS_NOBODY)
            action = "" if needs_nobody else told["action"]
            text = say(strings, "warning.one", where=where, meaning=told["meaning"], action=action).strip()
            (notes if needs_nobody else warnings).append(Remark(text, flag))
    return tuple(warnings), tuple(notes)


def _nameless(rows: Sequence[VolumeRow], series: Sequence[Series], strings: Strings) -> tuple[Remark, ...]:
    """Volumes that should have a contrast phase, and whose phase nothing tells."""
    unknown = [
        row.number for row, one in zip(rows, series, strict=True) if one.phase is Phase.UNKNOWN and may_have_phase(one)
    ]
    if not unknown:
        return ()
    where = _where("warning.where_volume", unknown, strings)
    return (Remark(say(strings, "warning.phase_unknown", where=where)),)


def _where(key: str, numbers: Sequence[int], strings: Strings) -> str:
    """``Volume 1``, ``Volumes 1, 3``."""
    return say(strings, key if len(numbers) == 1 else f"{key}s", numbers=", ".join(str(number) for number in numbers))


def _usable(volumes: int, clips: int, strings: Strings) -> str:
    if not volumes and not clips:
        return say(strings, "summary.refused_none")
    parts = [_count(volumes, "volume", "volumes", strings)] if volumes else [say(strings, "summary.no_volume")]
    if clips:
        parts.append(_count(clips, "clip", "clips", strings))
    return ", ".join(parts)


def _count(number: int, one: str, many: str, strings: Strings) -> str:
    return say(strings, f"summary.{one if number == 1 else many}", count=number)
