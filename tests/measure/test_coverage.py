"""Unbiased, and with honest bands: hundreds of random shapes on random oblique anisotropic grids."""

from collections import defaultdict

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement
from liverimg.measure.survey import survey

from .shapes import Capsule, centres, random_ellipsoid, random_grid, sphere

SLICES_MM = (1.0, 1.5, 2.5, 4.0, 5.0)
EXACT = LabelQuality("external")


class Record:
    """Errors in voxels, and whether the band held the truth, by quantity."""

    def __init__(self):
        self.errors = defaultdict(list)
        self.held = defaultdict(list)
        self.relative = defaultdict(list)

    def add(self, measured, truth, voxel_mm):
        assert isinstance(measured, Measurement), measured
        self.errors[measured.name].append((measured.value - truth) / voxel_mm)
        self.relative[measured.name].append((measured.value - truth) / truth)
        self.held[measured.name].append(measured.low <= truth <= measured.high)

    def bias(self, name):
        return float(np.mean(self.errors[name]))

    def coverage(self, name):
        return float(np.mean(self.held[name]))


def voxel_mm(grid):
    return float(np.prod(grid.spacing_mm) ** (1 / 3))


@pytest.fixture(scope="module")
def sizes(settings):
    rng = np.random.default_rng(20261121)
    record = Record()
    for n in range(75):
        shape = random_ellipsoid(rng)
        grid = random_grid(rng, (26, 26, 26), slices_mm=SLICES_MM[n % 5])
        array = np.where(shape.holds(centres(grid)), 2, 0).astype(np.uint8)
        found = survey(None, LabelMap(array, grid, {Structure.TUMOUR: 2}), EXACT, settings=settings)
        (lesion,) = found.lesions
        long, short = shape.axial_mm(grid)
        up = shape.extent_mm(np.array([0.0, 0.0, 1.0]))
        in_plane = float(grid.spacing_mm[1:].mean())
        record.add(lesion.quantity("axial_long_diameter"), long, in_plane)
        record.add(lesion.quantity("axial_short_diameter"), short, in_plane)
        record.add(lesion.quantity("craniocaudal_extent"), up, float(grid.spacing_mm[0]))
        record.add(lesion.quantity("maximum_3d_diameter"), 2 * shape.semi_axes_mm.max(), voxel_mm(grid))
        record.add(lesion.quantity("volume"), shape.volume_ml, voxel_mm(grid))
        record.add(lesion.quantity("ellipsoid_volume"), np.pi / 6 * long * short * up / 1000, voxel_mm(grid))
    return record


@pytest.fixture(scope="module")
def distances(settings):
    rng = np.random.default_rng(7)
    record = Record()
    for n in range(55):
        radius, vessel, gap = rng.uniform(5, 15), rng.choice([1.5, 2.5, 4.0, 7.0]), rng.uniform(2, 18)
        turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
        foot = turn[1] * (radius + vessel + gap)
        tube = Capsule(foot - turn[0] * rng.uniform(5, 20), foot + turn[0] * rng.uniform(5, 20), vessel)
        ends = np.stack([tube.start, tube.end])
        low = np.minimum(ends.min(axis=0) - vessel, -radius)
        high = np.maximum(ends.max(axis=0) + vessel, radius)
        # Wide enough that the edge of the image is always farther than the vessel.
        grid = random_grid(rng, ((high - low) / 2 + 22)[::-1], slices_mm=SLICES_MM[n % 5])
        middle = (low + high) / 2
        shift = np.zeros((4, 4))
        shift[:3, 3] = middle
        grid = Grid(grid.shape, grid.affine + shift)
        points = centres(grid)
        array = np.zeros(grid.shape, np.uint8)
        array[tube.holds(points)] = 3
        array[sphere((0, 0, 0), radius).holds(points)] = 2
        labels = LabelMap(array, grid, {Structure.TUMOUR: 2, Structure.HEPATIC_VEIN: 3})
        (lesion,) = survey(None, labels, EXACT, settings=settings).lesions
        record.add(lesion.quantity("distance_to_hepatic_vein"), gap, voxel_mm(grid))
    return record


@pytest.fixture(scope="module")
def depths(settings):
    """Spheres off the axis of a cylinder; on the axis the deepest point is the tip of a cone, which no body has."""
    rng = np.random.default_rng(11)
    record = Record()
    body_mm = 45.0
    for n in range(30):
        radius = rng.uniform(4, 9)
        away, angle = rng.uniform(radius + 4, 28), rng.uniform(0, 2 * np.pi)
        grid = random_grid(rng, (26, 54, 54), slices_mm=SLICES_MM[n % 5], tilt_rad=0.2)
        points = centres(grid)
        array = np.zeros(grid.shape, np.uint8)
        array[np.hypot(points[..., 0], points[..., 1]) <= body_mm] = 23
        array[sphere((away * np.cos(angle), away * np.sin(angle), rng.uniform(-3, 3)), radius).holds(points)] = 2
        labels = LabelMap(array, grid, {Structure.TUMOUR: 2, Structure.BODY: 23})
        (lesion,) = survey(None, labels, EXACT, settings=settings).lesions
        record.add(lesion.quantity("depth_from_skin_near"), body_mm - away - radius, voxel_mm(grid))
        record.add(lesion.quantity("depth_from_skin_centre"), body_mm - away, voxel_mm(grid))
        record.add(lesion.quantity("depth_from_skin_far"), body_mm - away + radius, voxel_mm(grid))
    return record


@pytest.mark.parametrize(
    "name", ["axial_long_diameter", "axial_short_diameter", "craniocaudal_extent", "maximum_3d_diameter"]
)
def test_diameters_are_unbiased_and_their_bands_hold_the_truth(sizes, name):
    assert abs(sizes.bias(name)) < 0.1
    assert sizes.coverage(name) >= 0.93
    assert np.abs(sizes.errors[name]).max() < 1


@pytest.mark.parametrize("name", ["volume", "ellipsoid_volume"])
def test_volumes_are_unbiased_and_their_bands_hold_the_truth(sizes, name):
    assert abs(np.mean(sizes.relative[name])) < (0.015 if name == "ellipsoid_volume" else 0.005)
    assert sizes.coverage(name) >= 0.93


def test_distances_are_unbiased_and_their_bands_hold_the_truth(distances):
    name = "distance_to_hepatic_vein"
    assert abs(distances.bias(name)) < 0.1
    assert distances.coverage(name) >= 0.93
    assert np.abs(distances.errors[name]).max() < 1


@pytest.mark.parametrize("point", ["near", "centre", "far"])
def test_depths_are_unbiased_and_their_bands_hold_the_truth(depths, point):
    name = f"depth_from_skin_{point}"
    # The deepest of many surface points is found with the noise of all of them, hence a little shallow.
    assert abs(depths.bias(name)) < (0.15 if point == "far" else 0.1)
    assert depths.coverage(name) >= 0.93
    assert np.abs(depths.errors[name]).max() < 1
