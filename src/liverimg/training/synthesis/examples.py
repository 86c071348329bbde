"""One training example: a patch of a synthetic CT and its labels, made from a tissue map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.synthesis.lesions import LesionSizes, Painting, paint
from liverimg.training.synthesis.looks import Patient, draw_patient, look_of
from liverimg.training.synthesis.scanner import AIR_HU, Scanner, cut_view, draw_exposure, scan
from liverimg.training.synthesis.tissues import ARM_TISSUES, Tissue
from liverimg.training.synthesis.visibility import too_thin, unseen
from liverimg.training.synthesis.warp import Bending, FloatArray, NoiseBank, Shape, gather, patch_coordinates

IGNORED = 255
"""Label of voxels outside the scan: neither right nor wrong."""
EITHER = 254
"""Label of veins in real trees, where hepatic and portal are not told apart."""

PHASE_TIMES: Mapping[str, int] = MappingProxyType({"unenhanced": 0, "arterial": 1, "portal_venous": 2, "delayed": 3})
# How often the reference is taken near each phase, and how far around it.
_PHASE_WEIGHTS = (0.13, 0.17, 0.55, 0.15)
_PHASE_JITTER = 0.35
_MISSING_SHARE = 0.35
_DEEP_BREATH_SHARE = 0.15
_NODULAR_MM = (2.0, 5.0)


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
        inputs: ``reference`` and the further phases that the network takes.
        alone_share: How often only the reference is at hand.
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
    inputs: tuple[str, ...] = ("reference",)
    alone_share: float = 0.5


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
    lesions=LesionSizes(least_mm=2.0, most_mm=35.0),
    inputs=("reference", *PHASE_TIMES),
)
RECIPES = {"coarse": COARSE, "fine": FINE}


@dataclass(frozen=True, eq=False)
class Example:
    """One training example.

    Attributes:
        hu: CT per input of the recipe, shape (inputs, k, j, i); ``AIR_HU`` where a phase is missing.
        present: Which inputs there are.
        labels: Network channels, 0 the background, ``IGNORED`` outside the scan, where nothing can be seen of what
            is there, and where a grown vessel is too thin to matter.
        tissue: What each voxel was made of.
        phases: Contrast time of each input, as in :class:`liverimg.training.synthesis.looks.Look`; NaN where missing.
    """

    hu: FloatArray
    present: tuple[bool, ...]
    labels: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    phases: tuple[float, ...]


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
    """Bends a patient, gives it lesions, and scans it at one or more contrast phases.

    Args:
        tissue_map: ``Tissue`` values, standard order, isotropic.
        map_spacing_mm: Of the map.
        recipe: What to make.
        channels: Network channel of every tissue, from :func:`liverimg.training.synthesis.tissues.channel_table`.
        noise: Random fields.
        rng: Source of chance; the same state gives the same example.
        veins_merged: Whether the map's veins are told apart by guess only: their labels become ``EITHER``.
    """
    spacing = np.full(3, recipe.spacing_mm)
    tissue = placed(tissue_map, map_spacing_mm, recipe, rng)
    patient = draw_patient(rng)
    vary(tissue, patient, recipe, noise, rng)
    painting = paint(tissue, patient, spacing_mm=spacing, sizes=recipe.lesions, noise=noise, rng=rng)
    exposure = draw_exposure(recipe.scanner, recipe.spacing_mm, rng)
    seen = cut_view(recipe.shape, scanner=recipe.scanner, rng=rng)
    times = draw_times(recipe.inputs, recipe.alone_share, rng)
    images = np.full((len(times), *recipe.shape), AIR_HU, dtype=np.float32)
    looks = []
    for number, time in enumerate(times):
        if np.isnan(time):
            continue
        looks.append(look_of(patient, time, rng))
        matter = painting if number == 0 else breathed(painting, recipe.spacing_mm, rng)
        image = scan(matter, look=looks[-1], exposure=exposure, scanner=recipe.scanner, noise=noise, rng=rng)
        images[number][seen] = image[seen]
    labels = channels[tissue]
    if veins_merged:
        labels[np.isin(tissue, (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN))] = EITHER
    else:  # people drew the real trees: what they outlined is to be outlined
        labels[too_thin(tissue, recipe.spacing_mm)] = IGNORED
    labels[unseen(painting, looks, exposure, spacing_mm=recipe.spacing_mm, noise=noise, rng=rng)] = IGNORED
    labels[~seen] = IGNORED
    return Example(images, tuple(not np.isnan(t) for t in times), labels, tissue, times)


def draw_times(inputs: Sequence[str], alone_share: float, rng: np.random.Generator) -> tuple[float, ...]:
    """A contrast time for the reference, and for each further phase one or NaN (missing)."""
    reference = float(np.clip(rng.choice(4, p=_PHASE_WEIGHTS) + rng.normal(0, _PHASE_JITTER), 0, 3))
    times = [reference]
    alone = rng.random() < alone_share
    for name in inputs[1:]:
        nominal = PHASE_TIMES[name]
        missing = alone or round(reference) == nominal or rng.random() < _MISSING_SHARE
        jitter = float(np.clip(nominal + rng.normal(0, 0.6 * _PHASE_JITTER), 0, 3))
        times.append(float("nan") if missing else jitter)
    return tuple(times)


def breathed(painting: Painting, spacing_mm: float, rng: np.random.Generator) -> Painting:
    """The same matter at another breath: shifted by whole voxels, mostly along the body."""
    spread_mm = np.array([2.0, 1.0, 0.7]) * (4.0 if rng.random() < _DEEP_BREATH_SHARE else 1.0)
    shift = np.rint(rng.normal(0, spread_mm) / spacing_mm).astype(int)
    if not shift.any():
        return painting
    index = [np.clip(np.arange(n) + s, 0, n - 1) for n, s in zip(painting.tissue.shape, shift, strict=True)]
    moved = np.ix_(*index)
    metal = None if painting.metal is None else painting.metal[moved]
    return Painting(painting.tissue[moved], painting.kind[moved], painting.weight[moved], metal)


def placed(
    tissue_map: NDArray[np.uint8], map_spacing_mm: float, recipe: Recipe, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The patch of a randomly bent body around its liver, air where the map ends."""
    where = patch_coordinates(
        _middle(tissue_map, map_spacing_mm, recipe, rng),
        recipe.shape,
        spacing_mm=np.full(3, recipe.spacing_mm),
        map_spacing_mm=map_spacing_mm,
        bending=recipe.bending,
        rng=rng,
    )
    return gather(tissue_map, where, outside=Tissue.AIR)


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


