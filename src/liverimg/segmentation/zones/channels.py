"""What goes into the zone network: four phases held against the study's own liver, which there are, liver and place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverimg.core.study import Phase
from liverimg.core.volume import Quantity
from liverimg.core.zone_view import ZoneView

FloatArray = NDArray[np.float32]

# The first of each row that the study has is shown.
SLOTS: Final[Mapping[str, tuple[Phase, ...]]] = {
    "unenhanced": (Phase.UNENHANCED,),
    "arterial": (Phase.ARTERIAL, Phase.EARLY_ARTERIAL),
    "portal": (Phase.PORTAL_VENOUS,),
    "late": (Phase.DELAYED, Phase.HEPATOBILIARY),
}
ENHANCED_SLOTS: Final = ("arterial", "portal", "late")
_PRESENT: Final = "_present"
CHANNELS: Final = (*SLOTS, *(name + _PRESENT for name in SLOTS), "liver", "place", "ct")


@dataclass(frozen=True)
class Scaling:
    """How values become inputs of about one.

    Attributes:
        ct_hu: Difference from the liver's median that counts as one, on CT.
        mr_share: The same on MR, as a share of the liver's median.
        low: Inputs are no lower than this.
        high: Nor higher than this.
        place_mm: Distance to the place's border that counts as one; what is farther counts as one too.
    """

    ct_hu: float = 50.0
    mr_share: float = 0.5
    low: float = -3.0
    high: float = 4.0
    place_mm: float = 15.0


def slots_of(view: ZoneView) -> dict[str, Phase]:
    """The phase that each slot shows, of those that there are."""
    found = {}
    for name, phases in SLOTS.items():
        phase = next((one for one in phases if one in view.values), None)
        if phase is not None:
            found[name] = phase
    return found


def channels_of(view: ZoneView, scaling: Scaling) -> FloatArray:
    """The network's input, shape (len(CHANNELS), k, j, i).

    A phase that is absent is zero and so is its flag; where a phase does not reach, it is zero.

    Args:
        view: The crop.
        scaling: As the network was trained with.
    """
    out = np.zeros((len(CHANNELS), *view.grid.shape), dtype=np.float32)
    is_ct = view.quantity is Quantity.HU
    for name, phase in slots_of(view).items():
        level = np.float32(view.levels[phase])
        away = (view.values[phase] - level) / np.float32(scaling.ct_hu if is_ct else scaling.mr_share * level)
        out[CHANNELS.index(name)] = np.nan_to_num(np.clip(away, scaling.low, scaling.high))
        out[CHANNELS.index(name + _PRESENT)] = 1
    out[CHANNELS.index("liver")] = view.liver
    out[CHANNELS.index("place")] = np.clip(view.place_mm / np.float32(scaling.place_mm), -1, 1)
    out[CHANNELS.index("ct")] = is_ct
    return out
