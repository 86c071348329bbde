"""Signal of a tissue in the usual pulse sequences, from its relaxation times. Times in ms, angles in degrees.

Equations: Bernstein, King and Zhou, Handbook of MRI Pulse Sequences (2004), steady states of spoiled and balanced
gradient echoes, spin echo, Stejskal-Tanner weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Pulse:
    """One setting of a pulse sequence.

    Attributes:
        kind: ``spoiled``, ``spin_echo``, ``diffusion``, ``adc`` or ``balanced``.
        tr_ms: Repetition time.
        te_ms: (Effective) echo time.
        flip_deg: Flip angle of gradient echoes.
        b_value: Diffusion weighting, s/mm2.
    """

    kind: str
    tr_ms: float
    te_ms: float
    flip_deg: float
    b_value: float = 0.0


@dataclass(frozen=True)
class Matter:
    """What tissues are, one value per tissue in each array, shape (256,) or (rows, 256).

    Attributes:
        t1_ms: Longitudinal relaxation time.
        t2_ms: Transverse relaxation time.
        t2_star_ms: Transverse relaxation time of gradient echoes.
        density: Of the protons, free water = 1.
        adc: Apparent diffusion coefficient, 1e-3 mm2/s.
    """

    t1_ms: FloatArray
    t2_ms: FloatArray
    t2_star_ms: FloatArray
    density: FloatArray
    adc: FloatArray


def signal(pulse: Pulse, matter: Matter) -> FloatArray:
    """Signal per tissue, arbitrary unit, same shape as the matter.

    Raises:
        ValueError: The kind of sequence is unknown.
    """
    if pulse.kind == "spoiled":
        return _spoiled(pulse, matter)
    if pulse.kind == "spin_echo":
        return _spin_echo(pulse, matter)
    if pulse.kind == "diffusion":
        return _spin_echo(pulse, matter) * np.exp(-pulse.b_value * matter.adc * 1e-3)
    if pulse.kind == "adc":
        # Where there are no protons the map holds noise, not diffusion.
        return np.asarray(np.where(matter.density > 0, matter.adc, 0.0))
    if pulse.kind == "balanced":
        return _balanced(pulse, matter)
    raise ValueError(f"the pulse sequence {pulse.kind!r} is unknown")


def _spoiled(pulse: Pulse, matter: Matter) -> FloatArray:
    flip = np.deg2rad(pulse.flip_deg)
    e1 = np.exp(-pulse.tr_ms / matter.t1_ms)
    steady = np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip))
    return np.asarray(matter.density * steady * np.exp(-pulse.te_ms / matter.t2_star_ms))


def _spin_echo(pulse: Pulse, matter: Matter) -> FloatArray:
    recovered = 1 - np.exp(-pulse.tr_ms / matter.t1_ms)
    return np.asarray(matter.density * recovered * np.exp(-pulse.te_ms / matter.t2_ms))


def _balanced(pulse: Pulse, matter: Matter) -> FloatArray:
    flip = np.deg2rad(pulse.flip_deg)
    e1, e2 = np.exp(-pulse.tr_ms / matter.t1_ms), np.exp(-pulse.tr_ms / matter.t2_ms)
    steady = np.sin(flip) * (1 - e1) / (1 - (e1 - e2) * np.cos(flip) - e1 * e2)
    return np.asarray(matter.density * steady * np.exp(-pulse.te_ms / matter.t2_ms))


def with_agent(matter: Matter, agent_mm: FloatArray, *, r1: float, r2: float) -> Matter:
    """The same tissues with contrast agent in them.

    Args:
        matter: Without.
        agent_mm: Concentration per tissue in mmol/l.
        r1: Longitudinal relaxivity, l/(mmol s).
        r2: Transverse relaxivity, l/(mmol s).
    """
    faster1, faster2 = r1 * agent_mm * 1e-3, r2 * agent_mm * 1e-3
    return Matter(
        1 / (1 / matter.t1_ms + faster1),
        1 / (1 / matter.t2_ms + faster2),
        1 / (1 / matter.t2_star_ms + faster2),
        matter.density,
        matter.adc,
    )
