"""A real liver with its vessels: plausible, and the same whichever way the array runs."""

import nibabel
import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import find
from liverimg.core.orientation import Orientation
from liverimg.measure.survey import survey

CODES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 4}


@pytest.fixture(scope="module")
def liver(shared_data):
    folder = shared_data / "ct_ircadb01"
    if not (folder / "liver.nii.gz").is_file():
        pytest.skip("the liver mask of ct_ircadb01 is not on this machine")
    image = nibabel.load(folder / "liver.nii.gz")
    array = (np.asarray(image.dataobj) > 0).astype(np.uint8)
    array[np.asarray(nibabel.load(folder / "vessels.nii.gz").dataobj) > 0] = 4
    segments = np.asarray(nibabel.load(folder / "couinaud.nii.gz").dataobj)
    grid = Grid(array.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    # The scan's tumours are not labelled; a ball in the middle of segment 8 stands for one.
    middle = np.round(np.argwhere(segments == 8).mean(axis=0)).astype(int)
    index = np.ogrid[: array.shape[0], : array.shape[1], : array.shape[2]]
    square = sum(((axis - m) * s) ** 2 for axis, m, s in zip(index, middle, grid.spacing_mm, strict=True))
    array[(square <= 12.0**2)] = 2
    return array, grid


def test_volumes_and_distances_are_plausible(liver, settings):
    array, grid = liver
    found = survey(None, LabelMap(array, grid, CODES), LabelQuality("external"), settings=settings)
    volume = find(found.organs, "liver_volume", target="liver")
    assert volume.value == pytest.approx(1464, rel=0.005)
    (lesion,) = found.lesions
    assert lesion.quantity("axial_long_diameter").value == pytest.approx(24, abs=0.4)
    assert 0 <= lesion.quantity("distance_to_portal_vein").value < 15
    assert 0 < lesion.quantity("distance_to_liver_capsule").value < 60

    turn = Orientation((2, 0, 1), (True, False, True))
    turned = LabelMap(np.ascontiguousarray(turn.turn(array)), turn.turn_grid(grid), CODES)
    again = survey(None, turned, LabelQuality("external"), settings=settings)
    for quantity in lesion.quantities:
        other = again.lesions[0].quantity(quantity.name)
        if hasattr(quantity, "value"):
            assert other.value == pytest.approx(quantity.value, abs=1e-5)
        else:
            assert other == quantity
