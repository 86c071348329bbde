"""What a patient's tissues are made of, as far as MR is concerned: drawn anew for every training image."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.training.synthesis.looks import KINDS_PER_PATIENT
from liverimg.training.synthesis.mr_signal import Matter, with_agent
from liverimg.training.synthesis.tissues import Tissue

FloatArray = NDArray[np.float32]

_NO_AGENT = (0.0, 0.0, 0.0, 0.0)
# Inhomogeneity of the field inside a voxel, as a relaxation time: T2* = T2 together with this.
_T2_PRIME_MS = (55.0, 35.0)
_SPONGY_T2_PRIME_MS = 20.0
_FAR_AWAY_MS = 1.0
# Coupled spins make fat brighter in multi-echo trains than its T2 says.
_FAT_IN_ECHO_TRAINS = 2.2
ARMS: Mapping[Tissue, Tissue] = {
    Tissue.ARM_FAT: Tissue.FAT,
    Tissue.ARM_MUSCLE: Tissue.MUSCLE,
    Tissue.ARM_BONE: Tissue.BONE_SPONGIOSA,
}
"""What arms are made of."""
LESION_PARTS = (Tissue.TUMOUR, Tissue.TUMOUR_RIM, Tissue.TUMOUR_CORE, Tissue.ABLATION_ZONE, Tissue.ABLATION_RIM)


@cache
def mr_table() -> Mapping[str, Any]:
    """``data/training_tissues_mr.toml``."""
    text = files("liverimg").joinpath("data", "training_tissues_mr.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def draw_matter(
    high_field: bool, phase: float, rng: np.random.Generator
) -> tuple[Matter, NDArray[np.float64], FloatArray]:
    """Draws a patient.

    Args:
        high_field: 3 T instead of 1.5 T.
        phase: 0 without contrast agent, 1 arterial to 4 hepatobiliary.
        rng: Source of chance.

    Returns:
        The water of all tissues, their fat content, and their texture as a share of the signal: each of shape
        (kinds + 1, 256), row 0 without lesions and one row per kind of lesion.
    """
    table, field = mr_table(), int(high_field)
    extracellular = rng.random() > table["agent"]["gadoxetate_share"]
    dose = rng.uniform(*table["agent"]["dose_range"]) * (rng.uniform(1.0, 2.0) if extracellular else 1.0)
    body = _Body.empty(field)
    for name, entry in table["tissue"].items():
        row = entry.get("agent_mm", _NO_AGENT)
        if extracellular:
            row = table["agent"]["extracellular"].get(name, row)
        body.set(Tissue[name.upper()], entry, field, dose * _at(row, phase))
        body.texture[Tissue[name.upper()]] = entry["texture"] * rng.uniform(0.4, 1.6)
    body.t2_prime[[Tissue.LUNG, Tissue.BONE_CORTICAL]] = _FAR_AWAY_MS
    body.t2_prime[Tissue.BONE_SPONGIOSA] = _SPONGY_T2_PRIME_MS
    for values, name in (
        (body.t1, "t1"),
        (body.t2, "t2"),
        (body.water, "water"),
        (body.adc, "adc"),
        (body.agent, "agent"),
    ):
        _spread(values, table["spread"][name], rng)
    _vary_liver(body, rng)
    _vary_fluids(body, rng)
    for arm, trunk in ARMS.items():
        for values in body.all():
            values[arm] = values[trunk]
    rows = [body, *(body.with_lesion(_draw_lesion(rng), dose, phase, rng) for _ in range(KINDS_PER_PATIENT))]
    rates = {name: table["agent"][name][field] for name in ("r1", "r2")}
    columns = zip(*(row.all() for row in rows), strict=True)
    t1, t2, t2_prime, water, fat, adc, agent, texture = (np.stack(column) for column in columns)
    plain = Matter(t1, t2, 1 / (1 / t2 + 1 / t2_prime), water, adc)
    return with_agent(plain, agent, **rates), fat, np.asarray(texture, dtype=np.float32)


def _spread(values: NDArray[np.float64], share: float, rng: np.random.Generator) -> None:
    """Each tissue's value off by a random factor, in place."""
    values *= np.exp(rng.normal(0, share, size=256))


