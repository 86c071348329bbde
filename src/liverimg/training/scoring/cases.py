"""Whole views that a bundle is scored on: held-out livers in bent bodies, and analytic phantoms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.phantom.contrast import Contrast
from liverimg.phantom.extent import extent_of, grid_over
from liverimg.phantom.people import random_scene
from liverimg.phantom.render import image, labels, layers
from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray
from liverimg.training.anatomy.fine_maps import AROUND_MM, FINE_SPACING_MM
from liverimg.training.synthesis.examples import COARSE, IGNORED, PHASE_TIMES, Example, Recipe, make_example
from liverimg.training.synthesis.tissues import STRUCTURE_OF, Tissue, channel_table
from liverimg.training.synthesis.warp import Bending, NoiseBank

VIEW_SPACING_MM = 1.5
_VIEW_MM = (240.0, 270.0, 360.0)
_SEED = 77
_FRAME = "2.25.77"  # phases of one study share their frame of reference
_PHANTOM_SPACING_MM = (2.5, 1.2, 1.2)
_PHANTOM_ROOM_MM = 25.0
_PHANTOM_NOISE_HU = 12.0
_PHANTOM_FIRST_SEED = 9000
"""Below the seeds that :mod:`liverimg.training.anatomy.phantom_maps` trains on."""


@dataclass(frozen=True, eq=False)
class Case:
    """One view with its truth.

    Attributes:
        name: Of the case.
        volume: CT in HU.
        truth: On the same grid.
        phase: Contrast time, as in :class:`liverimg.training.synthesis.looks.Look`.
        others: Further phases of the same study, on the same grid.
        ignored: Voxels of vessels, ducts, tumours and ablation zones that show in none of the images, shape
            (k, j, i): for these structures they count neither way. For the liver with its contents they do. None
            where everything counts.
    """

    name: str
    volume: Volume
    truth: LabelMap
    phase: float
    others: Mapping[Phase, Volume] = field(default_factory=dict)
    ignored: NDArray[np.bool_] | None = None


def composite(body: ByteArray, fine: ByteArray, fine_first_mm: NDArray[np.float64]) -> ByteArray:
    """A body map at the fine map's spacing, with the fine map set in at its place (mm of (k, j, i))."""
    whole = body.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    first = np.rint((fine_first_mm + 0.5 * FINE_SPACING_MM) / FINE_SPACING_MM).astype(int)
    whole[tuple(slice(int(a), int(a) + n) for a, n in zip(first, fine.shape, strict=True))] = fine
    return whole


def place_of_fine(body: ByteArray) -> NDArray[np.float64]:
    """Where a fine map lies in its body map, in mm of (k, j, i): its liver's box tells."""
    low = np.array([np.flatnonzero((body == Tissue.LIVER).any(axis=a))[0] for a in ((1, 2), (0, 2), (0, 1))])
    around = round(AROUND_MM / BODY_SPACING_MM)
    return np.asarray(np.maximum(low - around, 0) * BODY_SPACING_MM - 0.5 * FINE_SPACING_MM)


def synthetic_cases(maps: Path, fine: Path, count: int, *, first: int = 0) -> Iterator[Case]:
    """Held-out studies: whole views of one to four contrast phases, with their true labels.

    Args:
        maps: Body maps with veins, ``val-*.npz``.
        fine: Fine maps, ``val-*-grown.npz``.
        count: How many studies.
        first: Number of the first: studies are told by their number, and no two numbers give the same one.
    """
    recipe = _view_recipe()
    structures = dict(enumerate(sorted(set(STRUCTURE_OF.values())), start=1))
    table, noise = channel_table(structures), NoiseBank(_SEED)
    paths = sorted(p for p in maps.glob("val-*.npz") if "phantom" not in p.name)
    for number in range(first, first + count):
        path = paths[number % len(paths)]
        with np.load(path) as found:
            body = found["tissue"]
        with np.load(fine / f"{path.stem}-grown.npz") as found:
            near = found["tissue"]
        whole = composite(body, near, place_of_fine(body))
        rng = np.random.default_rng([_SEED, number])
        example = make_example(
            whole, map_spacing_mm=FINE_SPACING_MM, recipe=recipe, channels=table, noise=noise, rng=rng
        )
        name = f"{path.stem.removeprefix('val-')}-{number}"
        yield _case(name, example, recipe, structures, table)


def _view_recipe() -> Recipe:
    shape = tuple(int(np.ceil(mm / VIEW_SPACING_MM)) for mm in _VIEW_MM)
    return replace(
        COARSE,
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=VIEW_SPACING_MM,
        wander_mm=(10.0, 8.0, 8.0),
        bending=Bending(rotation_deg=3.0, log_scale=0.05, elastic_mm=4.0, control=9),
        scanner=replace(COARSE.scanner, noise_hu=(3.0, 15.0), blur_voxels=(0.35, 0.65), cut_share=0.0),
        lesions=replace(COARSE.lesions, least_mm=4.0, most_mm=35.0),
        inputs=("reference", *PHASE_TIMES),
        alone_share=0.4,
    )


def _case(name: str, example: Example, recipe: Recipe, structures: Mapping[int, Structure], table: ByteArray) -> Case:
    grid = Grid.from_axes(recipe.shape, spacing_mm=np.full(3, recipe.spacing_mm), frame_of_reference_uid=_FRAME)
    volumes = [Volume(np.clip(hu, -1024, 3071).astype(np.int16), grid, Quantity.HU) for hu in example.hu]
    truth = LabelMap(table[example.tissue], grid, {s: n for n, s in structures.items()})
    others = {
        Phase(phase): volume
        for phase, volume, there in zip(recipe.inputs[1:], volumes[1:], example.present[1:], strict=True)
        if there
    }
    return Case(name, volumes[0], truth, example.phases[0], others, example.labels == IGNORED)


def phantom_cases(count: int, structures: tuple[Structure, ...]) -> Iterator[Case]:
    """Analytic bodies in the portal venous phase, with seeds that no training map has."""
    contrast = Contrast.from_table(read_table("phantom"), Modality.CT)
    values = {structure: number for number, structure in enumerate(structures, start=1)}
    for seed in range(_PHANTOM_FIRST_SEED, _PHANTOM_FIRST_SEED + count):
        scene = random_scene(seed)
        extent = extent_of(scene)
        low, high = extent.low_lps_mm - _PHANTOM_ROOM_MM, extent.high_lps_mm + _PHANTOM_ROOM_MM
        grid = grid_over(low, high, spacing_kji_mm=_PHANTOM_SPACING_MM)
        volume = image(
            layers(scene, grid),
            contrast.looks(Phase.PORTAL_VENOUS),
            background=contrast.background,
            noise=_PHANTOM_NOISE_HU,
            seed=seed,
        )
        yield Case(f"phantom-{seed}", volume, labels(scene, grid, values), 2.0)
