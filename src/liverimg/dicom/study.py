"""A study folder read into volumes: what the stage "ingest" and the command ``inspect`` ask for."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liverimg.core.errors import DicomRefusedError, InputRefusedError, NeedsPersonError, UsageError
from liverimg.core.study import Modality, Phase, Rejected, Series, Study
from liverimg.dicom.codes import Code, Flag
from liverimg.dicom.frame import Frame, Progress
from liverimg.dicom.headers import FolderHeaders, Identity, LeftOut, read_folder, safe_uid
from liverimg.dicom.phase import PhaseInput, PhaseRules, decide_phase, has_contrast
from liverimg.dicom.stack import Stack
from liverimg.dicom.stacking import find_stacks, set_aside
from liverimg.dicom.ultrasound import ClipSource, UltrasoundRules, clip_sources, is_ultrasound


@dataclass(frozen=True)
class StudyHeaders:
    """A study as its headers describe it.

    Attributes:
        study: What can be used and what cannot.
        stacks: The slices of each of ``study.series``, in the same order; for ``load_volume``.
        clips: The files of each of ``study.clips``, in the same order; for ``load_clip``.
    """

    study: Study
    stacks: tuple[Stack, ...]
    clips: tuple[ClipSource, ...] = ()


def read_study(
    folder: Path,
    *,
    phase_rules: PhaseRules,
    overrides: Mapping[str, Phase] | None = None,
    ultrasound_rules: UltrasoundRules | None = None,
    progress: Progress | None = None,
) -> StudyHeaders:
    """Reads the headers of one study, groups slices into volumes and names their phases. No pixels are read.

    Args:
        folder: The study; files may lie anywhere below, under any name.
        phase_rules: From ``phases.toml``.
        overrides: Phases by SeriesInstanceUID, as the user says.
        ultrasound_rules: From ``ultrasound.toml``; without them ultrasound is refused like any other modality.
        progress: Called with (files done, files in all).

    Returns:
        The study, possibly without a single usable series: then ``study.rejected`` says why, and
        :func:`require_usable` turns it into an error.

    Raises:
        InputRefusedError: No folder, no DICOM in it, or more than one patient.
        NeedsPersonError: More than one study of the same patient.
        UsageError: An override names a series that is not there.
    """
    if not folder.is_dir():
        raise InputRefusedError("the study folder does not exist or is not a folder: give the folder of one study")
    headers = read_folder(folder, progress=progress)
    if not headers.frames and not headers.identities:
        raise InputRefusedError(_nothing_found(headers))
    study_uid, study_date = _one_study(headers.identities)
    frames = tuple(_with_series_uid(frame) for frame in headers.frames)
    rejected = _rejected_files(headers.left_out)
    identity = _identity_words(headers.identities)
    clips: tuple[ClipSource, ...] = ()
    if ultrasound_rules is not None:
        clips, refused_clips = _clips([f for f in frames if is_ultrasound(f)], ultrasound_rules, identity)
        rejected += refused_clips
        frames = tuple(f for f in frames if not is_ultrasound(f))
    rejected += set_aside(frames)
    stacks, refused = find_stacks(frames)
    rejected += refused
    series = tuple(_without_identity(one, identity) for one in _series(stacks, phase_rules, overrides or {}))
    _refuse_unknown_overrides(overrides or {}, frames)
    rejected.sort(key=lambda r: (r.what, r.code, r.reason))
    study = Study(study_uid, study_date, series, tuple(rejected), tuple(source.clip for source in clips))
    return StudyHeaders(study, stacks, clips)


def require_usable(study: Study, *, with_volume: bool = True) -> None:
    """Refuses a study from which nothing can be used.

    Args:
        study: With or without its pixels read.
        with_volume: Ask for a CT or MR volume; else an ultrasound clip will do.

    Raises:
        InputRefusedError: With the most frequent reason.
    """
    if study.series or (study.clips and not with_volume):
        return
    reasons = Counter(entry.code for entry in study.rejected)
    shown = ", ".join(f"{code} ({count})" for code, count in sorted(reasons.items(), key=lambda x: (-x[1], x[0])))
    clips = f", only {len(study.clips)} ultrasound clip(s)" if study.clips else ""
    raise InputRefusedError(
        f"the study holds no CT or MR volume that can be used{clips}, expected at least one; refused: "
        f"{shown or 'nothing'}; "
        "inspect the study for the reason of each series"
    )


def _nothing_found(headers: FolderHeaders) -> str:
    if not headers.left_out:
        return "the study folder is empty, expected the DICOM files of one study: check the path"
    unreadable = sum(entry.code is Code.UNREADABLE for entry in headers.left_out)
    damaged = f" ({unreadable} of them damaged DICOM)" if unreadable else ""
    return (
        f"none of the {len(headers.left_out)} files in the study folder is a readable DICOM image{damaged}: "
        "check the path, or export the study again"
    )


def _one_study(identities: Sequence[Identity]) -> tuple[str, str | None]:
    """The study's UID and date, provided that all files belong to one patient and one study."""
    patients = max(
        len({i.patient_id for i in identities if i.patient_id}),
        len({i.patient_name for i in identities if i.patient_name}),
    )
    if patients > 1:
        raise DicomRefusedError(
            Code.SEVERAL_PATIENTS,
            f"the folder holds files of {patients} patients, expected one study of one patient: separate them first",
        )
    studies = sorted({i.study_instance_uid for i in identities if i.study_instance_uid})
    if len(studies) > 1:
        shown = ", ".join(safe_uid(uid) for uid in studies[:5])
        raise NeedsPersonError(
            f"the folder holds {len(studies)} studies ({shown}), expected one: move the one you want to a folder "
            "of its own"
        )
    dates = sorted({i.study_date for i in identities if i.study_date})
    return (safe_uid(studies[0]) if studies else ""), (dates[0] if dates else None)