@dataclass(frozen=True, eq=False)
class _Body:
    """Values per tissue while they are being drawn, each of shape (256,)."""

    t1: NDArray[np.float64]
    t2: NDArray[np.float64]
    t2_prime: NDArray[np.float64]
    water: NDArray[np.float64]
    fat: NDArray[np.float64]
    adc: NDArray[np.float64]
    agent: NDArray[np.float64]
    texture: NDArray[np.float64]

    @classmethod
    def empty(cls, field: int) -> _Body:
        """Nothing anywhere."""
        starts = (900.0, 50.0, _T2_PRIME_MS[field], 0.0, 0.0, 1.5, 0.0, 0.0)
        return cls(*(np.full(256, start) for start in starts))

    def all(self) -> tuple[NDArray[np.float64], ...]:
        """In the order of the attributes."""
        return (self.t1, self.t2, self.t2_prime, self.water, self.fat, self.adc, self.agent, self.texture)

    def set(self, tissue: Tissue, entry: Mapping[str, Any], field: int, agent_mm: float) -> None:
        """Takes a row of the table."""
        self.t1[tissue], self.t2[tissue] = entry["t1_ms"][field], entry["t2_ms"][field]
        self.water[tissue], self.fat[tissue], self.adc[tissue] = entry["water"], entry["fat"], entry["adc"]
        self.agent[tissue] = agent_mm

    def with_lesion(self, kind: Mapping[str, Any], dose: float, phase: float, rng: np.random.Generator) -> _Body:
        """The same body with one kind of tumour, and an ablation zone, as factors on the liver's values."""
        new = _Body(*(values.copy() for values in self.all()))
        table = mr_table()["lesion"]
        parts = (kind, kind["rim"], table["core"], table["ablation"], table["ablation"]["rim"])
        for part, entry in zip(LESION_PARTS, parts, strict=True):
            jitter = np.exp(rng.normal(0, 0.12, size=3))
            new.t1[part] = self.t1[Tissue.LIVER] * entry["t1"] * jitter[0]
            new.t2[part] = self.t2[Tissue.LIVER] * entry["t2"] * jitter[1]
            new.water[part] = min(1.0, 1.05 * self.water[Tissue.LIVER])
            new.adc[part], new.fat[part] = entry["adc"] * jitter[2], 0.0
            new.agent[part] = dose * _at(entry["agent_mm"], phase)
            new.texture[part] = rng.uniform(0.02, 0.2)
        if rng.random() < kind["fat_share"]:
            new.fat[Tissue.TUMOUR] = rng.uniform(0.05, 0.35)
        for values in new.all():
            values[Tissue.TUMOUR_OIL] = values[Tissue.TUMOUR]
        new.water[Tissue.TUMOUR_CALCIFICATION] = rng.uniform(0.05, 0.4)
        return new


def _draw_lesion(rng: np.random.Generator) -> Mapping[str, Any]:
    kinds = [entry for entry in mr_table()["lesion"].values() if "weight" in entry]
    weights = np.array([entry["weight"] for entry in kinds], dtype=float)
    kind: Mapping[str, Any] = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    return kind


def _vary_liver(body: _Body, rng: np.random.Generator) -> None:
    table = mr_table()["liver"]
    if rng.random() < table["steatosis_share"]:
        body.fat[Tissue.LIVER] = rng.uniform(*table["steatosis_fat"])
    if rng.random() < table["fibrosis_share"]:
        body.t1[Tissue.LIVER] *= rng.uniform(*table["fibrosis_t1_factor"])
    if rng.random() < table["iron_share"]:
        factor = rng.uniform(*table["iron_t2_factor"])
        body.t2[Tissue.LIVER] *= factor
        if rng.random() < 0.5:  # transfusions load the spleen too
            body.t2[Tissue.SPLEEN] *= factor


def _vary_fluids(body: _Body, rng: np.random.Generator) -> None:
    """Thick bile is T1 bright, meals are anything, and the cord's map holds the fluid around it as well."""
    if rng.random() < 0.35:
        body.t1[Tissue.GALLBLADDER] *= rng.uniform(0.15, 0.5)
        body.t2[Tissue.GALLBLADDER] *= rng.uniform(0.2, 0.6)
    for content in (Tissue.STOMACH_CONTENT, Tissue.BOWEL_CONTENT, Tissue.COLON_CONTENT):
        if rng.random() < 0.35:
            body.t1[content] *= rng.uniform(0.15, 0.6)
            body.t2[content] *= rng.uniform(0.1, 0.6)
    if rng.random() < 0.5:
        body.t1[Tissue.SPINAL_CORD], body.t2[Tissue.SPINAL_CORD] = 3500.0, 900.0


def fat_matter(high_field: bool, kind: str, rng: np.random.Generator) -> Matter:
    """Pure fat in every tissue that holds any."""
    entry, field = mr_table()["tissue"]["fat"], int(high_field)
    t1, t2 = (float(entry[k][field]) * np.exp(rng.normal(0, 0.1)) for k in ("t1_ms", "t2_ms"))
    if kind == "spin_echo":
        t2 *= rng.uniform(1.0, _FAT_IN_ECHO_TRAINS)
    t2_star = 1 / (1 / t2 + 1 / _T2_PRIME_MS[field])
    return Matter(*(np.full(256, value) for value in (t1, t2, t2_star, 1.0, 0.1)))


def _at(values: Sequence[float], phase: float) -> float:
    """Concentration at a phase; none before the agent comes."""
    return float(np.interp(phase, range(len(_NO_AGENT) + 1), [0.0, *values]))
