"""A lesion and the liver around it, in every phase of the study: what all of its enhancement is read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.study import Phase
from liverimg.measure.distances import to_other_side_mm, to_outside_mm
from liverimg.measure.phases import PhaseImage, liver_near, refined
from liverimg.measure.scene import Scene
from liverimg.measure.subject import Body, Subject

FloatArray = NDArray[np.float32]

_MOST_VOXELS = 500_000  # of a region; larger lesions are read on every second or third voxel
_MAD_TO_SD = 1.4826  # median absolute deviation to the standard deviation of a normal distribution
_FEWEST_BLOCKS = 8
_MOST_POINTS = 100  # of a lesion's surface, whose motion is asked for
_MOSTLY = 0.75  # of a block has to be liver for the block to count
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Region:
    """The box around a lesion.

    Attributes:
        grid: Of the box, every voxel or every n-th.
        depth_mm: Distance to the lesion's surface, positive inside.
        lesion: Its voxels.
        ring: Parenchyma at the distances that the settings ask for, away from all that is not parenchyma.
        images: Phases as they lie here; those that can't be laid onto the labels are among them.
        values: Of each phase that can be read, on ``grid``; NaN out of its view.
        noise: Of each such phase: standard deviation of the means of blocks of liver.
        block_mm3: Volume of such a block.
    """

    grid: Grid
    depth_mm: FloatArray = field(repr=False)
    lesion: BoolArray = field(repr=False)
    ring: BoolArray = field(repr=False)
    images: Mapping[Phase, PhaseImage]
    values: Mapping[Phase, FloatArray] = field(repr=False)
    noise: Mapping[Phase, float]
    block_mm3: float

    @classmethod
    def of(cls, subject: Subject, body: Body) -> Region:
        """Cuts the box out of labels and phases, and lays the phases onto the lesion."""
        rules = body.settings.enhancement
        alignment = body.settings.alignment
        whole = _box(subject, body.scene, max(rules.ring_far_mm, alignment.around_mm))
        images = body.phases
        if body.image is not None:
            near = liver_near(body.scene, whole)
            surface = subject.surface.vertices_lps_mm
            points = surface[:: max(1, len(surface) // _MOST_POINTS)]
            images = refined(images, body.image, near, body.scene.crop_grid(whole), alignment, points_lps_mm=points)
        box = _box(subject, body.scene, rules.ring_far_mm)
        every = _steps(box, body.scene.grid)
        grid = _strided(body.scene.crop_grid(box), every)
        lesion = _own_mask(subject, box)[:: every[0], :: every[1], :: every[2]]
        parenchyma = body.scene.mask(box, Structure.LIVER)[:: every[0], :: every[1], :: every[2]]
        depth = _depth_mm(lesion, grid)
        clear = parenchyma | lesion
        from_others = to_outside_mm(clear, grid.spacing_mm) if not clear.all() else np.full(clear.shape, np.inf)
        ring = (
            parenchyma
            & (-depth >= rules.ring_near_mm)
            & (-depth <= rules.ring_far_mm)
            & (from_others >= rules.ring_clear_mm)
        )
        values = {phase: image.on(grid) for phase, image in images.items() if not image.why_not}
        edges = np.maximum(1, np.round(rules.block_mm / grid.spacing_mm)).astype(int)
        noise = {phase: _block_noise(found, ring, edges) for phase, found in values.items()}
        block_mm3 = float(np.prod(edges)) * grid.voxel_ml * 1000
        return cls(grid, depth, lesion, ring, images, values, noise, block_mm3)

    @property
    def deepest_mm(self) -> float:
        """Radius of the largest ball inside the lesion."""
        return float(self.depth_mm.max())

    def inner(self, phase: Phase) -> BoolArray:
        """The lesion without the border voxels that share their place with the liver in this phase's slices."""
        pitch_mm = max(float(self.images[phase].volume.grid.spacing_mm.max()), float(self.grid.spacing_mm.max()))
        return np.asarray(self.lesion & (self.depth_mm >= min(_HALF * pitch_mm, _HALF * self.deepest_mm)))

    def standard_error(self, phase: Phase, mask: BoolArray) -> float:
        """Of the mean over a mask: the noise of blocks, as many as the mask holds."""
        blocks = max(1.0, np.count_nonzero(mask) * self.grid.voxel_ml * 1000 / self.block_mm3)
        return self.noise[phase] / float(np.sqrt(blocks))


def _box(subject: Subject, scene: Scene, beyond_mm: float) -> Box:
    pads = np.ceil(beyond_mm / scene.grid.spacing_mm).astype(int)
    start = np.array(subject.lesion.start_kji)
    low = np.maximum(0, start - pads)
    high = np.minimum(scene.grid.shape, start + subject.lesion.mask.shape + pads)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _own_mask(subject: Subject, box: Box) -> BoolArray:
    whole = np.zeros([b.stop - b.start for b in box], dtype=bool)
    start = [s - b.start for s, b in zip(subject.lesion.start_kji, box, strict=True)]
    window = tuple(slice(s, s + n) for s, n in zip(start, subject.lesion.mask.shape, strict=True))
    whole[window] = subject.lesion.mask
    return whole


def _steps(box: Box, grid: Grid) -> NDArray[np.int_]:
    """How many voxels make a step along each axis, the finest axes first, so that the region stays small."""
    steps = np.ones(3, dtype=int)
    size = np.array([b.stop - b.start for b in box])
    while np.prod(np.ceil(size / steps)) > _MOST_VOXELS:
        steps[int(np.argmin(steps * grid.spacing_mm))] += 1
    return steps


def _strided(grid: Grid, every: NDArray[np.int_]) -> Grid:
    affine = np.array(grid.affine)
    affine[:3, :3] = affine[:3, :3] * every
    k, j, i = (int(-(-n // e)) for n, e in zip(grid.shape, every, strict=True))
    return Grid((k, j, i), affine, grid.frame_of_reference_uid)


def _depth_mm(mask: BoolArray, grid: Grid) -> FloatArray:
    half = _HALF * float(grid.spacing_mm.min())
    signed = to_other_side_mm(mask, grid.spacing_mm)
    return np.asarray(np.where(mask, signed - half, signed + half), dtype=np.float32)


def _block_noise(values: FloatArray, ring: BoolArray, edges: NDArray[np.int_]) -> float:
    """Spread of the means of blocks of liver; infinite where there are too few of them to tell.

    Neighbouring voxels share their noise, so the noise of a mean can't be told from single voxels. That of blocks a
    few millimetres wide can, and it includes what makes the liver itself uneven.
    """
    good = ring & np.isfinite(values)
    shape = np.array(values.shape) // edges
    if (shape < 1).any():
        return float("inf")
    cut = tuple(slice(0, int(n * e)) for n, e in zip(shape, edges, strict=True))
    split = [int(x) for pair in zip(shape, edges, strict=True) for x in pair]
    counts = good[cut].reshape(split).sum(axis=(1, 3, 5))
    sums = np.where(good, values, 0)[cut].reshape(split).sum(axis=(1, 3, 5), dtype=np.float64)
    full = counts >= _MOSTLY * float(np.prod(edges))
    if np.count_nonzero(full) < _FEWEST_BLOCKS:
        return float("inf")
    means = sums[full] / counts[full]
    return _MAD_TO_SD * float(np.median(np.abs(means - np.median(means))))
