"""A wide band of doubt says so in millimetres; a percentage is what a network gave, or how often it is right."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from scipy.special import expit

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.confidence import (
    Calibration,
    calibrated_percent,
    half_band_mm,
    half_bands_mm,
    lesion_half_bands_mm,
)
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.intensity import Intensity

GRID = Grid.from_axes((70, 70, 70), spacing_mm=(1.5, 1.5, 1.5), origin_lps_mm=(-50, -50, 900))
BETWEEN = (0.1, 0.9)


def _away_mm(grid: Grid, centre_lps_mm: np.ndarray) -> np.ndarray:
    points = grid.index_to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm(points - centre_lps_mm, axis=-1)


def _soft_ball(grid: Grid, radius_mm: float, blur_mm: float, centre: np.ndarray | None = None) -> np.ndarray:
    away = _away_mm(grid, grid.centre_lps_mm if centre is None else centre)
    return expit((radius_mm - away) / blur_mm).astype(np.float32)


@pytest.mark.parametrize("blur_mm", [0.5, 1.0, 2.0, 3.0])
def test_the_band_is_as_wide_as_the_probability_is_blurred(blur_mm: float) -> None:
    """Between 0.1 and 0.9 a logistic edge runs over 2 ln 9 blurs; faces of voxels overstate a ball's area by 3/2."""
    found = half_band_mm(_soft_ball(GRID, 30, blur_mm), GRID.spacing_mm, BETWEEN)
    assert found == pytest.approx(np.log(9) * blur_mm / 1.5 + 0.75, rel=0.15)


def test_nothing_drawn_has_no_band() -> None:
    assert half_band_mm(np.full(GRID.shape, 0.3, np.float32), GRID.spacing_mm, BETWEEN) is None


def test_a_vein_in_the_liver_is_no_border_of_it() -> None:
    liver = _soft_ball(GRID, 30, 0.3)
    vein = np.zeros(GRID.shape, np.float32)
    vein[:, 30:38, 30:38] = 0.5
    vein *= liver
    classes = np.stack([1 - liver, liver - vein, vein])
    channels = {1: Structure.LIVER, 2: Structure.HEPATIC_VEIN}
    bands = half_bands_mm(classes, channels, GRID, BETWEEN)
    alone = half_bands_mm(np.stack([1 - liver, liver]), {1: Structure.LIVER}, GRID, BETWEEN)
    assert bands[Structure.LIVER] == pytest.approx(alone[Structure.LIVER])


def test_each_lesion_has_its_own_band_on_any_grid(awkward_grid: Grid) -> None:
    sharp_at = GRID.centre_lps_mm + np.array([-25.0, 0, 0])
    soft_at = GRID.centre_lps_mm + np.array([25.0, 0, 0])
    probability = np.maximum(_soft_ball(GRID, 12, 0.3, sharp_at), _soft_ball(GRID, 12, 3.0, soft_at))
    drawn_on = Grid.from_axes(
        (40, 90, 90),
        spacing_mm=(2.5, 1.2, 1.2),
        directions=awkward_grid.directions,
        origin_lps_mm=GRID.centre_lps_mm
        - awkward_grid.directions.T @ (np.array([2.5, 1.2, 1.2]) * (np.array([40, 90, 90]) - 1) / 2),
    )
    lesions = {
        "L1": (_away_mm(drawn_on, sharp_at) <= 12, drawn_on),
        "L2": (_away_mm(drawn_on, soft_at) <= 12, drawn_on),
    }
    found = lesion_half_bands_mm(lesions, probability, GRID, BETWEEN)
    assert set(found) == {"L1", "L2"}
    assert found["L2"] > found["L1"] + 2.0
    assert found["L1"] < 2.0


