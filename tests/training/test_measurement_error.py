"""What wrong labels do to measurements, on a lesion whose measurements are known."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.training.scoring.measurement_error import MISSED, MeasurementError, match_lesions, measurement_errors
from liverimg.training.scoring.score import measuring_rules

VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 4}
RULES = measuring_rules()


def _ball(grid: Grid, centre: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    places = grid.index_to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm(places - centre, axis=-1) <= radius_mm


def _scene(grid: Grid, radii_mm: tuple[float, ...]) -> tuple[Volume, LabelMap]:
    """A body with a liver, a vein along x and lesions at fixed places."""
    places = grid.index_to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    x, y, z = places[..., 0], places[..., 1], places[..., 2]
    body = (x / 58) ** 2 + (y / 48) ** 2 < 1
    liver = (x / 45) ** 2 + (y / 36) ** 2 + (z / 40) ** 2 < 1
    array = np.where(liver, 1, 0).astype(np.uint8)
    array[liver & (y**2 + z**2 < 3.0**2)] = 4
    for centre, radius in zip(((10.0, -20.0, 5.0), (-20.0, 5.0, -20.0)), radii_mm, strict=True):
        array[_ball(grid, centre, radius)] = 2
    hu = np.where(liver, 100, np.where(body, 40, -1000)).astype(np.int16)
    return Volume(hu, grid, Quantity.HU), LabelMap(array, grid, VALUES)


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.from_axes((44, 52, 60), spacing_mm=(2.0, 2.0, 2.0), origin_lps_mm=(-59, -51, -43))


def _errors(found: LabelMap, truth: LabelMap, volume: Volume) -> dict[tuple[str, str], MeasurementError]:
    rows = measurement_errors(volume, found, truth, RULES)
    return {(row.lesion, row.quantity): row for row in rows}


def test_right_labels_make_no_error(grid: Grid) -> None:
    volume, truth = _scene(grid, (10.0, 7.0))
    errors = _errors(truth, truth, volume)
    assert {lesion for lesion, _ in errors} == {"L1", "L2"}
    assert {"axial_long_diameter", "depth_from_skin_near", "distance_to_portal_vein"} <= {name for _, name in errors}
    assert all(row.error == 0 for row in errors.values())
    # The true labels have no hepatic vein, so no distance to one can be wrong.
    assert not [name for _, name in errors if name == "distance_to_hepatic_vein"]


def test_a_lesion_drawn_too_large_is_measured_too_large(grid: Grid) -> None:
    volume, truth = _scene(grid, (10.0, 7.0))
    _, found = _scene(grid, (13.0, 7.0))
    errors = _errors(found, truth, volume)
    grown = errors["L1", "axial_long_diameter"]
    assert grown.found - grown.truth == pytest.approx(6.0, abs=1.5)
    assert errors["L1", "distance_to_portal_vein"].error == pytest.approx(3.0, abs=1.0)
    assert errors["L1", "depth_from_skin_near"].error == pytest.approx(3.0, abs=1.0)
    assert errors["L2", "axial_long_diameter"].error == 0


def test_a_missed_lesion_has_no_error_but_is_counted(grid: Grid) -> None:
    volume, truth = _scene(grid, (10.0, 7.0))
    array = np.array(truth.array)
    array[_ball(grid, (-20.0, 5.0, -20.0), 8.0) & (array == 2)] = 1
    errors = _errors(LabelMap(array, grid, VALUES), truth, volume)
    assert errors["L2", "axial_long_diameter"].error is None
    assert errors["L2", "axial_long_diameter"].reason == MISSED
    assert errors["L1", "axial_long_diameter"].error == 0


def test_false_lesions_take_no_part(grid: Grid) -> None:
    volume, truth = _scene(grid, (10.0, 7.0))
    array = np.array(truth.array)
    array[_ball(grid, (20.0, 10.0, 20.0), 6.0)] = 2
    errors = _errors(LabelMap(array, grid, VALUES), truth, volume)
    assert len({lesion for lesion, _ in errors}) == 2
    assert all(row.error == 0 for (_, name), row in errors.items() if name == "axial_long_diameter")


def test_the_same_errors_however_the_array_is_turned(grid: Grid) -> None:
    volume, truth = _scene(grid, (10.0, 7.0))
    _, found = _scene(grid, (12.0, 7.0))
    plain = _errors(found, truth, volume)
    turned = Grid(grid.shape[::-1], np.array(grid.affine)[:, [2, 1, 0, 3]])
    swap = [LabelMap(m.array.transpose(2, 1, 0), turned, VALUES) for m in (found, truth)]
    errors = _errors(*swap, Volume(volume.array.transpose(2, 1, 0), turned, volume.quantity))
    assert {key: row.error for key, row in errors.items()} == pytest.approx({key: r.error for key, r in plain.items()})


def test_what_the_truth_does_not_tell_apart_is_not_compared(grid: Grid) -> None:
    volume, truth = _scene(grid, (10.0, 7.0))
    rows = measurement_errors(volume, truth, truth, RULES, not_told={Structure.PORTAL_VEIN: "not told"})
    assert "distance_to_portal_vein" not in {row.quantity for row in rows}


def test_one_found_lesion_stands_for_one_true_one(grid: Grid) -> None:
    from liverimg.measure.lesions import find_lesions

    _, truth = _scene(grid, (10.0, 7.0))
    whole = LabelMap((truth.array > 0).astype(np.uint8) * 2, grid, VALUES)
    pairs = match_lesions(find_lesions(whole, minimum_volume_ml=0.05), find_lesions(truth, minimum_volume_ml=0.05))
    assert pairs == {"L1": "L1"}
