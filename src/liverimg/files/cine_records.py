"""Ultrasound clips on disk: ``cines/NN.json``, one array of grey levels per picture, and a row in ``study.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.cine import Box, Clip, Clock, ClockZero, DroppedFrames, Pane, Picture, Region
from liverimg.core.errors import RecordInvalidError
from liverimg.files.records import Record

SCHEMA_VERSION = "0.1"


def write_frames(path: Path, array: NDArray[Any]) -> None:
    """Writes frames, shape (t, j, i), as a ``.npy`` file: the same frames give the same bytes."""
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)


def read_frames(path: Path) -> NDArray[Any]:
    """Frames of one picture, mapped into memory rather than read.

    Raises:
        RecordInvalidError: Missing, or no array of grey levels over time.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RecordInvalidError(f"{path.name} can't be read as an array of frames; ingest the study again") from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.dtype != np.uint8:
        raise RecordInvalidError(f"{path.name} holds no frames of grey levels; ingest the study again")
    return array


def clip_row(clip: Clip, *, file: str, calibration: str, spacing_mm: tuple[float, float] | None) -> Record:
    """A clip as ``study.json`` lists it.

    Args:
        clip: With or without its pixels read.
        file: Its record, relative to the workspace; empty when nothing was written.
        calibration: Where its millimetres come from, or why there are none.
        spacing_mm: Pixel spacing along j and i of its first picture, or None.
    """
    return {
        "file": file,
        "series_instance_uid": clip.series_instance_uid,
        "description": clip.description,
        "flags": list(clip.flags),
        "acquired_at": clip.acquired_at,
        "frames": clip.stored_frames,
        "frames_kept": len(clip.kept_frames) if clip.pictures else None,
        "shape_ji": list(clip.stored_shape),
        "duration_s": round(clip.times_s[-1], 6) if clip.times_s else None,
        "times": clip.times_detail,
        "spacing_ji_mm": _rounded(spacing_mm),
        "calibration": calibration,
        "panes": [picture.pane.value for picture in clip.pictures],
        "clock": None if clip.clock is None else _clock_to_record(clip.clock),
    }


def clip_to_record(clip: Clip, *, files: tuple[str, ...]) -> Record:
    """A clip as ``cines/NN.json``.

    Args:
        clip: With its pixels read.
        files: Array of each picture, relative to the workspace.
    """
    return {
        "record": "cine",
        "schema_version": SCHEMA_VERSION,
        "series_instance_uid": clip.series_instance_uid,
        "sop_instance_uids": list(clip.sop_instance_uids),
        "description": clip.description,
        "flags": list(clip.flags),
        "acquired_at": clip.acquired_at,
        "stored_frames": clip.stored_frames,
        "stored_shape_ji": list(clip.stored_shape),
        "kept_frames": list(clip.kept_frames),
        "times_s": None if clip.times_s is None else list(clip.times_s),
        "times": clip.times_detail,
        "clock": None if clip.clock is None else _clock_to_record(clip.clock),
        "dropped": [{"first": d.first, "last": d.last, "same_as": d.same_as} for d in clip.dropped],
        "regions": [_region_to_record(region) for region in clip.regions],
        "dynamic_range_db": clip.dynamic_range_db,
        "pictures": [_picture_to_record(picture, file) for picture, file in zip(clip.pictures, files, strict=True)],
    }


def clip_from_record(record: Mapping[str, Any]) -> tuple[Clip, tuple[str, ...]]:
    """The inverse of :func:`clip_to_record`: a clip and the array file of each of its pictures."""
    rows, columns = record["stored_shape_ji"]
    times_s = record["times_s"]
    clip = Clip(
        series_instance_uid=record["series_instance_uid"],
        sop_instance_uids=tuple(record["sop_instance_uids"]),
        description=record["description"],
        flags=tuple(record["flags"]),
        acquired_at=record["acquired_at"],
        stored_frames=record["stored_frames"],
        stored_shape=(rows, columns),
        times_s=None if times_s is None else tuple(float(t) for t in times_s),
        times_detail=record["times"],
        kept_frames=tuple(record["kept_frames"]),
        clock=None if record["clock"] is None else _clock_from_record(record["clock"]),
        dropped=tuple(DroppedFrames(d["first"], d["last"], d["same_as"]) for d in record["dropped"]),
        regions=tuple(_region_from_record(r) for r in record["regions"]),
        pictures=tuple(_picture_from_record(p) for p in record["pictures"]),
        dynamic_range_db=record.get("dynamic_range_db"),
    )
    return clip, tuple(p["file"] for p in record["pictures"])


def _rounded(spacing_mm: tuple[float, float] | None) -> list[float] | None:
    return None if spacing_mm is None else [round(mm, 9) for mm in spacing_mm]


def _clock_to_record(clock: Clock) -> Record:
    return {
        "zero": clock.zero.value,
        "zero_s": round(clock.zero_s, 6),
        "uncertainty_s": None if clock.uncertainty_s is None else round(clock.uncertainty_s, 6),
        "detail": clock.detail,
    }


def _clock_from_record(record: Mapping[str, Any]) -> Clock:
    return Clock(ClockZero(record["zero"]), record["zero_s"], record["uncertainty_s"], record["detail"])


def _region_to_record(region: Region) -> Record:
    return {
        "spatial_format": region.spatial_format,
        "data_type": region.data_type,
        "flags": region.flags,
        "corners_xy": list(region.corners_xy),
        "units_xy": list(region.units_xy),
        "deltas_xy": None if region.deltas_xy is None else list(region.deltas_xy),
    }


def _region_from_record(record: Mapping[str, Any]) -> Region:
    x0, y0, x1, y1 = record["corners_xy"]
    unit_x, unit_y = record["units_xy"]
    deltas = record["deltas_xy"]
    return Region(
        record["spatial_format"],
        record["data_type"],
        record["flags"],
        (x0, y0, x1, y1),
        (unit_x, unit_y),
        None if deltas is None else (deltas[0], deltas[1]),
    )


def _picture_to_record(picture: Picture, file: str) -> Record:
    box = picture.box
    return {
        "file": file,
        "pane": picture.pane.value,
        "pane_evidence": list(picture.pane_evidence),
        "box": {"top": box.top, "bottom": box.bottom, "left": box.left, "right": box.right},
        "spacing_ji_mm": _rounded(picture.spacing_mm),
        "spacing": picture.spacing_detail,
        "colour_map": None if picture.colour_map is None else [list(colour) for colour in picture.colour_map],
    }


def _picture_from_record(record: Mapping[str, Any]) -> Picture:
    spacing = record["spacing_ji_mm"]
    colours = record["colour_map"]
    return Picture(
        pane=Pane(record["pane"]),
        pane_evidence=tuple(record["pane_evidence"]),
        box=Box(**record["box"]),
        spacing_mm=None if spacing is None else (spacing[0], spacing[1]),
        spacing_detail=record["spacing"],
        colour_map=None if colours is None else tuple((r, g, b) for r, g, b in colours),
    )
