"""What an ablation left: zones without enhancement, and what still enhances at their border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.core.volume import read_only


@dataclass(frozen=True)
class Zone:
    """One ablation zone.

    Attributes:
        id: ``Z1``, ``Z2``, ... by falling volume, or a reader's own name.
        value: Its value in the map.
        lesions: Lesions of the baseline that it was made for; empty when that could not be told.
        origin: ``drawn`` (by a person or a file), ``model`` or ``rule``.
        error_mm: Distance within which the true border lies in 95 % of places, beyond what the voxel size explains.
        notes: What a reader must know: gas, oil, blood or a rim inside or around it, one sentence each.
        perhaps_older: Whether it may be dead tissue that the tumour had before, and no ablation zone.
    """

    id: str
    value: int
    lesions: tuple[str, ...]
    origin: str
    error_mm: float
    notes: tuple[str, ...] = ()
    perhaps_older: bool = False


@dataclass(frozen=True)
class Focus:
    """A piece at a zone's border that still enhances as living tumour does.

    Attributes:
        id: ``R1``, ``R2``, ...
        value: Its value in the map.
        zone: The zone that it lies at.
        lesions: Lesions of the baseline that it may be a rest of.
        origin: As of the zone.
        phases: Phases in which it enhances.
        notes: What a reader must know.
    """

    id: str
    value: int
    zone: str
    lesions: tuple[str, ...]
    origin: str
    phases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ZoneMap:
    """Ablation zones and residual foci on the grid of the later study's reference series.

    Attributes:
        array: 0, or the value of a zone or focus; shape ``grid.shape``, read-only.
        grid: Where the voxels lie.
        zones: The zones.
        foci: The residual foci; none drawn does not mean that there are none (``foci_unknown``).
        absent: Lesions of the baseline without a zone, each with the reason in one sentence.
        foci_unknown: Zones whose border could not be judged (no arterial phase, dense oil), each with the reason.
        smallest_focus_mm: Diameter from which foci were looked for; None when nobody looked.
        model: Name and version of the model that drew the zones of origin ``model``; empty where none of ours did.
    """

    array: NDArray[np.uint8] = field(repr=False)
    grid: Grid
    zones: tuple[Zone, ...]
    foci: tuple[Focus, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    foci_unknown: Mapping[str, str] = field(default_factory=dict)
    smallest_focus_mm: float | None = None
    model: str = ""

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GridMismatchError(f"the zones have shape {self.array.shape}, their grid {self.grid.shape}")
        values = [zone.value for zone in self.zones] + [focus.value for focus in self.foci]
        if len(set(values)) != len(values) or 0 in values:
            raise ValueError("each zone and focus wants a value of its own, and 0 means none")
        object.__setattr__(self, "array", read_only(self.array))
        object.__setattr__(self, "absent", MappingProxyType(dict(self.absent)))
        object.__setattr__(self, "foci_unknown", MappingProxyType(dict(self.foci_unknown)))

    def mask(self, part: Zone | Focus) -> BoolArray:
        """Voxels of one zone or focus."""
        return np.asarray(self.array == part.value)

    def zone_of(self, lesion: str) -> Zone | None:
        """The zone that was made for a lesion of the baseline; None when there is none."""
        return next((zone for zone in self.zones if lesion in zone.lesions), None)

    def foci_of(self, zone: Zone) -> tuple[Focus, ...]:
        """Foci at a zone."""
        return tuple(focus for focus in self.foci if focus.zone == zone.id)
