"""Where the skin is.

The outline of the body is found on a coarse grid, once for the whole scan; what is measured to is the full grid's
border in the few places where the coarse one says that the skin may be nearest. So the cost follows the distance
asked for and not the size of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.distance import cdist

from liverimg.core.boxes import Box
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.volume import Volume
from liverimg.measure.closest import distances_within, search_tree
from liverimg.measure.distances import to_other_side_mm
from liverimg.measure.lesions import LesionMask
from liverimg.measure.outline import Outline, coarse_outline
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings

IndexArray = NDArray[np.intp]

BODY_OUTLINE = (Structure.BODY, Structure.SKIN, Structure.FAT, Structure.MUSCLE)
_BLOCK_MM = 7.0
_BLOCK_LEAST_VOXELS = 3
_SMOOTHING = 2.2  # of the finest spacing: skin is flat, so more smoothing costs nothing
_PAD = 5
_RAY_STEP_MM = 0.1
_NOT_DRAWN = "the outline of the body was not drawn, so the skin is unknown"
_NONE_LABELLED = "no voxel is labelled as body, so the skin is unknown"
_EDGE_TO_EDGE = "skin not in view: the body fills the image from edge to edge"


@dataclass(frozen=True, eq=False)
class Skin:
    """The outer surface of the body, as far as it is in view.

    Attributes:
        grid: Of the whole scan; the first axis runs to Superior.
        source: Voxels that are tissue of whatever kind: labels, or HU.
        level: A voxel is tissue where the source is greater.
        outline: The body on a coarse grid, without arms, table and blankets.
        cells: Middles of the coarse cells through which the skin may run, LPS mm, shape (n, 3).
        cut: Places where the body is cut off by a lateral edge of the view, LPS mm.
        words: What the skin was taken from.
    """

    grid: Grid
    source: NDArray[Any] = field(repr=False)
    level: float
    outline: Outline = field(repr=False)
    cells: FloatArray = field(repr=False)
    cut: FloatArray = field(repr=False)
    words: str

    def inside(self, k: IndexArray, j: IndexArray, i: IndexArray) -> BoolArray:
        """Whether voxels belong to the body; index arrays broadcast against each other."""
        fk, fj, fi = self.outline.factor
        cell = self.outline.state[k // fk, j // fj, i // fi]
        tissue = self.source[k, j, i] > self.level
        return np.asarray((cell == Outline.WHOLE) | ((cell == Outline.BORDER) & tissue))

    def block(self, region: Box) -> BoolArray:
        """The body in a region of the scan."""
        return self.inside(*np.ix_(*[np.arange(r.start, r.stop) for r in region]))

    def rough_depths(self, places: FloatArray) -> FloatArray:
        """Distance from each place to the coarse skin, good to :attr:`slack_mm`."""
        cells = (self.grid.lps_mm_to_index(places) + 0.5) / self.outline.factor - 0.5
        found = map_coordinates(self.outline.depth_mm, cells.T, order=1, mode="nearest")
        # The distance runs to the middle of the first cell of air, half a cell beyond the border.
        return np.asarray(np.maximum(found - self.slack_mm / 2, 0.0), dtype=np.float64)

    @property
    def slack_mm(self) -> float:
        """How far a coarse distance may be from the true one."""
        return float((self.grid.spacing_mm * self.outline.factor).max())

    def faces(self, starts: FloatArray, *, of_each: bool = False) -> tuple[FloatArray, IndexArray]:
        """Middles of voxel faces between body and air: those that may be the nearest.

        Args:
            starts: Places inside the body, LPS mm.
            of_each: Whether to give what is nearest to each of the places; else to any of them.

        Returns:
            Places in LPS mm, and for each the index of a voxel beside it, both of shape (n, 3).
        """
        depths = self.rough_depths(starts)
        # A cell's middle lies up to half a diagonal from a face within it.
        reach = depths + self.slack_mm + self.outline.cell_mm / 2
        chosen = self._near_each(starts, reach) if of_each else self._near_any(starts, float(reach.min()))
        first = self.outline.border_kji[chosen] * self.outline.factor
        # Each cell's voxels and one more along each axis. What lies beyond the view repeats its last voxel: no border.
        k, j, i = (
            np.minimum(first[:, axis, None] + np.arange(f + 1), n - 1)
            for axis, (f, n) in enumerate(zip(self.outline.factor, self.grid.shape, strict=True))
        )
        body = self.inside(k[:, :, None, None], j[:, None, :, None], i[:, None, None, :])
        own = (slice(None, -1),) * 3
        found, middles = [], []
        for axis in range(3):
            step = np.zeros(3, dtype=np.intp)
            step[axis] = 1
            further = tuple(slice(s, -1 if not s else None) for s in step.tolist())
            changes = np.argwhere(body[:, *own] != body[:, *further])
            lower = first[changes[:, 0]] + changes[:, 1:]
            # Beyond the view in another axis, a change of the last voxel there is seen again.
            lower = lower[(lower < self.grid.shape).all(axis=1)]
            found.append(lower)
            middles.append(lower + step / 2)
        return self.grid.index_to_lps_mm(np.concatenate(middles)), np.concatenate(found)

    def _near_any(self, starts: FloatArray, reach_mm: float) -> IndexArray:
        centre = starts.mean(axis=0)
        spread = float(np.linalg.norm(starts - centre, axis=1).max())
        near = np.flatnonzero(np.linalg.norm(self.cells - centre, axis=1) <= reach_mm + spread)
        gaps, _ = distances_within(search_tree(starts), self.cells[near], reach_mm)
        return np.asarray(near[gaps <= reach_mm])

    def _near_each(self, starts: FloatArray, reach_mm: FloatArray) -> IndexArray:
        centre = starts.mean(axis=0)
        spread = np.linalg.norm(starts - centre, axis=1)
        near = np.flatnonzero(np.linalg.norm(self.cells - centre, axis=1) <= float((reach_mm + spread).max()))
        return np.asarray(near[(cdist(starts, self.cells[near]) <= reach_mm[:, None]).any(axis=0)])

    def along(self, start: FloatArray, towards: FloatArray) -> tuple[float, FloatArray] | None:
        """Where a straight line first leaves the body.

        Args:
            start: A place inside the body, LPS mm.
            towards: Unit direction.

        Returns:
            The distance in mm to the sub-voxel skin, and the place; None where the line leaves the view first.
        """
        step = float(self.grid.spacing_mm.min()) / 2
        longest = float(np.linalg.norm(self.grid.spacing_mm * self.grid.shape))
        distances = np.arange(0.0, longest, step)
        index = np.rint(self.grid.lps_mm_to_index(start + distances[:, None] * towards)).astype(np.intp)
        seen = ((index >= 0) & (index < self.grid.shape)).all(axis=1)
        last = len(distances) if seen.all() else int(np.argmin(seen))
        outside = ~self.inside(*index[:last].T)
        if not outside.any():
            return None
        rough = float(distances[int(np.argmax(outside))])
        distance = self._crossing(start, towards, rough)
        return distance, start + distance * towards

    def _crossing(self, start: FloatArray, towards: FloatArray, rough_mm: float) -> float:
        """The crossing of the smoothed border near a rough distance; that distance itself where none is found."""
        region = self.around(np.rint(self.grid.lps_mm_to_index(start + rough_mm * towards)).astype(np.intp))
        level, grid = self.level_in(region)
        if level is None:
            return rough_mm
        distances = np.arange(max(0.0, rough_mm - _BLOCK_MM / 2), rough_mm + _BLOCK_MM / 2, _RAY_STEP_MM)
        index = grid.lps_mm_to_index(start + distances[:, None] * towards)
        values = map_coordinates(level, index.T, order=1, mode="nearest")
        falls = np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0))
        if len(falls) == 0:
            return rough_mm
        at = int(falls[np.argmin(np.abs(distances[falls] - rough_mm))])
        return float(distances[at] + _RAY_STEP_MM * values[at] / (values[at] - values[at + 1]))

    def slope(self, place: FloatArray, towards: FloatArray) -> float:
        """Cosine of the angle between a direction and the skin's outward normal at a place; 1 where unknown."""
        region = self.around(np.rint(self.grid.lps_mm_to_index(place)).astype(np.intp))
        level, grid = self.level_in(region)
        if level is None:
            return 1.0
        at = np.clip(np.rint(grid.lps_mm_to_index(place)).astype(int), 1, np.maximum(np.array(level.shape) - 2, 1))
        ends = [np.clip([at[a] - 1, at[a] + 1], 0, level.shape[a] - 1) for a in range(3)]
        falls = [
            (
                level[tuple(ends[a][1] if a == b else at[b] for b in range(3))]
                - level[tuple(ends[a][0] if a == b else at[b] for b in range(3))]
            )
            / self.grid.spacing_mm[a]
            for a in range(3)
        ]
        outward = -(np.array(falls) @ self.grid.directions)
        length = float(np.linalg.norm(outward))
        return abs(float(outward @ towards)) / length if length > 0 else 1.0

    def around(self, voxel: IndexArray) -> Box:
        """A region around a voxel, wide enough to smooth the skin in it."""
        half = np.maximum(np.ceil(_BLOCK_MM / self.grid.spacing_mm), _BLOCK_LEAST_VOXELS).astype(int)
        low = np.clip(voxel - half, 0, np.array(self.grid.shape) - 1)
        high = np.clip(voxel + half + 2, 1, self.grid.shape)
        k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return k, j, i

    def level_in(self, region: Box) -> tuple[NDArray[np.float64] | None, Grid]:
        """The smoothed signed distance to the skin in a region (inside positive), and the region's grid."""
        block = self.block(region)
        k, j, i = block.shape
        grid = self.grid.cropped([r.start for r in region], (k, j, i))
        if block.all() or not block.any():
            return None, grid
        return _smooth_level(block, self.grid.spacing_mm), grid


