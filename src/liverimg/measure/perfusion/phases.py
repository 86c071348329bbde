"""Which frames belong to which phase, and from when seconds are counted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from liverimg.measure.perfusion.settings import PhaseSettings

FloatArray = NDArray[np.float64]


class BubblePhase(StrEnum):
    """Phases of contrast ultrasound (WFUMB 2020)."""

    ARTERIAL = "arterial"
    PORTAL = "portal"
    LATE = "late"


@dataclass(frozen=True)
class Timing:
    """From when the phases are counted.

    Attributes:
        injection_s: The injection on the cine's clock, known or assumed.
        assumed: Whether it was taken from the arrival, as nobody says when contrast was injected.
    """

    injection_s: float
    assumed: bool


def timing(*, injection_known: bool, arrival_s: float, settings: PhaseSettings) -> Timing:
    """The injection is the clock's zero where it is known; else it is assumed to lie before the arrival."""
    if injection_known:
        return Timing(0.0, False)
    return Timing(arrival_s - settings.assumed_arrival_s, True)


def frames_of(times_s: FloatArray, when: Timing, settings: PhaseSettings) -> dict[BubblePhase, NDArray[np.bool_]]:
    """Frames of each phase, shape (t,) each."""
    since = times_s - when.injection_s
    return {
        BubblePhase.ARTERIAL: (since >= settings.arterial_from_s) & (since < settings.arterial_to_s),
        BubblePhase.PORTAL: (since >= settings.arterial_to_s) & (since < settings.portal_to_s),
        BubblePhase.LATE: since >= settings.portal_to_s,
    }
