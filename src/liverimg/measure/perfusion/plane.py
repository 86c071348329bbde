"""One plane from frames to findings: motion, echo power, curves, zone, foci."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.cine import Cine
from liverimg.measure.perfusion.aligned import Aligned, align, saturated_share
from liverimg.measure.perfusion.curve import Fit, fit_curve
from liverimg.measure.perfusion.enhancement import PhaseMap, mean_of, phase_map
from liverimg.measure.perfusion.foci import FocusMask, find_foci
from liverimg.measure.perfusion.motion import Motion, find_motion
from liverimg.measure.perfusion.outline import Outline, filled, outline_at
from liverimg.measure.perfusion.phases import BubblePhase, Timing, frames_of, timing
from liverimg.measure.perfusion.settings import PerfusionSettings
from liverimg.measure.perfusion.zone import Zone, find_place, given_back, outline_zone

FloatArray = NDArray[np.float64]

_HALF: Final = 0.5
# Panes show the same field of view when their sizes agree this well.
_SAME_FIELD: Final = 0.02
_FEWEST_BASELINE: Final = 3
# Which phase the line is drawn in: bubbles fill the liver evenly and foci have washed out.
_BEST: Final = (BubblePhase.PORTAL, BubblePhase.LATE, BubblePhase.ARTERIAL)


@dataclass(frozen=True, eq=False)
class PlaneInput:
    """One plane as it was followed after an injection.

    Attributes:
        id: ``P1``, ``P2``, ...
        contrast: The contrast picture over time.
        b_mode: The B-mode picture of the same frames.
        injection_known: Whether the clock's zero is the injection.
        dynamic_range_db: Echo power between grey levels 0 and 255; None where nobody says it.
        sources: Series UIDs.
    """

    id: str
    contrast: Cine
    b_mode: Cine
    injection_known: bool
    dynamic_range_db: float | None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the plane and its curve.

    Attributes:
        name: ``liver``, ``zone``, ``rim``, or a focus (``F1``, ...).
        mask: Its pixels.
        power: Mean echo power in each aligned frame; NaN where it is not seen.
        fit: The curve, or why there is none.
    """

    name: str
    mask: NDArray[np.bool_] = field(repr=False)
    power: FloatArray = field(repr=False)
    fit: Fit | str


@dataclass(frozen=True, eq=False)
class Reading:
    """What one plane shows at one dynamic range.

    Attributes:
        aligned: Frames on the reference.
        timing: From when phases are counted.
        arrival_s: Of contrast in the picture, on the cine's clock.
        maps: Enhancement in each phase, or why there is none.
        zones: The line in each phase, or why there is none.
        outline: The line of what enhances in no phase, foci cut out.
        base_phase: The phase that the line was drawn in.
        foci: Enhancing foci at the margin.
        foci_reason: Why foci could not be looked for; empty when they were.
        regions: Curves.
        reason: Why there is no non-enhancing area; empty when there is one.
        saturated: Share of the picture at the highest grey level, in the frame that has most of it.
    """

    aligned: Aligned
    timing: Timing
    arrival_s: float
    maps: dict[BubblePhase, PhaseMap | str]
    zones: dict[BubblePhase, Zone | str]
    outline: Outline | None
    base_phase: BubblePhase | None
    foci: tuple[FocusMask, ...]
    foci_reason: str
    regions: tuple[Region, ...]
    reason: str
    saturated: float = 0.0

    def blur(self, settings: PerfusionSettings) -> float:
        """Standard deviation of all blur in the pitch's unit: filter, scanner, pixel."""
        pixel = float(np.mean(self.aligned.pitch)) / np.sqrt(12)
        return float(np.hypot(np.hypot(settings.zone.smooth, settings.zone.blur) * self.aligned.unit, pixel))


