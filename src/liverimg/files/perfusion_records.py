"""``perfusion.json`` and its maps: what contrast ultrasound showed, plane by plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import Measured
from liverimg.files.records import Record
from liverimg.files.result_records import quantity_to_record

SCHEMA_VERSION = "0.1"
_DECIMALS = 4


def perfusion_to_record(
    *,
    study: Record,
    baseline: Record | None,
    planes: Sequence[Record],
    not_used: Sequence[Record],
    quantities: Sequence[Measured],
    warnings: Sequence[str],
) -> Record:
    """``perfusion.json``.

    Args:
        study: UID and date.
        baseline: UID and date of the baseline, the lesion, and whether the patient could be checked; or None.
        planes: One row per plane.
        not_used: Clips that no plane was made of, with reasons.
        quantities: Of the zone as a whole.
        warnings: What a reader must know, the known bias first.
    """
    return {
        "record": "perfusion",
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "baseline": baseline,
        "planes": list(planes),
        "not_used": list(not_used),
        "quantities": [quantity_to_record(q) for q in quantities],
        "warnings": list(warnings),
    }


def points_to_record(points: NDArray[np.floating[Any]] | None) -> list[list[float]] | None:
    """A line in a picture: down, across."""
    return None if points is None else [[round(float(v), _DECIMALS) for v in p] for p in points]


def numbers_to_record(values: NDArray[np.floating[Any]]) -> list[float | None]:
    """Numbers with five digits; null for what was not seen."""
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values]


def write_maps(path: Path, maps: Mapping[str, NDArray[Any]]) -> None:
    """Maps of one plane as a compressed ``.npz``; the same maps give the same bytes."""
    # Numpy dates every member 1980-01-01, so that nothing tells when the file was written.
    np.savez_compressed(path, **{name: maps[name] for name in sorted(maps)})  # type: ignore[arg-type]


def read_maps(path: Path) -> dict[str, NDArray[Any]]:
    """Maps of one plane.

    Raises:
        RecordInvalidError: Missing, or no such maps.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise RecordInvalidError(f"{path.name} can't be read as maps; run the assessment again") from error
