"""Couinaud segments that somebody drew: which drawings are segments, and the map that they make together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from liverimg.core.drawing import Drawings
from liverimg.core.grid import Grid
from liverimg.core.nearest import on_grid
from liverimg.segmentation.label_names import plain

_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8}
_NAME = re.compile(
    r"(?P<whose>(?:liver |couinaud |hepatic )*)(?P<kind>segment|seg|couinaud|s)\s*"
    r"(?P<number>[1-8]|viii|vii|vi|iv|v|iii|ii|i)\s*[ab]?"
)
_ALL = frozenset(range(1, 9))


def segment_of(name: str, codes: tuple[str, ...] = (), *, meanings: Mapping[str, int]) -> int | None:
    """Which of the segments 1 to 8 a name or a code means; 4a and 4b are 4; None for anything else.

    Args:
        name: What its author called it.
        codes: As ``SCT:71133005``.
        meanings: Segment of each code.
    """
    for code in codes:
        if code in meanings:
            return meanings[code]
    match = _NAME.fullmatch(plain(name))
    if match is None:
        return None
    number = match["number"]
    return int(number) if number.isdigit() else _ROMAN[number]


def bare_segments(names: Iterable[str]) -> frozenset[str]:
    """Names such as ``Segment_1`` that mean Couinaud segments because all eight are there.

    Alone such a name means nothing: 3D Slicer calls the first drawing of anything so.
    """
    bare = {name: n for name in names if _is_bare(name) and (n := segment_of(name, meanings={})) is not None}
    return frozenset(bare) if _ALL.issubset(bare.values()) else frozenset()


def _is_bare(name: str) -> bool:
    match = _NAME.fullmatch(plain(name))
    return match is not None and not match["whose"] and match["kind"] != "couinaud"


def drawn_segments(drawings: Drawings, meanings: Mapping[str, int], *, on: Grid) -> NDArray[np.uint8] | None:
    """The segment of each voxel, 0 where none is drawn; None when no drawing is a segment.

    Where two segments overlap the higher number counts.

    Args:
        drawings: From one file or folder, in one patient space with ``on``.
        meanings: Segment of each code.
        on: Grid of the map.
    """
    found: NDArray[np.uint8] | None = None
    bare = bare_segments(d.name for d in drawings.drawings)
    numbered = [
        (segment_of(d.name, d.codes, meanings=meanings), d)
        for d in drawings.drawings
        if d.name in bare or not _is_bare(d.name) or any(code in meanings for code in d.codes)
    ]
    same = drawings.grid.fits_in_space(on)
    for number, drawing in sorted(((n, d) for n, d in numbered if n is not None), key=lambda pair: pair[0]):
        found = np.zeros(on.shape, dtype=np.uint8) if found is None else found
        mask = drawing.mask()
        found[mask if same else on_grid(mask, drawings.grid, on)] = number
    return found if found is not None and found.any() else None
