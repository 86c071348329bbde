"""Trees grow inside the liver, from where veins come, and real ones are told apart by their roots."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import chain, distance, paint
from liverimg.phantom.inside import distance_of_mask
from liverimg.phantom.vessels import grow_tree
from liverimg.training.anatomy.landmarks import Landmarks
from liverimg.training.anatomy.trees import grow_trees, split_tree
from liverimg.training.anatomy.trunks import PortalVariant, hepatic_trunks, portal_trunks

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


def test_arteries_are_thin_and_keep_clear_of_the_veins() -> None:
    liver, thin = _liver(), []
    for seed in range(4):
        trees = grow_trees(liver, GRID, _landmarks(), rng=np.random.default_rng(seed))
        if trees.arteries is not None:
            thin.append(trees.arteries.radius_start_mm.max() / trees.portal.radius_start_mm.max())
            middle = 0.5 * (trees.arteries.start_lps_mm + trees.arteries.end_lps_mm)
            assert distance(middle, trees.portal).min() > 0
            assert distance(middle, trees.hepatic).min() > 0
    assert thin
    assert max(thin) < 0.4


@pytest.mark.parametrize("variant", list(PortalVariant))
def test_every_way_to_divide_gives_one_connected_portal_tree(variant: PortalVariant) -> None:
    inside = distance_of_mask(_liver(), GRID)
    rng = np.random.default_rng(3)
    hilum = _landmarks().hilum[::-1]
    trunks = portal_trunks(hilum, inside, rng, variant=variant, radius_mm=(6.0, 6.0))
    tree = grow_tree(
        trunks.lines, signed_distance=inside, target_points=hilum, rng=rng, trunk_radius_mm=trunks.radius_mm
    )
    assert (tree.parent < 0).sum() == 1
    ends = np.array([line[-1] for line in trunks.lines[1:]])
    assert (inside(ends) < 0).all()
    # One branch goes to the left, one far to the right.
    assert (ends[:, 0] - hilum[0]).max() > 10
    assert (ends[:, 0] - hilum[0]).min() < -15


def test_hepatic_veins_come_by_two_or_three_roots_and_at_times_a_low_one() -> None:
    inside = distance_of_mask(_liver(), GRID)
    dome, low = np.array([105.0, 140.0, 115.0]), np.array([105.0, 150.0, 58.0])
    rng = np.random.default_rng(8)
    roots, lines = [], []
    for _ in range(120):
        trunks = hepatic_trunks(dome, low, inside, rng)
        roots.append(len(trunks.radius_mm))
        lines.append(len(trunks.lines))
        # As many radii as the tree has roots, else it would not grow.
        grow_tree(trunks.lines, signed_distance=inside, target_points=low, rng=rng, trunk_radius_mm=trunks.radius_mm)
    inferior = np.array(lines) == 4
    common = np.array(roots) - inferior == 2
    assert 0.55 < common.mean() < 0.85
    assert 0.05 < inferior.mean() < 0.3
