"""Maps of acoustic windows to JSON and back. Large columns are plain lists of numbers in the order of the entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import FloatArray
from liverimg.core.window import Beam, Fan, PathPiece, Transducer, WindowMap
from liverimg.files.records import Record

SCHEMA_VERSION = "0.1"
_MM_DECIMALS = 2
_UNIT_DECIMALS = 6
_PERCENT_DECIMALS = 1


def windows_to_record(windows: Sequence[WindowMap], transducer: Transducer, *, study: Mapping[str, Any]) -> Record:
    """The published shape of all windows of a study.

    Args:
        windows: One map a lesion; lesions without a map say why in ``measurements.json``.
        transducer: With which they were looked for.
        study: Which study and series they refer to.
    """
    device = asdict(transducer) | {
        "azimuth_deg": list(transducer.azimuth_deg),
        "elevation_deg": list(transducer.elevation_deg),
    }
    return {
        "record": "window",
        "schema_version": SCHEMA_VERSION,
        "study": dict(study),
        "transducer": device,
        "lesions": [_lesion(window) for window in windows],
    }


def windows_from_record(record: Mapping[str, Any]) -> tuple[tuple[WindowMap, ...], Transducer]:
    """The inverse of :func:`windows_to_record`.

    Raises:
        RecordInvalidError: Columns differ in length or hold something else than numbers.
    """
    try:
        row = dict(record["transducer"])
        device = Transducer(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}  # type: ignore[arg-type]
        )
        return tuple(_window(lesion) for lesion in record["lesions"]), device
    except (KeyError, TypeError, ValueError) as error:
        raise RecordInvalidError(f"window.json is not a map of windows ({error}); measure the study again") from error


def _lesion(window: WindowMap) -> Record:
    return {
        "id": window.lesion,
        "targets_lps_mm": _points(window.targets_lps_mm),
        "entries": {
            "lps_mm": _points(window.entries_lps_mm),
            "depth_mm": _numbers(window.depth_mm, _MM_DECIMALS),
            "blocked_percent": _numbers(window.blocked_percent, _PERCENT_DECIMALS),
            "blocked_by_percent": {
                cause: _numbers(share, _PERCENT_DECIMALS) for cause, share in window.blocked_by_percent.items()
            },
            "avoided_percent": _numbers(window.avoided_percent, _PERCENT_DECIMALS),
            "unseen_percent": _numbers(window.unseen_percent, _PERCENT_DECIMALS),
            "fits": window.fits.tolist(),
            "usable": window.usable.tolist(),
        },
        "best": None if window.beam is None else _beam(window.beam),
    }


def _beam(beam: Beam) -> Record:
    return {
        "entry": beam.entry,
        "lps_mm": _numbers(beam.entry_lps_mm, _MM_DECIMALS),
        "axis": _numbers(beam.axis, _UNIT_DECIMALS),
        "transducer_lps_mm": _numbers(beam.transducer_lps_mm, _MM_DECIMALS),
        "path": [asdict(piece) for piece in beam.path],
        "fans": [
            {
                "across": _numbers(fan.across, _UNIT_DECIMALS),
                "aperture_lps_mm": _points(fan.aperture_lps_mm),
                "skin_lps_mm": _points(fan.skin_lps_mm),
                "stop_lps_mm": _points(fan.stop_lps_mm),
                "blocked_by": list(fan.blocked_by),
            }
            for fan in beam.fans
        ],
    }


def _window(record: Mapping[str, Any]) -> WindowMap:
    entries = record["entries"]
    places = _array(entries["lps_mm"], width=3)
    count = len(places)

    def column(values: Any) -> FloatArray:
        found = np.asarray(values, dtype=np.float64)
        if found.shape != (count,):
            raise ValueError(f"a column holds {len(values)} numbers for {count} entries")
        return found

    def flags(values: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.asarray(column(values) != 0)

    return WindowMap(
        lesion=str(record["id"]),
        targets_lps_mm=_array(record["targets_lps_mm"], width=3),
        entries_lps_mm=places,
        depth_mm=column(entries["depth_mm"]),
        blocked_percent=column(entries["blocked_percent"]),
        blocked_by_percent={cause: column(share) for cause, share in entries["blocked_by_percent"].items()},
        avoided_percent=column(entries["avoided_percent"]),
        unseen_percent=column(entries["unseen_percent"]),
        fits=flags(entries["fits"]),
        usable=flags(entries["usable"]),
        beam=None if record["best"] is None else _beam_from(record["best"]),
    )


def _beam_from(record: Mapping[str, Any]) -> Beam:
    fans = tuple(
        Fan(
            across=np.asarray(fan["across"], dtype=np.float64),
            aperture_lps_mm=_array(fan["aperture_lps_mm"], width=3),
            skin_lps_mm=_array(fan["skin_lps_mm"], width=3),
            stop_lps_mm=_array(fan["stop_lps_mm"], width=3),
            blocked_by=tuple(str(b) for b in fan["blocked_by"]),
        )
        for fan in record["fans"]
    )
    return Beam(
        entry=int(record["entry"]),
        entry_lps_mm=np.asarray(record["lps_mm"], dtype=np.float64),
        axis=np.asarray(record["axis"], dtype=np.float64),
        transducer_lps_mm=np.asarray(record["transducer_lps_mm"], dtype=np.float64),
        path=tuple(PathPiece(**piece) for piece in record["path"]),
        fans=fans,
    )


def _array(values: Any, *, width: int) -> FloatArray:
    return np.asarray(values, dtype=np.float64).reshape(-1, width)


def _points(points: FloatArray) -> list[list[float]]:
    rounded: list[list[float]] = (np.round(points, _MM_DECIMALS) + 0.0).tolist()
    return rounded


def _numbers(values: FloatArray, decimals: int) -> list[float]:
    rounded: list[float] = (np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0).tolist()
    return rounded
