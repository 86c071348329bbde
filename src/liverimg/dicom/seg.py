"""DICOM Segmentation objects: binary, fractional and label map (PS3.3 A.51 and A.51.6).

highdicom decodes the frames and finds their places; here they are put on the grid of the series that they were
drawn on, slice by slice, so that slices without a frame stay empty and are never filled from their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from highdicom.seg import Segmentation, SegmentationTypeValues, segread
from numpy.typing import NDArray
from pydicom import dcmread

from liverimg.core.drawing import Drawing, Drawings
from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.dicom.drawn import code_of, unreadable
from liverimg.dicom.tags import PARSER_ERRORS, quiet

# Positions a kilometre apart would ask for more memory than there is.
_MOST_VOXELS: Final = 1 << 30
# In voxels: decimal strings of 16 characters and single precision leave far less.
_ON_THE_SLICE: Final = 0.05
_HALF: Final = 0.5
_NOWHERE: Final = "2.25.3"


def read_seg(path: Path, *, on: Grid, drawn_on_it: bool) -> Drawings:
    """Reads the segments of a SEG; their voxels are decoded when they are asked for.

    Args:
        path: The file.
        on: Grid of the series that the labels shall lie on.
        drawn_on_it: Whether the object says that it was drawn on that series: frames then belong to its slices.

    Returns:
        Drawings on ``on`` when the frames lie on its slices, else on the object's own grid.

    Raises:
        InputRefusedError: Damaged, without segments, a slide, or unevenly spaced frames.
    """
    try:
        with quiet():
            seg = _opened(path)
            if seg.is_tiled:
                raise InputRefusedError(f"{path.name} outlines a microscope slide, expected a CT or MR series")
            geometry = seg.get_volume_geometry()
            items = [item for item in seg.SegmentSequence if int(item.SegmentNumber) > 0]
    except PARSER_ERRORS as error:
        raise unreadable(path, error) from error
    if geometry is None:
        raise InputRefusedError(
            f"the frames of {path.name} are not evenly spaced and parallel, expected slices of one volume; export the "
            "segmentation anew from the series it was drawn on"
        )
    if np.prod([float(n) for n in geometry.spatial_shape]) > _MOST_VOXELS:
        raise InputRefusedError(f"the frames of {path.name} lie too far apart for one volume; export it anew")
    k, j, i = (int(n) for n in geometry.spatial_shape)
    frame_uid = str(seg.get("FrameOfReferenceUID", ""))
    own = Grid(
        (k, j, i), np.asarray(geometry.affine, dtype=float), frame_uid if frame_uid not in ("", _NOWHERE) else None
    )
    slices = _slices_on(own, on) if drawn_on_it else None
    voxels = _decoder(path, seg)
    drawings = tuple(_drawing(item, voxels, slices, on) for item in items)
    notes: tuple[str, ...] = ()
    if seg.segmentation_type is SegmentationTypeValues.FRACTIONAL:
        notes = (f"{path.name} holds fractions: a voxel counts as drawn from one half on.",)
    return Drawings(drawings, own if slices is None else on, notes)


def _opened(path: Path) -> Segmentation:
    """The object; one without a frame of reference, which the standard allows, gets the stand-in highdicom wants."""
    seg = segread(path)
    if "FrameOfReferenceUID" in seg:
        return seg
    dataset = dcmread(path)
    dataset.FrameOfReferenceUID = _NOWHERE
    return Segmentation.from_dataset(dataset, copy=False)


def _slices_on(own: Grid, on: Grid) -> NDArray[np.int64] | None:
    """The slice of ``on`` that each slice of the object is, counted as the object counts; None when they differ."""
    if own.shape[1:] != on.shape[1:]:
        return None
    corners = [(0, 0, 0), (0, own.shape[1] - 1, 0), (0, 0, own.shape[2] - 1)]
    index = on.lps_mm_to_index(own.index_to_lps_mm(corners))
    step = on.lps_mm_to_index(own.index_to_lps_mm((1, 0, 0))) - index[0]
    expected = [(index[0, 0], 0, 0), (index[0, 0], on.shape[1] - 1, 0), (index[0, 0], 0, on.shape[2] - 1)]
    along = index[0, 0] + np.arange(own.shape[0]) * step[0]
    apart = np.abs(along - np.rint(along)).max()
    if max(np.abs(index - expected).max(), np.abs(step[1:]).max() * own.shape[0], apart) > _ON_THE_SLICE:
        return None
    return np.asarray(np.rint(along), dtype=np.int64)


def _decoder(path: Path, seg: Segmentation) -> Callable[[int], BoolArray]:
    """Gives the voxels of a segment by its number, on the object's own grid."""

    @cache
    def label_map() -> NDArray[Any]:
        # One value a voxel: decoded once for all segments.
        return np.asarray(seg.get_volume(combine_segments=True, skip_overlap_checks=True).array)

    def read(number: int) -> BoolArray:
        try:
            with quiet():
                if seg.segmentation_type is SegmentationTypeValues.LABELMAP:
                    return np.asarray(label_map() == number)
                return np.asarray(seg.get_volume(segment_numbers=[number]).array[..., 0] >= _HALF)
        except PARSER_ERRORS as error:
            raise unreadable(path, error) from error

    return read


def _drawing(item: Any, voxels: Callable[[int], BoolArray], slices: NDArray[np.int64] | None, on: Grid) -> Drawing:
    number = int(item.SegmentNumber)
    region = item.get("AnatomicRegionSequence") or item.get("PrimaryAnatomicStructureSequence")
    algorithm = str(item.get("SegmentAlgorithmType", "")).upper()
    return Drawing(
        name=str(item.get("SegmentLabel", "") or f"segment {number}"),
        mask=_mask(voxels, number, slices, on),
        codes=code_of(item.get("SegmentedPropertyTypeCodeSequence")),
        region_codes=code_of(region),
        automatic={"AUTOMATIC": True, "SEMIAUTOMATIC": False, "MANUAL": False}.get(algorithm),
        always_there=True,
    )


def _mask(
    voxels: Callable[[int], BoolArray], number: int, slices: NDArray[np.int64] | None, on: Grid
) -> Callable[[], BoolArray]:
    def read() -> BoolArray:
        drawn = voxels(number)
        if slices is None:
            return drawn
        out = np.zeros(on.shape, dtype=bool)
        inside = (slices >= 0) & (slices < on.shape[0])
        out[slices[inside]] = drawn[inside]
        return out

    return read
