"""Trees grow inside the liver, from where veins come, and real ones are told apart by their roots."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import chain, paint
from liverimg.training.landmarks import Landmarks
from liverimg.training.trees import grow_trees, split_tree

GRID = Grid.from_axes((56, 64, 80), spacing_mm=(2.5, 2.5, 2.5))


def _liver() -> np.ndarray:
    k, j, i = np.indices(GRID.shape)
    return ((k - 28) / 24) ** 2 + ((j - 32) / 27) ** 2 + ((i - 40) / 36) ** 2 < 1


def _landmarks() -> Landmarks:
    height = np.arange(GRID.shape[0]) * 2.5
    cava = np.column_stack([height, np.full_like(height, 150.0), np.full_like(height, 105.0)])
    return Landmarks(cava, np.array([115.0, 140.0, 105.0]), np.array([58.0, 100.0, 110.0]))


@pytest.mark.parametrize("seed", [1, 2])
def test_grown_trees_fill_the_liver_and_keep_apart(seed: int) -> None:
    liver = _liver()
    trees = grow_trees(liver, GRID, _landmarks(), rng=np.random.default_rng(seed))
    hepatic, portal = (paint(tree, GRID, band_mm=1.0) <= 0 for tree in (trees.hepatic, trees.portal))
    for mask in (hepatic, portal):
        assert (mask & liver).sum() > 0.5 * mask.sum()
        reach = np.argwhere(mask & liver)
        assert np.ptp(reach, axis=0).min() > 15
    assert (hepatic & portal).sum() < 0.02 * (hepatic | portal).sum()


def test_a_merged_tree_is_told_apart_by_its_roots() -> None:
    """Two simple trees, one from the cava and one from the hilum, the first broken half-way."""
    above = [(105, 140, 112), (80, 110, 100), (50, 90, 80)]
    below = [(110, 100, 58), (140, 85, 62), (165, 80, 70)]
    hepatic, portal = (
        paint(chain(np.array(line, dtype=float), 4.5), GRID, band_mm=1.0) <= 0 for line in (above, below)
    )
    hepatic[:, :, 28:30] = False
    found = split_tree(hepatic | portal, _liver(), GRID, _landmarks())
    assert not (found[0] & found[1]).any()
    assert ((found[0] | found[1]) == (hepatic | portal)).all()
    assert (found[0] & hepatic).sum() > 0.97 * hepatic.sum()
    assert (found[1] & portal).sum() > 0.97 * portal.sum()