def motion_of(plane: PlaneInput, settings: PerfusionSettings) -> Motion | str:
    """The plane's motion in pixels of the contrast picture, or why it can't be carried over to it."""
    b_mode, contrast = plane.b_mode, plane.contrast
    factor = np.array(contrast.array.shape[1:]) / np.array(b_mode.array.shape[1:])
    if b_mode.spacing_mm is not None and contrast.spacing_mm is not None:
        fields = [np.array(c.array.shape[1:]) * np.array(c.spacing_mm) for c in (b_mode, contrast)]
        if np.abs(fields[0] / fields[1] - 1).max() > _SAME_FIELD:
            return "the contrast and the B-mode picture show fields of different size: motion can't be carried over"
    elif np.abs(factor - 1).max() > _SAME_FIELD:
        return "the contrast and the B-mode picture differ in size, unscaled: motion can't be carried over"
    motion = find_motion(b_mode.array, settings=settings.motion)
    if motion.kept.mean() < settings.motion.least_kept_share:
        return (
            f"{int((~motion.kept).sum())} of {len(motion.kept)} frames do not show the plane of the reference frame: "
            "nobody knows which plane the clip shows"
        )
    return motion.scaled(float(factor[0]), float(factor[1]))


def read_plane(
    plane: PlaneInput, motion: Motion, dynamic_range_db: float, settings: PerfusionSettings
) -> Reading | str:
    """Everything that one plane shows, or one clause that says why it shows nothing.

    Args:
        plane: Frames, with times.
        motion: From :func:`motion_of`.
        dynamic_range_db: Taken for this reading.
        settings: All limits.
    """
    if plane.contrast.times_s is None:
        return "its frames have no times"
    aligned = align(
        plane.contrast.array,
        plane.contrast.times_s,
        motion,
        dynamic_range_db=dynamic_range_db,
        spacing_mm=plane.contrast.spacing_mm,
        picture_depth_mm=settings.display.assumed_picture_depth_mm,
    )
    whole = fit_curve(aligned.times_s, aligned.curve(aligned.picture), settings=settings.curve)
    if isinstance(whole, str):
        return whole
    arrival_s = whole.curve.arrival_s
    before = aligned.times_s < whole.curve.start_s + _HALF * (arrival_s - whole.curve.start_s)
    if before.sum() < _FEWEST_BASELINE:
        return "the clip has too few frames before contrast arrives"
    baseline = float(np.median(mean_of(aligned, before)[aligned.picture]))
    when = timing(injection_known=plane.injection_known, arrival_s=arrival_s, settings=settings.phase)
    maps: dict[BubblePhase, PhaseMap | str] = {
        phase: phase_map(aligned, chosen, baseline, smooth=settings.zone.smooth)
        for phase, chosen in frames_of(aligned.times_s, when, settings.phase).items()
    }
    saturation = _saturation(plane, motion)
    empty = Reading(aligned, when, arrival_s, maps, {}, None, None, (), "", (), "", saturation)
    if saturation > settings.display.most_saturated_share_for_area:
        reason = f"{saturation:.0%} of the picture is at the highest grey level: lower the gain"
        return replace(empty, reason=reason, regions=_regions(aligned, None, (), settings))
    return _with_zone(empty, settings)


def _saturation(plane: PlaneInput, motion: Motion) -> float:
    """Share of the picture at the highest grey level, in the frame that has most of it."""
    lit = np.asarray(plane.contrast.array).max(axis=0) > 0
    return saturated_share(plane.contrast.array, lit, np.flatnonzero(motion.kept))


def _with_zone(reading: Reading, settings: PerfusionSettings) -> Reading:
    """The reading with zone, foci and curves."""
    aligned = reading.aligned
    usable = {p: m for p in _BEST if isinstance(m := reading.maps[p], PhaseMap)}
    place: NDArray[np.bool_] | str = "no phase is shown by enough frames"
    base = None
    for phase, own in usable.items():
        place = find_place(own, aligned, settings=settings.zone)
        if not isinstance(place, str):
            base = phase
            break
    if isinstance(place, str) or base is None:
        return replace(reading, reason=str(place), regions=_regions(aligned, None, (), settings))
    zones: dict[BubblePhase, Zone | str] = {}
    for phase, found in reading.maps.items():
        zones[phase] = found if isinstance(found, str) else outline_zone(found, place, aligned, settings=settings.zone)
    base_zone = zones[base]
    if isinstance(base_zone, str):
        return replace(reading, reason=base_zone, regions=_regions(aligned, None, (), settings))
    foci, why = _foci(reading, base_zone, usable, settings)
    outline = _never_enhancing(base_zone, foci, aligned)
    if outline is None:
        reason = "the enhancing foci leave no closed non-enhancing area"
        return replace(reading, reason=reason, regions=_regions(aligned, base_zone, foci, settings))
    outline = given_back(outline, aligned, smooth=settings.zone.smooth, blur=settings.zone.blur)
    zones = {
        phase: replace(
            zone, outline=given_back(zone.outline, aligned, smooth=settings.zone.smooth, blur=settings.zone.blur)
        )
        if isinstance(zone, Zone)
        else zone
        for phase, zone in zones.items()
    }
    return replace(
        reading,
        zones=zones,
        outline=outline,
        base_phase=base,
        foci=foci,
        foci_reason=why,
        regions=_regions(aligned, base_zone, foci, settings),
    )


