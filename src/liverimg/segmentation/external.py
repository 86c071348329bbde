"""Labels made elsewhere: names and codes become structures, overlapping masks become one label map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from liverimg.core.drawing import Drawing, Drawings
from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.core.nearest import lattice_offset, on_grid
from liverimg.segmentation.drawn_segments import bare_segments
from liverimg.segmentation.label_names import IGNORE, UNDECIDED, NameRules, meaning_of, number_in, plain, spellings

_MOST_NAMED = 8
_FIRST_LESION_VALUE = 100
_LARGEST_VALUE = 255
# What other structures lie in by nature: drawing over them is no conflict.
_CONTAINERS = (Structure.LIVER, Structure.BODY, Structure.SKIN, Structure.FAT)


@dataclass(frozen=True, eq=False)
class Combined:
    """Labels from elsewhere as one label map.

    Attributes:
        labels: On the grid that was asked for.
        notes: What a reader must know of how they were made.
        incomplete: Structures of which only a part was drawn, with the reason.
        automatic: Structures that an algorithm drew, as far as the file says so.
        made_by: The program that drew them, if its names give it away.
    """

    labels: LabelMap = field(repr=False)
    notes: tuple[str, ...]
    incomplete: Mapping[Structure, str]
    automatic: frozenset[Structure]
    made_by: str | None


def combine(
    drawings: Drawings,
    rules: NameRules,
    values: Mapping[Structure, int],
    *,
    on: Grid,
    lesions_apart: bool = True,
) -> Combined:
    """Puts drawings together as one label map; several tumours become lesions of their own.

    Args:
        drawings: From one file or folder, in one patient space with ``on``.
        rules: What names mean and which structure counts where outlines overlap.
        values: Our own value of each structure.
        on: Grid of the labels.
        lesions_apart: Whether several drawings of tumours are lesions that a reader told apart; a model's are not.

    Raises:
        InputRefusedError: A name that nobody knows, no structure of ours, or nothing drawn at all.
    """
    segments = bare_segments(drawing.name for drawing in drawings.drawings)
    meanings = [
        meaning_of(drawing, rules) or (Structure.LIVER.value if drawing.name in segments else None)
        for drawing in drawings.drawings
    ]
    _refuse_unknown([d.name for d, meaning in zip(drawings.drawings, meanings, strict=True) if meaning is None])
    by_structure: dict[Structure, list[Drawing]] = {}
    undecided = []
    for drawing, meaning in zip(drawings.drawings, meanings, strict=True):
        if meaning == UNDECIDED:
            undecided.append(drawing.name)
        elif meaning is not None and meaning != IGNORE:
            by_structure.setdefault(Structure(meaning), []).append(drawing)
    if not by_structure:
        raise InputRefusedError(
            f"the labels hold none of the structures that can be measured, expected at least the liver; found: "
            f"{_listed([d.name for d in drawings.drawings])}"
        )
    made_by = _made_by([d for own in by_structure.values() for d in own], rules)
    painter = _Painter(drawings.grid, on, values)
    for structure in reversed(rules.priority):
        if structure in by_structure:
            painter.paint(structure, by_structure[structure], apart=lesions_apart and made_by is None)
    labels = painter.finish()
    automatic = {s for s, own in by_structure.items() if made_by or any(d.automatic for d in own)}
    notes = [*drawings.notes, *painter.notes(rules)]
    notes += [f"{name}: {rules.undecided_note}." for name in undecided]
    return Combined(labels, tuple(notes), _incomplete(by_structure, rules), frozenset(automatic), made_by)


def _refuse_unknown(names: list[str]) -> None:
    if names:
        raise InputRefusedError(
            f"the labels hold names that nobody here knows: {_listed(names)}; expected such as "
            f"{', '.join(s.value for s in list(Structure)[:5])}; say what they mean in a names.toml beside the file, "
            f'one line each, as in "{names[0]}" = "tumour", or = "ignore"'
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:64]) for name in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")


def _incomplete(by_structure: Mapping[Structure, list[Drawing]], rules: NameRules) -> dict[Structure, str]:
    """Structures all of whose drawings are known to be parts."""
    reasons = {}
    for structure, own in by_structure.items():
        parts = [rules.partial.get(plain(d.name)) for d in own]
        if all(parts):
            reasons[structure] = str(parts[0])
    return reasons


def _made_by(drawings: list[Drawing], rules: NameRules) -> str | None:
    names = {spelling for d in drawings for spelling in spellings(d.name)}
    return next((program for program, telling in rules.made_by.items() if telling & names), None)


class _Painter:
    """Paints structures over each other, the most important last, and keeps book of what happened."""

    def __init__(self, source: Grid, on: Grid, values: Mapping[Structure, int]) -> None:
        self._source, self._on, self._values = source, on, values
        self._same = source.fits_in_space(on)
        self._resampled = not self._same and lattice_offset(source, on) is None
        self._array = np.zeros(on.shape, dtype=np.uint8)
        self._structures: dict[Structure, int] = {}
        self._lesions: dict[str, int] = {}
        self._overlaps: list[str] = []
        self._lost = 0

    def paint(self, structure: Structure, drawings: list[Drawing], *, apart: bool) -> None:
        """One structure; tumours of which there are several get a value each."""
        if structure is Structure.TUMOUR and apart and len(drawings) > 1:
            self._paint_lesions(drawings)
            return
        together: BoolArray | None = None
        for drawing in drawings:
            # One at a time: the bones of a whole body are sixty masks.
            mask = self._here(drawing)
            if drawing.always_there or mask.any():
                together = mask if together is None else together | mask
        if together is not None:
            self._structures[structure] = self._values[structure]
            self._put(together, self._values[structure], structure.value)

    def _paint_lesions(self, drawings: list[Drawing]) -> None:
        names = _lesion_names(drawings)
        # The first drawn counts where two lesions overlap, so it is painted last.
        for drawing, name in reversed(list(zip(drawings, names, strict=True))):
            mask = self._here(drawing)
            if drawing.always_there or mask.any():
                self._put(mask, self._lesion_value(name), f"tumour {name}")

    def finish(self) -> LabelMap:
        """The label map.

        Raises:
            InputRefusedError: Nothing was drawn.
        """
        if not self._array.any():
            raise InputRefusedError(
                "every mask in the labels is empty on the series they belong to, expected at least a liver; check "
                "that they were exported with their voxels and for this study"
            )
        return LabelMap(self._array, self._on, self._structures, self._lesions)

    def notes(self, rules: NameRules) -> list[str]:
        """What resampling and overlaps did."""
        notes = []
        if self._resampled:
            spacing = " x ".join(f"{s:.3g}" for s in self._source.spacing_mm)
            notes.append(
                f"The labels lie on a grid of {spacing} mm (k, j, i) in the same frame of reference; each voxel of the "
                "measured series took the nearest label."
            )
        if self._lost:
            notes.append(f"{self._lost} labelled voxels lie outside of the measured series and were left out.")
        if self._overlaps:
            order = ", ".join(s.value for s in rules.priority)
            notes.append(
                f"Outlines overlap ({'; '.join(self._overlaps)}); there the first of this order counts: {order}."
            )
        return notes

    def _here(self, drawing: Drawing) -> BoolArray:
        mask = drawing.mask()
        if self._same:
            return mask
        here = on_grid(mask, self._source, self._on)
        if not self._resampled:
            self._lost += int(np.count_nonzero(mask)) - int(np.count_nonzero(here))
        return here

    def _put(self, mask: BoolArray, value: int, title: str) -> None:
        covered = self._array[mask]
        containers = [self._values[s] for s in _CONTAINERS if s in self._values]
        names = {v: s.value for s, v in self._structures.items()}
        names |= {v: f"tumour {name}" for name, v in self._lesions.items()}
        for other in np.unique(covered[covered > 0]):
            if int(other) != value and int(other) not in containers:
                count = int(np.count_nonzero(covered == other))
                self._overlaps.append(f"{title} over {names[int(other)]}: {count} voxels")
        self._array[mask] = value

    def _lesion_value(self, name: str) -> int:
        taken = {*self._values.values(), *self._lesions.values()}
        free = (v for v in range(_FIRST_LESION_VALUE + 1, _LARGEST_VALUE + 1) if v not in taken)
        value = next(free, None)
        if value is None:
            raise InputRefusedError("the labels hold more than 150 tumours apart; join them under one name")
        self._lesions[name] = value
        return value


def _lesion_names(drawings: list[Drawing]) -> list[str]:
    """``L`` and the number in each name, or 1, 2, ... when the names have none or share one."""
    numbers = [number_in(d.name) for d in drawings]
    if None in numbers or len(set(numbers)) < len(numbers):
        numbers = list(range(1, len(drawings) + 1))
    return [f"L{n}" for n in numbers]
