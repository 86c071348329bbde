"""A label map in standard orientation, with the bounding box of each label: region of interest first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.core.orientation import Orientation

_LABEL_VALUES = 256  # of an unsigned byte


def boxes_of(labels: LabelMap) -> dict[int, Box]:
    """Bounding box of each label value that occurs."""
    return dict(labels.boxes)


@dataclass(frozen=True, eq=False)
class Scene:
    """Labels turned so that k runs to Superior, j to Posterior, i to Left, and where each of them lies.

    Attributes:
        labels: The turned label map.
        boxes: Bounding box of each label value that occurs.
    """

    labels: LabelMap
    boxes: dict[int, Box] = field(repr=False)

    @classmethod
    def of(cls, labels: LabelMap) -> Scene:
        """Turns a label map and finds its boxes."""
        turn = Orientation.of(labels.grid)
        if turn.is_standard and labels.array.flags.c_contiguous:
            # Where each label lies is then worked out once for all who ask.
            return cls(labels, boxes_of(labels))
        array = np.ascontiguousarray(turn.turn(labels.array))
        upright = LabelMap(array, turn.turn_grid(labels.grid), labels.structures, labels.lesions)
        return cls(upright, boxes_of(upright))

    @property
    def grid(self) -> Grid:
        """Grid of the turned label map."""
        return self.labels.grid

    def values(self, *structures: Structure) -> tuple[int, ...]:
        """Label values of the structures, with the lesions that a reader numbered where tumour is asked for."""
        found = [self.labels.structures[s] for s in structures if s in self.labels.structures]
        if Structure.TUMOUR in structures:
            found += self.labels.lesions.values()
        return tuple(found)

    def box(self, *structures: Structure) -> Box | None:
        """The box around all voxels of the structures, None when there are none."""
        boxes = [self.boxes[v] for v in self.values(*structures) if v in self.boxes]
        if not boxes:
            return None
        k, j, i = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
        return k, j, i

    def mask(self, region: Box, *structures: Structure) -> BoolArray:
        """Voxels of the structures within a region."""
        values = self.values(*structures)
        if len(values) == 1:
            return np.asarray(self.labels.array[region] == values[0])
        table = np.zeros(_LABEL_VALUES, dtype=bool)
        table[list(values)] = True
        return np.asarray(table[self.labels.array[region]])

    def crop_grid(self, region: Box) -> Grid:
        """Grid of a region."""
        k, j, i = (b.stop - b.start for b in region)
        return self.grid.cropped([b.start for b in region], (k, j, i))

    def at_edge(self, region: Box) -> bool:
        """Whether a region reaches an edge of the image."""
        return any(b.start == 0 or b.stop == n for b, n in zip(region, self.grid.shape, strict=True))
