"""Drawing how a patient's tissues look on one MR sequence: from their physics, or, for every third image, by chance.

Random contrasts per tissue are what SynthSeg trains on (Billot et al., Medical Image Analysis 2023). Two thirds of the
images stay near what scanners show, so that what usually tells the liver from the spleen is learned as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.training.synthesis.looks import KINDS_PER_PATIENT
from liverimg.training.synthesis.mr_matter import ARMS, LESION_PARTS, draw_matter, fat_matter, mr_table
from liverimg.training.synthesis.mr_signal import Pulse, signal
from liverimg.training.synthesis.tissues import Tissue

FloatArray = NDArray[np.float32]

RANDOM = "random"
"""Name of the sequence that no scanner has."""

_RANDOM_SHARE = 1 / 3
_HIGH_FIELD_SHARE = 0.5
_PHASE_WEIGHTS = (0.2, 0.2, 0.2, 0.2, 0.2)
_PHASE_JITTER = 0.3
_LAST_PHASE = 4.0
_EMPTY = (Tissue.AIR, Tissue.GAS, Tissue.AIRWAY, Tissue.TABLE, Tissue.CONTRAST_AGENT)
_FATTY = (Tissue.FAT, Tissue.ARM_FAT)
_BLOOD = (
    Tissue.AORTA,
    Tissue.VENA_CAVA,
    Tissue.VESSEL_OTHER,
    Tissue.HEART_BLOOD,
    Tissue.HEPATIC_VEIN,
    Tissue.PORTAL_VEIN,
    Tissue.ARTERY,
)


@dataclass(frozen=True)
class MrLook:
    """A patient's tissues on one sequence.

    Attributes:
        sequence: Name as in ``training_tissues_mr.toml``, or ``random``.
        phase: 0 unenhanced, 1 arterial, 2 portal venous, 3 transitional or delayed, 4 hepatobiliary.
        water: Signal of the water in each tissue, shape (kinds + 1, 256): row 0 without lesions, then one row for
            each kind of the patient's lesions. The brightest solid tissue is near 1.
        fat: Signal of the fat in each tissue before any suppression, same shape.
        texture: Standard deviation inside each tissue as a share of its signal, same shape.
        fat_sign: 1 in phase, -1 opposed phase, 0 suppressed.
        high_field: 3 T instead of 1.5 T.
        echo_planar: Fast, coarse, and bent and dark near gas, as diffusion images are.
    """

    sequence: str
    phase: float
    water: FloatArray
    fat: FloatArray
    texture: FloatArray
    fat_sign: int
    high_field: bool
    echo_planar: bool

    def total(self) -> FloatArray:
        """What each tissue adds up to, shape (kinds + 1, 256)."""
        return np.asarray(np.abs(self.water + self.fat_sign * self.fat), dtype=np.float32)


def sequence_names() -> tuple[str, ...]:
    """Sequences that looks are drawn from, without ``random``."""
    return tuple(mr_table()["sequence"])


def draw_mr_look(rng: np.random.Generator, *, sequence: str | None = None) -> MrLook:
    """Draws a sequence, its settings, a contrast phase where there may be one, and every tissue's signal.

    Args:
        rng: Source of chance.
        sequence: One of :func:`sequence_names` or ``random``; drawn when None.
    """
    if sequence is None:
        sequence = _draw_sequence(rng)
    if sequence == RANDOM:
        return _random_look(rng)
    entry = mr_table()["sequence"][sequence]
    high_field = bool(rng.random() < _HIGH_FIELD_SHARE)
    phase = _draw_phase(entry, rng)
    pulse = Pulse(
        entry["kind"],
        float(rng.uniform(*entry["tr_ms"])),
        float(rng.uniform(*entry["te_ms"])),
        float(rng.uniform(*entry["flip_deg"])),
        float(rng.choice(entry.get("b_values", [0]))),
    )
    matter, fatty, texture = draw_matter(high_field, phase, rng)
    spread = np.exp(rng.normal(0, mr_table()["spread"]["sequence"], size=256))
    water = signal(pulse, matter) * spread
    fat = (
        signal(pulse, fat_matter(high_field, pulse.kind, rng)) * fatty if pulse.kind != "adc" else np.zeros_like(water)
    )
    _let_blood_run(water, str(rng.choice(entry["flow"])), rng)
    fat_kind = str(rng.choice(entry["fat"]))
    scale = _brightest(water, fat)
    return MrLook(
        sequence=sequence,
        phase=phase,
        water=np.asarray(water / scale, dtype=np.float32),
        fat=np.asarray(fat / scale, dtype=np.float32),
        texture=texture,
        fat_sign={"in": 1, "opposed": -1, "suppressed": 0}[fat_kind],
        high_field=high_field,
        echo_planar=pulse.kind in {"diffusion", "adc"},
    )


def _draw_sequence(rng: np.random.Generator) -> str:
    if rng.random() < _RANDOM_SHARE:
        return RANDOM
    table = mr_table()["sequence"]
    weights = np.array([entry["weight"] for entry in table.values()], dtype=float)
    return str(rng.choice(list(table), p=weights / weights.sum()))


def _draw_phase(entry: Mapping[str, Any], rng: np.random.Generator) -> float:
    if not entry["enhanced"]:
        return 0.0
    phase = float(entry.get("phase", rng.choice(5, p=_PHASE_WEIGHTS)))
    # Nothing lies between without and with contrast agent.
    return 0.0 if phase == 0 else float(np.clip(phase + rng.normal(0, _PHASE_JITTER), 0.5, _LAST_PHASE))


def _let_blood_run(water: NDArray[np.float64], flow: str, rng: np.random.Generator) -> None:
    if flow == "void":
        for tissue in _BLOOD:
            fast = tissue in (Tissue.AORTA, Tissue.ARTERY, Tissue.HEART_BLOOD)
            water[..., tissue] *= rng.uniform(0.0, 0.35) if fast else rng.uniform(0.05, 1.0)
    elif flow == "inflow":
        for tissue in _BLOOD:
            water[..., tissue] *= rng.uniform(0.8, 3.0)


def _brightest(water: NDArray[np.float64], fat: NDArray[np.float64]) -> float:
    solid = [Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY_CORTEX, Tissue.MUSCLE, Tissue.PANCREAS]
    return float(max((water + fat)[0, solid].max(), 1e-9))


def _random_look(rng: np.random.Generator) -> MrLook:
    """Signals by chance. Air stays dark; lung, cortical bone and blood mostly stay what they are to each other."""
    water = rng.uniform(0.02, 1.0, size=256)
    texture = np.abs(rng.normal(0, 0.12, size=256)) + 0.01
    texture[Tissue.LIVER] = rng.uniform(0.01, 0.12)
    if rng.random() < 0.8:
        water[[Tissue.LUNG, Tissue.LUNG_VESSEL]] = rng.uniform(0, 0.15, size=2)
    if rng.random() < 0.8:
        water[Tissue.BONE_CORTICAL] = rng.uniform(0, 0.2)
    if rng.random() < 0.7:
        water[list(_BLOOD)] = np.clip(water[Tissue.AORTA] + rng.normal(0, 0.08, size=len(_BLOOD)), 0.02, 1)
    for arm, trunk in ARMS.items():
        water[arm] = water[trunk]
    water[list(_EMPTY)], texture[list(_EMPTY)] = 0.0, 0.0
    # Fat as fat: boundaries between fat and water then shift, and cancel, in these images too.
    fat = np.zeros(256)
    fat[list(_FATTY)], water[list(_FATTY)] = water[list(_FATTY)], 0.0
    rows = np.repeat(water[None], 1 + KINDS_PER_PATIENT, axis=0)
    lesions = [*LESION_PARTS, Tissue.TUMOUR_OIL, Tissue.TUMOUR_CALCIFICATION, Tissue.CYST]
    rows[:, lesions] = np.clip(water[Tissue.LIVER] + rng.normal(0, 0.35, size=(len(rows), len(lesions))), 0.02, 1.2)
    return MrLook(
        sequence=RANDOM,
        phase=0.0,
        water=np.asarray(rows, dtype=np.float32),
        fat=np.asarray(np.broadcast_to(fat, rows.shape), dtype=np.float32),
        texture=np.asarray(np.broadcast_to(texture, rows.shape), dtype=np.float32),
        fat_sign=int(rng.choice((1, -1, 0), p=(0.5, 0.2, 0.3))),
        high_field=bool(rng.random() < _HIGH_FIELD_SHARE),
        echo_planar=bool(rng.random() < 0.15),
    )
