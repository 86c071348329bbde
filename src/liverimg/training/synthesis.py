"""One training example: a patch of a synthetic CT and its labels, made from a tissue map."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.lesions import LesionSizes, paint_lesions
from liverimg.training.looks import draw_look
from liverimg.training.scanner import AIR_HU, Scanner, cut_view, scan
from liverimg.training.tissues import ARM_TISSUES, Tissue
from liverimg.training.warp import Bending, FloatArray, NoiseBank, Shape, gather, patch_coordinates

IGNORED = 255
"""Label of voxels outside the scan: neither right nor wrong."""
EITHER = 254
"""Label of veins in real trees, where hepatic and portal are not told apart."""

_IN_LIVER_TREES = (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN, Tissue.BILE_DUCT)
# A vessel with less contrast than this can't be seen; its label would only teach guessing.
_LEAST_CONTRAST_HU = 9.0


@dataclass(frozen=True)
class Recipe:
    """How examples for one pass are made.

    Attributes:
        shape: Patch size (k, j, i), each a multiple of 16.
        spacing_mm: Of the patch.
        wander_mm: Standard deviation, per axis, of the patch's middle around the anchor.
        anchor: ``centre`` of the liver or any ``voxel`` of it.
        arms_share: How often the arms lie beside the trunk.
        ascites_share: How often fluid lies around the liver.
        no_gallbladder_share: How often the gallbladder was taken out.
    """

    shape: Shape
    spacing_mm: float
    wander_mm: tuple[float, float, float]
    anchor: str
    bending: Bending = field(default_factory=Bending)
    scanner: Scanner = field(default_factory=Scanner)
    lesions: LesionSizes = field(default_factory=LesionSizes)
    arms_share: float = 0.2
    ascites_share: float = 0.12
    no_gallbladder_share: float = 0.15


COARSE = Recipe(
    shape=(48, 80, 96),
    spacing_mm=4.0,
    wander_mm=(45.0, 18.0, 25.0),
    anchor="centre",
    bending=Bending(elastic_mm=6.0),
    scanner=Scanner(noise_hu=(1.0, 14.0), blur_voxels=(0.25, 0.6), cut_share=0.25),
    lesions=LesionSizes(least_mm=5.0, most_mm=50.0),
)
FINE = Recipe(
    shape=(64, 96, 96),
    spacing_mm=1.5,
    wander_mm=(8.0, 8.0, 8.0),
    anchor="voxel",
    bending=Bending(elastic_mm=3.0, control=6),
    scanner=Scanner(noise_hu=(1.5, 15.0), blur_voxels=(0.3, 0.65), cut_share=0.06, table_share=0.0),
    lesions=LesionSizes(least_mm=2.5, most_mm=35.0),
)
RECIPES = {"coarse": COARSE, "fine": FINE}


@dataclass(frozen=True)
class Example:
    """One training example.

    Attributes:
        hu: CT, shape (k, j, i).
        labels: Network channels, 0 the background, ``IGNORED`` outside the scan.
        tissue: What each voxel was made of.
        phase: Contrast time, as in :class:`liverimg.training.looks.Look`.
    """

    hu: FloatArray
    labels: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    phase: float


def make_example(
    tissue_map: NDArray[np.uint8],
    *,
    map_spacing_mm: float,
    recipe: Recipe,
    channels: NDArray[np.uint8],
    noise: NoiseBank,
    rng: np.random.Generator,
    veins_merged: bool = False,
) -> Example:
    """Bends a patient, gives it lesions and a contrast phase, and scans it.

    Args:
        tissue_map: ``Tissue`` values, standard order, isotropic.
        map_spacing_mm: Of the map.
        recipe: What to make.
        channels: Network channel of every tissue, from :func:`liverimg.training.tissues.channel_table`.
        noise: Random fields.
        rng: Source of chance; the same state gives the same example.
        veins_merged: Whether the map's veins are told apart by guess only: their labels become ``EITHER``.
    """
    spacing = np.full(3, recipe.spacing_mm)
    where = patch_coordinates(
        _middle(tissue_map, map_spacing_mm, recipe, rng),
        recipe.shape,
        spacing_mm=spacing,
        map_spacing_mm=map_spacing_mm,
        bending=recipe.bending,
        rng=rng,
    )
    tissue = gather(tissue_map, where, outside=Tissue.AIR)
    _vary(tissue, recipe, rng)
    look = draw_look(rng)
    difference = np.zeros(recipe.shape, dtype=np.float32)
    paint_lesions(tissue, difference, look=look, spacing_mm=spacing, sizes=recipe.lesions, noise=noise, rng=rng)
    labels = channels[tissue]
    if veins_merged:
        labels[np.isin(tissue, (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN))] = EITHER
    for unseen in _IN_LIVER_TREES:
        if abs(look.hu[unseen] - look.hu[Tissue.LIVER]) < _LEAST_CONTRAST_HU:
            labels[tissue == unseen] = IGNORED
    hu = scan(tissue, difference, look=look, scanner=recipe.scanner, noise=noise, rng=rng)
    seen = cut_view(recipe.shape, scanner=recipe.scanner, rng=rng)
    hu[~seen] = AIR_HU
    labels[~seen] = IGNORED
    return Example(hu, labels, tissue, look.phase)


def _middle(
    tissue_map: NDArray[np.uint8], map_spacing_mm: float, recipe: Recipe, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Map index that the patch is built around."""
    every = 3
    liver = np.argwhere(tissue_map[::every, ::every, ::every] == Tissue.LIVER) * every
    if len(liver) == 0:
        raise ValueError("a training map holds no liver")
    anchor = liver.mean(axis=0) if recipe.anchor == "centre" else liver[int(rng.integers(len(liver)))]
    return np.asarray(anchor + rng.normal(0, recipe.wander_mm) / map_spacing_mm)


def _vary(tissue: NDArray[np.uint8], recipe: Recipe, rng: np.random.Generator) -> None:
    """Arms up, gallbladder out, ascites: changes whole tissues in place."""
    table = np.arange(256, dtype=np.uint8)
    if rng.random() >= recipe.arms_share:
        table[list(ARM_TISSUES)] = Tissue.AIR
    if rng.random() < recipe.no_gallbladder_share:
        table[Tissue.GALLBLADDER] = Tissue.FAT
    if rng.random() < 0.3:  # an empty, collapsed stomach or bowel looks solid
        table[Tissue.STOMACH_CONTENT] = Tissue.STOMACH_WALL
    tissue[...] = table[tissue]
    if rng.random() < recipe.ascites_share:
        reach = max(1, round(rng.uniform(3, 16) / recipe.spacing_mm))
        near = ndimage.binary_dilation(tissue == Tissue.LIVER, iterations=reach)
        tissue[near & (tissue == Tissue.FAT)] = Tissue.ASCITES
