"""What several planes say together: the ellipsoid's volume, and the zone's diameters beside the planned target's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np

from liverimg.core.measurement import Lesion, Measured, Measurement, NotMeasured
from liverimg.measure.perfusion.result import AREA, LONG, SHORT, PlaneResult
from liverimg.measure.perfusion.settings import PerfusionSettings

VOLUME: Final = "ceus_ellipsoid_volume"
LONG_EXCESS: Final = "ceus_long_diameter_excess"
SHORT_EXCESS: Final = "ceus_short_diameter_excess"
ZONE: Final = "zone"
_MM3_PER_ML: Final = 1000.0
_ELLIPSOID: Final = np.pi / 6
_BASELINE_DIAMETERS: Final = ((LONG_EXCESS, LONG, "axial_long_diameter"), (SHORT_EXCESS, SHORT, "axial_short_diameter"))


def ellipsoid_volume(results: Sequence[PlaneResult], *, settings: PerfusionSettings) -> Measured:
    """pi / 6 times three diameters of two planes: never a sum of voxels, as ultrasound planes have no place.

    Two planes share one axis of an ellipsoid; which of their diameters it is nobody says. The pair that agrees best is
    taken, and the band covers every pair that agrees about as well. True only where the planes stand at right angles
    and go through the middle, which the files can't tell.
    """
    shapes = [s for r in results if (s := _diameters(r)) is not None]
    if len(shapes) < 2:
        return NotMeasured(
            VOLUME, ZONE, f"a volume needs two calibrated planes with a non-enhancing area; {len(shapes)} of them here"
        )
    shapes.sort(key=lambda s: -s[0].value * s[1].value)
    first, second = shapes[:2]
    pairs = list(product((0, 1), (0, 1)))
    apart = {p: _apart(first[p[0]], second[p[1]]) for p in pairs}
    best = min(pairs, key=lambda p: apart[p])
    volumes = {p: _volume_ml(first, second, p) for p in pairs}
    likely = [volumes[p] for p in pairs if p == best or apart[p] <= settings.same_axis_share]
    value = volumes[best][1]
    return Measurement(
        VOLUME, ZONE, value, "ml", min(v[0] for v in likely), max(v[2] for v in likely),
        "pi/6 times three diameters of two planes; true if they stand at right angles and go through the middle",
        sources=tuple(dict.fromkeys((*first[0].sources, *second[0].sources))),
    )  # fmt: skip


def _diameters(result: PlaneResult) -> tuple[Measurement, Measurement] | None:
    by_name = {q.name: q for q in result.quantities if q.name in (AREA, LONG, SHORT)}
    long, short = by_name.get(LONG), by_name.get(SHORT)
    if isinstance(long, Measurement) and isinstance(short, Measurement) and long.unit == "mm":
        return long, short
    return None


def _apart(one: Measurement, other: Measurement) -> float:
    return 2 * abs(one.value - other.value) / (one.value + other.value)


def _volume_ml(
    first: tuple[Measurement, Measurement], second: tuple[Measurement, Measurement], shared: tuple[int, int]
) -> tuple[float, float, float]:
    """Low, value and high, with independent relative errors of the three diameters."""
    a, b = first[shared[0]], second[shared[1]]
    others = first[1 - shared[0]], second[1 - shared[1]]
    common = (a.value + b.value) / 2
    value = float(_ELLIPSOID * common * others[0].value * others[1].value / _MM3_PER_ML)
    halves = [(q.high - q.low) / 2 / q.value for q in others] + [(a.high - a.low + b.high - b.low) / 4 / common]
    half = value * float(np.sqrt(sum(h * h for h in halves)) + abs(a.value - b.value) / 2 / common)
    return max(0.0, value - half), value, value + half


def against_target(
    results: Sequence[PlaneResult], lesions: Sequence[Lesion] | None, *, target: str | None
) -> tuple[Measured, ...]:
    """The zone's diameters less the planned target's; diameters only, as nothing places one on the other.

    Args:
        results: Planes.
        lesions: Of the baseline; None without a baseline.
        target: Lesion that was treated, by id; may be left out where there is one lesion.
    """
    reason, lesion = "no baseline was given", None
    if lesions is not None:
        lesion, reason = _chosen(lesions, target)
    shapes = [s for r in results if (s := _diameters(r)) is not None]
    if lesion is not None and not shapes:
        reason = "no calibrated plane has a non-enhancing area"
    if lesion is None or not shapes:
        return tuple(NotMeasured(name, ZONE, reason) for name, _, _ in _BASELINE_DIAMETERS)
    best = max(shapes, key=lambda s: s[0].value * s[1].value)
    made: list[Measured] = []
    for n, (name, _, theirs) in enumerate(_BASELINE_DIAMETERS):
        planned = lesion.quantity(theirs)
        if isinstance(planned, NotMeasured):
            made.append(NotMeasured(name, ZONE, f"baseline: {planned.reason}"))
            continue
        zone = best[n]
        value = zone.value - planned.value
        made.append(
            Measurement(
                name,
                ZONE,
                value,
                "mm",
                value - float(np.hypot(zone.value - zone.low, planned.high - planned.value)),
                value + float(np.hypot(zone.high - zone.value, planned.value - planned.low)),
                f"zone's diameter ({zone.target}) less {theirs} of {lesion.id}; twice the margin if both were "
                "concentric and cut alike, which nothing shows",
                sources=zone.sources + planned.sources,
            )
        )
    return tuple(made)


def _chosen(lesions: Sequence[Lesion], target: str | None) -> tuple[Lesion | None, str]:
    names = ", ".join(lesion.id for lesion in lesions)
    if target is not None:
        return next((lesion for lesion in lesions if lesion.id == target), None), f"the baseline has no lesion {target}"
    if len(lesions) == 1:
        return lesions[0], ""
    if not lesions:
        return None, "the baseline has no lesion"
    return None, f"the baseline has several lesions ({names}) and nothing says which was treated; name it with --target"
