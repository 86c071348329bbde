"""The 95 % band of a measurement: what the voxels blur, and how far the drawn surface can be trusted.

Two independent parts are added in quadrature:

* *Voxels.* A surface between voxel centres is known to a share of the pixel within a slice, and to a share of the slice
  spacing between slices (:mod:`liverimg.measure.lattice`). The shares are fitted to shapes with known answers.
* *Delineation.* ``LabelQuality.surface_error_mm`` of each surface that the line ends on, once per end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.labels import LabelQuality, Structure
from liverimg.core.measurement import EvidencePoint, Measurement, Point

Coordinates = FloatArray | Point

_DECIMALS = 6


def point(lps_mm: Coordinates) -> Point:
    """A plain point, rounded to a nanometre so that equal places compare equal."""
    x, y, z = (round(float(v), _DECIMALS) + 0.0 for v in lps_mm)
    return x, y, z


def evidence(role: str, lps_mm: Coordinates) -> EvidencePoint:
    """A named place."""
    return EvidencePoint(role, point(lps_mm))


def quadrature(*parts_mm: float) -> float:
    """Independent half widths together."""
    return math.sqrt(sum(part * part for part in parts_mm))


def surface_error_mm(quality: LabelQuality, *structures: Structure) -> float:
    """The largest stated delineation error among the structures; 0 where none is stated."""
    return max((quality.surface_error_mm.get(s, 0.0) for s in structures), default=0.0)


def banded(
    name: str,
    target: str,
    value: float,
    unit: str,
    *,
    half: float,
    method: str,
    points: Sequence[EvidencePoint] = (),
    sources: tuple[str, ...] = (),
    at_least: float | None = None,
    at_most: float | None = None,
) -> Measurement:
    """A measurement whose band is ``value`` plus and minus ``half``, never below zero.

    Args:
        name: What was measured.
        target: Lesion id or structure.
        value: Best estimate.
        unit: Its unit.
        half: Half width of the band.
        method: One line.
        points: Evidence.
        sources: Series UIDs.
        at_least: Stretches the band down to this.
        at_most: Stretches the band up to this.
    """
    low, high = value - half, value + half
    if at_least is not None:
        low = min(low, at_least)
    if at_most is not None:
        high = max(high, at_most)
    numbers = [round(float(v), _DECIMALS) for v in (value, max(low, 0.0), high)]
    best = numbers[0]
    return Measurement(
        name=name,
        target=target,
        value=best,
        unit=unit,
        low=min(numbers[1], best),
        high=max(numbers[2], best),
        method=method,
        evidence=tuple(points),
        sources=sources,
    )


def direction(start: Coordinates, end: Coordinates) -> FloatArray:
    """Unit vector from start to end; the S axis when both are one place."""
    along = np.asarray(end, dtype=float) - np.asarray(start, dtype=float)
    length = float(np.linalg.norm(along))
    return np.asarray(along / length) if length > 0 else np.array([0.0, 0.0, 1.0])