def _with_series_uid(frame: Frame) -> Frame:
    """Replaces a missing or hostile series UID by one derived from what the series has in common."""
    if frame.series_instance_uid and frame.series_instance_uid == safe_uid(frame.series_instance_uid):
        return frame
    tags = frame.phase_tags
    common = "\n".join((frame.series_instance_uid, frame.modality, tags.series_description, tags.protocol_name))
    number = int.from_bytes(hashlib.sha256(common.encode("utf-8", "replace")).digest()[:16], "big")
    return replace(frame, series_instance_uid=f"2.25.{number}", made_up_series_uid=True)


def _rejected_files(left_out: Sequence[LeftOut]) -> list[Rejected]:
    """Unreadable DICOM by name, everything foreign under one heading, objects without pixels by series."""
    rejected = [Rejected(e.what, e.code.value, f"{e.reason}.") for e in left_out if e.code is not Code.NOT_DICOM]
    foreign = sum(entry.code is Code.NOT_DICOM for entry in left_out)
    if foreign:
        noun = "file" if foreign == 1 else "files"
        rejected.append(Rejected(f"{foreign} {noun}", Code.NOT_DICOM.value, "Not DICOM images: left aside."))
    counted = Counter(rejected)
    return [
        entry if count == 1 else replace(entry, reason=f"{entry.reason[:-1]} ({count} files).")
        for entry, count in counted.items()
    ]


def _identity_words(identities: Sequence[Identity]) -> re.Pattern[str]:
    """Finds the patient's name and number, should a scanner have put them into free text."""
    words = {word for i in identities for word in (*i.patient_name.split(), i.patient_id) if len(word) > 2}
    if not words:
        return re.compile(r"(?!)")
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{alternatives})(?![^\W_])", re.IGNORECASE)


def _without_identity(series: Series, identity: re.Pattern[str]) -> Series:
    """The series with its free text rid of the patient's name and number."""
    return replace(
        series,
        description=identity.sub("[removed]", series.description),
        phase_evidence=tuple(replace(e, detail=identity.sub("[removed]", e.detail)) for e in series.phase_evidence),
    )


def _clips(
    frames: Sequence[Frame], rules: UltrasoundRules, identity: re.Pattern[str]
) -> tuple[tuple[ClipSource, ...], tuple[Rejected, ...]]:
    """Ultrasound clips, their free text rid of the patient's name and number, and what was refused."""
    sources, refused = clip_sources(frames, rules=rules)
    cleaned = [replace(s.clip, description=identity.sub("[removed]", s.clip.description)) for s in sources]
    return tuple(replace(s, clip=clip) for s, clip in zip(sources, cleaned, strict=True)), refused


def _series(stacks: Sequence[Stack], rules: PhaseRules, overrides: Mapping[str, Phase]) -> tuple[Series, ...]:
    series = []
    for stack in stacks:
        first = stack.frames[0]
        uid = min(frame.series_instance_uid for frame in stack.frames)
        times = sorted((f.acquired_s, f.acquired_at) for f in stack.frames if f.acquired_s is not None)
        decision = decide_phase(
            PhaseInput(
                modality=Modality(first.modality),
                tags=first.phase_tags,
                acquired_s=times[0][0] if times else None,
                before_contrast=_is_before_contrast(stack, stacks, rules),
            ),
            rules,
            override=overrides.get(uid),
        )
        sop_uids = tuple(safe_uid(frame.sop_instance_uid) for frame in stack.frames)
        series.append(
            Series(
                series_instance_uid=uid,
                modality=Modality(first.modality),
                phase=decision.phase,
                phase_evidence=decision.evidence,
                grid=stack.grid,
                description=first.phase_tags.series_description,
                flags=tuple(sorted(flag.value for flag in {*stack.flags, *decision.flags})),
                sop_instance_uids=tuple(dict.fromkeys(sop_uids)),
                acquired_at=times[0][1] if times else None,
            )
        )
    return tuple(series)


def _is_before_contrast(stack: Stack, stacks: Sequence[Stack], rules: PhaseRules) -> bool:
    """Whether the tags name no contrast, while every volume acquired with contrast came later.

    Series computed afterwards lose their contrast tags, so they prove nothing.
    """
    own_s = stack.frames[0].acquired_s
    later_s = [s.frames[0].acquired_s for s in stacks if has_contrast(s.frames[0].phase_tags, rules)]
    if Flag.DERIVED_IMAGE in stack.flags or own_s is None or not later_s:
        return False
    return all(time_s is not None and time_s > own_s for time_s in later_s)


def _refuse_unknown_overrides(overrides: Mapping[str, Phase], frames: Sequence[Frame]) -> None:
    unknown = sorted(set(overrides) - {frame.series_instance_uid for frame in frames})
    if unknown:
        raise UsageError(
            f"a phase was given for series {safe_uid(unknown[0]) or '(no UID)'}, which is not in the study: "
            "inspect the study for its series UIDs"
        )
