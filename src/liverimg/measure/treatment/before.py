"""The baseline made ready for questions about places in it: its vessels by name and its segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.labels import Structure
from liverimg.measure.branches import NamedTree, PartSource, name_trees
from liverimg.measure.reach import unseen
from liverimg.measure.scene import Box, Scene
from liverimg.measure.segment_map import AnySegments
from liverimg.measure.segments import find_segments
from liverimg.measure.strays import rough_width_mm
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import structure_points

VESSELS = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.INFERIOR_VENA_CAVA)
_SMOOTHING = 0.5  # of the finest spacing, as for thin structures elsewhere
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

    def vessels_near(self, points_lps_mm: FloatArray, *, reach_mm: float) -> dict[Structure, FloatArray]:
        """Surface points of vessels around places, by structure; one that could not be seen is left out.

        Args:
            points_lps_mm: The places, shape (n, 3).
            reach_mm: How far around their bounding box to look.
        """
        box = box_around(self.body.scene, points_lps_mm, reach_mm)
        found = {}
        for structure in VESSELS:
            if unseen(structure, self.body.scene, self.body.quality):
                continue
            mask = self.body.scene.mask(box, structure)
            found[structure] = structure_points(mask, self.body.scene.crop_grid(box), smoothing=_SMOOTHING)
        return found

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