def find_skin(
    scene: Scene,
    *,
    lesions: tuple[LesionMask, ...],
    settings: MeasureSettings,
    image: Volume | None = None,
    drawn_by_person: bool = True,
) -> Skin | str:
    """The skin, or the reason why there is none.

    Labels that a person drew are taken as drawn: whatever carries one is body. Otherwise, and where the labels know
    no outline of the body, an image in HU tells tissue from air. Loose pieces (arms, table, blankets) are left out,
    also where they touch the body, and holes (lungs, bowel gas) are filled. Edges of the view are never skin.

    Args:
        scene: The labels.
        lesions: The body is the piece that holds most of them; the largest piece where there are none.
        settings: Constants.
        image: The reference in HU on the labels' grid, or None.
        drawn_by_person: Whether the labels' outline goes before the image's.
    """
    outlined = any(scene.labels.knows(s) for s in BODY_OUTLINE)
    drawn = outlined and scene.box(*BODY_OUTLINE) is not None
    if drawn and (drawn_by_person or image is None):
        source, level, words = scene.labels.array, 0.0, "the labels' outline of the body"
    elif image is not None:
        source, level = image.array, settings.skin_threshold_hu
        words = f"the border between tissue and air at {level:.0f} HU"
    else:
        return _NONE_LABELLED if outlined else _NOT_DRAWN
    outline = coarse_outline(
        source,
        level,
        scene.grid,
        detach_mm=settings.skin_detach_radius_mm,
        seeds_kji=np.array([_middle(lesion) for lesion in lesions], dtype=np.intp).reshape(-1, 3),
        view=None if image is None else image.array,
    )
    if outline is None or not np.isfinite(outline.depth_mm).all():
        return _EDGE_TO_EDGE if outline is not None else _NONE_LABELLED
    middles = (outline.border_kji + 0.5) * outline.factor - 0.5
    return Skin(
        grid=scene.grid,
        source=source,
        level=level,
        outline=outline,
        cells=scene.grid.index_to_lps_mm(middles),
        cut=scene.grid.index_to_lps_mm(outline.cut_kji),
        words=words,
    )


def _middle(lesion: LesionMask) -> IndexArray:
    """The lesion's voxel nearest to its centre of gravity."""
    inside = np.argwhere(lesion.mask)
    away = np.linalg.norm((inside - inside.mean(axis=0)) * lesion.grid.spacing_mm, axis=1)
    return np.asarray(inside[int(np.argmin(away))] + lesion.start_kji, dtype=np.intp)


def _smooth_level(block: BoolArray, spacing_mm: FloatArray) -> NDArray[np.float64]:
    """Signed distance to the border, inside positive, smoothed; beyond the block it goes on as at its edge.

    Smoothing draws a round surface inward by half the kernel's variance times its curvature. Smoothing once more shows
    by how much, and it is given back.
    """
    signed = to_other_side_mm(np.pad(block, _PAD, mode="edge"), spacing_mm).astype(np.float64)
    sigma = _SMOOTHING * spacing_mm.min() / spacing_mm
    once = gaussian_filter(signed, sigma)
    smooth = 2 * once - gaussian_filter(once, sigma)
    return np.asarray(smooth[(slice(_PAD, -_PAD),) * 3])
