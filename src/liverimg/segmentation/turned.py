"""Whether an image shows a liver once it is turned against its headers: headers lie now and then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Volume
from liverimg.segmentation.bundle import Bundle
from liverimg.segmentation.infer import segment_volume

# Standard axes to flip: k to Superior, j to Posterior, i to Left.
_TURNS = {
    (0,): "head for feet",
    (2,): "left for right",
    (1,): "front for back",
    (0, 2): "head for feet and left for right",
    (0, 1): "head for feet and front for back",
    (1, 2): "front for back and left for right",
}


def liver_when_turned(volume: Volume, bundle: Bundle, *, least_ml: float) -> str:
    """The turn under which the first pass finds the largest liver; empty when it finds none that is large enough.

    Asked only when none was found the way the headers say: each turn takes as long as the first pass.

    Args:
        volume: The image.
        bundle: The model.
        least_ml: A smaller liver is none.

    Returns:
        Words such as ``head for feet``.
    """
    coarse = replace(bundle, passes=bundle.passes[:1])
    turn = Orientation.of(volume.grid)
    upright, grid = turn.turn(volume.array), turn.turn_grid(volume.grid)
    found = {}
    for axes, words in _TURNS.items():
        turned = Volume(np.flip(upright, axis=axes), grid, volume.quantity)
        found[words] = int(segment_volume(turned, coarse).labels.mask(Structure.LIVER).sum()) * grid.voxel_ml
    words, largest_ml = max(found.items(), key=lambda item: item[1])
    return words if largest_ml >= least_ml else ""
