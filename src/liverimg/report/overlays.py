"""What is drawn over a slice: outlines of structures and callipers, as vectors in millimetres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure
from liverimg.core.measurement import Measurement
from liverimg.report.holes import without_holes
from liverimg.report.level_lines import level_lines, simplified
from liverimg.report.planes import Box, Plane, Scene
from liverimg.report.text import Strings, short_title, value_text

_CROP_PIXELS = 3  # outlines run this far beyond the picture, so that the cut itself is never drawn
_SIMPLIFY_PIXELS = 0.12  # far below what a screen shows
_TAG_GAP = 0.035  # of the picture's size, between a line's end and its tag
_ROUNDING_MM = 1e-6


@dataclass(frozen=True)
class Outline:
    """The edge of one structure in one picture.

    Attributes:
        structure: Which structure.
        path: SVG path data in mm from the picture's upper left corner.
        emphasised: Whether it is what the picture is about.
    """

    structure: Structure
    path: str
    emphasised: bool = False


@dataclass(frozen=True)
class Calliper:
    """A measured distance drawn between its two ends, in mm from the picture's upper left corner.

    Attributes:
        label: Short name and value.
        tag: Short name alone, written beside the line.
        start: x, y of the first evidence point.
        end: x, y of the second.
        tag_at: x, y of the tag.
        anchor: SVG text-anchor of the tag.
        off_plane_mm: How far the farther end lies off the plane; the line is then a projection.
        projected: Whether it leaves the plane by more than half a slice.
    """

    label: str
    tag: str
    start: tuple[float, float]
    end: tuple[float, float]
    ticks: tuple[tuple[float, float, float, float], ...]
    tag_at: tuple[float, float]
    anchor: str
    off_plane_mm: float
    projected: bool


@dataclass(frozen=True, eq=False)
class LesionMask:
    """The voxels of one lesion, as a block of the scene.

    Attributes:
        start_kji: Index of the block's first voxel.
        mask: Block of truth values.
    """

    start_kji: NDArray[np.int_]
    mask: BoolArray

    @property
    def stop_kji(self) -> NDArray[np.int_]:
        """Index just beyond the block's last voxel."""
        return np.asarray(self.start_kji + self.mask.shape)

    def largest_slice(self) -> int:
        """Index along k of the slice with the largest area."""
        return int(self.start_kji[0] + np.argmax(self.mask.sum(axis=(1, 2))))

    def cut(self, plane: Plane) -> BoolArray:
        """The lesion on a plane, rows down and columns across."""
        return np.asarray(plane.cut_block(self.mask, self.start_kji))


def bounds(mask: BoolArray) -> tuple[NDArray[np.int_], NDArray[np.int_]] | None:
    """First index inside and first index beyond a mask along each axis, or None when it is empty."""
    lower, upper = [], []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not hit.size:
            return None
        lower.append(int(hit[0]))
        upper.append(int(hit[-1]) + 1)
    return np.array(lower), np.array(upper)


