"""How the slices behind a volume were acquired, as far as measurements ask for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.study import Series
from liverimg.measure.band import Coordinates

_ON_SLICE = 0.02  # of the spacing: how near to a slice's plane a place has to lie to belong to it


@dataclass(frozen=True, eq=False)
class Acquired:
    """The slices as the scanner made them.

    Attributes:
        grid: Of the volume, slices along its first axis.
        slice_thickness_mm: None when no tag says.
        widest_gap_mm: The widest distance between two slices, where the volume was resampled from unevenly spaced
            ones; None where they were even.
        sop_instance_uids: One a slice along the first axis, or one for all of them; of no use where the volume was
            resampled.
    """

    grid: Grid
    slice_thickness_mm: float | None = None
    widest_gap_mm: float | None = None
    sop_instance_uids: tuple[str, ...] = ()

    @classmethod
    def of(cls, series: Series) -> Acquired:
        """What a series tells of its slices."""
        return cls(series.grid, series.slice_thickness_mm, series.widest_gap_mm, series.sop_instance_uids)

    def band_spacing_mm(self, grid: Grid) -> FloatArray:
        """A grid's spacings, the one across slices as wide as the widest gap between acquired ones.

        Resampling puts slices where none was acquired, but no knowledge into them: bands follow what was seen.

        Args:
            grid: Of labels on the volume, in any order of its axes.
        """
        spacing = np.array(grid.spacing_mm)
        if self.widest_gap_mm is not None:
            across = int(np.argmax(np.abs(grid.directions @ self.grid.directions[0])))
            spacing[across] = max(float(spacing[across]), self.widest_gap_mm)
        return spacing

    def slices_at(self, place_lps_mm: Coordinates) -> tuple[str, ...]:
        """The SOP instance that shows a place within one slice; none where it is not known."""
        if self.widest_gap_mm is not None:
            return ()
        if len(self.sop_instance_uids) == 1:
            return self.sop_instance_uids
        if len(self.sop_instance_uids) != self.grid.shape[0]:
            return ()
        k = float(self.grid.lps_mm_to_index(np.asarray(place_lps_mm, dtype=float))[0])
        nearest = round(k)
        if abs(k - nearest) > _ON_SLICE or not 0 <= nearest < self.grid.shape[0]:
            return ()
        return (self.sop_instance_uids[nearest],)
