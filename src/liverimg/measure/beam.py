"""Straight rays from a point outwards through the tissue grid, in many directions at once.

All elements of a focused transducer lie at one distance from the focus, so a beam is a cone of directions around its
axis, and every possible beam to a target is made of the same set of directions. They are followed once; the share of
an aperture that is blocked is then a mean over the directions in its cone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.tissue import Codes, Tissue, TissueGrid

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5.0))
STEP_MM = 1.0


def all_directions(count: int) -> FloatArray:
    """Unit vectors spread evenly over the sphere (a Fibonacci spiral around the body's axis), shape (count, 3), LPS."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = _GOLDEN_ANGLE * np.arange(count)
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)


def in_cone(axis: FloatArray, count: int, *, outer: float, inner: float) -> FloatArray:
    """Unit vectors spread evenly over a cone around an axis, shape (count, 3): rings of equal area, the spiral's turn.

    Args:
        axis: Unit vector.
        count: How many.
        outer: Half angle of the cone, radians.
        inner: Half angle of its hole, radians.
    """
    share = (np.arange(count) + 0.5) / count
    cosine = np.cos(inner) - (np.cos(inner) - np.cos(outer)) * share
    sine = np.sqrt(1 - cosine**2)
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    one = np.cross(axis, helper)
    one /= np.linalg.norm(one)
    turn = _GOLDEN_ANGLE * np.arange(count)
    around = np.cos(turn)[:, None] * one + np.sin(turn)[:, None] * np.cross(axis, one)
    return np.asarray(cosine[:, None] * axis + sine[:, None] * around)


def azimuth_deg(directions: FloatArray) -> FloatArray:
    """Side of the body: 0 from the front, 90 from the patient's right, -90 from the left, 180 from behind."""
    return np.asarray(np.rad2deg(np.arctan2(-directions[..., 0], -directions[..., 1])))


def elevation_deg(directions: FloatArray) -> FloatArray:
    """Angle out of the axial plane, positive towards the head."""
    return np.asarray(np.rad2deg(np.arcsin(np.clip(directions[..., 2], -1.0, 1.0))))


def within(
    directions: FloatArray, azimuth: tuple[float, float], elevation: tuple[float, float], *, margin: float = 0.0
) -> BoolArray:
    """Which directions lie within the limits in degrees, or at most a margin (radians) beyond their corners."""
    side, tilt = azimuth_deg(directions), elevation_deg(directions)
    inner = (side >= azimuth[0]) & (side <= azimuth[1]) & (tilt >= elevation[0]) & (tilt <= elevation[1])
    if margin <= 0 or not inner.any():
        return np.asarray(inner)
    edge = directions[inner] @ directions.T
    return np.asarray(edge.max(axis=0) >= np.cos(margin))


@dataclass(frozen=True, eq=False)
class Rays:
    """What straight rays from one point meet, from the point outwards.

    Attributes:
        codes: Tissue at each step, shape (rays, steps); OUTSIDE from the skin on.
        ends: Number of steps before the ray leaves the body or the view, shape (rays,).
        step_mm: Between two steps; the first lies half a step from the point.
        unseen: Rays that leave the view before the body.
        least_mm: A ray is blocked when it runs at least so long in what blocks: one cell. Any shorter touch would make
            everything larger than it is, because a ray that grazes a stair of cells meets some of them.
    """

    codes: Codes = field(repr=False)
    ends: NDArray[np.intp] = field(repr=False)
    step_mm: float
    unseen: BoolArray = field(repr=False)
    least_mm: float

    @property
    def lengths_mm(self) -> FloatArray:
        """Length of each ray within the body, shape (rays,)."""
        return np.asarray(self.ends * self.step_mm, dtype=np.float64)

    def length_in_mm(self, *tissues: Tissue) -> FloatArray:
        """Length of each ray in the tissues, shape (rays,)."""
        return np.asarray(np.isin(self.codes, tissues).sum(axis=1) * self.step_mm)

    def first_block(self) -> tuple[NDArray[np.intp], Codes]:
        """For each ray the outermost step that blocks sound, -1 where none does, and its tissue (else OUTSIDE)."""
        blocks = self.codes >= Tissue.BONE
        steps = self.codes.shape[1]
        outermost = steps - 1 - np.argmax(blocks[:, ::-1], axis=1)
        cause = self.codes[np.arange(len(self.codes)), outermost]
        none = blocks.sum(axis=1) * self.step_mm < self.least_mm
        return np.where(none, -1, outermost), np.where(none, np.uint8(Tissue.OUTSIDE), cause)


def follow(
    tissue: TissueGrid, start_lps_mm: FloatArray, directions: FloatArray, *, reach_mm: float, step_mm: float = STEP_MM
) -> Rays:
    """Follows rays from a point until they leave the body or have run their length.

    Args:
        tissue: Where they run.
        start_lps_mm: Their common start.
        directions: Unit vectors, LPS, shape (rays, 3).
        reach_mm: Their length.
        step_mm: Tissue is looked up in the middle of each step.
    """
    grid = tissue.grid
    inverse = np.linalg.inv(grid.affine[:3, :3])
    start = grid.lps_mm_to_index(start_lps_mm)
    slopes = directions @ inverse.T
    along = ((np.arange(max(1, round(reach_mm / step_mm))) + 0.5) * step_mm).astype(np.float32)
    flat = np.zeros((len(directions), len(along)), dtype=np.int32)
    stride = (grid.shape[1] * grid.shape[2], grid.shape[2], 1)
    for axis in range(3):
        # Half a cell more, so that cutting off the digits rounds; all kept positive by the rim.
        place = np.multiply.outer(slopes[:, axis].astype(np.float32), along)
        place += np.float32(start[axis] + 0.5)
        np.clip(place, 0, grid.shape[axis] - 1, out=place)
        flat += place.astype(np.int32) * np.int32(stride[axis])
    codes = tissue.codes.ravel()[flat]
    over = codes <= Tissue.UNSEEN
    left = over.any(axis=1)
    ends = np.where(left, np.argmax(over, axis=1), len(along))
    last = codes[np.arange(len(codes)), np.minimum(ends, len(along) - 1)]
    codes[np.arange(len(along)) >= ends[:, None]] = Tissue.OUTSIDE
    unseen = np.asarray(left & (last == Tissue.UNSEEN))
    return Rays(codes, ends, step_mm, unseen, float(grid.spacing_mm.min()))


def cone(axes: FloatArray, directions: FloatArray, *, outer: float, inner: float) -> NDArray[np.float32]:
    """Which directions belong to the beam around each axis, as shares that add up to 1 in each row.

    Args:
        axes: Unit vectors, shape (n, 3).
        directions: Unit vectors, shape (m, 3), evenly spread.
        outer: Half angle of the beam, radians.
        inner: Half angle of its hole, radians.
    """
    cosines = axes.astype(np.float32) @ directions.astype(np.float32).T
    part = (cosines >= np.float32(np.cos(outer))) & ((inner <= 0) | (cosines <= np.float32(np.cos(inner))))
    shares = part.astype(np.float32)
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1))
