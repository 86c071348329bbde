"""Cuts through two studies at once: the same planes of the later one, the earlier one laid into them by a motion."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, LabelMap, Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.volume import Volume
from liverimg.report.encode import jpeg_uri
from liverimg.report.figures import grey_window
from liverimg.report.level_lines import level_lines, simplified
from liverimg.report.overlays import bounds
from liverimg.report.planes import Scene, View, letters_of
from liverimg.report.response_content import Examination
from liverimg.report.sampling import Lattice, pictured, sampled_on
from liverimg.report.text import Strings
from liverimg.report.window_shapes import Shape, path
from liverimg.report.window_view import Camera

# Right and down of each picture in LPS: axial from the feet, coronal from the front, sagittal from the left.
_DIRECTIONS = {
    View.AXIAL: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    View.CORONAL: ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    View.SAGITTAL: ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}
# What runs through the liver without being a hole in it.
_VEINS = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
_TREES = (*_VEINS, Structure.BILE_DUCT)
_SMOOTH = 0.45  # of a voxel: steps between slices are no edges of anything
_HALF = 0.5
_EDGE_PIXEL_MM = 0.45  # edges run between pixels, so these may be larger than those of the image
_SIMPLER_PIXELS = 0.12
_REACH = 4.0  # of the smoothing, in standard deviations


@dataclass(frozen=True, eq=False)
class Body:
    """Something delineated in one study.

    Attributes:
        kind: Its class in the style sheet.
        mask: A block of voxels with one empty voxel all around.
        grid: Of that block.
        level: Signed distance to its edge in mm, above 0 inside; None for what is drawn from its voxels as they are.
    """

    kind: str
    mask: BoolArray = field(repr=False)
    grid: Grid
    level: NDArray[np.float32] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, kind: str, mask: BoolArray, grid: Grid, *, rounded: bool = False) -> Body | None:
        """The part of a mask that holds something; None when nothing does.

        Args:
            kind: Its class in the style sheet.
            mask: Its voxels.
            grid: Of the mask.
            rounded: Whether its edge is to run smoothly between slices (by distance, not by share of a voxel).
        """
        extent = bounds(mask)
        if extent is None:
            return None
        lower, upper = extent
        box = tuple(slice(int(a), int(b)) for a, b in zip(lower, upper, strict=True))
        block = np.pad(mask[box], 1)
        k, j, i = block.shape
        own = grid.cropped(lower - 1, (k, j, i))
        if not rounded:
            return cls(kind, block, own)
        away = [edt.edt(side, anisotropy=tuple(own.spacing_mm), black_border=False) for side in (block, ~block)]
        return cls(kind, block, own, (away[0] - away[1]).astype(np.float32))

    @classmethod
    def of_labels(cls, kind: str, labels: LabelMap, *structures: Structure) -> Body | None:
        """The structures of a label map; None when none was drawn."""
        box = labels.box(*structures)
        return None if box is None else cls.of(kind, labels.mask_in(box, *structures), _cropped(labels.grid, box))

    @property
    def centre_lps_mm(self) -> FloatArray:
        """Middle of its voxels."""
        return self.grid.index_to_lps_mm(np.argwhere(self.mask).mean(axis=0))

    def corners_lps_mm(self) -> FloatArray:
        """Corners of the box around its voxels, shape (8, 3)."""
        ends = np.array(np.meshgrid(*[(_HALF, n - 1 - _HALF) for n in self.mask.shape], indexing="ij"))
        return self.grid.index_to_lps_mm(ends.reshape(3, 8).T)


def _cropped(grid: Grid, box: tuple[slice, slice, slice]) -> Grid:
    k, j, i = (side.stop - side.start for side in box)
    return grid.cropped([side.start for side in box], (k, j, i))


@dataclass(frozen=True, eq=False)
class Sheet:
    """One study as pictures take it: its image, its grey window, its liver.

    Attributes:
        volume: The image.
        grey: Values shown as black and white.
        liver: The liver with what lies in it, vessels too; None when it was not drawn.
        vessels: Hepatic and portal veins; None when none was drawn.
    """

    volume: Volume = field(repr=False)
    grey: tuple[float, float]
    liver: Body | None
    vessels: Body | None

    @property
    def edges(self) -> tuple[Body, ...]:
        """What shows whether two studies lie on each other: the edge of the liver, and vessels."""
        return tuple(body for body in (self.liver, self.vessels) if body is not None)

    @classmethod
    def of(cls, examination: Examination, when: str, strings: Strings) -> Sheet:
        """Chooses the grey window and finds liver and vessels, once a study; ``when`` is ``before`` or ``now``."""
        labels = examination.labels
        scene = Scene.of(examination.volume, labels)
        liver = Body.of_labels(f"liver-{when}", labels, *LIVER_CONTENTS, *_TREES)
        vessels = Body.of_labels(f"vessels-{when}", labels, *_VEINS)
        return cls(examination.volume, grey_window(scene, strings), liver, vessels)

    def showing(self, volume: Volume, strings: Strings) -> Sheet:
        """The same study by another of its images."""
        nothing = LabelMap(np.zeros(volume.grid.shape, np.uint8), volume.grid, {})
        return replace(self, volume=volume, grey=grey_window(Scene.of(volume, nothing), strings))


@dataclass(frozen=True, eq=False)
class Cut:
    """One plane in the later study.

    Attributes:
        view: Which way it is cut.
        camera: Where it lies.
        pixel_mm: Size of its pixels.
    """

    view: View
    camera: Camera
    pixel_mm: float

    @classmethod
    def through(cls, view: View, place: FloatArray, middle: FloatArray, *, half_mm: float, pixels: int) -> Cut:
        """A square cut through a place, centred on a middle that may lie off the plane."""
        right, down = (np.array(d) for d in _DIRECTIONS[view])
        into = np.cross(right, down)
        centre = middle + float((place - middle) @ into) * into
        corner = centre - half_mm * (right + down)
        return cls(view, Camera(right, down, corner, 2 * half_mm, 2 * half_mm, 0.0), 2 * half_mm / pixels)

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Orientation at the left, right, top and bottom."""
        right, down = self.camera.right, self.camera.down
        return (*letters_of(-right, right), *letters_of(-down, down))

    def moved(self, way: RigidMotion) -> Cut:
        """The same cut in another study."""
        turn = way.matrix
        camera = self.camera
        corner = way.apply(camera.corner_lps_mm)
        return replace(
            self, camera=Camera(turn @ camera.right, turn @ camera.down, corner, camera.width_mm, camera.height_mm, 0.0)
        )


