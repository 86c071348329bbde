"""Real livers with their vessels: plausible, and the same whichever way the array runs, is cropped or sampled."""

import nibabel
import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, find
from liverimg.core.orientation import Orientation
from liverimg.measure.form import FORM_NAMES
from liverimg.measure.size import SIZE_NAMES
from liverimg.measure.survey import survey

CODES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 4}
EXACT = LabelQuality("external")
RADIUS_MM = 12.0


def read(path):
    image = nibabel.load(path)
    return np.asarray(image.dataobj), Grid(image.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)


def scene(segments, vessels, grid):
    """Liver, vessels, and a ball in the middle of segment 8: the scans' tumours are not labelled."""
    array = (segments > 0).astype(np.uint8)
    array[(vessels > 0) & (segments > 0)] = 4
    # Off the voxel centres: a ball in the middle of a voxel is the worst case of every sampling at once.
    middle = np.round(np.argwhere(segments == 8).mean(axis=0)) + np.array((0.3, -0.2, 0.4))
    index = np.ogrid[: array.shape[0], : array.shape[1], : array.shape[2]]
    square = sum(((axis - m) * s) ** 2 for axis, m, s in zip(index, middle, grid.spacing_mm, strict=True))
    array[square <= RADIUS_MM**2] = 2
    return array, grid


@pytest.fixture(scope="module")
def whole(shared_data):
    folder = shared_data / "ct_ircadb01"
    if not (folder / "liver.nii.gz").is_file():
        pytest.skip("the liver mask of ct_ircadb01 is not on this machine")
    segments, grid = read(folder / "couinaud.nii.gz")
    liver, vessels = (read(folder / f"{name}.nii.gz")[0] for name in ("liver", "vessels"))
    return scene(np.where(liver > 0, np.maximum(segments, 1), 0), vessels, grid)


@pytest.fixture(scope="module", params=["3Dircadb-11", "3Dircadb-12"])
def case(shared_data, request):
    folder = shared_data / "label_maps"
    if not (folder / "vessels" / f"{request.param}.nii.gz").is_file():
        pytest.skip("the label maps are not on this machine")
    segments, grid = read(folder / "couinaud" / f"{request.param}.nii.gz")
    vessels, _ = read(folder / "vessels" / f"{request.param}.nii.gz")
    return scene(segments, vessels, grid)


def measured(array, grid, settings):
    return survey(None, LabelMap(np.ascontiguousarray(array), grid, CODES), EXACT, settings=settings)


def assert_same(one, other):
    for mine, theirs in zip(one.lesions[0].quantities, other.lesions[0].quantities, strict=True):
        if isinstance(mine, Measurement):
            assert theirs.value == pytest.approx(mine.value, abs=1e-4, rel=1e-6), mine.name
        else:
            assert theirs == mine


def test_volumes_and_distances_are_plausible(whole, settings):
    array, grid = whole
    found = measured(array, grid, settings)
    volume = find(found.organs, "liver_volume", target="liver")
    assert volume.value == pytest.approx(1464, rel=0.005)
    (lesion,) = found.lesions
    assert lesion.quantity("axial_long_diameter").value == pytest.approx(2 * RADIUS_MM, abs=0.4)
    assert -5 < lesion.quantity("distance_to_portal_vein").value < 15, "negative where the two lie in each other"
    assert 0 < lesion.quantity("distance_to_liver_capsule").value < 60
    turn = Orientation((2, 0, 1), (True, False, True))
    assert_same(found, measured(turn.turn(array), turn.turn_grid(grid), settings))


@pytest.fixture(scope="module")
def found(case, settings):
    return measured(*case, settings)


def test_a_ball_in_a_real_liver_has_its_own_size(found):
    (lesion,) = found.lesions
    truths = {
        "maximum_3d_diameter": 2 * RADIUS_MM,
        "craniocaudal_extent": 2 * RADIUS_MM,
        "mesh_volume": 4 / 3 * np.pi * RADIUS_MM**3 / 1000,
        "surface_area": 4 * np.pi * RADIUS_MM**2,
    }
    for name, truth in truths.items():
        quantity = lesion.quantity(name)
        half = (quantity.high - quantity.low) / 2
        assert abs(quantity.value - truth) < 2 * half, quantity
    assert lesion.quantity("sphericity").value > 0.97


@pytest.mark.parametrize(
    ("order", "flips"),
    [((1, 2, 0), (False, True, False)), ((0, 2, 1), (True, False, True))],
    ids=["turned", "mirrored"],
)
def test_quarter_turns_and_flips_change_nothing(case, found, settings, order, flips):
    turn = Orientation(order, flips)
    array, grid = case
    assert_same(found, measured(turn.turn(array), turn.turn_grid(grid), settings))


def test_a_wider_view_changes_nothing(case, found, settings):
    array, grid = case
    wider = np.pad(array, ((3, 5), (7, 2), (1, 4)))
    padded = measured(wider, grid.cropped((-3, -7, -1), wider.shape), settings)
    inner = found.lesions[0]
    for name in ("axial_long_diameter", "maximum_3d_diameter", "volume", "distance_to_portal_vein"):
        assert padded.lesions[0].quantity(name).value == pytest.approx(inner.quantity(name).value, abs=1e-4)


def test_another_sampling_stays_within_the_bands(case, found, settings):
    array, grid = case
    # Every second voxel along each axis: the voxels that are left keep their places and their labels.
    affine = np.array(grid.affine)
    affine[:3, :3] *= 2
    fewer = array[::2, ::2, ::2]
    again = measured(fewer, Grid(fewer.shape, affine), settings)
    held = []
    for one in found.lesions[0].quantities:
        other = again.lesions[0].quantity(one.name)
        if one.name in (*SIZE_NAMES, *FORM_NAMES, "distance_to_portal_vein", "distance_to_liver_capsule"):
            halves = np.hypot((one.high - one.low) / 2, (other.high - other.low) / 2)
            held.append((abs(one.value - other.value) <= halves + 1e-9, one.name, one.value, other.value))
    assert len(held) > 8
    missed = [row for row in held if not row[0]]
    assert len(missed) <= 0.2 * len(held), missed
