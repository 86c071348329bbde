"""The rules by which an image speaks of its contrast phase, read from ``data/phase_image.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from liverimg.core.errors import RecordInvalidError
from liverimg.core.labels import Structure
from liverimg.core.study import Modality, Phase

_JOINTS: Final = (" - ", " / ")


@dataclass(frozen=True)
class Core:
    """Which part of a structure is measured; see ``phase_image.toml``."""

    structure: Structure
    least_mm: float
    most_mm: float
    share: float
    grid_mm: float


@dataclass(frozen=True)
class Limits:
    """Where a value is excluded and where it fits fully; in between it counts in part."""

    excluded_to: float
    full_from: float
    full_to: float
    excluded_from: float

    def membership(self, value: float) -> float:
        """0 where excluded, 1 where it fits fully, linear in between."""
        if value < self.full_from:
            return max(0.0, (value - self.excluded_to) / (self.full_from - self.excluded_to))
        if value > self.full_to:
            return max(0.0, (self.excluded_from - value) / (self.excluded_from - self.full_to))
        return 1.0


@dataclass(frozen=True)
class ImageRules:
    """All rules, from ``data/phase_image.toml``.

    Attributes:
        cores: What is measured, by name.
        fewest_voxels: Fewer in view say nothing.
        most_voxels: More are thinned out.
        fits_from: Mean membership from which a phase fits.
        better_by: Lead by which one of several is named.
        fading: Vessels that stand out so many times more belong to an earlier phase.
        plain_blood_hu: Blood without contrast on CT.
        units: Of single values, by modality.
        needs: Organs without which nothing is said, by modality.
        limits: By modality, phase and value.
    """

    cores: Mapping[str, Core]
    fewest_voxels: int
    most_voxels: int
    fits_from: float
    better_by: float
    fading: float
    plain_blood_hu: float
    units: Mapping[Modality, str]
    needs: Mapping[Modality, tuple[str, ...]]
    limits: Mapping[Modality, Mapping[Phase, Mapping[str, Limits]]]

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> ImageRules:
        """Reads the parsed ``phase_image.toml``.

        Raises:
            RecordInvalidError: A key is missing, or a phase, an organ or a set of limits makes no sense.
        """
        try:
            cores = {name: _core(name, row) for name, row in table["core"].items()}
            modalities = [m for m in Modality if m.value in table]
            limits = {m: _phases(table[m.value], set(cores)) for m in modalities}
            number = {name: float(row["value"]) for name, row in table["limits"].items()}
            return cls(
                cores=cores,
                fewest_voxels=int(number["fewest_voxels"]),
                most_voxels=int(number["most_voxels"]),
                fits_from=number["fits_from"],
                better_by=number["better_by"],
                fading=number["fading"],
                plain_blood_hu=number["plain_blood"],
                units={m: str(table[m.value]["unit"]) for m in modalities},
                needs={m: tuple(table[m.value]["needs"]) for m in modalities},
                limits=limits,
            )
        except (KeyError, ValueError, TypeError) as error:
            raise RecordInvalidError(
                f"the rules of image evidence are not valid ({type(error).__name__}: {error}): compare them with "
                "phase_image.toml"
            ) from error


def _core(name: str, row: Mapping[str, Any]) -> Core:
    return Core(
        Structure(row.get("of", name)),
        float(row["least_mm"]),
        float(row.get("most_mm", np.inf)),
        float(row["share"]),
        float(row["grid_mm"]),
    )


def _phases(table: Mapping[str, Any], organs: set[str]) -> Mapping[Phase, Mapping[str, Limits]]:
    found: dict[Phase, Mapping[str, Limits]] = {}
    for name, rows in table.items():
        if not isinstance(rows, Mapping):
            continue
        for value, ends in rows.items():
            if not set(parts_of(value)[0]) <= organs or sorted(ends) != list(ends) or len(set(ends)) < len(ends):
                raise ValueError(f"{name}, {value}: expected known organs and four rising limits")
        found[Phase(name)] = {value: Limits(*map(float, ends)) for value, ends in rows.items()}
    return found


def parts_of(value: str) -> tuple[tuple[str, ...], str]:
    """The organs of a value and what joins them: ``aorta - liver``, ``aorta / liver``, or one organ."""
    joint = next((j for j in _JOINTS if j in value), "")
    return (tuple(value.split(joint)) if joint else (value,)), joint
