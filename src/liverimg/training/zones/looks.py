"""What the matter of a treated liver looks like in four phases, CT or MR, from the tables of the training tissues.

Dead tissue is what it was before contrast in every phase; all else follows ``training_tissues*.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverimg.training.synthesis.looks import Look, draw_patient, look_of
from liverimg.training.synthesis.mr_matter import draw_matter
from liverimg.training.synthesis.mr_signal import Pulse, signal
from liverimg.training.synthesis.tissues import Tissue

FloatArray = NDArray[np.float32]

SLOT_COUNT: Final = 4
_DEAD: Final = ("ablation_zone", "core", "ghost", "blood", "oil", "gas", "track")
_LIVING: Final = {"portal_vein": Tissue.PORTAL_VEIN, "hepatic_vein": Tissue.HEPATIC_VEIN, "bile_duct": Tissue.BILE_DUCT}
_OTHERS: Final = (
    Tissue.CYST,
    Tissue.FAT,
    Tissue.MUSCLE,
    Tissue.LUNG,
    Tissue.STOMACH_CONTENT,
    Tissue.KIDNEY_CORTEX,
    Tissue.SPLEEN,
    Tissue.BOWEL_CONTENT,
    Tissue.ABLATION_RIM,
)
_LIVER_TEXTURE_HU = (1.0, 7.0)
_LIVER_TEXTURE_SHARE = (0.01, 0.07)
_HEPATOBILIARY_SHARE = 0.4
_SPREAD = 0.1  # of the logarithm of each tissue's signal: what the equations leave out


@dataclass(frozen=True, eq=False)
class ZoneLook:
    """Values by name of the matter, four each: unenhanced, arterial, portal venous, late.

    Attributes:
        values: HU on CT; on MR signal in an arbitrary unit.
        texture: Standard deviation inside the liver and all that is soft.
        perfusion: What a place with more arterial blood is brighter by, in the arterial phase.
        late_is_hepatobiliary: Whether the last phase is the hepatobiliary one.
    """

    values: Mapping[str, FloatArray]
    texture: float
    perfusion: float
    late_is_hepatobiliary: bool = False


def draw_ct_look(rng: np.random.Generator) -> ZoneLook:
    """A patient on CT."""
    patient = replace(draw_patient(rng), scrambled=False)
    chance = int(rng.integers(1 << 31))
    # The same deviations at every phase: what the patient is does not change while the contrast comes and goes.
    looks = [look_of(patient, float(phase), np.random.default_rng(chance)) for phase in range(SLOT_COUNT)]
    strength = float(rng.uniform(0.5, 1.25))
    values = {"liver": _row(looks, Tissue.LIVER)}
    for name, tissue in (*_LIVING.items(), *((one.name.lower(), one) for one in _OTHERS)):
        values[name] = _row(looks, tissue)
    for number, name in enumerate(("tumour", "other_tumour"), start=1):
        values[name] = np.array([look.lesion_hu[number, Tissue.TUMOUR] for look in looks], dtype=np.float32)
    # Timing and weak hearts: all of the rise is more or less than usual.
    values = {name: row[0] + strength * (row - row[0]) for name, row in values.items()}
    liver = float(values["liver"][0])
    dead = liver + float(rng.normal(-6, 12))
    offsets = {
        "ablation_zone": 0.0,
        "core": float(rng.uniform(-12, 28)),
        "ghost": float(rng.uniform(-15, 10)),
        "blood": float(rng.uniform(12, 45)),
        "oil": float(rng.uniform(150, 600)),
        "track": float(rng.uniform(-15, 5)),
    }
    values |= {name: np.full(SLOT_COUNT, dead + by, dtype=np.float32) for name, by in offsets.items()}
    values["gas"] = np.full(SLOT_COUNT, rng.uniform(-950, -300), dtype=np.float32)
    _moved(values, float(rng.uniform(0, 3)), rng)
    values["living"] = values["tumour"]
    return ZoneLook(values, float(rng.uniform(*_LIVER_TEXTURE_HU)), float(rng.uniform(10, 40)))


def _row(looks: list[Look], tissue: Tissue) -> FloatArray:
    return np.array([look.hu[tissue] for look in looks], dtype=np.float32)


def _moved(values: dict[str, FloatArray], by: float, rng: np.random.Generator) -> None:
    """Dead tissue's values are never quite the same twice: kernels, beams, what flows in from beside."""
    shift = rng.normal(0, by, SLOT_COUNT).astype(np.float32)
    for name in _DEAD:
        values[name] = values[name] + shift


def draw_mr_look(rng: np.random.Generator) -> ZoneLook:
    """A patient on T1-weighted MR with the fat suppressed."""
    high_field, chance = bool(rng.random() < 0.5), int(rng.integers(1 << 31))
    pulse = Pulse("spoiled", float(rng.uniform(3, 6)), float(rng.uniform(1, 2.4)), float(rng.uniform(9, 16)))
    hepatobiliary = bool(rng.random() < _HEPATOBILIARY_SHARE)
    rows = []
    for phase in (0.0, 1.0, 2.0, 4.0 if hepatobiliary else 3.0):
        # The same draws at every phase: one patient.
        matter, _, _ = draw_matter(high_field, phase, np.random.default_rng(chance))
        rows.append(signal(pulse, matter))
    table = np.stack(rows).astype(np.float32)
    table *= np.exp(rng.normal(0, _SPREAD, size=table.shape[-1])).astype(np.float32)
    values = {"liver": table[:, 0, Tissue.LIVER]}
    for name, tissue in (*_LIVING.items(), *((one.name.lower(), one) for one in _OTHERS)):
        values[name] = table[:, 1 if tissue is Tissue.ABLATION_RIM else 0, tissue]
    for number, name in enumerate(("tumour", "other_tumour"), start=1):
        values[name] = table[:, number, Tissue.TUMOUR]
    values["living"] = values["tumour"]
    dead = float(table[0, 1, Tissue.ABLATION_ZONE])
    factors = {
        "ablation_zone": 1.0,
        "core": float(rng.uniform(0.75, 1.35)),
        "ghost": float(rng.uniform(0.75, 1.1)),
        "blood": float(rng.uniform(1.1, 1.6)),
        "oil": float(rng.uniform(0.8, 1.2)),
        "track": float(rng.uniform(0.7, 1.0)),
        "gas": float(rng.uniform(0.02, 0.3)),
    }
    values |= {name: np.full(SLOT_COUNT, dead * by, dtype=np.float32) for name, by in factors.items()}
    level = float(values["liver"][0])
    _moved(values, level * float(rng.uniform(0, 0.03)), rng)
    texture = level * float(rng.uniform(*_LIVER_TEXTURE_SHARE))
    return ZoneLook(values, texture, level * float(rng.uniform(0.1, 0.4)), hepatobiliary)
