"""A study folder read into volumes: what the stage "ingest" and the command ``inspect`` ask for."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liverimg.core.errors import DicomRefusedError, InputRefusedError, NeedsPersonError, UsageError
from liverimg.core.inspection import ListedSeries
from liverimg.core.study import Phase, Rejected, Series, Study
from liverimg.dicom.codes import Code
from liverimg.dicom.frame import Frame, Progress
from liverimg.dicom.headers import FolderHeaders, Identity, LeftOut, read_folder, safe_uid
from liverimg.dicom.identity import identity_pattern
from liverimg.dicom.listing import list_series
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.reference import choose_reference, with_roles
from liverimg.dicom.series import series_of
from liverimg.dicom.stack import Stack
from liverimg.dicom.stacking import find_stacks, set_aside
from liverimg.dicom.study_phases import conflict_sentences
from liverimg.dicom.ultrasound import ClipSource, UltrasoundRules, clip_sources, is_ultrasound


@dataclass(frozen=True)
class StudyHeaders:
    """A study as its headers describe it.

    Attributes:
        study: What can be used and what cannot.
        stacks: The slices of each of ``study.series``, in the same order; for ``load_volume``.
        clips: The files of each of ``study.clips``, in the same order; for ``load_clip``.
        listing: Every series that holds images, used or not.
    """

    study: Study
    stacks: tuple[Stack, ...]
    clips: tuple[ClipSource, ...] = ()
    listing: tuple[ListedSeries, ...] = ()


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
    identity = identity_pattern(v for i in headers.identities for v in (i.patient_name, i.patient_id))
    listing = list_series(frames, identity)
    clips: tuple[ClipSource, ...] = ()
    if ultrasound_rules is not None:
        clips, refused_clips = _clips([f for f in frames if is_ultrasound(f)], ultrasound_rules, identity)
        rejected += refused_clips
        frames = tuple(f for f in frames if not is_ultrasound(f))
    rejected += set_aside(frames)
    stacks, refused = find_stacks(frames)
    rejected += refused
    series = tuple(_without_identity(one, identity) for one in series_of(stacks, phase_rules, overrides or {}))
    _refuse_unknown_overrides(overrides or {}, frames)
    rejected.sort(key=lambda r: (r.what, r.code, r.reason))
    study = Study(study_uid, study_date, series, tuple(rejected), tuple(source.clip for source in clips))
    study = replace(study, warnings=conflict_sentences(series), patient_check=_patient_check(headers.identities))
    study = with_roles(study, phase_rules, reference=choose_reference(study, phase_rules) if series else None)
    return StudyHeaders(study, stacks, clips, listing)


def _patient_check(identities: Sequence[Identity]) -> str | None:
    """Sixteen bits of a hash of the one PatientID; None without one. Many patients share each value, by intent."""
    patient_ids = {i.patient_id for i in identities if i.patient_id}
    if len(patient_ids) != 1:
        return None
    return hashlib.sha256(f"liverimg patient check\n{patient_ids.pop()}".encode("utf-8", "replace")).hexdigest()[:4]


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


def _without_identity(series: Series, identity: re.Pattern[str]) -> Series:
    """The series with its free text rid of the patient's name and number."""
    return replace(
        series,
        description=identity.sub("[removed]", series.description),
        phase_evidence=tuple(replace(e, detail=identity.sub("[removed]", e.detail)) for e in series.phase_evidence),
        kind_evidence=tuple(identity.sub("[removed]", text) for text in series.kind_evidence),
    )


def _clips(
    frames: Sequence[Frame], rules: UltrasoundRules, identity: re.Pattern[str]
) -> tuple[tuple[ClipSource, ...], tuple[Rejected, ...]]:
    """Ultrasound clips, their free text rid of the patient's name and number, and what was refused."""
    sources, refused = clip_sources(frames, rules=rules)
    cleaned = [replace(s.clip, description=identity.sub("[removed]", s.clip.description)) for s in sources]
    return tuple(replace(s, clip=clip) for s, clip in zip(sources, cleaned, strict=True)), refused


def _refuse_unknown_overrides(overrides: Mapping[str, Phase], frames: Sequence[Frame]) -> None:
    unknown = sorted(set(overrides) - {frame.series_instance_uid for frame in frames})
    if unknown:
        raise UsageError(
            f"a phase was given for series {safe_uid(unknown[0]) or '(no UID)'}, which is not in the study: "
            "inspect the study for its series UIDs"
        )
