"""What is taken in one go, or only where it can matter, against its plain definition."""

import edt
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from liverimg.core.grid import Grid
from liverimg.measure.closest import distances_within, least_distances, search_tree
from liverimg.measure.contact import VesselVoxels
from liverimg.measure.distances import extent, near_mask, to_mask_mm, to_other_side_mm
from liverimg.measure.parts import numbered_parts

SPACING_MM = np.array([1.6, 0.57, 0.71])


def blobs(seed: int, shape: tuple[int, int, int] = (17, 23, 29)) -> NDArray[np.bool_]:
    """A mask of several round parts, some of them cut off by the edge."""
    return np.asarray(gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2) > 0.05)


@pytest.mark.parametrize("seed", range(4))
def test_signed_distance_is_the_difference_of_both_sides(seed: int) -> None:
    mask, step = blobs(seed), tuple(SPACING_MM.tolist())
    plain = edt.edt(mask, anisotropy=step) - edt.edt(~mask, anisotropy=step)
    np.testing.assert_array_equal(to_other_side_mm(mask, SPACING_MM), plain)
    turned = mask.transpose(2, 0, 1)
    np.testing.assert_array_equal(to_other_side_mm(turned, SPACING_MM), to_other_side_mm(turned.copy(), SPACING_MM))


def test_signed_distance_without_a_border_is_infinite() -> None:
    whole = np.ones((3, 4, 5), dtype=bool)
    assert (to_other_side_mm(whole, SPACING_MM) == np.inf).all()
    assert (to_other_side_mm(~whole, SPACING_MM) == -np.inf).all()


def test_what_lies_outside_the_near_box_is_farther_than_the_reach() -> None:
    mask = np.zeros((30, 40, 50), dtype=bool)
    mask[10:13, 20:24, 30:31] = True
    box, distance = near_mask(mask, SPACING_MM, 5.0)
    plain = to_mask_mm(mask, SPACING_MM)
    np.testing.assert_array_equal(distance, plain[box])
    assert extent(mask) == (slice(10, 13), slice(20, 24), slice(30, 31))
    plain[box] = np.inf
    assert plain.min() > 5.0


def test_least_distances_are_those_of_a_search_of_all() -> None:
    random = np.random.default_rng(5)
    surface, points = random.normal(size=(800, 3)), random.normal(size=(3000, 3)) * 4
    plain, which = cKDTree(surface).query(points)
    gaps, found = least_distances(search_tree(surface), points, 0.5)
    near = plain <= plain.min() + 0.5
    assert 0 < near.sum() < len(points)
    np.testing.assert_array_equal(gaps[near], plain[near])
    np.testing.assert_array_equal(found[near], which[near])
    assert (gaps[~near] > plain.min() + 0.5).all()
    within, _ = distances_within(search_tree(surface), points, 2.0)
    np.testing.assert_array_equal(within <= 2.0, plain <= 2.0)


def test_no_voxel_within_reach_lies_in_another_slice() -> None:
    sheared = np.eye(4)
    sheared[:3, :3] = np.array([[0.1, 0.2, 0.57], [0.3, 0.71, 0.0], [1.6, 0.0, 0.1]])
    mask = blobs(7)
    voxels = VesselVoxels.of(mask, Grid(mask.shape, sheared))
    for place in voxels.points_lps_mm[::97] + 0.4:
        chosen = np.zeros(len(voxels.index), dtype=bool)
        chosen[voxels.slices_near(place, 3.0)] = True
        away = np.linalg.norm(voxels.points_lps_mm - place, axis=1)
        assert (away[~chosen] > 3.0).all()
        assert chosen.any()


def test_parts_of_a_mask_one_voxel_thick() -> None:
    mask = np.zeros((1, 1, 5), dtype=bool)
    mask[0, 0, [0, 1, 4]] = True
    assert numbered_parts(mask).tolist() == [[[1, 1, 0, 0, 2]]]
    corner = np.zeros((1, 2, 2), dtype=bool)
    corner[0, [0, 1], [0, 1]] = True
    assert numbered_parts(corner).max() == 1
    assert numbered_parts(corner, by_faces=True).max() == 2