def lesion_masks(scene: Scene, centroids_lps_mm: Mapping[str, tuple[float, float, float]]) -> dict[str, LesionMask]:
    """Finds each lesion's voxels: its own label where a reader numbered it, else the nearest component.

    A lesion whose voxels can't be found (nothing is delineated as tumour) is missing from the answer.
    """
    found: dict[str, LesionMask] = {}
    for name, value in scene.labels.lesions.items():
        extent = bounds(np.asarray(scene.labels.array == value))
        if name in centroids_lps_mm and extent is not None:
            inside = tuple(slice(a, b) for a, b in zip(*extent, strict=True))
            found[name] = LesionMask(extent[0], np.asarray(scene.labels.array[inside] == value))
    wanted = {name: at for name, at in centroids_lps_mm.items() if name not in found}
    unnamed = scene.labels.structures.get(Structure.TUMOUR)
    tumour = np.asarray(scene.labels.array == unnamed) if unnamed is not None else None
    extent = bounds(tumour) if wanted and tumour is not None else None
    if extent is None or tumour is None:
        return found
    lower, upper = extent
    block = tumour[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
    components, _ = ndimage.label(block, structure=np.ones((3, 3, 3)))
    boxes = ndimage.find_objects(components)
    centres = np.array([_middle(components, box, n) for n, box in enumerate(boxes, start=1)]) + lower
    for name, centroid in wanted.items():
        apart = np.linalg.norm(scene.grid.index_to_lps_mm(centres) - centroid, axis=1)
        nearest = int(np.argmin(apart))
        box = boxes[nearest]
        start = lower + np.array([side.start for side in box])
        found[name] = LesionMask(start, components[box] == nearest + 1)
    return found


def _middle(components: NDArray[np.integer], box: tuple[slice, ...], number: int) -> NDArray[np.float64]:
    """Middle of the voxels of one component, looked for in the box around it."""
    start = [side.start for side in box]
    return np.asarray(np.argwhere(components[box] == number).mean(axis=0) + start)


def outline_path(mask: BoolArray, plane: Plane, box: Box) -> str:
    """The edge of a mask on a plane as SVG path data, in mm from the box's upper left corner.

    The edge runs half-way between the centres of voxels inside and outside (marching squares).

    Args:
        mask: Rows down, columns across.
        plane: Where the mask lies.
        box: The part of the plane that the picture shows.
    """
    return outline_paths([mask], plane, box)[0]


def outline_paths(masks: Sequence[BoolArray], plane: Plane, box: Box) -> list[str]:
    """:func:`outline_path` of several masks on one plane."""
    height, width = plane.spacing_mm
    top = max(int(box.top / height) - _CROP_PIXELS, 0)
    left = max(int(box.left / width) - _CROP_PIXELS, 0)
    bottom, right = int(box.bottom / height) + _CROP_PIXELS + 1, int(box.right / width) + _CROP_PIXELS + 1
    parts = [mask[top:bottom, left:right] for mask in masks]
    lines = [level_lines(np.pad(part, 1).astype(np.float32), 0.5) if part.any() else [] for part in parts]
    whole = [line for own in lines for line in own]
    paths = []
    for line, points in zip(whole, simplified(whole, _SIMPLIFY_PIXELS), strict=True):
        y = (points[:, 0] - 1 + top + 0.5) * height - box.top
        x = (points[:, 1] - 1 + left + 0.5) * width - box.left
        steps = [f"{a:.2f} {b:.2f}" for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        paths.append("M" + "L".join(steps[:-1]) + "Z" if (line[0] == line[-1]).all() else "M" + "L".join(steps))
    ends = [0, *accumulate(len(own) for own in lines)]
    return ["".join(paths[a:b]) for a, b in pairwise(ends)]


def outlines(scene: Scene, plane: Plane, box: Box, structures: tuple[Structure, ...]) -> tuple[Outline, ...]:
    """Outlines of the structures that show on the plane, in the given order.

    The liver is drawn as one organ: parenchyma with the tumours and vessels that it encloses.
    """
    groups = [LIVER_CONTENTS if structure is Structure.LIVER else (structure,) for structure in structures]
    masks = [
        without_holes(mask) if structure is Structure.LIVER else mask
        for structure, mask in zip(structures, plane.cut_masks(scene.labels, *groups), strict=True)
    ]
    paths = outline_paths(masks, plane, box)
    return tuple(Outline(structure, path) for structure, path in zip(structures, paths, strict=True) if path)


def calliper(quantity: Measurement, plane: Plane, box: Box, strings: Strings) -> Calliper | None:
    """A measurement's line on a plane, or None when it has no two ends.

    Args:
        quantity: Its first two evidence points are the ends of the line.
        plane: The plane of the picture.
        box: The part of the plane that the picture shows.
        strings: The table of words; short names come from it.
    """
    if len(quantity.evidence) < 2:
        return None
    (x0, y0, off0), (x1, y1, off1) = (plane.place(point.lps_mm) for point in quantity.evidence[:2])
    start, end = (x0 - box.left, y0 - box.top), (x1 - box.left, y1 - box.top)
    off = max(abs(off0), abs(off1))
    along = np.subtract(end, start)
    length = float(np.hypot(*along))
    unit = along / length if length else np.array([1.0, 0.0])
    tick = 0.012 * max(box.width, box.height)
    across = np.array([-unit[1], unit[0]]) * tick
    ticks = tuple(
        (float(x - across[0]), float(y - across[1]), float(x + across[0]), float(y + across[1]))
        for x, y in (start, end)
    )
    tag = short_title(quantity.name, strings)
    label = f"{tag} {value_text(quantity, strings)}"
    tag_at, anchor = _tag_place(start, end, unit, box)
    leaves = off > plane.thickness_mm / 2 + _ROUNDING_MM
    return Calliper(label, tag, start, end, ticks, tag_at, anchor, off, leaves)


def _tag_place(
    start: tuple[float, float], end: tuple[float, float], unit: NDArray[np.float64], box: Box
) -> tuple[tuple[float, float], str]:
    # Just beyond the end that lies farther right or lower, where the tag never covers the line itself.
    forward = unit[0] > abs(unit[1]) / 2 or (abs(unit[0]) <= abs(unit[1]) / 2 and unit[1] > 0)
    at, outward = (np.array(end), unit) if forward else (np.array(start), -unit)
    at = at + outward * _TAG_GAP * max(box.width, box.height)
    x = float(np.clip(at[0], 0.06 * box.width, 0.94 * box.width))
    y = float(np.clip(at[1], 0.10 * box.height, 0.88 * box.height))
    return (x, y), "start" if outward[0] > 0.5 else "middle"
