"""What a plane's reading comes to: quantities with bands, warnings, and why something is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.perfusion.curve import Fit, Lognormal
from liverimg.measure.perfusion.motion import Motion
from liverimg.measure.perfusion.phases import BubblePhase
from liverimg.measure.perfusion.plane import PlaneInput, Reading, motion_of, read_plane, zone_pixels
from liverimg.measure.perfusion.settings import PerfusionSettings

_HALF: Final = 0.5
_AMPLITUDE_UNITS: Final = ("a.u.", "a.u./s", "a.u.s")
AREA: Final = "ceus_non_enhancing_area"
LONG: Final = "ceus_long_diameter"
SHORT: Final = "ceus_short_diameter"
PERIMETER: Final = "ceus_perimeter"
PERSISTENCE: Final = "ceus_late_persistence"
FOCUS_DIAMETER: Final = "ceus_focus_diameter"
FOCUS_LEVEL: Final = "ceus_focus_level"
# Name and unit of what a curve says, the amplitudes in arbitrary units of echo power.
CURVE_QUANTITIES: Final = {
    "ceus_peak": "a.u.",
    "ceus_arrival_time": "s",
    "ceus_time_to_peak": "s",
    "ceus_rise_time": "s",
    "ceus_mean_transit_time": "s",
    "ceus_wash_in_rate": "a.u./s",
    "ceus_wash_in_area": "a.u.s",
    "ceus_wash_out_rate": "a.u./s",
    "ceus_wash_out_area": "a.u.s",
}


# What hangs on the curve's top, which many frames hold; the rest hangs on its foot or its tail.
_STEADY: Final = ("ceus_peak", "ceus_time_to_peak", "ceus_rise_time")


@dataclass(frozen=True, eq=False)
class PlaneResult:
    """One plane's numbers.

    Attributes:
        plane: What was looked at.
        motion: Of its frames; None when it could not be found.
        reading: At the dynamic range that was said or assumed; None when the plane shows nothing.
        quantities: Every quantity, or why it was not measured.
        warnings: What a reader must know.
    """

    plane: PlaneInput
    motion: Motion | None
    reading: Reading | None
    quantities: tuple[Measured, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


def assess_plane(plane: PlaneInput, *, settings: PerfusionSettings) -> PlaneResult:
    """Measures one plane.

    Where nobody says the dynamic range, the plane is read at an assumed one and at both ends of the usual range: bands
    cover all three, and nothing that depends on amplitudes is reported.
    """
    motion = motion_of(plane, settings)
    if isinstance(motion, str):
        return PlaneResult(plane, None, None, _nothing(plane, motion), (f"{plane.id}: {motion}.",))
    display = settings.display
    known = plane.dynamic_range_db
    used = known if known is not None else display.assumed_dynamic_range_db
    reading = read_plane(plane, motion, used, settings)
    if isinstance(reading, str):
        return PlaneResult(plane, motion, None, _nothing(plane, reading), (f"{plane.id}: {reading}.",))
    quantities = _quantities(plane, reading, settings)
    warnings = _warnings(plane, motion, reading)
    if known is None:
        others = [
            read_plane(plane, motion, db, settings)
            for db in (display.least_assumed_dynamic_range_db, display.most_assumed_dynamic_range_db)
        ]
        spread = [_quantities(plane, other, settings) for other in others if not isinstance(other, str)]
        quantities = [_widened(q, spread) for q in quantities]
        warnings.append(
            f"{plane.id}: nothing says the display's dynamic range; {used:g} dB was assumed, bands cover "
            f"{display.least_assumed_dynamic_range_db:g} to {display.most_assumed_dynamic_range_db:g} dB, and no "
            "amplitude is reported. Give it with --dynamic-range if you know it."
        )
    return PlaneResult(plane, motion, reading, tuple(quantities), tuple(warnings))


def _widened(quantity: Measured, others: list[list[Measured]]) -> Measured:
    """The quantity with a band that holds the other readings' bands; amplitudes are not measured."""
    if isinstance(quantity, NotMeasured):
        return quantity
    if quantity.unit in _AMPLITUDE_UNITS:
        return NotMeasured(
            quantity.name, quantity.target, "the display's dynamic range is unknown; give it with --dynamic-range"
        )
    same = [
        q
        for one in others
        for q in one
        if isinstance(q, Measurement) and (q.name, q.target) == (quantity.name, quantity.target)
    ]
    low = min([quantity.low, *(q.low for q in same)])
    high = max([quantity.high, *(q.high for q in same)])
    return Measurement(
        quantity.name, quantity.target, quantity.value, quantity.unit, low, high,
        f"{quantity.method}; dynamic range assumed", sources=quantity.sources,
    )  # fmt: skip


