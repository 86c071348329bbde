"""Label maps spoilt as models spoil them, to see whether branches keep their names, lose them or get wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_opening, gaussian_filter
from scipy.spatial import cKDTree

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure

TREES = (Structure.PORTAL_VEIN, Structure.HEPATIC_VEIN)
Bits = Mapping[Structure, np.ndarray]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A label map to be spoilt in place: voxels, values by name, grid, true branches of each tree's voxels, chance."""

    array: np.ndarray
    codes: Mapping[str, int]
    grid: Grid
    bits: Bits
    rng: np.random.Generator


Spoiling = Callable[[Drawn], None]


def _places(array: np.ndarray, value: int, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    index = np.argwhere(array == value)
    return index, grid.index_to_lps_mm(index)


def _ball(array: np.ndarray, value: int, grid: Grid, centre: np.ndarray, radius_mm: float, to: int) -> None:
    index, points = _places(array, value, grid)
    hit = index[np.linalg.norm(points - centre, axis=1) <= radius_mm]
    array[tuple(hit.T)] = to


def _swapped(drawn: Drawn, one: Structure, other: Structure, bit: int) -> None:
    drawn.array[(drawn.bits[one] == bit) & (drawn.array == drawn.codes[one])] = drawn.codes[other]


def gaps(drawn: Drawn) -> None:
    """Six holes in each tree, 4 to 9 mm wide."""
    for structure in TREES:
        for _ in range(6):
            _, points = _places(drawn.array, drawn.codes[structure], drawn.grid)
            _ball(
                drawn.array,
                drawn.codes[structure],
                drawn.grid,
                points[drawn.rng.integers(len(points))],
                drawn.rng.uniform(2, 4.5),
                drawn.codes["liver"],
            )


def no_trunk(drawn: Drawn) -> None:
    """The portal trunk, and 12 mm of the veins around the cava, are not drawn."""
    drawn.array[(drawn.bits[Structure.PORTAL_VEIN] == 1) & (drawn.array == drawn.codes[Structure.PORTAL_VEIN])] = 0
    _, cava = _places(drawn.array, drawn.codes[Structure.INFERIOR_VENA_CAVA], drawn.grid)
    index, points = _places(drawn.array, drawn.codes[Structure.HEPATIC_VEIN], drawn.grid)
    near, _ = cKDTree(cava).query(points)
    drawn.array[tuple(index[near < 12].T)] = drawn.codes["liver"]


def no_left(drawn: Drawn) -> None:
    """Left portal branch and left hepatic vein are missed."""
    for structure in TREES:
        drawn.array[(drawn.bits[structure] == 4) & (drawn.array == drawn.codes[structure])] = drawn.codes["liver"]


def no_right(drawn: Drawn) -> None:
    """Right portal branch and right hepatic vein are missed."""
    for structure, bit in ((Structure.PORTAL_VEIN, 2), (Structure.HEPATIC_VEIN, 1)):
        drawn.array[(drawn.bits[structure] == bit) & (drawn.array == drawn.codes[structure])] = drawn.codes["liver"]


def no_middle(drawn: Drawn) -> None:
    """The middle hepatic vein is missed."""
    drawn.array[(drawn.bits[Structure.HEPATIC_VEIN] == 2) & (drawn.array == drawn.codes[Structure.HEPATIC_VEIN])] = (
        drawn.codes["liver"]
    )


def thick_only(drawn: Drawn) -> None:
    """Only what is about 5 mm wide and more is drawn: half of the vessels' volume and less."""
    steps = np.maximum(1, np.round(4.2 / drawn.grid.spacing_mm)).astype(int)
    for structure in TREES:
        mask = drawn.array == drawn.codes[structure]
        drawn.array[mask & ~binary_opening(mask, np.ones(steps))] = drawn.codes["liver"]


def merged_part(drawn: Drawn) -> None:
    """One hepatic vein is drawn as portal vein."""
    bit = int(drawn.rng.choice([1, 2, 4]))
    _swapped(drawn, Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, bit)


def merged_branch(drawn: Drawn) -> None:
    """The right or the left portal branch is drawn as hepatic vein."""
    _swapped(drawn, Structure.PORTAL_VEIN, Structure.HEPATIC_VEIN, int(drawn.rng.choice([2, 4])))


def mixed(drawn: Drawn) -> None:
    """The two veins change in patches of 30 mm, a quarter of the volume in all."""
    noise = gaussian_filter(drawn.rng.normal(size=drawn.array.shape).astype(np.float32), 12 / drawn.grid.spacing_mm)
    trees = np.isin(drawn.array, [drawn.codes[s] for s in TREES])
    patch = trees & (noise > np.quantile(noise[trees], 0.75))
    one, other = (drawn.codes[s] for s in TREES)
    was = drawn.array[patch]
    drawn.array[patch] = np.where(was == one, other, one)


def all_portal(drawn: Drawn) -> None:
    """Both trees are drawn as portal vein."""
    drawn.array[drawn.array == drawn.codes[Structure.HEPATIC_VEIN]] = drawn.codes[Structure.PORTAL_VEIN]


def all_hepatic(drawn: Drawn) -> None:
    """Both trees are drawn as hepatic vein."""
    drawn.array[drawn.array == drawn.codes[Structure.PORTAL_VEIN]] = drawn.codes[Structure.HEPATIC_VEIN]


def as_a_model(drawn: Drawn) -> None:
    """Thin vessels missed, gaps, and patches changed: all of it at once."""
    thick_only(drawn)
    gaps(drawn)
    mixed(drawn)


def untouched(drawn: Drawn) -> None:
    """As it is."""


SPOILINGS: tuple[Spoiling, ...] = (
    untouched,
    gaps,
    no_trunk,
    no_left,
    no_right,
    no_middle,
    thick_only,
    merged_part,
    merged_branch,
    mixed,
    all_portal,
    all_hepatic,
    as_a_model,
)


def spoilt(labels: LabelMap, bits: Bits, spoiling: Spoiling, *, seed: int) -> LabelMap:
    """A copy of a label map, spoilt; ``bits`` are the true branches of each voxel of either tree."""
    array = np.array(labels.array)
    codes = {structure.value: value for structure, value in labels.structures.items()}
    spoiling(Drawn(array, codes, labels.grid, bits, np.random.default_rng(seed)))
    return LabelMap(array, labels.grid, labels.structures)
