"""Drawing a patient and what the patient's tissues look like on CT at any contrast time."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.training.synthesis.tissues import Tissue

FloatArray = NDArray[np.float32]

KINDS_PER_PATIENT = 3
_RANDOM_SHARE = 0.12
_STEATOSIS_SHARE = 0.2
_DENSE_SHARE = 0.04
_CIRRHOSIS_SHARE = 0.15
# From one phase to the next a patient's tissues keep most of what sets them apart from other patients.
_PHASE_SPREAD = 0.3
_RELATIVE = ("hepatic_vein", "portal_vein", "artery", "bile_duct")


@dataclass(frozen=True)
class LesionKind:
    """One kind of lesion, the same at every phase.

    Attributes:
        name: Key in ``training_tissues.toml``.
        offset_hu: This patient's deviation of the body; the rim has half of it.
        has_rim: Whether a rim or capsule is drawn.
        has_core: Whether a necrotic core is drawn.
        core_hu: Of that core.
        oil: Share of the body that holds iodised oil, 0 for none.
        calcified: Share of the body that is calcified.
        soft_edge: Share of the radius over which the body fades into the liver.
    """

    name: str
    offset_hu: float
    has_rim: bool
    has_core: bool
    core_hu: float
    oil: float
    calcified: float
    soft_edge: float


@dataclass(frozen=True, eq=False)
class Patient:
    """What sets one patient apart, at every phase.

    Attributes:
        offsets: Standard normal deviation per tissue value, shape (256,).
        texture: Standard deviation inside each tissue in HU, shape (256,).
        liver_shift_hu: Fat (below zero) or iron (above).
        cirrhotic: Whether the liver is nodular.
        scrambled: Whether soft tissues have random values, as in SynthSeg.
        shared_blood: How far the hepatic veins follow the portal vein.
        bile_hu: Of the ducts; None where they are only said to be darker than the liver.
        kinds: Kinds of lesions that this patient may have.
    """

    offsets: FloatArray
    texture: FloatArray
    liver_shift_hu: float
    cirrhotic: bool
    scrambled: bool
    shared_blood: float
    bile_hu: float | None
    kinds: tuple[LesionKind, ...]


@dataclass(frozen=True, eq=False)
class Look:
    """A patient's tissues at one moment.

    Attributes:
        phase: 0 unenhanced, 1 arterial, 2 portal venous, 3 delayed, and anything between.
        hu: Mean per tissue value, shape (256,).
        texture: Standard deviation inside each tissue, shape (256,).
        lesion_hu: Mean per kind of lesion and tissue value, shape (kinds + 1, 256); row 0 is ``hu``.
    """

    phase: float
    hu: FloatArray
    texture: FloatArray
    lesion_hu: FloatArray


@cache
def _table() -> Mapping[str, Any]:
    text = files("liverimg").joinpath("data", "training_tissues.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draws a patient; one in eight has random soft tissues."""
    table = _table()
    texture = np.zeros(256, dtype=np.float32)
    for group in ("tissue", "relative_to_liver"):
        for name, entry in table[group].items():
            texture[Tissue[name.upper()]] = entry["texture"] * rng.uniform(0.4, 1.6)
    cirrhotic = bool(rng.random() < _CIRRHOSIS_SHARE)
    if cirrhotic:
        texture[Tissue.LIVER] *= rng.uniform(1.0, 2.2)
    shift = 0.0
    if rng.random() < _STEATOSIS_SHARE:
        shift = -rng.uniform(10, 60)
    elif rng.random() < _DENSE_SHARE:
        shift = rng.uniform(15, 50)
    return Patient(
        offsets=rng.standard_normal(256).astype(np.float32),
        texture=texture,
        liver_shift_hu=float(shift),
        cirrhotic=cirrhotic,
        scrambled=bool(rng.random() < _RANDOM_SHARE),
        shared_blood=float(rng.uniform(0.3, 1.0)),
        bile_hu=None if rng.random() < 0.5 else float(rng.normal(10, 8)),
        kinds=tuple(_draw_kind(table["lesion"], rng) for _ in range(KINDS_PER_PATIENT)),
    )


