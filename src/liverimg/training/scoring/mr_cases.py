"""Whole MR views that a bundle is scored on: held-out livers in bent bodies, and analytic phantoms."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, LabelMap, Structure
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.phantom.contrast import Contrast
from liverimg.phantom.extent import extent_of, grid_over
from liverimg.phantom.people import random_scene
from liverimg.phantom.render import image, labels, layers
from liverimg.training.anatomy.bodies import BODY_SPACING_MM
from liverimg.training.scoring.cases import Case
from liverimg.training.scoring.metrics import whole_liver
from liverimg.training.synthesis.examples import IGNORED
from liverimg.training.synthesis.mr_examples import MR_COARSE, make_mr_example
from liverimg.training.synthesis.mr_looks import draw_mr_look
from liverimg.training.synthesis.mr_scanner import MrScanner
from liverimg.training.synthesis.tissues import STRUCTURE_OF, channel_table
from liverimg.training.synthesis.warp import Bending, NoiseBank

VIEW_SPACING_MM = 2.5
_VIEW_MM = (240.0, 280.0, 360.0)
_SEED = 78
_SCANNER = MrScanner(in_plane_mm=(0.7, 1.8), least_blur_voxels=0.35, noise=(0.008, 0.09), cut_share=0.15)
_PHANTOM_SPACING_MM = (4.0, 2.2, 2.2)
_PHANTOM_ROOM_MM = 20.0
_PHANTOM_FIRST_SEED = 9100
"""Below the seeds that :mod:`liverimg.training.anatomy.phantom_maps` trains on."""


@dataclass(frozen=True, eq=False)
class MrCase:
    """One view with its truth and what kind of image it is.

    Attributes:
        case: The view.
        sequence: Name as in ``training_tissues_mr.toml``, ``random``, or a phantom's phase.
    """

    case: Case
    sequence: str


def as_drawn(truth: LabelMap, drawn: Collection[Structure]) -> LabelMap:
    """The truth as a model would draw it: a tumour or vessel that it does not know is liver where it lies inside.

    Args:
        truth: With everything told apart.
        drawn: What the model draws.
    """
    array = np.where(np.isin(truth.array, [v for s, v in truth.structures.items() if s in drawn]), truth.array, 0)
    if Structure.LIVER in drawn and truth.has(Structure.LIVER):
        within = whole_liver(truth) & (array == 0)
        array[within] = truth.structures[Structure.LIVER]
    return LabelMap(array.astype(np.uint8), truth.grid, {s: v for s, v in truth.structures.items() if s in drawn})


def synthetic_mr_cases(maps: Path, count: int, drawn: Collection[Structure]) -> Iterator[MrCase]:
    """Held-out livers, each seen by another scanner, cut to the field of view.

    Args:
        maps: Body maps, ``val-*.npz``.
        count: How many views; the livers take turns.
        drawn: What the model draws.
    """
    shape = tuple(int(np.ceil(mm / VIEW_SPACING_MM)) for mm in _VIEW_MM)
    recipe = replace(
        MR_COARSE,
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=VIEW_SPACING_MM,
        wander_mm=(15.0, 8.0, 8.0),
        bending=Bending(rotation_deg=3.0, log_scale=0.05, elastic_mm=4.0, control=9),
    )
    structures = dict(enumerate(sorted(set(STRUCTURE_OF.values())), start=1))
    table, noise = channel_table(structures), NoiseBank(_SEED)
    paths = sorted(p for p in maps.glob("val-*.npz") if "phantom" not in p.name)
    for number in range(count):
        path = paths[number % len(paths)]
        with np.load(path) as found:
            body = found["tissue"]
        look = draw_mr_look(np.random.default_rng([_SEED, number, 1]))
        example = make_mr_example(
            body,
            map_spacing_mm=BODY_SPACING_MM,
            recipe=recipe,
            channels=table,
            noise=noise,
            rng=np.random.default_rng([_SEED, number]),
            scanner=_SCANNER,
            look=look,
        )
        seen = np.argwhere(example.labels != IGNORED)
        box = tuple(slice(int(a), int(b) + 1) for a, b in zip(seen.min(axis=0), seen.max(axis=0), strict=True))
        array = example.hu[0][box].astype(np.int32)
        grid = Grid.from_axes(array.shape, spacing_mm=np.full(3, VIEW_SPACING_MM))
        truth = LabelMap(table[example.tissue[box]], grid, {s: n for n, s in structures.items()})
        name = f"{path.stem.removeprefix('val-')}-{number}"
        volume = Volume(array, grid, Quantity.MR_SIGNAL)
        yield MrCase(Case(name, volume, as_drawn(truth, drawn), look.phase), look.sequence)


def phantom_mr_cases(people: int, drawn: Collection[Structure]) -> Iterator[MrCase]:
    """Analytic bodies on T1 with gadoxetate, every phase, with seeds that no training map has.

    Args:
        people: How many bodies.
        drawn: What the model draws.
    """
    table = read_table("phantom")
    contrast = Contrast.from_table(table, Modality.MR)
    inside = (*LIVER_CONTENTS, Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
    values = {structure: number for number, structure in enumerate(sorted({*drawn, *inside}), start=1)}
    for seed in range(_PHANTOM_FIRST_SEED, _PHANTOM_FIRST_SEED + people):
        scene = random_scene(seed)
        extent = extent_of(scene)
        low, high = extent.low_lps_mm - _PHANTOM_ROOM_MM, extent.high_lps_mm + _PHANTOM_ROOM_MM
        grid = grid_over(low, high, spacing_kji_mm=_PHANTOM_SPACING_MM)
        parts, truth = layers(scene, grid), as_drawn(labels(scene, grid, values), drawn)
        for number, phase in enumerate(contrast.phase_times_s):
            volume = image(
                parts,
                contrast.looks(phase),
                background=contrast.background,
                noise=float(table["mr"]["noise_signal"][phase.value]),
                seed=seed,
                quantity=Quantity.MR_SIGNAL,
            )
            # A scanner gives magnitudes, never less than nothing.
            magnitude = Volume(np.abs(volume.array), grid, Quantity.MR_SIGNAL)
            yield MrCase(Case(f"phantom-{seed}-{phase.value}", magnitude, truth, float(number)), phase.value)
