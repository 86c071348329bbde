"""``alignment.json``: an earlier examination laid onto a later one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from liverimg.core.alignment import Alignment, Pieces, PlaceMotion
from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import FloatArray
from liverimg.core.measurement import Point
from liverimg.core.motion import RigidMotion
from liverimg.files.records import Record

SCHEMA_VERSION = "0.1"
_MM_DECIMALS = 3
_MATRIX_DECIMALS = 12  # fewer would fail the check that it is a rotation


def alignment_to_record(
    alignment: Alignment, *, earlier: Mapping[str, Any], later: Mapping[str, Any]
) -> dict[str, Any]:
    """The published shape of an alignment.

    Args:
        alignment: It.
        earlier: Which study and series of the baseline it refers to.
        later: The same of the later study.
    """
    return {
        "record": "alignment",
        "schema_version": SCHEMA_VERSION,
        "earlier": dict(earlier),
        "later": dict(later),
        "matched": None if alignment.matched is None else list(alignment.matched),
        "liver": _place(alignment.liver),
        "lesions": [_place(found) for found in alignment.lesions],
        "findings": list(alignment.findings),
        "bend_mm": None if alignment.bend_mm is None else round(alignment.bend_mm, _MM_DECIMALS),
        "pieces": None if alignment.pieces is None else _pieces(alignment.pieces),
    }


def alignment_from_record(record: Mapping[str, Any]) -> Alignment:
    """The inverse of :func:`alignment_to_record`.

    Raises:
        RecordInvalidError: A matrix is no rotation, or columns differ in length.
    """
    try:
        matched = record["matched"]
        return Alignment(
            liver=_place_from(record["liver"]),
            lesions=tuple(_place_from(row) for row in record["lesions"]),
            findings=tuple(str(sentence) for sentence in record["findings"]),
            matched=None if matched is None else (str(matched[0]), str(matched[1])),
            pieces=None if record["pieces"] is None else _pieces_from(record["pieces"]),
            bend_mm=None if record["bend_mm"] is None else float(record["bend_mm"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordInvalidError(f"alignment.json is no alignment ({error}); register the study again") from error


def _place(found: PlaceMotion) -> Record:
    motion = found.motion
    return {
        "name": found.name,
        "place_lps_mm": _numbers(np.array(found.place_lps_mm)),
        "motion": None
        if motion is None
        else {
            "matrix": np.round(motion.matrix, _MATRIX_DECIMALS).tolist(),
            "shift_mm": np.round(motion.shift_mm, _MATRIX_DECIMALS).tolist(),
        },
        "error_mm": None if found.error_mm is None else round(found.error_mm, _MM_DECIMALS),
        "reason": found.reason,
        "pieces": found.pieces,
        "pieces_tried": found.pieces_tried,
    }


def _place_from(row: Mapping[str, Any]) -> PlaceMotion:
    motion = row["motion"]
    return PlaceMotion(
        name=str(row["name"]),
        place_lps_mm=_point(row["place_lps_mm"]),
        motion=None if motion is None else RigidMotion(np.array(motion["matrix"]), np.array(motion["shift_mm"])),
        error_mm=None if row["error_mm"] is None else float(row["error_mm"]),
        reason=str(row["reason"]),
        pieces=int(row["pieces"]),
        pieces_tried=int(row["pieces_tried"]),
    )


def _point(row: Any) -> Point:
    x, y, z = (float(v) for v in row)
    return x, y, z


def _pieces(pieces: Pieces) -> Record:
    return {
        "places_lps_mm": _numbers(pieces.places_lps_mm),
        "moved_lps_mm": _numbers(pieces.moved_lps_mm),
        "found_lps_mm": _numbers(pieces.found_lps_mm),
        "agrees": [bool(a) for a in pieces.agrees],
        "error_mm": _numbers(pieces.error_mm),
    }


def _pieces_from(row: Mapping[str, Any]) -> Pieces:
    places, moved, found = (
        np.asarray(row[name], dtype=float).reshape(-1, 3) for name in ("places_lps_mm", "moved_lps_mm", "found_lps_mm")
    )
    return Pieces(places, moved, found, np.asarray(row["agrees"], dtype=bool), np.asarray(row["error_mm"], dtype=float))


def _numbers(values: FloatArray) -> Any:
    return np.round(np.asarray(values, dtype=float), _MM_DECIMALS).tolist()
