"""Analytic bodies become training maps without any outside data."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.phantom.people import random_scene
from liverimg.phantom.render import labels
from liverimg.training.phantom_maps import grids_of, tissues_of, without_outer_veins
from liverimg.training.tissues import Tissue


@pytest.fixture(scope="module")
def grids() -> tuple[Grid, Grid]:
    return grids_of(random_scene(3))


def test_a_scene_becomes_tissues(grids: tuple[Grid, Grid]) -> None:
    scene = random_scene(3)
    rough = grids[1].resampled(6.0)
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
