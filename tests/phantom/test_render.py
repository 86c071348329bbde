"""Images and labels of a scene: right values in every tissue and phase, right shares at edges, any grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Volume
from liverimg.phantom import render
from liverimg.phantom.contrast import Contrast, Look
from liverimg.phantom.scene import Scene, Tissue

VALUES = {s: n for n, s in enumerate(Structure, start=1)}


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.from_axes((56, 88, 116), spacing_mm=(4.0, 3.0, 3.0), origin_lps_mm=(-172, -132, -115))


@pytest.fixture(scope="module")
def layers(scene: Scene, grid: Grid) -> render.Layers:
    return render.layers(scene, grid)


@pytest.fixture(scope="module")
def drawn(scene: Scene, grid: Grid) -> LabelMap:
    return render.labels(scene, grid, VALUES)


@pytest.fixture(scope="module")
def seen(layers: render.Layers, phantom_table: dict[str, Any]) -> list[tuple[Mapping[Tissue, Look], Volume]]:
    """How each tissue should look in each phase, and the image of it."""
    contrast = Contrast.from_table(phantom_table, Modality.CT)
    every = [contrast.looks(p) for p in (Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)]
    return [(x, render.image(layers, x, background=contrast.background, noise=10, seed=1)) for x in every]


@pytest.mark.parametrize(
    ("structure", "tissue"),
    [
        (Structure.LIVER, Tissue.LIVER),
        (Structure.SPLEEN, Tissue.SPLEEN),
        (Structure.AORTA, Tissue.AORTA),
        (Structure.INFERIOR_VENA_CAVA, Tissue.VENA_CAVA),
        (Structure.GALLBLADDER, Tissue.GALLBLADDER),
        (Structure.LUNG, Tissue.LUNG),
        (Structure.MUSCLE, Tissue.MUSCLE),
    ],
)
def test_mean_hu_in_each_phase(
    drawn: LabelMap, seen: list[tuple[Mapping[Tissue, Look], Volume]], structure: Structure, tissue: Tissue
) -> None:
    core = binary_erosion(drawn.mask(structure), iterations=2)
    assert core.sum() > 8
    for looks, volume in seen:
        # Vessels run through the liver's inside, fat seams through the muscles: the median ignores them.
        got = float(np.median(volume.array[core]))
        allowed = 2 + 3 * (10 + looks[tissue].texture) / np.sqrt(core.sum()) + looks[tissue].texture
        assert got == pytest.approx(looks[tissue].mean, abs=allowed)


def test_noise_has_the_wanted_size_and_its_seed(layers: render.Layers) -> None:
    flat = {t: Look(0.0, 0.0) for t in Tissue}
    one, two, other = (render.image(layers, flat, background=0, noise=12, seed=s, blur_mm=0).array for s in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    inside = one[layers.layers[0].box][layers.layers[0].share == 255]
    assert inside.std() == pytest.approx(12, rel=0.05)
    assert abs(inside.mean()) < 0.3


def test_partial_volume_against_averaging_a_fine_image(scene: Scene) -> None:
    looks = {t: Look(100.0 * n % 937, 0.0) for n, t in enumerate(Tissue)}
    coarse = Grid.from_axes((7, 40, 40), spacing_mm=(3.0, 1.2, 1.2), origin_lps_mm=(-75, -15, 36))
    fine = coarse.resampled((0.3, 0.3, 0.3))
    images = [
        np.asarray(render.image(render.layers(scene, g), looks, background=0, noise=0, seed=0, blur_mm=0).array)
        for g in (coarse, fine)
    ]
    averaged = images[1].reshape(7, 10, 40, 4, 40, 4).mean(axis=(1, 3, 5))
    spread = np.ptp(averaged)
    assert np.abs(images[0] - averaged).mean() < 0.01 * spread
    assert abs((images[0] - averaged).mean()) < 0.003 * spread


def test_any_grid_sees_the_same_body(scene: Scene, awkward_grid: Grid) -> None:
    centre = np.array(scene.lesions[0].shape.centre)
    affine = np.array(awkward_grid.affine)
    affine[:3, 3] += centre - awkward_grid.centre_lps_mm
    grid = Grid(awkward_grid.shape, affine)
    labels = render.labels(scene, grid, VALUES)
    for k, j, i in [(12, 20, 18), (2, 3, 4), (20, 30, 30), (12, 2, 33)]:
        one = Grid.from_axes((1, 1, 1), spacing_mm=(1, 1, 1), origin_lps_mm=grid.index_to_lps_mm((k, j, i)))
        assert labels.array[k, j, i] == render.labels(scene, one, VALUES).array[0, 0, 0]
    assert labels.array[12, 20, 18] == VALUES[Structure.TUMOUR]
    shown = render.image(
        render.layers(scene, grid), {t: Look(float(t is Tissue.HCC), 0) for t in Tissue}, background=0, noise=0, seed=0
    )
    core = binary_erosion(labels.mask(Structure.TUMOUR), iterations=5)
    assert np.asarray(shown.array)[core].mean() > 0.98


def test_unwanted_structures_become_body_or_nothing(scene: Scene) -> None:
    grid = Grid.from_axes((6, 40, 50), spacing_mm=(10, 8, 8), origin_lps_mm=(-190, -150, 20))
    full = render.labels(scene, grid, VALUES)
    few = render.labels(scene, grid, {Structure.LIVER: 4, Structure.BODY: 9})
    bare = render.labels(scene, grid, {Structure.LIVER: 4})
    np.testing.assert_array_equal(few.array > 0, full.array > 0)
    np.testing.assert_array_equal(few.mask(Structure.LIVER), full.mask(Structure.LIVER))
    assert set(np.unique(bare.array)) == {0, 4}


def test_the_body_holds_what_an_abdomen_holds(drawn: LabelMap, grid: Grid) -> None:
    absent = {Structure.ASCITES, Structure.ABLATION_ZONE, Structure.BODY}
    for structure in set(Structure) - absent:
        assert drawn.has(structure), structure
    assert drawn.mask(Structure.LIVER).sum() * grid.voxel_ml > 1000


def test_a_grid_beside_the_body_is_empty(scene: Scene) -> None:
    grid = Grid.from_axes((3, 4, 5), spacing_mm=(2, 2, 2), origin_lps_mm=(900, 900, 0))
    assert not render.labels(scene, grid, VALUES).array.any()
    shown = render.image(render.layers(scene, grid), {t: Look(1, 0) for t in Tissue}, background=-1000, noise=0, seed=0)
    np.testing.assert_array_equal(shown.array, -1000)
