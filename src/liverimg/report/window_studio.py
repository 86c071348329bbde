"""What the pictures of an acoustic window share: body, bones and liver in coarse voxels, seen from two sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure
from liverimg.core.volume import Quantity
from liverimg.report.holes import without_holes
from liverimg.report.planes import Scene
from liverimg.report.surface3d import Block, coarse, coarse_of
from liverimg.report.text import Strings
from liverimg.report.window_shapes import Shape
from liverimg.report.window_view import Camera, Layer, seen

# Each look: right and down of the picture, LPS.
LOOKS = {
    "front": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "right": ((0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
}
_NOT_ORGANS = (Structure.BONE, Structure.BODY, Structure.FAT, Structure.MUSCLE, Structure.SKIN)


@dataclass(frozen=True)
class WindowPicture:
    """One picture, lengths in mm.

    Attributes:
        kind: ``map`` or ``cut``.
        width_mm: What it covers.
        height_mm: What it covers.
        image: As a data URI.
        shapes: Drawn over it, in this order.
        letters: Orientation at the left, right, top and bottom.
        scale_mm: Length of the scale bar.
        caption: What is shown.
        alt: The same for those who can't see it.
    """

    kind: str
    width_mm: float
    height_mm: float
    image: str = field(repr=False)
    shapes: tuple[Shape, ...] = field(repr=False)
    letters: tuple[str, str, str, str]
    scale_mm: float
    caption: str
    alt: str


@dataclass(frozen=True, eq=False)
class WindowStudio:
    """What the pictures of all lesions of a study share.

    Attributes:
        scene: Image and labels.
        body: The body in coarse voxels; None where it is not known.
        inner: What shines through the skin, the farthest first: colour, share at which it is drawn, block.
        grey: Values shown as black and white.
        strings: Words and display settings.
        layers: What each look sees of the body and of what is in it, looked at once.
    """

    scene: Scene
    body: Block | None
    inner: tuple[tuple[str, float, Block], ...]
    grey: tuple[float, float]
    strings: Strings = field(repr=False)
    layers: dict[str, tuple[Camera, Layer, tuple[tuple[str, Layer], ...]]] = field(default_factory=dict, repr=False)

    @property
    def display(self) -> Mapping[str, Any]:
        """How windows are drawn."""
        settings: Mapping[str, Any] = self.strings["display"]["window"]
        return settings

    @classmethod
    def of(
        cls, scene: Scene, colours: Mapping[Structure, str], grey: tuple[float, float], strings: Strings
    ) -> WindowStudio:
        """Makes the coarse blocks; without a body in labels or image there is nothing to paint on."""
        settings = strings["display"]["window"]
        target = float(settings["voxel_mm"])
        inner = []
        liver = coarse_of(scene, *LIVER_CONTENTS, target_mm=target)
        if liver is not None:
            inner.append((colours.get(Structure.LIVER, "#c8845a"), 0.5, liver))
        bone = coarse(_bone(scene, settings), scene.grid, target_mm=float(settings["bone_voxel_mm"]))
        if bone is not None:
            inner.append((colours.get(Structure.BONE, "#e8e2cf"), float(settings["bone_level"]), bone))
        return cls(scene, _body(scene, settings), tuple(inner), grey, strings)

    def look(self, name: str) -> tuple[Camera, Layer, tuple[tuple[str, Layer], ...]]:
        """Camera, skin and what lies under it from one side."""
        if self.body is None:
            raise AssertionError("only asked for where the body is known")
        if name not in self.layers:
            right, down = LOOKS[name]
            corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.body.filled.shape], indexing="ij"))
            camera = Camera.around(self.body.grid.index_to_lps_mm(corners.reshape(3, 8).T), right=right, down=down)
            pixel, enlarged = float(self.display["pixel_mm"]), int(self.display["enlarged"])
            skin = seen(self.body, camera, level=0.5, mm_per_pixel=pixel, enlarged=enlarged)
            under = tuple(
                (colour, seen(block, camera, level=level, mm_per_pixel=pixel, enlarged=enlarged))
                for colour, level, block in self.inner
            )
            self.layers[name] = camera, skin, under
        return self.layers[name]


def _thin(scene: Scene, target_mm: float) -> tuple[slice, ...]:
    return tuple(slice(None, None, max(1, int(target_mm // s))) for s in scene.grid.spacing_mm)


def _bone(scene: Scene, settings: Mapping[str, Any]) -> BoolArray:
    """Bone as a CT shows it outside labelled organs (contrast shines there too); elsewhere as it was drawn."""
    if scene.volume.quantity is not Quantity.HU:
        return scene.labels.mask(Structure.BONE)
    table = np.zeros(256, dtype=bool)
    table[0] = True
    table[[v for s, v in scene.labels.structures.items() if s in _NOT_ORGANS]] = True
    return np.asarray((scene.volume.array > float(settings["bone_above_hu"])) & table[scene.labels.array])


def _body(scene: Scene, settings: Mapping[str, Any]) -> Block | None:
    """The body from labels that know its outline, else from a CT; None for any other image."""
    target = float(settings["voxel_mm"])
    if scene.labels.has(Structure.BODY):
        mask, grid = np.asarray(scene.labels.array > 0), scene.grid
    elif scene.volume.quantity is Quantity.HU:
        thin = _thin(scene, target / 2)
        tissue = np.asarray(scene.volume.array[thin] > float(settings["skin_above_hu"]))
        opened = ndimage.binary_opening(tissue, iterations=2)
        pieces, count = ndimage.label(opened)
        if count == 0:
            return None
        largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        mask = ndimage.binary_dilation(pieces == largest, iterations=2) & tissue
        affine = np.array(scene.grid.affine)
        affine[:3, :3] *= [t.step or 1 for t in thin]
        k, j, i = mask.shape
        grid = Grid((k, j, i), affine, scene.grid.frame_of_reference_uid)
    else:
        return None
    return coarse(without_holes(mask), grid, target_mm=target, open_ended=True)
