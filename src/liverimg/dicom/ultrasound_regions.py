"""Which part of an ultrasound frame is a picture, and how large its pixels are.

SequenceOfUltrasoundRegions (0018,6011) calibrates rectangles of the frame, not the frame (PS3.3 C.8.5.5). Unit
code 3, centimetre, is the only spatial one. Whatever doesn't hold together yields no millimetres and the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from liverimg.core.cine import Box, Clip, Region
from liverimg.dicom.codes import Flag

TWO_DIMENSIONAL: Final = 1
_CENTIMETRE: Final = 3
_UNITS: Final = {
    0: "none or not applicable", 1: "percent", 2: "dB", 4: "seconds", 5: "hertz", 6: "dB per second", 7: "cm/s",
    8: "cm2", 9: "cm2/s", 10: "cm3", 11: "cm3/s", 12: "degrees",
}  # fmt: skip
_COLOUR_FLOW: Final = 2
_MM_PER_CM: Final = 10.0
# Some writers count the corner one past the last pixel.
_OVERHANG_PX: Final = 1
# Two regions give one spacing when they agree this well.
_SAME_SPACING: Final = 0.01
# Panes side by side: of similar width, at similar height, hardly overlapping.
_WIDTHS: Final = 1.5
_SHARED_HEIGHT: Final = 0.7
_SHARED_WIDTH: Final = 0.05


@dataclass(frozen=True)
class Calibration:
    """Pixel spacing of a picture, or why there is none.

    Attributes:
        spacing_mm: Along rows' index j and columns' index i, or None.
        detail: Which region says so, or the reason.
        flags: What is unusual about it.
    """

    spacing_mm: tuple[float, float] | None
    detail: str
    flags: tuple[Flag, ...] = ()


def region_box(region: Region, shape: tuple[int, int]) -> Box | None:
    """The region's rectangle; None when it is empty or reaches beyond a frame of ``shape``."""
    x0, y0, x1, y1 = region.corners_xy
    rows, columns = shape
    if x1 < x0 or y1 < y0 or x0 < 0 or y0 < 0 or x1 >= columns + _OVERHANG_PX or y1 >= rows + _OVERHANG_PX:
        return None
    if x0 >= columns or y0 >= rows:
        return None
    return Box(y0, min(y1 + 1, rows), x0, min(x1 + 1, columns))


def calibration(
    box: Box, regions: Sequence[Region], shape: tuple[int, int], *, limits: Mapping[str, Any]
) -> Calibration:
    """Pixel spacing of the picture in ``box``.

    Args:
        box: The picture, in the stored frame.
        regions: All regions of the file.
        shape: Rows and columns of the stored frame.
        limits: Table ``calibration`` of ``ultrasound.toml``.
    """
    if not regions:
        return Calibration(None, "the file holds no calibration (no ultrasound regions)")
    boxes = [region_box(region, shape) for region in regions]
    if any(b is None for b in boxes):
        return Calibration(
            None, "a region is empty or larger than the image, which was then scaled after its calibration"
        )
    covering = [r for r, b in zip(regions, boxes, strict=True) if b is not None and b.holds(box) and _is_picture(r)]
    if not covering:
        return Calibration(None, "no two-dimensional region of the file covers this picture")
    found = [_spacing(region, limits) for region in covering]
    refused = [entry for entry in found if isinstance(entry, str)]
    spacings = [entry for entry in found if not isinstance(entry, str)]
    if not spacings:
        return Calibration(None, refused[0])
    first = spacings[0]
    if any(abs(a / b - 1) > _SAME_SPACING for other in spacings[1:] for a, b in zip(first, other, strict=True)):
        return Calibration(None, "two regions cover this picture and disagree about the size of its pixels")
    index = next(n for n, r in enumerate(regions) if r in covering and not isinstance(_spacing(r, limits), str))
    mirrored = any(delta < 0 for delta in regions[index].deltas_xy or ())
    note = ", an axis runs backwards" if mirrored else ""
    return Calibration(first, f"region {index + 1} of {len(regions)}{note}", (Flag.MIRRORED_AXIS,) if mirrored else ())


def clip_calibration(clip: Clip, *, limits: Mapping[str, Any]) -> Calibration:
    """Scale of a clip's first picture as far as its regions tell, before pixels are read."""
    boxes = picture_boxes(clip.regions, clip.stored_shape)
    whole = Box(0, clip.stored_shape[0], 0, clip.stored_shape[1])
    return calibration(boxes[0] if boxes else whole, clip.regions, clip.stored_shape, limits=limits)


def _is_picture(region: Region) -> bool:
    return region.spatial_format == TWO_DIMENSIONAL


def _spacing(region: Region, limits: Mapping[str, Any]) -> tuple[float, float] | str:
    """Spacing along j and i, or the reason why there is none. The sign of a delta is its direction, not its size."""
    other = [unit for unit in region.units_xy if unit != _CENTIMETRE]
    if other:
        return f"the region's unit is {_UNITS.get(other[0], 'unknown')}, not centimetre"
    if region.deltas_xy is None or not all(math.isfinite(d) and d != 0 for d in region.deltas_xy):
        return "the region gives no size of its pixels"
    across_mm, down_mm = (abs(delta) * _MM_PER_CM for delta in region.deltas_xy)
    x0, y0, x1, y1 = region.corners_xy
    least, most = limits["least_depth_mm"], limits["most_depth_mm"]
    extents_mm = (x1 - x0 + 1) * across_mm, (y1 - y0 + 1) * down_mm
    if max(extents_mm) < least or extents_mm[1] > most:
        return (
            f"the region would show {extents_mm[0]:.4g} x {extents_mm[1]:.4g} mm, believable are depths of "
            f"{least:g} to {most:g} mm"
        )
    return down_mm, across_mm


def picture_boxes(regions: Sequence[Region], shape: tuple[int, int]) -> tuple[Box, ...]:
    """Rectangles that regions call two-dimensional pictures: none, one, or two side by side from left to right.

    A colour box inside a tissue picture belongs to that picture. More than two, or two that do not stand side by
    side, tell nothing: then the pixels must.
    """
    boxes: list[Box] = []
    for region in sorted(regions, key=lambda r: r.data_type == _COLOUR_FLOW):
        box = region_box(region, shape) if _is_picture(region) else None
        if box is not None and not any(known.holds(box) for known in boxes):
            boxes = [known for known in boxes if not box.holds(known)] + [box]
    boxes.sort(key=lambda b: b.left)
    if len(boxes) == 2 and not side_by_side(*boxes):
        return ()
    return tuple(boxes) if len(boxes) <= 2 else ()


def side_by_side(left: Box, right: Box) -> bool:
    """Whether two rectangles stand beside each other like the panes of a dual display."""
    widths = sorted((left.shape[1], right.shape[1]))
    heights = min(left.shape[0], right.shape[0])
    shared_height = min(left.bottom, right.bottom) - max(left.top, right.top)
    shared_width = min(left.right, right.right) - max(left.left, right.left)
    return (
        widths[1] <= _WIDTHS * widths[0]
        and shared_height >= _SHARED_HEIGHT * heights
        and shared_width <= _SHARED_WIDTH * widths[0]
    )
