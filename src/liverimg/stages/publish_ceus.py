"""Contrast ultrasound (``perfusion.json``) as it is published: a report without any place in the patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from liverimg.core.cine import Box, Clip, Pane
from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured
from liverimg.core.published import Group, Outlined, Statement
from liverimg.core.tracking import tracking_uid
from liverimg.dicom.source_clips import find_clips
from liverimg.files.result_records import quantity_from_record
from liverimg.files.tables import Table
from liverimg.stages.artefacts import read_study
from liverimg.stages.cines import read_clips
from liverimg.stages.publish_content import Content, Results, concepts, own, read_headers
from liverimg.workspace import Artefact, Workspace

_STUDY: Final = "study"
_ZONE: Final = "zone"
_HALF: Final = 0.5


def read_content(workspace: Workspace, study: Path, table: Table) -> Content:
    """What there is to publish of a contrast ultrasound.

    Raises:
        InputRefusedError: The study folder is another one.
    """
    record = workspace.record(Artefact.PERFUSION, "perfusion")
    known = read_study(workspace)
    used = {uid for row in record["planes"] for uid in row["series_instance_uids"]}
    clips = [entry.clip for entry in read_clips(workspace) if entry.clip.series_instance_uid in used]
    scan = find_clips(
        read_headers(study),
        clips,
        study_instance_uid=known.study_instance_uid,
        patient_check=known.patient_check,
    )
    groups = tuple(perfusion_groups(record, clips, study_uid=known.study_instance_uid, table=table))
    return Content(scan=scan, groups=groups, left_out=dict(table["results"]["ceus"]["left_out"]))


def perfusion_groups(record: Mapping[str, Any], clips: list[Clip], *, study_uid: str, table: Table) -> Iterator[Group]:
    """Each plane with its line on the frame that it was drawn on, its regions and foci, the zone, and the study.

    Args:
        record: ``perfusion.json``.
        clips: What its planes were made of.
        study_uid: StudyInstanceUID.
        table: ``dicom_objects.toml``.
    """
    known = concepts(table)
    zone, liver = known[Structure.ABLATION_ZONE], known[Structure.LIVER]
    for row in record["planes"]:
        by_target: dict[str, list[Measured]] = {row["id"]: []}
        for quantity in map(quantity_from_record, row["quantities"]):
            by_target.setdefault(quantity.target, []).append(quantity)
        outlined = _outlined(row, clips)
        for target, quantities in by_target.items():
            whole = target == row["id"]
            yield Group(
                target=target,
                tracking_uid=tracking_uid(study_uid, target),
                quantities=tuple(quantities),
                kind=zone if whole else None,
                site=liver,
                outlined=outlined if whole else None if outlined is None else _undrawn(outlined),
                statements=_of_plane(row, table) if whole else (),
            )
    yield Group(
        target=_ZONE,
        tracking_uid=tracking_uid(study_uid, _ZONE),
        quantities=tuple(map(quantity_from_record, record["quantities"])),
        kind=zone,
        site=liver,
        statements=_baseline(record, table),
    )
    notes = (str(table["equipment"]["disclaimer"]), *record["warnings"])
    yield Group(target=_STUDY, tracking_uid=tracking_uid(study_uid, _STUDY), notes=notes)


def _of_plane(row: Mapping[str, Any], table: Table) -> tuple[Statement, ...]:
    name = table["sr"]["name"]
    found = [("ceus_clock", str(row["clock"]))]
    if row["dynamic_range_db"] is not None:
        found.append(("ceus_dynamic_range", f"{row['dynamic_range_db']:g} dB ({row['dynamic_range_from']})"))
    total, rejected = row["frames"]["total"], len(row["frames"]["rejected"])
    found.append(("ceus_frames", f"{total} frames, {rejected} of them left out because they show another plane"))
    return tuple(Statement(own(table, key, str(name[key])), None, text) for key, text in found if text)


def _baseline(record: Mapping[str, Any], table: Table) -> tuple[Statement, ...]:
    before = record["baseline"]
    if before is None or not before["target"]:
        return ()
    text = f"{before['target']}, in the study of {before['study_date'] or 'an unknown day'}"
    return (Statement(own(table, "ceus_target", str(table["sr"]["name"]["ceus_target"])), None, text),)


def _outlined(row: Mapping[str, Any], clips: list[Clip]) -> Outlined | None:
    """The frame that a plane's line was drawn on, and the line in pixels of the stored frame."""
    reference, mine = row["frames"]["reference"], []
    for uid in row["series_instance_uids"]:
        mine += [clip for clip in clips if clip.series_instance_uid == uid]
    if reference is None:
        return None
    for clip in mine:
        kept, picture = clip.kept_frames, clip.picture(Pane.CONTRAST)
        if reference >= len(kept):
            reference -= len(kept)
            continue
        if picture is None:
            return None
        stored = kept[reference]
        is_loop = len(clip.sop_instance_uids) == 1 and clip.stored_frames > 1
        points = tuple(_stored(point, row, picture.box) for point in row["outline"] or ())
        uid = clip.sop_instance_uids[0 if is_loop else stored]
        return Outlined(uid, stored + 1 if is_loop else None, points)
    return None


def _stored(point: Sequence[float], row: Mapping[str, Any], box: Box) -> tuple[float, float]:
    """A point of a plane's line in pixels of the stored frame.

    The line counts from the middle of the first pixel of the plane's maps, which are ``pixel_block`` pixels of the clip
    wide, in mm where the clip is calibrated, else in pixels.
    """
    block = row["pixel_block"] or 1
    spacing = row["spacing_ji_mm"] or (1.0, 1.0)
    down, across = (part / size + _HALF * block - _HALF for part, size in zip(point, spacing, strict=True))
    return down + box.top, across + box.left


def _undrawn(outlined: Outlined) -> Outlined:
    return Outlined(outlined.sop_instance_uid, outlined.frame)


CEUS = Results(
    name="ceus",
    record=Artefact.PERFUSION,
    page=Artefact.PERFUSION_REPORT,
    made_by=("ceus", "ceus_report"),
    again="liverimg ceus",
    read=read_content,
)
