"""Analytic bodies become training maps without any outside data."""

import sys
from pathlib import Path

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.phantom.people import random_scene
from liverimg.phantom.render import labels
from liverimg.phantom.scene import Scene
from liverimg.training.anatomy import phantom_maps
from liverimg.training.anatomy.phantom_maps import FIRST_SEED, grids_of, tissues_of, without_outer_veins
from liverimg.training.synthesis.tissues import Tissue


@pytest.fixture(scope="module")
def scene() -> Scene:
    return random_scene(3)


@pytest.fixture(scope="module")
def grids(scene: Scene) -> tuple[Grid, Grid]:
    return grids_of(scene)


def test_a_scene_becomes_tissues(scene: Scene, grids: tuple[Grid, Grid]) -> None:
    rough = grids[1].resampled(9.0)
    tissue = tissues_of(scene, rough)
    present = set(np.unique(tissue))
    assert {Tissue.FAT, Tissue.LUNG, Tissue.LIVER, Tissue.AORTA, Tissue.VENA_CAVA, Tissue.MUSCLE} <= present
    assert not {Tissue.GAS, Tissue.TUMOUR} & present
    liver = labels(scene, rough, {Structure.LIVER: 1, Structure.TUMOUR: 2}).array > 0
    assert (tissue[liver] == Tissue.LIVER).mean() > 0.9
    for axis in range(3):  # the whole liver is in view
        planes = liver.any(axis=tuple(a for a in range(3) if a != axis))
        assert not planes[0]
        assert not planes[-1]


def test_veins_outside_the_liver_lose_their_name() -> None:
    tissue = np.full((30, 30, 40), Tissue.FAT, dtype=np.uint8)
    tissue[5:25, 5:25, 5:25] = Tissue.LIVER
    tissue[14:16, 14:16, 10:38] = Tissue.PORTAL_VEIN
    named = without_outer_veins(tissue)
    assert (named[14:16, 14:16, 10:20] == Tissue.PORTAL_VEIN).all()
    assert (named[14:16, 14:16, 30:38] == Tissue.VESSEL_OTHER).all()


def test_grids_are_in_standard_order(grids: tuple[Grid, Grid]) -> None:
    for grid in grids:
        assert np.allclose(grid.directions, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])


@pytest.mark.slow
def test_both_kinds_of_maps_are_made_without_any_data(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phantom_maps, "random_scene", lambda seed: scene)
    monkeypatch.setattr(phantom_maps, "BODY_SPACING_MM", 16.0)
    monkeypatch.setattr(phantom_maps, "FINE_SPACING_MM", 8.0)
    monkeypatch.setattr(sys, "argv", ["phantom_maps", str(tmp_path / "coarse"), str(tmp_path / "fine"), "--count", "1"])
    phantom_maps.main()
    (coarse,) = (tmp_path / "coarse").glob("*.npz")
    (fine,) = (tmp_path / "fine").glob("*.npz")
    assert coarse.name == f"train-phantom-{FIRST_SEED}.npz"
    assert fine.name == f"train-phantom-{FIRST_SEED}-grown.npz"
    with np.load(coarse) as wide, np.load(fine) as near:
        assert {Tissue.LIVER, Tissue.LUNG, Tissue.BONE_SPONGIOSA} <= set(np.unique(wide["tissue"]))
        assert {Tissue.LIVER, Tissue.PORTAL_VEIN, Tissue.HEPATIC_VEIN} <= set(np.unique(near["tissue"]))
