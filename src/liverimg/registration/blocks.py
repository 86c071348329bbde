"""The rigid motion of one place between two examinations, by matching blocks around it.

Pieces of the liver around a place are each looked for in the other examination by translation alone; one rigid motion
is then fitted through the pieces, those near the place weighing most and those that disagree weighing nothing. What the
pieces leave over says how well the place is known (Ourselin et al., Image and Vision Computing 19 (2001) 25: block
matching; Fitzpatrick, West, Maurer, IEEE Trans. Med. Imaging 17 (1998) 694: error at a target).

The place itself takes no part: a tumour that was treated looks different afterwards, and a motion that is free to
fit the treated region would pull the tumour into it. Far pieces take little part: a liver bends, and what holds for
one lobe need not hold for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.motion import RigidMotion
from liverimg.core.rows import filled
from liverimg.core.volume import Volume
from liverimg.registration.resample import sampled
from liverimg.registration.translation import TranslationRules, find_translation

_ROUNDS = 12
_FEWEST_PAIRS = 4  # fewer don't tell a rotation from a bend


@dataclass(frozen=True)
class BlockRules:
    """The part ``blocks`` of ``registration.toml``; its entries say what each is and where it comes from."""

    spacing_mm: float
    radius_mm: float
    step_mm: float
    reach_mm: float
    near_mm: float
    most_mm: float
    least_share: float
    inlier_mm: float
    least_error_mm: float
    translation: TranslationRules

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> BlockRules:
        """Reads the table."""
        translation = TranslationRules.from_table(table["translation"])
        return filled(cls, table["blocks"], "registration blocks", translation=translation)


@dataclass(frozen=True, eq=False)
class Matches:
    """Places found again.

    Attributes:
        fixed_lps_mm: Middles of the blocks, shape (n, 3).
        moving_lps_mm: Where they lie in the other examination, shape (n, 3).
        agreement: 0 to 1, shape (n,).
        tried: How many blocks were looked for.
    """

    fixed_lps_mm: FloatArray = field(repr=False)
    moving_lps_mm: FloatArray = field(repr=False)
    agreement: FloatArray = field(repr=False)
    tried: int


@dataclass(frozen=True, eq=False)
class LocalMotion:
    """How a place moved between two examinations.

    Attributes:
        motion: From the first examination into the second, good around the place.
        error_mm: 95 % bound of its error at the place.
        residual_mm: Root mean square of what the blocks that agree leave over.
        blocks: How many blocks agree.
        tried: How many were looked for.
    """

    motion: RigidMotion
    error_mm: float
    residual_mm: float
    blocks: int
    tried: int


def local_motion(
    fixed: Volume,
    moving: Volume,
    *,
    place_lps_mm: FloatArray,
    region: BoolArray,
    start: RigidMotion,
    rules: BlockRules,
) -> LocalMotion | str:
    """The rigid motion of a place, or one sentence why it can't be told.

    Args:
        fixed: The first examination.
        moving: The second.
        place_lps_mm: The place, in the first examination, shape (3,).
        region: Voxels of the first examination whose look may be compared: the liver without what was treated.
        start: A motion that is right to within ``rules.most_mm``.
        rules: What is compared and how it is judged.
    """
    place = np.asarray(place_lps_mm, dtype=float)
    motion = start
    for most_mm in (rules.most_mm, rules.most_mm / 2):
        found = match_blocks(fixed, moving, place=place, region=region, start=motion, most_mm=most_mm, rules=rules)
        if len(found.fixed_lps_mm) < _FEWEST_PAIRS:
            return (
                f"only {len(found.fixed_lps_mm)} of {found.tried} pieces of liver around the place were found again; "
                f"{_FEWEST_PAIRS} at least are needed"
            )
        fitted = _fitted(found, place, rules)
        if isinstance(fitted, str):
            return fitted
        motion = fitted.motion
    return fitted


def match_blocks(
    fixed: Volume,
    moving: Volume,
    *,
    place: FloatArray,
    region: BoolArray,
    start: RigidMotion,
    most_mm: float,
    rules: BlockRules,
) -> Matches:
    """Looks for blocks on a lattice around a place; those without edges, or that nothing resembles, are left out."""
    centres = _lattice(place, fixed.grid, region, rules)
    here, there, agreement = [], [], []
    mask = region.astype(np.float32)
    for centre in centres:
        grid = _block_grid(centre, most_mm, rules)
        window = sampled(mask, fixed.grid, grid)[0] > 0.5
        window &= _ball(grid, centre, rules.radius_mm)
        one, two = _at(fixed, grid), _at(moving, _carried(grid, start))
        found = find_translation(one, two, grid, region=window, most_mm=most_mm, rules=rules.translation)
        if found is not None and np.linalg.norm(found.shift_lps_mm) < most_mm - rules.spacing_mm:
            here.append(centre)
            there.append(start.apply(centre + np.asarray(found.shift_lps_mm)))
            agreement.append(found.agreement)
    shape = (len(here), 3)
    return Matches(np.array(here).reshape(shape), np.array(there).reshape(shape), np.array(agreement), len(centres))


def _lattice(place: FloatArray, grid: Grid, region: BoolArray, rules: BlockRules) -> FloatArray:
    """Middles of blocks around the place that lie in the region, nearest first."""
    count = int(rules.reach_mm // rules.step_mm)
    steps = np.arange(-count, count + 1) * rules.step_mm
    points = place + np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    away = np.linalg.norm(points - place, axis=1)
    points = points[np.argsort(away, kind="stable")][: int((away <= rules.reach_mm).sum())]
    index = np.rint(grid.lps_mm_to_index(points)).astype(int)
    inside = np.asarray(((index >= 0) & (index < region.shape)).all(axis=1))
    inside[inside] = region[tuple(index[inside].T)]
    return np.asarray(points[inside])


def _block_grid(centre: FloatArray, most_mm: float, rules: BlockRules) -> Grid:
    half = rules.radius_mm + most_mm
    count = 2 * int(np.ceil(half / rules.spacing_mm)) + 1
    origin = centre - (count - 1) / 2 * rules.spacing_mm
    return Grid.from_axes((count, count, count), spacing_mm=np.full(3, rules.spacing_mm), origin_lps_mm=origin)


def _carried(grid: Grid, motion: RigidMotion) -> Grid:
    """The same lattice where a motion takes it."""
    affine = np.array(grid.affine)
    affine[:3, :3] = motion.matrix @ grid.affine[:3, :3]
    affine[:3, 3] = motion.apply(grid.origin_lps_mm)
    return Grid(grid.shape, affine, grid.frame_of_reference_uid)


def _at(volume: Volume, grid: Grid) -> NDArray[np.float32]:
    found, seen = sampled(volume.array, volume.grid, grid)
    found[~seen] = np.nan
    return found


def _ball(grid: Grid, centre: FloatArray, radius_mm: float) -> BoolArray:
    axes = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return np.asarray(np.linalg.norm(grid.index_to_lps_mm(axes) - centre, axis=-1) <= radius_mm)


def _fitted(found: Matches, place: FloatArray, rules: BlockRules) -> LocalMotion | str:
    """One rigid motion through the matches, by weights that fall with the distance from the place and with doubt.

    Matches that disagree are left out by Tukey's weight, its width shrinking to ``inlier_mm``.
    """
    here, there = found.fixed_lps_mm, found.moving_lps_mm
    near = np.exp(-((here - place) ** 2).sum(axis=1) / (2 * rules.near_mm**2)) * found.agreement
    weight = near.copy()
    motion = RigidMotion(np.eye(3), np.median(there - here, axis=0))
    for round_number in range(_ROUNDS):
        rest = np.linalg.norm(motion.apply(here) - there, axis=1)
        width = max(rules.inlier_mm, 3 * rules.inlier_mm * (1 - round_number / (_ROUNDS - 3)))
        weight = near * np.clip(1 - (rest / (3 * width)) ** 2, 0, None) ** 2
        if np.count_nonzero(weight) < _FEWEST_PAIRS:
            return "the pieces of liver around the place did not move together"
        motion = rigid_through(here, there, weight)
    rest = np.linalg.norm(motion.apply(here) - there, axis=1)
    agree = rest <= 2 * rules.inlier_mm
    share = float(near[agree].sum() / near.sum())
    if np.count_nonzero(agree) < _FEWEST_PAIRS or share < rules.least_share:
        return (
            f"only {np.count_nonzero(agree)} of {len(here)} pieces of liver around the place moved together "
            f"(to within {2 * rules.inlier_mm:.0f} mm)"
        )
    error, residual = _error_at(place, here[agree], rest[agree], near[agree])
    return LocalMotion(motion, max(error, rules.least_error_mm), residual, int(np.count_nonzero(agree)), found.tried)


def rigid_through(here: FloatArray, there: FloatArray, weight: FloatArray) -> RigidMotion:
    """The rigid motion that takes points nearest to others, least weighted squares (Kabsch 1976; Umeyama 1991)."""
    share = weight / weight.sum()
    from_middle, to_middle = share @ here, share @ there
    cross = ((here - from_middle) * share[:, None]).T @ (there - to_middle)
    left, _, right = np.linalg.svd(cross)
    keep = np.diag([1.0, 1.0, np.sign(np.linalg.det(right.T @ left.T))])
    matrix = right.T @ keep @ left.T
    return RigidMotion(matrix, to_middle - matrix @ from_middle)


def _error_at(place: FloatArray, here: FloatArray, rest: FloatArray, near: FloatArray) -> tuple[float, float]:
    """95 % bound of the error at the place, and the root mean square of what is left over, in mm.

    The blocks' own error is estimated from what is left over, six parameters fitted to three coordinates each; the
    error at the place is that of the mean, plus that of the rotation times the place's distance from the blocks'
    principal axes. Blocks overlap, so they count as fewer by their weights. A liver also bends between blocks, which no
    number of them averages away: what is left over is added whole.
    """
    share = near / near.sum()
    effective = 1.0 / float((share**2).sum())
    residual2 = float((share * rest**2).sum())
    blocks_error2 = residual2 * effective / max(effective - 2.0, 1.0)
    middle = share @ here
    spread, axes = np.linalg.eigh(((here - middle) * share[:, None]).T @ (here - middle))
    offset = (place - middle) @ axes
    lever = 0.0
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        lever += float((offset[others] ** 2).sum() / max(float(spread[others].sum()), 1e-6))
    rms = float(np.sqrt(blocks_error2 / effective * (1 + lever / 3)))
    return float(np.hypot(1.96 * rms, np.sqrt(residual2))), float(np.sqrt(residual2))