def _draw_kind(table: Mapping[str, Any], rng: np.random.Generator) -> LesionKind:
    names = [name for name in table if name != "core"]
    weights = np.array([table[name]["weight"] for name in names], dtype=float)
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    entry = table[name]
    return LesionKind(
        name=name,
        offset_hu=float(rng.normal(0, entry["spread"])),
        has_rim=bool(rng.random() < entry["rim_share"]),
        has_core=bool(rng.random() < entry["core_share"]),
        core_hu=float(rng.normal(table["core"]["hu"], table["core"]["spread"])),
        oil=float(rng.uniform(*entry["oil"])) if "oil" in entry else 0.0,
        calcified=float(rng.uniform(*entry["calcified"])) if "calcified" in entry else 0.0,
        soft_edge=float(rng.uniform(*entry["soft_edge"])) if "soft_edge" in entry else 0.0,
    )


def look_of(patient: Patient, phase: float, rng: np.random.Generator) -> Look:
    """The patient's tissues at one contrast time.

    Args:
        patient: Who is scanned.
        phase: Contrast time, 0 (unenhanced) to 3 (delayed).
        rng: Of the phase's own deviations.
    """
    table = _table()
    own = patient.offsets + _PHASE_SPREAD * rng.standard_normal(256).astype(np.float32)
    hu = np.zeros(256, dtype=np.float32)
    for name, entry in table["tissue"].items():
        tissue = Tissue[name.upper()]
        hu[tissue] = _at(entry["hu"], phase) + entry["spread"] * own[tissue]
    hu[Tissue.LIVER] += patient.liver_shift_hu
    if patient.scrambled:
        _scramble(hu, rng)
    liver = float(hu[Tissue.LIVER])
    drift = 0.0
    for name, entry in table["relative_to_liver"].items():
        tissue = Tissue[name.upper()]
        deviation = entry["spread"] * own[tissue]
        hu[tissue] = liver + _at(entry["hu"], phase) + deviation
        if tissue is Tissue.PORTAL_VEIN:
            drift = float(deviation)
    # Veins of one patient share their blood: what the portal vein is, the hepatic veins mostly are too.
    hu[Tissue.HEPATIC_VEIN] += patient.shared_blood * drift
    # Bile is water, whatever the liver is.
    darker = min(float(hu[Tissue.BILE_DUCT]), liver - 8)
    hu[Tissue.BILE_DUCT] = darker if patient.bile_hu is None else patient.bile_hu
    rows = [hu] + [_lesion_row(table["lesion"], kind, phase, hu) for kind in patient.kinds]
    return Look(phase, hu, patient.texture, np.stack(rows))


def _at(values: list[float], phase: float) -> float:
    return float(np.interp(phase, range(len(values)), values))


def _scramble(hu: FloatArray, rng: np.random.Generator) -> None:
    """Random soft tissues, as in SynthSeg: air, gas, lung, fat and bone stay what they are."""
    kept = {Tissue.AIR, Tissue.GAS, Tissue.LUNG, Tissue.AIRWAY, Tissue.FAT, Tissue.ARM_FAT, Tissue.TABLE}
    for tissue in Tissue:
        if tissue not in kept and -60 < hu[tissue] < 330:
            hu[tissue] = rng.uniform(-20, 190)


def _lesion_row(table: Mapping[str, Any], kind: LesionKind, phase: float, hu: FloatArray) -> FloatArray:
    """The patient's tissues with one kind of lesion's own values in place of the general ones."""
    entry, row, liver = table[kind.name], hu.copy(), float(hu[Tissue.LIVER])
    body = _at(entry["body"], phase) + kind.offset_hu
    row[Tissue.TUMOUR] = liver + body
    row[Tissue.TUMOUR_RIM] = liver + _at(entry["rim"], phase) + 0.5 * kind.offset_hu
    row[Tissue.TUMOUR_CORE] = min(kind.core_hu, liver + body)
    if not kind.has_rim:
        row[Tissue.TUMOUR_RIM] = row[Tissue.TUMOUR]
    if not kind.has_core:
        row[Tissue.TUMOUR_CORE] = row[Tissue.TUMOUR]
    for tissue, share in ((Tissue.TUMOUR_OIL, kind.oil), (Tissue.TUMOUR_CALCIFICATION, kind.calcified)):
        if share == 0:
            row[tissue] = row[Tissue.TUMOUR]
    return row