def _nothing(plane: PlaneInput, reason: str) -> tuple[Measured, ...]:
    names = (AREA, LONG, SHORT, PERIMETER, *(f"{AREA}_{p}" for p in BubblePhase), PERSISTENCE)
    curves = [NotMeasured(name, f"{plane.id} liver", reason) for name in CURVE_QUANTITIES]
    return (*(NotMeasured(name, plane.id, reason) for name in names), *curves)


def _quantities(plane: PlaneInput, reading: Reading, settings: PerfusionSettings) -> list[Measured]:
    made = _shape(plane, reading, settings) + _phases(plane, reading, settings) + _foci(plane, reading, settings)
    for region in reading.regions:
        # The zone has no curve worth the name: that is what makes it the zone.
        if region.name != "zone":
            made += _curve(plane, reading, region.name, region.fit, settings)
    return made


def _units(reading: Reading) -> tuple[str, str]:
    return ("mm", "mm2") if reading.aligned.calibrated else ("px", "px2")


def _banded(
    name: str, target: str, value: float, unit: str, half: float, method: str, sources: tuple[str, ...]
) -> Measurement:
    return Measurement(name, target, value, unit, max(0.0, value - half), value + half, method, sources=sources)


def _shape(plane: PlaneInput, reading: Reading, settings: PerfusionSettings) -> list[Measured]:
    """Area, diameters and perimeter of what enhances in no phase."""
    if reading.outline is None or reading.base_phase is None:
        return [NotMeasured(name, plane.id, reading.reason) for name in (AREA, LONG, SHORT, PERIMETER)]
    unit, square = _units(reading)
    outline = reading.outline
    blur = reading.blur(settings)
    edge = settings.zone.band_edge * blur
    foci = "foci that enhance in the arterial phase cut out" if reading.foci else "no enhancing focus in it"
    if reading.foci_reason:
        foci = "foci were not looked for"
    how = f"line at half the liver's enhancement around it, {reading.base_phase} phase, {foci}"
    long, short = outline.diameters()
    ends = settings.zone.band_diameter * blur
    sources = plane.sources
    return [
        _banded(AREA, plane.id, outline.area, square, edge * outline.perimeter, how, sources),
        _banded(LONG, plane.id, _length(long), unit, ends, f"longest distance across: {how}", sources),
        _banded(SHORT, plane.id, _length(short), unit, ends, f"width at right angles to it: {how}", sources),
        _banded(PERIMETER, plane.id, outline.perimeter, unit, np.pi * ends, how, sources),
    ]


def _length(ends: np.ndarray) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _phases(plane: PlaneInput, reading: Reading, settings: PerfusionSettings) -> list[Measured]:
    """The area in each phase by itself, and how much of it stays dark in the late phase."""
    _, square = _units(reading)
    made: list[Measured] = []
    for phase in BubblePhase:
        name, zone = f"{AREA}_{phase}", reading.zones.get(phase, reading.reason)
        if isinstance(zone, str):
            made.append(NotMeasured(name, plane.id, zone))
            continue
        share = settings.zone.band_arterial if phase is BubblePhase.ARTERIAL else settings.zone.band_edge
        half = share * reading.blur(settings) * zone.outline.perimeter
        how = f"line at half the liver's enhancement around it, mean of the {phase} phase"
        made.append(_banded(name, plane.id, zone.outline.area, square, half, how, plane.sources))
    return [*made, _persistence(plane, reading, settings)]


def _persistence(plane: PlaneInput, reading: Reading, settings: PerfusionSettings) -> Measured:
    """Share of the non-enhancing area that is still dark in the late phase."""
    late = reading.zones.get(BubblePhase.LATE, reading.reason)
    if isinstance(late, str):
        return NotMeasured(PERSISTENCE, plane.id, f"late phase: {late}")
    if reading.outline is None:
        return NotMeasured(PERSISTENCE, plane.id, reading.reason)
    if reading.base_phase is BubblePhase.LATE:
        return NotMeasured(PERSISTENCE, plane.id, "the area itself was drawn in the late phase")
    own = zone_pixels(reading.outline, reading.aligned)
    stays = zone_pixels(late.outline, reading.aligned)
    value = float((own & stays).sum() / max(1, own.sum()))
    half = 2 * settings.zone.band_edge * reading.blur(settings) * reading.outline.perimeter / reading.outline.area
    return Measurement(
        PERSISTENCE, plane.id, value, "1", max(0.0, value - half), min(1.0, value + half),
        "share of the area's pixels inside the late phase's line", sources=plane.sources,
    )  # fmt: skip


