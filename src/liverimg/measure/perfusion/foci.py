"""Enhancing foci at the margin of the non-enhancing area: living tumour until shown otherwise.

Looked for in the arterial phase against what is expected at each place: nothing inside the zone, the rim's usual
level right outside it, the liver's farther away. What stands out, is nodular rather than thin, and touches the zone
is a focus. What lies mostly outside and does not wash out behaves like a vessel and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.measure.perfusion.aligned import Aligned
from liverimg.measure.perfusion.enhancement import PhaseMap
from liverimg.measure.perfusion.settings import FocusSettings, ZoneSettings
from liverimg.measure.perfusion.zone import disc, liver_level

FloatArray = NDArray[np.float64]

_HALF = 0.5


@dataclass(frozen=True, eq=False)
class FocusMask:
    """A focus.

    Attributes:
        mask: Its pixels, above half of its own level over what is expected there.
        centre: Down, across, in the unit of the pitch.
        diameter: Of the disc of the same area, in filter units (mm where calibrated).
        level: Its highest arterial enhancement as a multiple of the liver's.
    """

    mask: NDArray[np.bool_] = field(repr=False)
    centre: tuple[float, float]
    diameter: float
    level: float


def find_foci(
    arterial: PhaseMap,
    last: PhaseMap | None,
    zone: NDArray[np.bool_],
    aligned: Aligned,
    *,
    settings: FocusSettings,
    zone_settings: ZoneSettings,
) -> tuple[FocusMask, ...]:
    """Foci that touch the zone, the largest first.

    Args:
        arterial: Enhancement in the arterial phase.
        last: In the latest phase that was seen, to tell vessels by; None when only the arterial was.
        zone: Pixels of the non-enhancing area without its bites: as in a phase in which foci have washed out, closed.
        aligned: For pitch and filter units.
        settings: Of foci.
        zone_settings: For the ring around the zone.
    """
    level = liver_level(arterial)
    if level <= 0:
        return ()
    expected, outside = _expected(arterial, zone, aligned, level, settings.rim, zone_settings)
    over = np.where(arterial.seen, arterial.mean - expected, 0.0)
    guard = max(settings.least_rise, zone_settings.least_contrast * arterial.noise) * level
    raised = ndimage.binary_opening(over > guard, disc(*aligned.pixels(settings.opening)))
    labels, count = ndimage.label(raised)
    pixel = float(np.prod(aligned.pixels(1.0)))
    found: list[FocusMask] = []
    for n in range(1, count + 1):
        seed = labels == n
        if float(outside[seed].min()) > settings.reach:
            continue
        top = float(over[seed].max())
        grown, _ = ndimage.label(over > _HALF * top)
        at = np.unravel_index(int(np.where(seed, over, -np.inf).argmax()), over.shape)
        mask = ndimage.binary_opening(grown == grown[at], disc(*aligned.pixels(settings.opening)))
        mask |= seed & (over > _HALF * top)
        diameter = float(np.sqrt(4 / np.pi * mask.sum() / pixel))
        if diameter < settings.least_diameter or any((mask & other.mask).any() for other in found):
            continue
        if _is_vessel(mask, zone, last, settings):
            continue
        down, across = (float(c) * p for c, p in zip(ndimage.center_of_mass(mask), aligned.pitch, strict=True))
        found.append(FocusMask(mask, (down, across), diameter, float(arterial.mean[mask].max()) / level))
    return tuple(sorted(found, key=lambda focus: -focus.diameter))


def _expected(
    arterial: PhaseMap,
    zone: NDArray[np.bool_],
    aligned: Aligned,
    level: float,
    rim_reach: float,
    settings: ZoneSettings,
) -> tuple[FloatArray, FloatArray]:
    """Enhancement without foci at each place, and the distance outside the zone in filter units."""
    sampling = [1 / n for n in aligned.pixels(1.0)]
    outside = ndimage.distance_transform_edt(~zone, sampling=sampling)
    ring = arterial.seen & (outside > 0) & (outside <= rim_reach)
    rim = max(level, float(np.median(arterial.mean[ring & (outside >= _HALF)]))) if ring.any() else level
    sharp = np.where(zone, 0.0, np.where(outside <= rim_reach, rim, level))
    blur = float(np.hypot(settings.smooth, settings.blur))
    return np.asarray(ndimage.gaussian_filter(sharp, aligned.pixels(blur))), np.asarray(outside)


def _is_vessel(
    mask: NDArray[np.bool_], zone: NDArray[np.bool_], last: PhaseMap | None, settings: FocusSettings
) -> bool:
    """Whether it lies mostly outside the zone and stays as bright as the liver, as a vessel does."""
    if float((mask & ~zone).sum()) <= settings.outside_share * float(mask.sum()):
        return False
    if last is None:
        return True
    return float(last.mean[mask].mean()) >= settings.late_share * liver_level(last)
