"""Drawing a patient's Hounsfield units: every tissue's mean at one contrast phase, and its texture."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.training.tissues import Tissue

FloatArray = NDArray[np.float32]

# How often a contrast time is drawn near each phase, and how far around it.
_PHASE_WEIGHTS = (0.15, 0.2, 0.5, 0.15)
_PHASE_JITTER = 0.35
_RANDOM_SHARE = 0.12
_STEATOSIS_SHARE = 0.2


@dataclass(frozen=True)
class LesionLook:
    """One kind of lesion at the patient's phase, as differences from the liver in HU."""

    body_hu: float
    rim_hu: float
    core_hu: float
    has_rim: bool
    has_core: bool


@dataclass(frozen=True)
class Look:
    """A patient's tissues at one moment.

    Attributes:
        phase: 0 unenhanced, 1 arterial, 2 portal venous, 3 delayed, and anything between.
        hu: Mean per tissue value, shape (256,).
        texture: Standard deviation inside each tissue, shape (256,).
        lesions: Looks that lesions of this patient are drawn from.
    """

    phase: float
    hu: FloatArray
    texture: FloatArray
    lesions: tuple[LesionLook, ...]


@cache
def _table() -> Mapping[str, Any]:
    text = files("liverimg").joinpath("data", "training_tissues.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def draw_look(rng: np.random.Generator) -> Look:
    """Draws the contrast time and every tissue's HU; one patient in eight has random soft tissues."""
    table = _table()
    phase = float(np.clip(rng.choice(4, p=_PHASE_WEIGHTS) + rng.normal(0, _PHASE_JITTER), 0, 3))
    hu, texture = np.zeros(256, dtype=np.float32), np.zeros(256, dtype=np.float32)
    for name, entry in table["tissue"].items():
        tissue = Tissue[name.upper()]
        hu[tissue] = _at(entry["hu"], phase) + rng.normal(0, entry["spread"])
        texture[tissue] = entry["texture"] * rng.uniform(0.4, 1.6)
    if rng.random() < _STEATOSIS_SHARE:
        hu[Tissue.LIVER] -= rng.uniform(10, 55)
    if rng.random() < _RANDOM_SHARE:
        _scramble(hu, rng)
    for name, entry in table["relative_to_liver"].items():
        tissue = Tissue[name.upper()]
        hu[tissue] = hu[Tissue.LIVER] + _at(entry["hu"], phase) + rng.normal(0, entry["spread"])
        texture[tissue] = entry["texture"] * rng.uniform(0.4, 1.6)
    # Veins of one patient share their blood: what the portal vein is, the hepatic veins mostly are too.
    share = rng.uniform(0.3, 1.0)
    hu[Tissue.HEPATIC_VEIN] += share * _drift(hu, table, phase)
    # Bile is water, whatever the liver is.
    hu[Tissue.BILE_DUCT] = (
        np.minimum(hu[Tissue.BILE_DUCT], hu[Tissue.LIVER] - 8) if rng.random() < 0.5 else (rng.normal(10, 8))
    )
    return Look(phase, hu, texture, tuple(_lesion(table["lesion"], phase, hu, rng) for _ in range(3)))


def _drift(hu: FloatArray, table: Mapping[str, Any], phase: float) -> float:
    entry = table["relative_to_liver"]["portal_vein"]
    return float(hu[Tissue.PORTAL_VEIN] - hu[Tissue.LIVER] - _at(entry["hu"], phase))


def _at(values: list[float], phase: float) -> float:
    return float(np.interp(phase, range(len(values)), values))


def _scramble(hu: FloatArray, rng: np.random.Generator) -> None:
    """Random soft tissues, as in SynthSeg: air, gas, lung, fat and bone stay what they are."""
    kept = {Tissue.AIR, Tissue.GAS, Tissue.LUNG, Tissue.AIRWAY, Tissue.FAT, Tissue.ARM_FAT, Tissue.TABLE}
    for tissue in Tissue:
        if tissue not in kept and -60 < hu[tissue] < 330:
            hu[tissue] = rng.uniform(-20, 190)


def _lesion(table: Mapping[str, Any], phase: float, hu: FloatArray, rng: np.random.Generator) -> LesionLook:
    kinds = [kind for kind in table if kind != "core"]
    weights = np.array([table[kind]["weight"] for kind in kinds], dtype=float)
    entry = table[kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]]
    body = _at(entry["body"], phase) + rng.normal(0, entry["spread"])
    if abs(body) < 6:  # what can't be seen can't be learned
        body = 6.0 * (1 if body > 0 else -1)
    rim = _at(entry["rim"], phase) + rng.normal(0, 0.5 * entry["spread"])
    core = _at(table["core"]["hu"], phase) + rng.normal(0, table["core"]["spread"]) - float(hu[Tissue.LIVER])
    has_rim, has_core = rng.random() < entry["rim_share"], rng.random() < entry["core_share"]
    return LesionLook(body, rim, min(core, body), has_rim, has_core)
