"""What was delineated, asked for by name and never by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import Grid
from liverimg.core.volume import read_only

BoolArray = NDArray[np.bool_]
_VALUES = 256
_BITS = 32
_AT_ONCE = 1 << 21


class Structure(StrEnum):
    """Everything a label may be called."""

    LIVER = "liver"
    TUMOUR = "tumour"
    HEPATIC_VEIN = "hepatic_vein"
    PORTAL_VEIN = "portal_vein"
    BILE_DUCT = "bile_duct"
    GALLBLADDER = "gallbladder"
    INFERIOR_VENA_CAVA = "inferior_vena_cava"
    AORTA = "aorta"
    SPLEEN = "spleen"
    KIDNEY = "kidney"
    STOMACH = "stomach"
    BOWEL = "bowel"
    HEART = "heart"
    LUNG = "lung"
    BONE = "bone"
    PANCREAS = "pancreas"
    GAS = "gas"
    ASCITES = "ascites"
    ABLATION_ZONE = "ablation_zone"
    SKIN = "skin"
    FAT = "fat"
    MUSCLE = "muscle"
    BODY = "body"


# Labels exclude each other voxel by voxel, so "the liver" of anatomy is the parenchyma plus what lies in it.
# BODY is everything inside the skin that has no label of its own (fat, muscle, unnamed organs).
LIVER_CONTENTS = (
    Structure.LIVER,
    Structure.TUMOUR,
    Structure.ABLATION_ZONE,
)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Delineated structures on one grid; one voxel carries one label at most.

    Attributes:
        array: Label values, shape ``grid.shape``, 0 for none, read-only.
        grid: Where the voxels lie.
        structures: Value of each structure that *could* have been drawn. A structure that is not a key was
            never looked for: its absence from the array says nothing.
        lesions: Values of tumours that a reader numbered apart, by lesion name. They count as tumour too.
    """

    array: NDArray[np.uint8] = field(repr=False)
    grid: Grid
    structures: Mapping[Structure, int]
    lesions: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GridMismatchError(f"the labels have shape {self.array.shape}, their grid {self.grid.shape}")
        values = [*self.structures.values(), *self.lesions.values()]
        if len(set(values)) != len(values) or 0 in values:
            raise ValueError("each structure wants a value of its own, and 0 means none")
        object.__setattr__(self, "array", read_only(self.array))
        object.__setattr__(self, "structures", MappingProxyType(dict(self.structures)))
        object.__setattr__(self, "lesions", MappingProxyType(dict(self.lesions)))

    def knows(self, structure: Structure) -> bool:
        """Whether the structure was looked for at all."""
        return structure in self.structures or (structure is Structure.TUMOUR and bool(self.lesions))

    def mask(self, *structures: Structure) -> BoolArray:
        """Voxels of any of the structures; all false for one that was never looked for."""
        return any_of(self.array, self._values(structures))

    def mask_in(self, box: Box, *structures: Structure) -> BoolArray:
        """The part of :meth:`mask` in a box of voxels (k, j, i)."""
        return any_of(self.array[box], self._values(structures))

    def box(self, *structures: Structure) -> Box | None:
        """The box (k, j, i) around all voxels of the structures; None where there are none."""
        boxes = [self.boxes[value] for value in self._values(structures) if value in self.boxes]
        if not boxes:
            return None
        k, j, i = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
        return k, j, i

    def count(self, *structures: Structure) -> int:
        """How many voxels carry any of the structures. The array is gone through once, whatever is asked."""
        return int(self._counts[self._values(structures)].sum())

    def has(self, structure: Structure) -> bool:
        """Whether at least one voxel carries the structure."""
        return self.count(structure) > 0

    def _values(self, structures: Iterable[Structure]) -> list[int]:
        asked = set(structures)
        numbered = self.lesions.values() if Structure.TUMOUR in asked else ()
        return [*(self.structures[s] for s in asked if s in self.structures), *numbered]

    @cached_property
    def boxes(self) -> Mapping[int, Box]:
        """The box (k, j, i) around the voxels of each value that occurs, 0 left out."""
        present = np.flatnonzero(self._counts[1:]) + 1
        found: dict[int, Box] = {}
        for start in range(0, len(present), _BITS):
            found |= _boxes_of(self.array, present[start : start + _BITS])
        return MappingProxyType(found)

    @cached_property
    def _counts(self) -> NDArray[np.intp]:
        """Voxels of each value, counted in pairs: ``bincount`` takes eight bytes for each number that it is given."""
        flat = np.ascontiguousarray(self.array).reshape(-1)
        pairs = np.zeros(_VALUES * _VALUES, dtype=np.intp)
        even = len(flat) - len(flat) % 2
        for start in range(0, even, _AT_ONCE):
            pairs += np.bincount(flat[start : min(start + _AT_ONCE, even)].view(np.uint16), minlength=len(pairs))
        each = pairs.reshape(_VALUES, _VALUES)
        return np.asarray(each.sum(axis=0) + each.sum(axis=1) + np.bincount(flat[even:], minlength=_VALUES))


