"""RT structure sets: closed planar contours in patient coordinates (PS3.3 A.19 and C.8.8.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmread

from liverimg.core.drawing import Drawing, Drawings
from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.dicom.contours import Filled, fill_contours
from liverimg.dicom.drawn import code_of, unreadable
from liverimg.dicom.tags import PARSER_ERRORS, quiet

_CLOSED: Final = frozenset(("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"))
_FEWEST_POINTS: Final = 3
_FARTHEST_MM: Final = 1e5


@dataclass(frozen=True, eq=False)
class _Region:
    name: str
    number: int
    contours: tuple[FloatArray, ...] = field(repr=False)
    codes: tuple[str, ...]
    automatic: bool | None


def read_rtstruct(path: Path, *, on: Grid, wanted: Callable[[str], bool] = lambda _: True) -> Drawings:
    """Reads the regions of a structure set as masks on a grid.

    Regions without contours were never drawn and are left out, as are mere points.

    Args:
        path: The file.
        on: Grid of the series that the labels shall lie on, in the same frame of reference.
        wanted: Says of a name whether its region matters; what filling it meant is noted for these only.

    Raises:
        InputRefusedError: Damaged, or no region with closed contours; of open or crooked contours too.
    """
    try:
        with quiet():
            dataset = dcmread(path, force=True)
            regions = tuple(_regions(path, dataset))
    except PARSER_ERRORS as error:
        raise unreadable(path, error) from error
    if not regions:
        raise InputRefusedError(
            f"{path.name} holds no region with closed contours, expected at least the liver; export the structure set "
            "with its contours"
        )
    drawings, notes = [], []
    for region in regions:
        filled = _fill(path, region, on) if wanted(region.name) else None
        if filled is not None:
            notes += _notes(region.name, filled)
        packed = None if filled is None else np.packbits(filled.mask)
        drawings.append(Drawing(region.name, _unpack(packed, on), codes=region.codes, automatic=region.automatic))
    return Drawings(tuple(drawings), on, tuple(notes))


def _unpack(packed: Any, on: Grid) -> Callable[[], BoolArray]:
    """A mask kept at a bit a voxel until it is asked for."""

    def read() -> BoolArray:
        if packed is None:
            return np.zeros(on.shape, dtype=bool)
        return np.unpackbits(packed, count=int(np.prod(on.shape))).astype(bool).reshape(on.shape)

    return read


def _regions(path: Path, dataset: Any) -> Iterable[_Region]:
    drawn = {int(roi.ReferencedROINumber): roi for roi in dataset.get("ROIContourSequence", ()) or ()}
    said = {int(o.ReferencedROINumber): o for o in dataset.get("RTROIObservationsSequence", ()) or ()}
    for roi in dataset.get("StructureSetROISequence", ()) or ():
        number = int(roi.ROINumber)
        name = str(roi.get("ROIName", "") or f"region {number}").strip()
        contours = _contours(path, name, drawn.get(number))
        if contours:
            algorithm = str(roi.get("ROIGenerationAlgorithm", "") or "").upper()
            yield _Region(
                name=name,
                number=number,
                contours=contours,
                codes=code_of(said[number].get("RTROIIdentificationCodeSequence")) if number in said else (),
                automatic={"AUTOMATIC": True, "SEMIAUTOMATIC": False, "MANUAL": False}.get(algorithm),
            )


def _contours(path: Path, name: str, roi: Any) -> tuple[FloatArray, ...]:
    found = []
    for contour in (roi.get("ContourSequence", ()) or ()) if roi is not None else ():
        kind = str(contour.get("ContourGeometricType", "")).upper()
        if kind == "POINT":
            continue
        if kind not in _CLOSED:
            raise InputRefusedError(
                f"the region {name!r} of {path.name} has a contour of type {kind or 'unknown'}, expected closed planar "
                "contours; close it, or take the region out"
            )
        flat = np.asarray([float(v) for v in contour.ContourData], dtype=float)
        if flat.size % 3 or not np.isfinite(flat).all() or np.abs(flat).max(initial=0) > _FARTHEST_MM:
            raise InputRefusedError(
                f"the region {name!r} of {path.name} has a contour that is no list of points in millimetres; export it "
                "anew"
            )
        points = flat.reshape(-1, 3)
        # A contour of one or two points encloses nothing; editors leave such behind.
        if len(points) >= _FEWEST_POINTS:
            found.append(points)
    return tuple(found)


def _fill(path: Path, region: _Region, on: Grid) -> Filled:
    try:
        return fill_contours(region.contours, on)
    except InputRefusedError as error:
        raise InputRefusedError(f"the region {region.name!r} of {path.name} can't be read: {error}") from error


def _notes(name: str, filled: Filled) -> list[str]:
    notes = []
    if filled.interpolated:
        notes.append(
            f"{name} was not drawn on every slice: {filled.interpolated} slices between its contours were interpolated."
        )
    if filled.open_gaps:
        notes.append(
            f"{name} has {filled.open_gaps} gap(s) between contours wider than their distance elsewhere; left open."
        )
    if filled.holes:
        notes.append(f"{name} has contours inside contours: they were read as holes.")
    if filled.crossing:
        notes.append(f"{name} has contours that cross within one slice: what two of them share counts as outside.")
    if filled.off_slices:
        notes.append(
            f"{name} was drawn in other planes than the slices of the measured series: each voxel took the nearest."
        )
    return notes