def _foci(
    reading: Reading, zone: Zone, usable: dict[BubblePhase, PhaseMap], settings: PerfusionSettings
) -> tuple[tuple[FocusMask, ...], str]:
    arterial = reading.maps[BubblePhase.ARTERIAL]
    if isinstance(arterial, str):
        return (), f"arterial phase: {arterial}"
    last = next((usable[p] for p in (BubblePhase.LATE, BubblePhase.PORTAL) if p in usable), None)
    found = find_foci(arterial, last, zone.mask, reading.aligned, settings=settings.focus, zone_settings=settings.zone)
    return found, ""


def _never_enhancing(zone: Zone, foci: tuple[FocusMask, ...], aligned: Aligned) -> Outline | None:
    """The zone's line with what enhanced in the arterial phase cut out."""
    if not foci:
        return zone.outline
    cut = np.zeros(zone.mask.shape, dtype=bool)
    for focus in foci:
        cut |= focus.mask
    share = np.maximum(zone.share, ndimage.gaussian_filter(cut.astype(float), _HALF))
    inside = zone.mask & ~cut
    labels, count = ndimage.label(inside)
    if not count:
        return None
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    depth = ndimage.distance_transform_edt(largest)
    deepest = np.array(np.unravel_index(int(depth.argmax()), depth.shape)) * np.array(aligned.pitch)
    return outline_at(share, _HALF, pitch=aligned.pitch, around=deepest)


def _regions(
    aligned: Aligned, zone: Zone | None, foci: tuple[FocusMask, ...], settings: PerfusionSettings
) -> tuple[Region, ...]:
    """Curves of the liver away from the zone, the zone's inside, its rim and each focus."""
    sampling = [1 / n for n in aligned.pixels(1.0)]
    inner = ndimage.binary_erosion(aligned.picture, iterations=2)
    masks: dict[str, NDArray[np.bool_]] = {}
    if zone is None:
        masks["liver"] = inner
    else:
        around = zone.mask.copy()
        for focus in foci:
            around |= focus.mask
        outside = ndimage.distance_transform_edt(~around, sampling=sampling)
        inside = ndimage.distance_transform_edt(zone.mask, sampling=sampling)
        usual = _usual(aligned, inner & (outside > 2 * settings.zone.ring_to))
        masks["liver"] = usual
        masks["zone"] = inside > settings.zone.ring_from
        masks["rim"] = aligned.picture & (outside > 0) & (outside <= settings.zone.ring_to / 2)
    for n, focus in enumerate(foci, start=1):
        masks[f"F{n}"] = focus.mask
    made = []
    for name, mask in masks.items():
        power = aligned.curve(mask) if mask.any() else np.full(len(aligned.times_s), np.nan)
        made.append(Region(name, mask, power, fit_curve(aligned.times_s, power, settings=settings.curve)))
    return tuple(made)


def _usual(aligned: Aligned, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Liver without vessels and shadows: pixels whose mean power lies between half and half more of the median."""
    mean = ndimage.gaussian_filter(mean_of(aligned, np.ones(len(aligned.times_s), dtype=bool)), aligned.pixels(1.0))
    if not inside.any():
        return inside
    median = float(np.median(mean[inside]))
    return np.asarray(inside & (mean > _HALF * median) & (mean < (1 + _HALF) * median))


def zone_pixels(outline: Outline, aligned: Aligned) -> NDArray[np.bool_]:
    """Pixels inside a line."""
    return filled(outline, aligned.picture.shape, pitch=aligned.pitch)
