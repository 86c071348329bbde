"""Couinaud segments as somebody drew them, in the place of those that are told by the liver's shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray, Grid
from liverimg.measure.subject import Body

_SEGMENTS = 8
_MOST_PLACES = 25_000  # of the liver that are asked which segment they lie in
_MOST_DRAWN = 120_000  # voxels that stand for the map where a place lies in no segment


class AnySegments(Protocol):
    """Which segment each place lies in: told by shape and veins, or drawn."""

    @property
    def doubt(self) -> float:
        """By how much the function of a segment may be larger or smaller."""
        ...

    @property
    def method(self) -> str:
        """How they were told apart, in words."""
        ...

    @property
    def places_lps_mm(self) -> FloatArray:
        """Evenly spread over the liver."""
        ...

    @property
    def place_ml(self) -> float:
        """Volume that each of them stands for."""
        ...

    def levels(self, points_lps_mm: FloatArray) -> FloatArray:
        """A number for each segment at places, shape (n, 8); the largest wins."""
        ...


@dataclass(frozen=True, eq=False)
class DrawnSegments:
    """Which segment each place of a liver lies in, by a drawn map; vessels and tumours take the nearest segment.

    Attributes:
        numbers: Segment of each voxel of the scene, 0 for none.
        grid: Of the scene.
        nearest: Search tree of some of the drawn voxels.
        nearest_numbers: Their segments.
        places_lps_mm: Evenly spread over the liver.
        place_ml: Volume that each of them stands for.
        method: Who drew them, in words.
        doubt: Nothing is known of how far a drawn border may lie elsewhere.
    """

    numbers: NDArray[np.uint8] = field(repr=False)
    grid: Grid
    nearest: cKDTree = field(repr=False)
    nearest_numbers: NDArray[np.uint8] = field(repr=False)
    places_lps_mm: FloatArray = field(repr=False)
    place_ml: float
    method: str
    doubt: float = 0.0

    def levels(self, points_lps_mm: FloatArray) -> FloatArray:
        """1 for the segment of each place and 0 for the others, shape (n, 8)."""
        index = np.rint(self.grid.lps_mm_to_index(points_lps_mm)).astype(int)
        inside = ((index >= 0) & (index < self.numbers.shape)).all(axis=1)
        found = np.zeros(len(index), dtype=np.int64)
        found[inside] = self.numbers[tuple(index[inside].T)]
        bare = np.flatnonzero(found == 0)
        if len(bare):
            found[bare] = self.nearest_numbers[self.nearest.query(points_lps_mm[bare], workers=1)[1]]
        return np.asarray(found[:, None] == np.arange(1, _SEGMENTS + 1), dtype=float)


def drawn_segments(body: Body) -> DrawnSegments | str | None:
    """The segments that were drawn of a study's liver; why they can't be used; None when none were drawn."""
    if body.segments is None or body.liver is None:
        return None
    liver = body.liver
    if liver.touches_image_edge:
        return "the liver touches the edge of the image, so part of its segments may lie outside"
    own = body.segments[liver.box]
    drawn = np.argwhere((own > 0) & liver.mask)
    count = int(np.count_nonzero(liver.mask))
    share = len(drawn) / count
    if share < body.settings.segments.least_drawn_share:
        return (
            f"segments are drawn in {share:.0%} of the liver, expected {body.settings.segments.least_drawn_share:.0%} "
            "or more; draw the rest, or give labels without segments to have them told by the liver's shape"
        )
    chosen = drawn[:: max(1, len(drawn) // _MOST_DRAWN)]
    index = np.argwhere(liver.mask)
    every = max(1, len(index) // _MOST_PLACES)
    places = liver.grid.index_to_lps_mm(index[::every])
    return DrawnSegments(
        numbers=body.segments,
        grid=body.scene.grid,
        nearest=cKDTree(liver.grid.index_to_lps_mm(chosen)),
        nearest_numbers=own[tuple(chosen.T)],
        places_lps_mm=places,
        place_ml=count * liver.grid.voxel_ml / len(places),
        method="as drawn in the given labels",
    )