def grey_of(sheet: Sheet, cut: Cut, *, quality: int) -> str:
    """The study's image in a cut of its own frame, as a data URI; black where it does not reach."""
    volume = sheet.volume
    lattice = Lattice.of(cut.camera, volume.grid, pixel_mm=cut.pixel_mm)
    low, high = sheet.grey
    values = pictured(volume.array, lattice, outside=low)
    grey = (np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)
    return jpeg_uri(grey, quality=quality)


def edge_of(body: Body, cut: Cut) -> Shape | None:
    """The edge of something in a cut of its own frame; None where the cut misses it.

    The mask, or the distance to its edge, is interpolated between voxels and smoothed by less than half a voxel; the
    edge runs where half is left, or the distance is none. Only the pixels that the body's block reaches are looked at:
    beyond them, and as far as the smoothing reaches, all have one value.

    Args:
        body: What.
        cut: Where, in the body's own study.
    """
    pixel_mm = max(cut.pixel_mm, _EDGE_PIXEL_MM)
    lattice = Lattice.of(cut.camera, body.grid, pixel_mm=pixel_mm)
    met = lattice.where(body.mask.shape)
    if met is None:
        return None
    sigma = _SMOOTH / np.linalg.norm([lattice.down_kji, lattice.right_kji], axis=1)
    room = np.ceil(_REACH * sigma).astype(int) + 2
    start = tuple(max(n - int(r), 0) for n, r in zip(met[0], room, strict=True))
    stop = tuple(min(n + int(r), most) for n, r, most in zip(met[1], room, lattice.shape, strict=True))
    if min(b - a for a, b in zip(start, stop, strict=True)) < 2:
        return None
    part = lattice.part((start[0], start[1]), (stop[0], stop[1]))
    mask, outside, level = (body.mask, 0.0, _HALF) if body.level is None else (body.level, float(body.level.min()), 0.0)
    filled = ndimage.gaussian_filter(sampled_on(mask, part, order=1, outside=outside), sigma, truncate=_REACH)
    lines = simplified(level_lines(filled, level), _SIMPLER_PIXELS)
    pieces = [
        path((line[:, ::-1] + (start[1], start[0]) + _HALF) * pixel_mm, closed=False) for line in lines if len(line) > 2
    ]
    return Shape(body.kind, "".join(pieces)) if pieces else None
