"""Ultrasound clips into a draft and out of the workspace."""

from __future__ import annotations

from collections.abc import Mapping

from liverimg.core.cine import Cine
from liverimg.core.errors import DicomRefusedError
from liverimg.core.study import Rejected
from liverimg.dicom.ultrasound import ClipSource, LoadedClip, UltrasoundRules, load_clip, with_shared_clock
from liverimg.files.cine_records import clip_from_record, clip_row, clip_to_record, read_frames, write_frames
from liverimg.files.records import Record, check, load
from liverimg.files.tables import read_table
from liverimg.workspace import Artefact, Draft, Workspace


def ultrasound_rules() -> UltrasoundRules:
    """The limits and words that reading ultrasound rests on."""
    return UltrasoundRules(read_table("ultrasound"))


def load_clips(
    sources: tuple[ClipSource, ...],
    *,
    contrast_starts_s: Mapping[str, float],
    panes: Mapping[str, str],
) -> tuple[tuple[LoadedClip, ...], tuple[Rejected, ...]]:
    """Reads the pixels of every clip; what can't be decoded is left out with its reason.

    Args:
        sources: From the headers.
        contrast_starts_s: Start of injection in seconds after the first frame, by SeriesInstanceUID.
        panes: Which picture shows contrast (left, right, whole, none), by SeriesInstanceUID.
    """
    rules = ultrasound_rules()
    loaded, rejected = [], []
    for source in sources:
        uid = source.clip.series_instance_uid
        try:
            loaded.append(
                load_clip(source, rules=rules, contrast_start_s=contrast_starts_s.get(uid), pane=panes.get(uid))
            )
        except DicomRefusedError as refusal:
            rejected.append(Rejected(uid, refusal.code, f"{refusal}."))
    return with_shared_clock(loaded, rules=rules), tuple(rejected)


def put_clips(draft: Draft, loaded: tuple[LoadedClip, ...]) -> list[Record]:
    """Writes clips into the draft; returns their rows for ``study.json``. Names are of our own making."""
    rows = []
    for number, entry in enumerate(loaded, start=1):
        files = []
        for place, (picture, cine) in enumerate(zip(entry.clip.pictures, entry.cines, strict=True), start=1):
            name = f"{number:02d}_{place}_{picture.pane.value}.npy"
            write_frames(draft.path(Artefact.CINES, name), cine.array)
            files.append(f"{Artefact.CINES.value}/{name}")
        record = clip_to_record(entry.clip, files=tuple(files))
        name = f"{number:02d}.json"
        draft.put_record_in(Artefact.CINES, name, "cine", record)
        first = entry.clip.pictures[0]
        rows.append(
            clip_row(
                entry.clip,
                file=f"{Artefact.CINES.value}/{name}",
                calibration=first.spacing_detail,
                spacing_mm=first.spacing_mm,
            )
        )
    return rows


def read_clips(workspace: Workspace) -> tuple[LoadedClip, ...]:
    """The clips of an ingested study, their frames mapped into memory; empty when it has none.

    For a perfusion analysis: ``entry.clip.picture(Pane.CONTRAST)`` and its cine have the frames, their times after
    the clock's zero, the spacing, and under ``unknown`` what is not known and why.
    """
    rows = workspace.record(Artefact.STUDY, "study").get("cines", [])
    loaded = []
    for row in rows:
        record = load(workspace.folder / row["file"])
        check(record, "cine", row["file"])
        clip, files = clip_from_record(record)
        arrays = [read_frames(workspace.folder / file) for file in files]
        cines: tuple[Cine, ...] = tuple(clip.cine_of(p, a) for p, a in zip(clip.pictures, arrays, strict=True))
        loaded.append(LoadedClip(clip, cines))
    return tuple(loaded)
