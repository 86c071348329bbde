"""The liver of anatomy, which is more than the voxels labelled as liver."""

from __future__ import annotations

from dataclasses import dataclass, field

import fill_voids
import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure
from liverimg.measure.distances import to_mask_mm, to_outside_mm
from liverimg.measure.lesions import LesionMask
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings

TREES_IN_LIVER = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
_COARSE_VOXELS = 400_000  # the closing decides which vessel voxels are inside; that needs no finer grid


@dataclass(frozen=True, eq=False)
class LiverBody:
    """The liver of anatomy.

    Attributes:
        mask: Parenchyma, tumour, ablation zone, holes, and the vessels and ducts that lie inside; in a box.
        grid: Grid of the box.
        box: Where the box lies in the scene.
        touches_image_edge: Whether part of the liver may lie outside the image.
        doubtful_low_ml: Volume of vessels and ducts counted that a stricter rule would leave out.
        doubtful_high_ml: Volume of vessels and ducts left out that a more generous rule would count.
    """

    mask: BoolArray = field(repr=False)
    grid: Grid
    box: Box
    touches_image_edge: bool
    doubtful_low_ml: float = 0.0
    doubtful_high_ml: float = 0.0


def liver_body(scene: Scene, *, apart: tuple[LesionMask, ...], settings: MeasureSettings) -> LiverBody | None:
    """The liver with what belongs to it, or None when no liver is drawn.

    A voxel of the hepatic veins, the portal vein or the bile ducts counts when it lies within the morphological
    closing of parenchyma, tumours and ablation zones; the trunks at the hilum stay outside. Where exactly a trunk
    leaves the liver is a convention: what half the radius would leave out, and what lies within the radius of the
    liver without being enclosed by it, is told apart as doubtful.

    Args:
        scene: What is drawn.
        apart: Lesions that lie apart from the liver and don't count.
        settings: Radius of the closing.
    """
    if scene.box(Structure.LIVER) is None:
        return None
    box = scene.box(*LIVER_CONTENTS)
    if box is None:
        raise AssertionError("a scene with a liver has liver contents")
    solid = scene.mask(box, *LIVER_CONTENTS)
    for lesion in apart:
        window = tuple(
            slice(s - b.start, s - b.start + n)
            for s, b, n in zip(lesion.start_kji, box, lesion.mask.shape, strict=True)
        )
        solid[window] &= ~lesion.mask
    grid = scene.crop_grid(box)
    trees = np.nonzero(scene.mask(box, *TREES_IN_LIVER))
    if len(trees[0]) == 0:
        return LiverBody(np.asarray(fill_voids.fill(solid)), grid, box, scene.at_edge(box))
    near, closed, strictly_closed = _enclosed(trees, solid, grid, settings.liver_closing_radius_mm)
    solid[tuple(axis[closed] for axis in trees)] = True
    return LiverBody(
        np.asarray(fill_voids.fill(solid)),
        grid,
        box,
        scene.at_edge(box),
        doubtful_low_ml=float((closed & ~strictly_closed).sum() * grid.voxel_ml),
        doubtful_high_ml=float((near & ~closed).sum() * grid.voxel_ml),
    )


def _enclosed(
    voxels: tuple[NDArray[np.intp], ...], solid: BoolArray, grid: Grid, radius_mm: float
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Which voxels lie in the dilation of a body by a ball, in its closing, and in that by half the radius.

    Worked out on a grid coarse enough to be quick; each voxel takes the answer of the nearest coarse one.
    """
    spacing = grid.spacing_mm
    step_mm = max(float(spacing.max()), (solid.size * grid.voxel_ml * 1000 / _COARSE_VOXELS) ** (1 / 3))
    steps = np.maximum(1, np.floor(step_mm / spacing)).astype(int)
    coarse = solid[:: steps[0], :: steps[1], :: steps[2]]
    pads = [int(p) for p in np.ceil(radius_mm / (spacing * steps)) + 1]
    to_body_mm = to_mask_mm(np.pad(coarse, [(p, p) for p in pads]), spacing * steps)
    nearest = tuple(
        np.minimum((axis + s // 2) // s, n - 1) + p
        for axis, s, n, p in zip(voxels, steps, coarse.shape, pads, strict=True)
    )
    # Whether anything within the radius of a vessel is far from the body: nothing farther away is asked for.
    low = [max(0, int(axis.min()) - p) for axis, p in zip(nearest, pads, strict=True)]
    around = to_body_mm[tuple(slice(a, int(axis.max()) + p + 1) for a, axis, p in zip(low, nearest, pads, strict=True))]
    inner = tuple(axis - a for axis, a in zip(nearest, low, strict=True))
    closed, strictly_closed = (
        to_outside_mm(around <= radius, spacing * steps)[inner] > radius for radius in (radius_mm, radius_mm / 2)
    )
    return to_body_mm[nearest] <= radius_mm, closed, strictly_closed