def test_doubt_around_one_lesion_does_not_count_for_its_neighbour() -> None:
    near = GRID.centre_lps_mm + np.array([-9.0, 0, 0])
    other = GRID.centre_lps_mm + np.array([9.0, 0, 0])
    sharp = _soft_ball(GRID, 7, 0.2, near)
    alone = lesion_half_bands_mm({"L1": (_away_mm(GRID, near) <= 7, GRID)}, sharp, GRID, BETWEEN)
    both = np.maximum(sharp, _soft_ball(GRID, 7, 2.0, other))
    lesions = {"L1": (_away_mm(GRID, near) <= 7, GRID), "L2": (_away_mm(GRID, other) <= 7, GRID)}
    found = lesion_half_bands_mm(lesions, both, GRID, BETWEEN)
    assert found["L1"] < alone["L1"] + 0.5
    assert found["L2"] > found["L1"] + 0.8


def test_a_lesion_out_of_the_network_s_view_has_no_band() -> None:
    far = Grid.from_axes((4, 4, 4), spacing_mm=(1, 1, 1), origin_lps_mm=(5000, 0, 0))
    assert lesion_half_bands_mm({"L1": (np.ones((4, 4, 4), bool), far)}, _soft_ball(GRID, 9, 1), GRID, BETWEEN) == {}


def test_temperature_lowers_what_is_too_sure_and_leaves_the_rest() -> None:
    assert np.array_equal(calibrated_percent(1.0), np.arange(101))
    warm = calibrated_percent(2.0)
    assert warm[50] == 50
    assert warm[90] == 75, "odds of 9 become odds of 3"
    assert (np.diff(warm.astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("between", "factors", "temperature"),
    [((0.6, 0.9), {}, 1.0), ((0.1, 1.0), {}, 1.0), (BETWEEN, {Structure.LIVER: 0.0}, 1.0), (BETWEEN, {}, 0.0)],
)
def test_a_calibration_that_makes_no_sense_is_refused(
    between: tuple[float, float], factors: dict[Structure, float], temperature: float
) -> None:
    with pytest.raises(ValueError, match=r"expected|above 0"):
        Calibration(between, factors, temperature)


class Blurred(torch.nn.Module):
    """Log-odds of liver that rise with the grey value: 0 at 0 HU, 3 at 90 HU."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(image), (image * 210 + 50) / 30], dim=1)


def test_the_confidence_of_a_voxel_is_the_probability_of_its_label() -> None:
    one = Pass(
        name="coarse",
        spacing_mm=2.0,
        inputs=("reference",),
        intensity=Intensity("window", -160, 260),
        channels={1: Structure.LIVER},
        around_mm=None,
        network=Blurred(),
        inferer=SlidingWindowInferer(roi_size=(24, 24, 24), overlap=0.25, cval=-1.0),
    )
    bundle = Bundle("b", "0", ("CT",), (one,), {Structure.LIVER: 1}, {}, torch.device("cpu"))
    grid = Grid.from_axes(
        (24, 24, 24), spacing_mm=(2, 2, 2), directions=((0, 0, -1), (0, 1, 0), (1, 0, 0)), origin_lps_mm=(0, 0, 46)
    )
    hu = np.full(grid.shape, -60, dtype=np.int16)
    hu[:12] = 90
    found = segment_volume(Volume(hu, grid, Quantity.HU), bundle)
    assert found.labels.mask(Structure.LIVER)[:12].all()
    assert found.confidence[2, 12, 12] == pytest.approx(100 * expit(3.0), abs=1)
    assert found.confidence[-2, 12, 12] == pytest.approx(100 * expit(2.0), abs=1)
    assert not found.confidence.flags.writeable
    warm = replace(one, calibration=Calibration(BETWEEN, {}, 2.0))
    cooled = segment_volume(Volume(hu, grid, Quantity.HU), replace(bundle, passes=(warm,)))
    assert np.array_equal(cooled.labels.array, found.labels.array), "what is drawn stays"
    assert cooled.confidence[2, 12, 12] == pytest.approx(100 * expit(1.5), abs=1)