def vary(
    tissue: NDArray[np.uint8], patient: Patient, recipe: Recipe, noise: NoiseBank, rng: np.random.Generator
) -> None:
    """Arms up, gallbladder out, ascites, a nodular liver: changes whole tissues in place."""
    table = np.arange(256, dtype=np.uint8)
    if rng.random() >= recipe.arms_share:
        table[list(ARM_TISSUES)] = Tissue.AIR
    if rng.random() < recipe.no_gallbladder_share:
        table[Tissue.GALLBLADDER] = Tissue.FAT
    if rng.random() < 0.3:  # an empty, collapsed stomach or bowel looks solid
        table[Tissue.STOMACH_CONTENT] = Tissue.STOMACH_WALL
    tissue[...] = table[tissue]
    if patient.cirrhotic:
        _make_nodular(tissue, recipe.spacing_mm, noise, rng)
    if rng.random() < recipe.ascites_share * (2.5 if patient.cirrhotic else 1.0):
        reach = max(1, round(rng.uniform(3, 16) / recipe.spacing_mm))
        near = ndimage.binary_dilation(tissue == Tissue.LIVER, iterations=reach)
        tissue[near & (tissue == Tissue.FAT)] = Tissue.ASCITES


def _make_nodular(tissue: NDArray[np.uint8], spacing_mm: float, noise: NoiseBank, rng: np.random.Generator) -> None:
    """Knobs and dents of a few millimetres on the liver's free surface, in place."""
    reach = max(1, round(rng.uniform(*_NODULAR_MM) / spacing_mm))
    knobs = noise.piece((tissue.shape[0], tissue.shape[1], tissue.shape[2]), 2, rng)
    liver = tissue == Tissue.LIVER
    free = tissue == Tissue.FAT
    outer = ndimage.binary_dilation(liver, iterations=reach) & free
    inner = ndimage.binary_dilation(free, iterations=reach) & liver
    level = rng.uniform(0.4, 1.0)
    tissue[outer & (knobs > level)] = Tissue.LIVER
    tissue[inner & (knobs < -level)] = Tissue.FAT