def any_of(array: NDArray[np.uint8], values: Sequence[int]) -> BoolArray:
    """Where any of the values stands.

    Args:
        array: Shape (k, j, i).
        values: None gives a mask without a voxel.
    """
    found = np.zeros(array.shape, dtype=bool)
    if not values:
        return found
    first, *further = (np.uint8(value) for value in values)
    # Slice by slice, so that what is compared again and again stays at hand.
    for one, out in zip(array, found, strict=True):
        np.equal(one, first, out=out)
        for value in further:
            np.logical_or(out, one == value, out=out)
    return found


def _boxes_of(array: NDArray[np.uint8], values: NDArray[np.intp]) -> dict[int, Box]:
    """The box around each of some values that occur: a bit for each, gathered along every axis in one go."""
    bit_of = np.zeros(_VALUES, dtype=np.uint32)
    bit_of[values] = np.uint32(1) << np.arange(len(values), dtype=np.uint32)
    along = [np.zeros(size, dtype=np.uint32) for size in array.shape]
    for k, part in enumerate(array):
        bits = bit_of.take(part)
        columns = np.bitwise_or.reduce(bits, axis=0)
        along[0][k] = np.bitwise_or.reduce(columns)
        along[1] |= np.bitwise_or.reduce(bits, axis=1)
        along[2] |= columns
    found = {}
    for value in values:
        planes, rows, columns = (np.flatnonzero(bits & bit_of[value]) for bits in along)
        found[int(value)] = (_span(planes), _span(rows), _span(columns))
    return found


def _span(index: NDArray[np.intp]) -> slice:
    return slice(int(index[0]), int(index[-1]) + 1)


class QualityCode(StrEnum):
    """What a look at image and labels may find; ``docs/reference/quality-findings.md`` explains each."""

    NO_LIVER_IN_VIEW = "no_liver_in_view"
    LIVER_CUT_OFF = "liver_cut_off"
    LIVER_VOLUME_IMPLAUSIBLE = "liver_volume_implausible"
    MODEL_UNSURE = "model_unsure"
    LIVER_ON_THE_LEFT = "liver_on_the_left"
    UPSIDE_DOWN = "upside_down"
    FRONT_TO_BACK = "front_to_back"
    VESSELS_NOT_VISIBLE = "vessels_not_visible"
    DUCTS_NOT_VISIBLE = "ducts_not_visible"
    GALLBLADDER_NOT_SEEN = "gallbladder_not_seen"
    THICK_SLICES = "thick_slices"
    NOISE_HIGH = "noise_high"
    PHASE_LEFT_OUT = "phase_left_out"
    PHASE_CONTRADICTED = "phase_contradicted"
    PHASE_BY_IMAGE = "phase_by_image"


@dataclass(frozen=True)
class QualityFinding:
    """One thing that a reader must know before using the labels.

    Attributes:
        code: What kind of thing.
        sentence: For a person.
        structure: What it is about, if one structure; no longer true once a person has corrected that.
    """

    code: QualityCode
    sentence: str
    structure: Structure | None = None


@dataclass(frozen=True)
class LabelQuality:
    """How far a set of labels can be trusted; measurements take their bands from it.

    Attributes:
        origin: ``model``, ``external`` (given with ``--labels``), ``external_model`` (drawn by a model of another
            program, run by us or before) or ``edited`` (corrected by a reader).
        surface_error_mm: Per structure, the distance within which the true surface lies in 95 % of places,
            beyond what the voxel size explains.
        surface_error_assumed: Whether these errors are assumptions, because nobody measured them.
        lesion_error_mm: The same for single tumours, by lesion name; the others take that of the tumours at large.
        not_visible: Structures that cannot be judged on this image, each with its reason. Their distances
            are unknown, not far.
        incomplete: Structures of which parts are likely to be missing, each with the reason. A distance to what
            was drawn is then the most that it can be.
        notes: What a reader must know of whoever drew the labels.
        model: Name and version of the model that drew them, if one did.
        findings: What a look at image and labels found.
        corrected: Structures that a reader has corrected, when ``edited``.
    """

    origin: str
    surface_error_mm: Mapping[Structure, float] = field(default_factory=dict)
    lesion_error_mm: Mapping[str, float] = field(default_factory=dict)
    not_visible: Mapping[Structure, str] = field(default_factory=dict)
    incomplete: Mapping[Structure, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    model: str | None = None
    findings: tuple[QualityFinding, ...] = ()
    surface_error_assumed: bool = False
    corrected: frozenset[Structure] = frozenset()

    def by_person(self, *structures: Structure) -> bool:
        """Whether a person stands for any of the structures: drew it, or corrected it after a model."""
        return self.origin == "external" or not self.corrected.isdisjoint(structures)

    def of_lesion(self, lesion: str) -> LabelQuality:
        """The same, with this lesion's own error as that of the tumours where one is known."""
        if lesion not in self.lesion_error_mm:
            return self
        own = {Structure.TUMOUR: self.lesion_error_mm[lesion]}
        return replace(self, surface_error_mm={**self.surface_error_mm, **own})
