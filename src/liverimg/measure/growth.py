"""How lesions and liver changed since an earlier study."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from liverimg.core.measurement import Lesion, Measured, Measurement, MeasurementSet, NotMeasured
from liverimg.measure.band import quadrature
from liverimg.measure.settings import MeasureSettings

GROWTH_NAMES = ("growth_long_diameter", "growth_volume", "threshold_growth", "volume_doubling_time")
SUM_GROWTH, INTERVAL = "growth_target_diameter_sum", "days_since_earlier"
NEEDED_OF_LESION = ("axial_long_diameter", "volume", "couinaud_segment")
NEEDED_OF_STUDY = ("target_diameter_sum",)
_OF = {"growth_long_diameter": "axial_long_diameter", "growth_volume": "volume"}
_SEGMENT = "couinaud_segment"
_DAYS_PER_MONTH = 30.44
_BY_US = re.compile(r"L\d+")  # names that are given by size and mean nothing from one study to the next


@dataclass(frozen=True)
class Earlier:
    """An earlier study of the same patient.

    Attributes:
        measured: What was measured of it.
        days: How long before the present study; None when a date is missing.
        same_frame: Whether both share one DICOM frame of reference, so that places can be compared.
    """

    measured: MeasurementSet
    days: int | None
    same_frame: bool


@dataclass(frozen=True)
class Pairing:
    """Which earlier lesion a lesion is, or why that cannot be told.

    Attributes:
        lesion: The earlier lesion; None without a pair.
        how: In which way they were paired, or why not.
    """

    lesion: Lesion | None
    how: str


def with_growth(measured: MeasurementSet, earlier: Earlier, *, settings: MeasureSettings) -> MeasurementSet:
    """The same measurements with each lesion's change since the earlier study.

    Lesions are paired by a name that a reader gave in both studies; else, in one frame of reference, by place (each
    the other's nearest, centres at most ``growth_pairing_mm`` apart). Otherwise nothing proves that two outlines are
    one lesion: the change is not measured, and the reason names the candidate and what the change would be.
    """
    pairs = pair_lesions(measured.lesions, earlier, settings=settings)
    lesions = tuple(
        replace(lesion, quantities=(*lesion.quantities, *_growth(lesion, pairs[lesion.id], earlier, settings)))
        for lesion in measured.lesions
    )
    gone = {x.id for x in earlier.measured.lesions} - {p.lesion.id for p in pairs.values() if p.lesion is not None}
    warnings = measured.warnings
    if gone:
        warnings += (
            f"Of the earlier study's lesions {', '.join(sorted(gone))} could not be paired with any of this one: gone, "
            "treated, merged, or not drawn.",
        )
    organs = (*measured.organs, _sum_growth(measured, earlier), _interval(earlier))
    return replace(measured, lesions=lesions, organs=organs, warnings=warnings)


def pair_lesions(lesions: tuple[Lesion, ...], earlier: Earlier, *, settings: MeasureSettings) -> Mapping[str, Pairing]:
    """For each lesion by name the earlier one that it is, or why there is none."""
    before = earlier.measured.lesions
    if not before:
        return {x.id: Pairing(None, "the earlier study has no lesion") for x in lesions}
    named = {x.id for x in before if not _BY_US.fullmatch(x.id)}
    found = {x.id: Pairing(next(b for b in before if b.id == x.id), "paired by name") for x in lesions if x.id in named}
    taken = {pair.lesion.id for pair in found.values() if pair.lesion is not None}
    free_before = [b for b in before if b.id not in taken]
    free = [x for x in lesions if x.id not in found]
    if not free_before:
        return found | {x.id: Pairing(None, "every lesion of the earlier study is paired already") for x in free}
    if earlier.same_frame:
        return found | {x.id: _by_place(x, free, free_before, settings.growth_pairing_mm) for x in free}
    return found | {x.id: _candidate(x, free_before) for x in free}


def _apart_mm(one: Lesion, other: Lesion) -> float:
    return math.dist(one.centroid_lps_mm, other.centroid_lps_mm)


def _by_place(lesion: Lesion, free: list[Lesion], before: list[Lesion], reach_mm: float) -> Pairing:
    nearest = min(before, key=lambda b: _apart_mm(lesion, b))
    apart_mm = _apart_mm(lesion, nearest)
    if apart_mm > reach_mm:
        return Pairing(
            None,
            f"no lesion of the earlier study lies within {reach_mm:g} mm of it (the nearest, {nearest.id}, "
            f"{apart_mm:.0f} mm away): new, or not drawn then",
        )
    if min(free, key=lambda x: _apart_mm(x, nearest)) is not lesion:
        return Pairing(None, f"another lesion lies nearer to {nearest.id} of the earlier study: split, or new")
    return Pairing(nearest, f"paired by place, centres {apart_mm:.0f} mm apart")


def _candidate(lesion: Lesion, before: list[Lesion]) -> Pairing:
    """Never a pair: what a reader should look at first, by segment where known, then by size."""
    segment = lesion.quantity(_SEGMENT)

    def unlike(other: Lesion) -> tuple[bool, float]:
        theirs = other.quantity(_SEGMENT)
        known = isinstance(segment, Measurement) and isinstance(theirs, Measurement)
        elsewhere = known and segment.value != theirs.value  # type: ignore[union-attr]
        ours, old = lesion.quantity("volume"), other.quantity("volume")
        if isinstance(ours, NotMeasured) or isinstance(old, NotMeasured) or min(ours.value, old.value) <= 0:
            return elsewhere, math.inf
        return elsewhere, abs(math.log(ours.value / old.value))

    likely = min(before, key=unlike)
    would_be = _ratio(lesion.quantity("axial_long_diameter"), likely.quantity("axial_long_diameter"))
    words = "" if would_be is None else f", which would be {(would_be[0] - 1) * 100:+.0f} % in long diameter"
    return Pairing(
        None,
        f"cannot tell whether it is {likely.id} of the earlier study{words}: the studies share no frame of reference; "
        "give both one name in labels.json",
    )


def _ratio(now: Measured, then: Measured) -> tuple[float, float, float] | None:
    """Now over then with a band, the two errors being independent; None without two positive numbers."""
    if isinstance(now, NotMeasured) or isinstance(then, NotMeasured) or now.value <= 0 or then.value <= 0:
        return None
    value = now.value / then.value
    down = quadrature((now.value - now.low) / now.value, (then.high - then.value) / then.value)
    up = quadrature((now.high - now.value) / now.value, (then.value - then.low) / then.value)
    return value, max(0.0, value * (1 - down)), value * (1 + up)


def _percent(name: str, now: Measured, then: Measured, method: str) -> Measured:
    ratio = _ratio(now, then)
    if ratio is None:
        lacking = now if isinstance(now, NotMeasured) else then
        reason = lacking.reason if isinstance(lacking, NotMeasured) else "one of the two sizes is zero"
        return NotMeasured(name, now.target, f"not measured in both studies: {reason}")
    value, low, high = ((r - 1) * 100 + 0.0 for r in ratio)
    places = now.evidence if isinstance(now, Measurement) else ()
    sources = now.sources if isinstance(now, Measurement) else ()
    return Measurement(name, now.target, value, "%", low, high, method, places, sources)


def _growth(lesion: Lesion, pair: Pairing, earlier: Earlier, settings: MeasureSettings) -> tuple[Measured, ...]:
    if pair.lesion is None:
        return tuple(NotMeasured(name, lesion.id, pair.how) for name in GROWTH_NAMES)
    span = "" if earlier.days is None else f" over {earlier.days / _DAYS_PER_MONTH:.1f} months"
    method = f"against {pair.lesion.id} of the earlier study{span}, {pair.how}; both errors taken as independent"
    changes = {name: _percent(name, lesion.quantity(of), pair.lesion.quantity(of), method) for name, of in _OF.items()}
    return (
        *changes.values(),
        _threshold_growth(changes["growth_long_diameter"], earlier, settings),
        _doubling(changes["growth_volume"], earlier),
    )


def _threshold_growth(change: Measured, earlier: Earlier, settings: MeasureSettings) -> Measured:
    """1 when the diameter grew by the threshold within the longest time, 0 when not; its band may be 0 to 1."""
    name, least, most = "threshold_growth", settings.growth_threshold_percent, settings.growth_most_months
    if isinstance(change, NotMeasured):
        return NotMeasured(name, change.target, change.reason)
    if earlier.days is None:
        return NotMeasured(name, change.target, "a study has no date, so the time between the two is unknown")
    months = earlier.days / _DAYS_PER_MONTH
    if months > most:
        return NotMeasured(
            name, change.target, f"the studies lie {months:.1f} months apart, and the rule holds up to {most:g}"
        )
    value, low, high = (float(v >= least) for v in (change.value, change.low, change.high))
    method = f"growth of the long diameter by at least {least:g} % in at most {most:g} months, here {months:.1f}"
    return Measurement(name, change.target, value, "1", low, high, method, change.evidence, change.sources)


def _doubling(change: Measured, earlier: Earlier) -> Measured:
    """Days in which the volume doubles at the pace seen; only where it has surely grown."""
    name = "volume_doubling_time"
    if isinstance(change, NotMeasured):
        return NotMeasured(name, change.target, change.reason)
    if not earlier.days or earlier.days < 0:
        return NotMeasured(name, change.target, "the time between the two studies is unknown or zero")
    if change.low <= 0:
        return NotMeasured(name, change.target, "the volume has not grown by more than its band")
    value, low, high = (
        earlier.days * math.log(2) / math.log1p(percent / 100) for percent in (change.value, change.high, change.low)
    )
    method = f"{earlier.days} days x ln 2 / ln(volume now / volume then)"
    return Measurement(name, change.target, value, "d", low, high, method, change.evidence, change.sources)


def _sum_growth(measured: MeasurementSet, earlier: Earlier) -> Measured:
    """Change of the sum of target diameters; targets are chosen in each study by itself."""
    now, then = (
        next((q for q in m.organs if q.name == "target_diameter_sum"), None) for m in (measured, earlier.measured)
    )
    if now is None or then is None:
        return NotMeasured(SUM_GROWTH, "tumour", "one of the two studies has no sum of target diameters")
    method = "sum of the target lesions' long diameters now against then; the targets are each study's longest lesions"
    return _percent(SUM_GROWTH, now, then, method)


def _interval(earlier: Earlier) -> Measured:
    if earlier.days is None:
        return NotMeasured(INTERVAL, "study", "a study has no date")
    days = float(earlier.days)
    return Measurement(INTERVAL, "study", days, "d", days, days, "from the earlier study's date to this one's")
