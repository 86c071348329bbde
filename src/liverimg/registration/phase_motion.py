"""How the liver moved between two series of one study, of which only one is outlined.

Patients breathe between phases, and a liver that is pushed down also turns and bends. A translation of the whole liver
is known already; from there large pieces of the liver are looked for twice, the second time from the rigid motion that
the first found, and then small ones around a lesion. Pieces and the motion of every place are those of
:mod:`liverimg.registration.align`; no outline of the other series is wanted, because breathing is small beside what
outlines are there for. A phase whose pieces don't move together is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.motion import RigidMotion
from liverimg.core.nearest import on_grid
from liverimg.core.rows import filled
from liverimg.core.volume import Volume
from liverimg.registration.liver_view import carried
from liverimg.registration.motion_field import FieldRules, MotionField, fit_field
from liverimg.registration.pieces import FoundPieces, PieceRules, find_pieces
from liverimg.registration.resample import sampled, thinned, window_of
from liverimg.registration.rigid import rigid_through

Image = NDArray[np.float32]
_RIM_VOXELS = 2
_MOST_POINTS = 200


@dataclass(frozen=True)
class PhaseMotionRules:
    """The part ``alignment.bending`` of ``measure.toml``; its entries say what each is and where it comes from."""

    coarse_mm: float
    fine_mm: float
    smooth_mm: float
    still_mm: float
    least_agreeing: float
    fewest_pieces: float
    error_factor: float
    floor_mm: float
    coarse_pieces: PieceRules
    pieces: PieceRules
    field: FieldRules

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> PhaseMotionRules:
        """Reads the part."""
        where = "measure alignment bending"
        coarse, fine = (PieceRules.from_table(table.get(name, {})) for name in ("coarse_pieces", "pieces"))
        return filled(cls, table, where, coarse_pieces=coarse, pieces=fine, field=FieldRules.from_table(table))

    def bound_mm(self, variance_mm2: float) -> float:
        """95 % bound of an error from what the pieces expect of its square."""
        return self.error_factor * float(np.sqrt(variance_mm2 + self.floor_mm**2))


@dataclass(frozen=True, eq=False)
class LiverCubes:
    """The series that the liver is drawn on, on cubes around that liver or a part of it.

    Attributes:
        grid: Of the cubes, along the patient's axes.
        image: NaN where the series does not reach.
        region: The liver with all that lies in it and its border, as far as it is seen.
        smooth_mm: Standard deviation of the smoothing of the image.
    """

    grid: Grid
    image: Image = field(repr=False)
    region: BoolArray = field(repr=False)
    smooth_mm: float

    @classmethod
    def whole(cls, image: Volume, liver: BoolArray, grid: Grid, rules: PhaseMotionRules) -> LiverCubes:
        """The whole liver, a mask on any grid within the image, on coarse cubes."""
        return cls._of(image, liver, grid, rules.coarse_mm, rules.coarse_pieces.most_mm, 0.0)

    @classmethod
    def part(cls, image: Volume, liver: BoolArray, grid: Grid, rules: PhaseMotionRules) -> LiverCubes:
        """The liver around a lesion on fine cubes."""
        return cls._of(image, liver, grid, rules.fine_mm, rules.pieces.most_mm, rules.smooth_mm)

    @classmethod
    def _of(
        cls, image: Volume, liver: BoolArray, grid: Grid, cube_mm: float, beyond_mm: float, smooth_mm: float
    ) -> LiverCubes:
        index = np.argwhere(liver)
        ends = np.stack(np.meshgrid(*zip(index.min(axis=0), index.max(axis=0), strict=True), indexing="ij"), axis=-1)
        places = grid.index_to_lps_mm(ends.reshape(8, 3))
        first = places.min(axis=0) - beyond_mm
        k, j, i = (int(n) for n in (np.ceil((places.max(axis=0) + beyond_mm - first) / cube_mm) + 1)[::-1])
        cubes = Grid.from_axes((k, j, i), spacing_mm=(cube_mm,) * 3, origin_lps_mm=first)
        values = _laid(image, cubes, RigidMotion.none(), smooth_mm)
        region = ndimage.binary_dilation(on_grid(liver, grid, cubes), iterations=_RIM_VOXELS)
        return cls(cubes, values, np.asarray(region & np.isfinite(values)), smooth_mm)

    def found_in(self, other: Volume, motion: RigidMotion, rules: PieceRules) -> FoundPieces:
        """Pieces of the liver in another series, looked for around where a motion takes them."""
        laid = _laid(other, self.grid, motion, self.smooth_mm)
        return find_pieces(self.image, laid, self.grid, region=self.region & np.isfinite(laid), rules=rules)


@dataclass(frozen=True, eq=False)
class PlacedLiver:
    """The motion of every place of the liver into another series.

    Attributes:
        start: The rigid motion that was known before.
        rest: What the pieces tell beyond it, in the outlined series.
        found: How many pieces were found where those around them say.
        tried: How many were looked for.
    """

    start: RigidMotion
    rest: MotionField = field(repr=False)
    found: int
    tried: int

    def whole(self) -> RigidMotion:
        """The rigid motion through the pieces that agree."""
        here = self.rest.places_lps_mm[self.rest.agrees]
        return self.start.after(rigid_through(here, here + self.rest.at(here), np.ones(len(here))))

    def turned_mm(self) -> float:
        """How far the rigid motion takes the pieces from where they were looked for, at most."""
        here = self.rest.places_lps_mm
        return float(np.linalg.norm(self.whole().apply(here) - self.start.apply(here), axis=1).max())

    def near(self, points_lps_mm: FloatArray, rules: PhaseMotionRules) -> tuple[RigidMotion, float]:
        """The rigid motion nearest to that of some places, shape (n, 3), and the 95 % bound of its error there."""
        moved = points_lps_mm + self.rest.at(points_lps_mm)
        own = rigid_through(points_lps_mm, moved, np.ones(len(points_lps_mm)))
        bent2 = np.square(own.apply(points_lps_mm) - moved).sum(axis=1)
        expected = float((self.rest.variance_mm2(points_lps_mm) + bent2).mean())
        return self.start.after(own), rules.bound_mm(expected)

    def shift(self, points_lps_mm: FloatArray, rules: PhaseMotionRules) -> tuple[FloatArray, float]:
        """The translation nearest to that of some places and how far 95 % of them lie from there, at most."""
        moved = self.start.apply(points_lps_mm + self.rest.at(points_lps_mm)) - points_lps_mm
        middle = moved.mean(axis=0)
        off2 = np.square(moved - middle).sum(axis=1) + self.rest.variance_mm2(points_lps_mm)
        return middle, rules.bound_mm(0.0) + float(np.sqrt(np.percentile(off2, 95)))


def place_liver(
    cubes: LiverCubes, other: Volume, start: RigidMotion, rules: PhaseMotionRules
) -> PlacedLiver | str | None:
    """The liver's motion by large pieces.

    Args:
        cubes: The whole liver.
        other: The other series.
        start: From the first into the second, off by some centimetres at most.
        rules: Constants.

    Returns:
        Why the other series can't be believed to show the same liver; None where the liver has too few pieces to tell.
    """
    first = _by_large_pieces(cubes, other, start, rules, rules.fewest_pieces)
    if not isinstance(first, PlacedLiver):
        return first
    least = max(rules.fewest_pieces, rules.least_agreeing * first.tried)
    if first.found >= least and first.turned_mm() <= rules.still_mm:
        return first
    # A second look from there: more pieces are found where the liver has turned.
    return _by_large_pieces(cubes, other, first.whole(), rules, least)


def _by_large_pieces(
    cubes: LiverCubes, other: Volume, start: RigidMotion, rules: PhaseMotionRules, least: float
) -> PlacedLiver | str | None:
    found = cubes.found_in(other, start, rules.coarse_pieces)
    if found.tried * rules.least_agreeing < rules.fewest_pieces:
        return None
    count = 0
    if len(found.agreement) >= least:
        rest = fit_field(found, rules.field, usual=True)
        count = int(np.count_nonzero(rest.agrees))
        if count >= least:
            return PlacedLiver(start, rest, count, found.tried)
    return (
        f"its liver could not be laid onto that of the labels: only {count} of {found.tried} pieces moved together, so "
        "it may show another liver, lie otherwise than its header says, or show too little"
    )


def place_part(cubes: LiverCubes, other: Volume, start: RigidMotion, rules: PhaseMotionRules) -> PlacedLiver | None:
    """The motion of the liver around a lesion by small pieces; None where too few are found there.

    Args:
        cubes: The part of the liver.
        other: The other series.
        start: As :func:`place_liver` says of that part.
        rules: Constants.
    """
    found = cubes.found_in(other, start, rules.pieces)
    if len(found.agreement) < rules.fewest_pieces:
        return None
    rest = fit_field(found, rules.field)
    return PlacedLiver(start, rest, int(np.count_nonzero(rest.agrees)), found.tried)


def spread_points(mask: BoolArray, grid: Grid) -> FloatArray:
    """Places spread over a mask, shape (n, 3), LPS mm; at most two hundred."""
    index = np.argwhere(mask)
    keep = np.random.default_rng(0).permutation(len(index))[:_MOST_POINTS]
    return np.asarray(grid.index_to_lps_mm(index[np.sort(keep)]))


def _laid(volume: Volume, cubes: Grid, motion: RigidMotion, smooth_mm: float) -> Image:
    """An image where a motion takes some cubes, averaged on the way and smoothed; NaN where it does not reach."""
    onto = carried(cubes, motion)
    window = window_of(onto, volume.grid)
    if window is None:
        return np.full(cubes.shape, np.nan, dtype=np.float32)
    part = volume.array[window]
    own = volume.grid.cropped([w.start for w in window], (part.shape[0], part.shape[1], part.shape[2]))
    cube_mm = float(cubes.spacing_mm[0])
    values, seen = sampled(*thinned(part, own, spacing_mm=cube_mm), onto)
    if smooth_mm > 0:
        weight = ndimage.gaussian_filter(seen.astype(np.float32), smooth_mm / cube_mm)
        values = ndimage.gaussian_filter(values, smooth_mm / cube_mm) / np.maximum(weight, 1e-3)
    values[~seen] = np.nan
    return values
