"""Training examples hold what they say, and the same number gives the same example."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.labels import Structure
from liverimg.training.looks import draw_look
from liverimg.training.synthesis import EITHER, FINE, IGNORED, Example, Recipe, make_example
from liverimg.training.tissues import IN_LIVER, Tissue, channel_table
from liverimg.training.warp import NoiseBank

CHANNELS = {
    1: Structure.LIVER,
    2: Structure.TUMOUR,
    3: Structure.HEPATIC_VEIN,
    4: Structure.PORTAL_VEIN,
    5: Structure.GALLBLADDER,
}
RECIPE: Recipe = replace(FINE, shape=(32, 48, 48), spacing_mm=2.5, no_gallbladder_share=0.0)
NOISE = NoiseBank(3, size=64)


def _example(toy_map: np.ndarray, seed: int, recipe: Recipe = RECIPE, *, merged: bool = False) -> Example:
    return make_example(
        toy_map,
        map_spacing_mm=2.5,
        recipe=recipe,
        channels=channel_table(CHANNELS),
        noise=NOISE,
        rng=np.random.default_rng(seed),
        veins_merged=merged,
    )


def test_the_same_seed_gives_the_same_example(toy_map: np.ndarray) -> None:
    first, second, other = (_example(toy_map, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.hu, second.hu)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.hu, other.hu)


def test_every_class_appears_and_nothing_else(toy_map: np.ndarray) -> None:
    seen = np.unique(np.concatenate([np.unique(_example(toy_map, seed).labels) for seed in range(25)]))
    assert set(seen) == {0, 1, 2, 3, 4, 5, IGNORED}


def test_labels_are_those_of_the_tissues(toy_map: np.ndarray) -> None:
    for seed in range(8):
        example = _example(toy_map, seed)
        told = example.labels != IGNORED
        tumour = np.isin(example.tissue, (Tissue.TUMOUR, Tissue.TUMOUR_RIM, Tissue.TUMOUR_CORE))
        assert ((example.labels == 2) == tumour)[told].all()
        assert ((example.labels == 5) == (example.tissue == Tissue.GALLBLADDER))[told].all()
        assert np.isin(example.tissue[example.labels == 1], IN_LIVER).all()


def test_the_image_shows_the_tissues(toy_map: np.ndarray) -> None:
    for seed in range(4):
        example = _example(toy_map, seed)
        told = example.labels != IGNORED
        assert np.isfinite(example.hu).all()
        liver = np.median(example.hu[told & (example.tissue == Tissue.LIVER)])
        assert liver > np.median(example.hu[told & (example.tissue == Tissue.FAT)]) + 20
        trees = (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN, Tissue.BILE_DUCT)  # ignored where they can't be seen
        assert (example.hu[~told & ~np.isin(example.tissue, trees)] == -1024).all()


def test_real_trees_are_labelled_either(toy_map: np.ndarray) -> None:
    labels = np.concatenate([np.unique(_example(toy_map, seed, merged=True).labels) for seed in range(6)])
    assert EITHER in labels
    assert not {3, 4} & set(labels)


def test_portal_phase_veins_are_brighter_than_the_liver() -> None:
    looks = [draw_look(np.random.default_rng(seed)) for seed in range(300)]
    portal = [k.hu[Tissue.PORTAL_VEIN] - k.hu[Tissue.LIVER] for k in looks if abs(k.phase - 2) < 0.3]
    assert len(portal) > 50
    assert 35 < np.mean(portal) < 75
    arterial = [k.hu[Tissue.AORTA] - k.hu[Tissue.VENA_CAVA] for k in looks if abs(k.phase - 1) < 0.2]
    assert np.mean(arterial) > 100


def test_vessels_fall_back_to_the_liver_where_a_network_does_not_know_them() -> None:
    table = channel_table({1: Structure.LIVER, 2: Structure.SPLEEN})
    assert {int(table[t]) for t in IN_LIVER} == {1}
    assert table[Tissue.SPLEEN] == 2
    assert table[Tissue.FAT] == 0


@pytest.mark.parametrize("scale", [0, 3])
def test_noise_has_unit_variance_and_is_smooth_as_asked(scale: int) -> None:
    piece = NOISE.piece((64, 64, 64), scale, np.random.default_rng(1))
    assert piece.std() == pytest.approx(1.0, abs=0.02)
    neighbours = np.corrcoef(piece[:-1].ravel(), piece[1:].ravel())[0, 1]
    assert neighbours > 0.9 if scale == 3 else neighbours < 0.7