def _foci(plane: PlaneInput, reading: Reading, settings: PerfusionSettings) -> list[Measured]:
    unit, _ = _units(reading)
    made: list[Measured] = []
    half = settings.focus.band_diameter * reading.blur(settings)
    arterial = reading.maps[BubblePhase.ARTERIAL]
    noise = 0.0 if isinstance(arterial, str) else settings.zone.least_contrast * arterial.noise
    for n, focus in enumerate(reading.foci, start=1):
        target = f"{plane.id} F{n}"
        diameter = focus.diameter * reading.aligned.unit
        how = "diameter of the disc of the same area, above half of its own arterial level"
        made.append(_banded(FOCUS_DIAMETER, target, diameter, unit, half, how, plane.sources))
        how = "highest arterial enhancement as a multiple of the liver's"
        made.append(_banded(FOCUS_LEVEL, target, focus.level, "1", noise * focus.level, how, plane.sources))
    return made


def _curve(
    plane: PlaneInput, reading: Reading, region: str, fit: Fit | str, settings: PerfusionSettings
) -> list[Measured]:
    """What the fitted curve of a region says."""
    target = f"{plane.id} {region}"
    last_s = float(reading.aligned.times_s[-1])
    if isinstance(fit, str):
        return [NotMeasured(name, target, fit) for name in CURVE_QUANTITIES]
    start_s = fit.curve.start_s
    interval_s = float(np.median(np.diff(reading.aligned.times_s)))
    half_s = fit.curve.reaches_s(_HALF, falling=True)
    of: dict[str, Callable[[Lognormal], float]] = {
        "ceus_peak": lambda c: c.peak,
        "ceus_arrival_time": lambda c: c.arrival_s,
        "ceus_time_to_peak": lambda c: c.peak_s,
        "ceus_rise_time": lambda c: c.peak_s - c.arrival_s,
        "ceus_mean_transit_time": lambda c: c.mean_transit_s,
        "ceus_wash_in_rate": lambda c: c.steepest(),
        "ceus_wash_in_area": lambda c: c.area(c.start_s, c.peak_s),
        "ceus_wash_out_rate": lambda c: c.steepest(falling=True),
        "ceus_wash_out_area": lambda c: c.area(c.peak_s, c.reaches_s(_HALF, falling=True)),
    }
    needs_fall = {"ceus_mean_transit_time", "ceus_wash_out_rate", "ceus_wash_out_area"}
    since_injection = {"ceus_arrival_time", "ceus_time_to_peak"}
    made: list[Measured] = []
    for name, compute in of.items():
        if CURVE_QUANTITIES[name] in _AMPLITUDE_UNITS and reading.saturated > settings.display.most_saturated_share:
            reason = f"{reading.saturated:.0%} of the picture is at the highest grey level: lower the gain"
            made.append(NotMeasured(name, target, reason))
        elif name in since_injection and reading.timing.assumed:
            reason = "nobody says when contrast was injected; the rise time counts from the arrival"
            made.append(NotMeasured(name, target, reason))
        elif name in needs_fall and half_s > last_s:
            made.append(
                NotMeasured(
                    name, target, f"the clip ends before the curve has fallen to half its peak ({half_s:.0f} s)"
                )
            )
        else:
            value = compute(fit.curve)
            steady = name in _STEADY
            share = settings.curve.model_share if steady else settings.curve.shape_share
            half = fit.half_width(compute, model_share=share)
            if CURVE_QUANTITIES[name] == "s":
                half = float(np.hypot(half, settings.curve.frame_share * interval_s))
            how = f"lognormal fit, R2 {fit.r_squared:.3f}, start {start_s:.1f} s"
            made.append(_banded(name, target, value, CURVE_QUANTITIES[name], half, how, plane.sources))
    return made


def _warnings(plane: PlaneInput, motion: Motion, reading: Reading) -> list[str]:
    made = []
    rejected = int((~motion.kept).sum())
    if rejected:
        made.append(f"{plane.id}: {rejected} of {len(motion.kept)} frames show another plane and were left out.")
    if reading.timing.assumed:
        made.append(
            f"{plane.id}: nobody says when contrast was injected; phases count from "
            f"{reading.timing.injection_s:+.1f} s of the clip's clock, taken from the arrival of contrast. Give "
            "--contrast-start if you know it."
        )
    if not reading.aligned.calibrated:
        made.append(f"{plane.id}: the clip has no calibration; lengths are pixels, never millimetres.")
    if reading.reason:
        made.append(f"{plane.id}: no non-enhancing area was measured: {reading.reason}.")
    if reading.foci:
        count = len(reading.foci)
        foci = "1 enhancing focus" if count == 1 else f"{count} enhancing foci"
        made.append(f"{plane.id}: {foci} at the margin: living tumour until shown otherwise.")
    elif reading.outline is not None and not reading.foci_reason:
        made.append(f"{plane.id}: no enhancing focus was found; that does not exclude residual tumour.")
    return made
