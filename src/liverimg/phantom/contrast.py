"""How each tissue looks over time: attenuation on CT and T1 signal on MR after contrast.

The numbers come from ``data/phantom.toml``, handed in as a plain mapping. A tissue has a value without contrast
and follows one enhancement curve, in HU on CT and as a share of its own signal on MR, with a gain of its own.
Between the given times a curve runs monotonically (PCHIP).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from liverimg.core.study import Modality, Phase
from liverimg.phantom.scene import Tissue


@dataclass(frozen=True)
class Look:
    """A tissue in one phase.

    Attributes:
        mean: HU, or MR signal in arbitrary units.
        texture: Standard deviation of its own unevenness, same unit.
    """

    mean: float
    texture: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Enhancement over time after the start of injection."""

    times_s: NDArray[np.float64]
    enhancement: NDArray[np.float64]

    def at(self, time_s: float) -> float:
        """Enhancement; 0 before the first time, the last value after the last."""
        if time_s <= self.times_s[0]:
            return float(self.enhancement[0])
        if time_s >= self.times_s[-1]:
            return float(self.enhancement[-1])
        return float(PchipInterpolator(self.times_s, self.enhancement)(time_s))


@dataclass(frozen=True, eq=False)
class Contrast:
    """How every tissue of one modality looks, at any time.

    Attributes:
        modality: CT or MR.
        background: Value of air.
        base: Value of each tissue without contrast.
        texture: Unevenness of each tissue as standard deviation, in the unit of the base.
        curve: Name of the curve that each tissue follows, empty for none.
        gain: Factor on the curve.
        curves: By name.
        phase_times_s: When each phase is taken; None for a scan without contrast.
    """

    modality: Modality
    background: float
    base: Mapping[Tissue, float]
    texture: Mapping[Tissue, float]
    curve: Mapping[Tissue, str]
    gain: Mapping[Tissue, float]
    curves: Mapping[str, Curve]
    phase_times_s: Mapping[Phase, float | None]

    @classmethod
    def from_table(cls, table: Mapping[str, Any], modality: Modality) -> Contrast:
        """Reads the part of ``data/phantom.toml`` that belongs to one modality."""
        own = table[modality.value.lower()]
        times = np.array(own["times_s"], dtype=float)
        curves = {name: Curve(times, np.array(values, dtype=float)) for name, values in own["enhancement"].items()}
        tissues = {Tissue(name): row for name, row in own["tissue"].items()}
        missing = sorted(set(Tissue) - set(tissues))
        if missing:
            raise ValueError(f"the {modality.value} table has no row for {', '.join(missing)}; add them")
        return cls(
            modality,
            float(own["background"]),
            {t: float(row["base"]) for t, row in tissues.items()},
            {t: float(row.get("texture", 0)) for t, row in tissues.items()},
            {t: str(row.get("curve", "")) for t, row in tissues.items()},
            {t: float(row.get("gain", 1)) for t, row in tissues.items()},
            curves,
            {Phase.UNENHANCED: None} | {Phase(name): float(t) for name, t in own["phase_times_s"].items()},
        )

    def value(self, tissue: Tissue, time_s: float | None) -> float:
        """HU or signal of a tissue at a time after the start of injection; None for without contrast."""
        base = self.base[tissue]
        if time_s is None or not self.curve[tissue]:
            return base
        enhancement = self.gain[tissue] * self.curves[self.curve[tissue]].at(time_s)
        return base + enhancement if self.modality is Modality.CT else base * (1 + enhancement)

    def looks(self, phase: Phase) -> dict[Tissue, Look]:
        """Every tissue in one phase."""
        time_s = self.phase_times_s[phase]
        return {t: Look(self.value(t, time_s), self.texture[t]) for t in Tissue}
