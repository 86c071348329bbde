"""The baseline made ready for questions about places in it: its vessels by name and its segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from liverimg.core.boxes import Box
from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray, Structure
from liverimg.measure.branches import NamedTree, PartSource, name_trees
from liverimg.measure.reach import unseen
from liverimg.measure.scene import Scene
from liverimg.measure.segment_map import AnySegments
from liverimg.measure.segments import find_segments
from liverimg.measure.strays import rough_width_mm
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import border_voxels, structure_points

VESSELS = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.INFERIOR_VENA_CAVA)
_SMOOTHING = 0.5  # of the finest spacing, as for thin structures elsewhere
_FILTER_VOXELS = 2  # how far such a filter reaches
_CELLS = 2 * _FILTER_VOXELS + 2
_PAD = 2


@dataclass(frozen=True, eq=False)
class Before:
    """The baseline.

    Attributes:
        body: What was drawn in it.
        subjects: Its lesions by name, with their surfaces.
        trees: Its vessels by name.
        segments: Its segments, or why they can't be told.
    """

    body: Body
    subjects: Mapping[str, Subject]
    trees: Mapping[Structure, NamedTree]
    segments: AnySegments | str

    @classmethod
    def of(cls, body: Body) -> Before:
        """Builds surfaces, names vessels and finds segments, once a study."""
        trees = name_trees(body)
        subjects = {lesion.id: Subject.of(lesion, body) for lesion in body.lesions}
        return cls(body, subjects, trees, find_segments(body, trees))

    def vessels_near(self, place_lps_mm: FloatArray, *, reach_mm: float) -> dict[Structure, FloatArray]:
        """Surface points of vessels around a place, by structure; one that could not be seen is left out.

        The nearest of all is among them; others that bounds show to lie farther away may be missing.

        Args:
            place_lps_mm: The place, shape (3,).
            reach_mm: How far around it to look.
        """
        scene = self.body.scene
        box = box_around(scene, place_lps_mm[None], reach_mm)
        grid = scene.crop_grid(box)
        masks = {s: scene.mask(box, s) for s in VESSELS if not unseen(s, scene, self.body.quality)}
        bounds = {s: _bounds_mm(mask, grid, place_lps_mm) for s, mask in masks.items()}
        most = min((high for _, high in bounds.values()), default=np.inf)
        part = _part_within(grid, place_lps_mm, most)
        near = grid.cropped((0, 0, 0), (part[0].stop, part[1].stop, part[2].stop))
        return {
            s: structure_points(mask[part], near, smoothing=_SMOOTHING) if bounds[s][0] <= most else np.empty((0, 3))
            for s, mask in masks.items()
        }

    def cooling_near(self, points_lps_mm: FloatArray, *, reach_mm: float) -> FloatArray | None:
        """Surface points of vessels that are wide enough to carry heat away; None when no vessel could be seen.

        Args:
            points_lps_mm: The places, shape (n, 3).
            reach_mm: How far around their bounding box to look.
        """
        scene, least_mm = self.body.scene, self.body.settings.nearness.heat_sink_least_diameter_mm
        seen = [s for s in VESSELS if not unseen(s, scene, self.body.quality)]
        if not seen:
            return None
        box, found = box_around(scene, points_lps_mm, reach_mm), [np.empty((0, 3))]
        for structure in seen:
            tree = self.trees.get(structure)
            if structure is Structure.INFERIOR_VENA_CAVA:
                mask = scene.mask(box, structure)
            elif tree is None:
                continue
            else:
                mask = PartSource(scene, tree, rough_width_mm(tree.cells) >= least_mm)(box)
            found.append(structure_points(mask, scene.crop_grid(box), smoothing=_SMOOTHING))
        return np.concatenate(found)


def _bounds_mm(mask: BoolArray, grid: Grid, place_lps_mm: FloatArray) -> tuple[float, float]:
    """How near the nearest surface point lies, at least and at most; infinite where there is no surface.

    Every surface point lies in a cell between voxel centres that has a border voxel at a corner, and there is one
    between each border voxel and its neighbour outside.
    """
    border = border_voxels(mask)
    if not len(border):
        return np.inf, np.inf
    nearest = float(np.linalg.norm(grid.index_to_lps_mm(border) - place_lps_mm, axis=1).min())
    return nearest - float(np.linalg.norm(grid.spacing_mm)), nearest + float(grid.spacing_mm.max())


def _part_within(grid: Grid, place_lps_mm: FloatArray, most_mm: float) -> Box:
    """The part of a box that surface points within a distance depend on, from the box's first voxel on.

    They are no farther than a cell from the voxels whose smoothed distances they are drawn from, those no farther than
    the filter reaches from the voxels that are smoothed, and those no farther than that and a cell from the border.
    The part begins where the box does, so that rounding, which goes by the index, stays the same.
    """
    if not np.isfinite(most_mm) or min(grid.shape) < 2:
        k, j, i = (slice(0, n) for n in grid.shape)
        return k, j, i
    reach_mm = most_mm + _CELLS * float(np.linalg.norm(grid.spacing_mm))
    end = np.ceil(grid.lps_mm_to_index(place_lps_mm) + reach_mm / grid.spacing_mm).astype(int) + 1
    k, j, i = (slice(0, int(np.clip(e, 2, n))) for e, n in zip(end, grid.shape, strict=True))
    return k, j, i


def box_around(scene: Scene, points_lps_mm: FloatArray, reach_mm: float) -> Box:
    """The box of a scene around places and so much more, cut at the scene's edge."""
    grid = scene.grid
    index = grid.lps_mm_to_index(points_lps_mm)
    pads = reach_mm / grid.spacing_mm + _PAD
    last = np.array(grid.shape) - 1
    low = np.clip(np.floor(index.min(axis=0) - pads), 0, last).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + pads), 0, last).astype(int) + 1
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i
