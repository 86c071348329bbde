"""A number that was measured, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True)
class EvidencePoint:
    """A place that a measurement rests on.

    Attributes:
        role: What lies there, such as ``start``, ``end``, ``on_skin``, ``on_tumour``.
        lps_mm: Patient coordinates.
    """

    role: str
    lps_mm: Point


@dataclass(frozen=True)
class Measurement:
    """One measured quantity with its band.

    Attributes:
        name: What was measured, such as ``axial_long_diameter``.
        target: The lesion's id, or the structure's name.
        value: Best estimate.
        unit: ``mm``, ``ml``, ``HU``, ``%`` or ``1``; clinical items have units of their own.
        low: Lower end of the 95 % band.
        high: Upper end of the 95 % band.
        method: How it was measured, one line.
        evidence: Where it was measured.
        sources: Series UIDs that it was measured on.
        slices: SOP instance UIDs of the slices that it was measured in, where it lies in slices and these are known.
    """

    name: str
    target: str
    value: float
    unit: str
    low: float
    high: float
    method: str
    evidence: tuple[EvidencePoint, ...] = ()
    sources: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in (self.value, self.low, self.high)):
            raise ValueError(f"{self.name}: a measurement is a finite number; say NotMeasured instead")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.name}: {self.value} lies outside its band {self.low} to {self.high}")


@dataclass(frozen=True)
class NotMeasured:
    """A quantity that was asked for and could not be measured. Unknown is never 0, NaN or None.

    Attributes:
        name: What should have been measured.
        target: The lesion's id, or the structure's name.
        reason: One sentence for a person.
    """

    name: str
    target: str
    reason: str


Measured = Measurement | NotMeasured


@dataclass(frozen=True)
class Lesion:
    """One lesion and all that was measured of it.

    Attributes:
        id: ``L1``, ``L2``, ... by falling volume, or the reader's own name.
        centroid_lps_mm: Centre of gravity.
        quantities: What was measured of it, or why not.
        site: Where it lies: ``liver`` (also when no liver is drawn), or ``outside_liver``.
    """

    id: str
    centroid_lps_mm: Point
    quantities: tuple[Measured, ...]
    site: str = "liver"

    def quantity(self, name: str) -> Measured:
        """The quantity of that name; NotMeasured when nobody asked for it."""
        return find(self.quantities, name, target=self.id)


@dataclass(frozen=True)
class MeasurementSet:
    """All measurements of one study.

    Attributes:
        lesions: Each lesion with its quantities.
        organs: Quantities of the liver and other whole structures.
        warnings: What a reader must know before using the numbers.
    """

    lesions: tuple[Lesion, ...]
    organs: tuple[Measured, ...]
    warnings: tuple[str, ...] = ()


def find(quantities: tuple[Measured, ...], name: str, *, target: str) -> Measured:
    """The quantity of that name, or a NotMeasured that says it was not asked for."""
    for quantity in quantities:
        if quantity.name == name:
            return quantity
    return NotMeasured(name, target, "this quantity was not asked for")
