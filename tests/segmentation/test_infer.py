"""The cascade labels voxels where they lie, however the array is turned."""

from itertools import permutations, product

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.intensity import Intensity

# In this order no border passes through a third level on its way from one to the next.
SPLEEN_HU, NOTHING_HU, LIVER_HU, TUMOUR_HU = -110.0, 0.0, 120.0, 220.0


class ByGreyValue(torch.nn.Module):
    """Calls each voxel what its grey value is nearest to; channel n stands for ``levels[n]``."""

    def __init__(self, *levels_hu: float) -> None:
        super().__init__()
        self.levels = torch.tensor([(hu + 160) / 210 - 1 for hu in levels_hu])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return -60 * (image - self.levels[None, :, None, None, None]).abs()


def _pass(
    name: str,
    spacing_mm: float,
    network: torch.nn.Module,
    *structures: Structure,
    around_mm: float | None,
    inputs: tuple[str, ...] = ("reference",),
) -> Pass:
    return Pass(
        name=name,
        spacing_mm=spacing_mm,
        inputs=inputs,
        intensity=Intensity("window", -160, 260),
        channels=dict(enumerate(structures, start=1)),
        around_mm=around_mm,
        network=network.eval(),
        inferer=SlidingWindowInferer(roi_size=(16, 16, 16), overlap=0.25, mode="gaussian", cval=-1.0),
    )


@pytest.fixture(scope="module")
def cascade() -> Bundle:
    coarse = _pass(
        "coarse", 4.0, ByGreyValue(NOTHING_HU, LIVER_HU, SPLEEN_HU), Structure.LIVER, Structure.SPLEEN, around_mm=None
    )
    fine = _pass(
        "fine", 1.5, ByGreyValue(NOTHING_HU, LIVER_HU, TUMOUR_HU), Structure.LIVER, Structure.TUMOUR, around_mm=10.0
    )
    values = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.SPLEEN: 9}
    return Bundle(
        name="greys",
        version="0",
        modalities=("CT",),
        passes=(coarse, fine),
        values=values,
        surface_error_mm={},
        device=torch.device("cpu"),
    )


def _ball(grid: Grid, centre_lps_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    points = grid.index_to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm(points - centre_lps_mm, axis=-1) <= radius_mm


def _scene(grid: Grid) -> tuple[Volume, np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = grid.centre_lps_mm
    liver = _ball(grid, (x - 6, y + 2, z + 3), 24)
    tumour = _ball(grid, (x - 10, y + 2, z + 3), 8)
    spleen = _ball(grid, (x + 34, y, z - 4), 9)
    hu = np.full(grid.shape, NOTHING_HU, dtype=np.int16)
    hu[spleen], hu[liver], hu[tumour] = SPLEEN_HU, LIVER_HU, TUMOUR_HU
    return Volume(hu, grid, Quantity.HU), liver, tumour, spleen


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


GRID = Grid.from_axes((30, 56, 72), spacing_mm=(2.5, 1.3, 1.3), origin_lps_mm=(-40.0, 12.0, 7.0))


def test_structures_are_found_where_they_are(cascade: Bundle) -> None:
    volume, liver, tumour, spleen = _scene(GRID)
    labels = segment_volume(volume, cascade).labels
    assert labels.grid is GRID
    assert _dice(labels.mask(Structure.LIVER, Structure.TUMOUR), liver) > 0.97
    assert _dice(labels.mask(Structure.TUMOUR), tumour) > 0.88
    assert _dice(labels.mask(Structure.SPLEEN), spleen) > 0.80


def test_nothing_shifts(cascade: Bundle) -> None:
    """A grid convention that is off by half a voxel would move the middle of the liver."""
    volume, liver, _, _ = _scene(GRID)
    found = segment_volume(volume, cascade).labels.mask(Structure.LIVER, Structure.TUMOUR)
    middle = [GRID.index_to_lps_mm(np.argwhere(m).mean(axis=0)) for m in (found, liver)]
    assert np.abs(middle[0] - middle[1]).max() < 0.25


def test_an_oblique_left_handed_grid_is_no_obstacle(cascade: Bundle, awkward_grid: Grid) -> None:
    grid = Grid.from_axes(
        (32, 70, 80),
        spacing_mm=awkward_grid.spacing_mm,
        directions=awkward_grid.directions,
        origin_lps_mm=awkward_grid.origin_lps_mm,
    )
    volume, liver, tumour, _ = _scene(grid)
    labels = segment_volume(volume, cascade).labels
    assert _dice(labels.mask(Structure.LIVER, Structure.TUMOUR), liver) > 0.96
    assert _dice(labels.mask(Structure.TUMOUR), tumour) > 0.85


def test_forty_eight_ways_to_store_a_volume_give_the_same_labels(cascade: Bundle) -> None:
    volume, _, _, _ = _scene(GRID)
    expected = segment_volume(volume, cascade).labels.array
    for order in permutations(range(3)):
        for flips in product((False, True), repeat=3):
            axes = [a for a in range(3) if flips[a]]
            array = np.flip(volume.array.transpose(order), axis=axes)
            affine = np.array(GRID.affine)
            affine[:3, :3] = affine[:3, list(order)]
            shape = array.shape
            for axis in axes:
                affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
                affine[:3, axis] *= -1
            turned = Volume(np.ascontiguousarray(array), Grid(shape, affine), Quantity.HU)
            labels = segment_volume(turned, cascade).labels.array
            back = np.flip(labels, axis=axes).transpose(np.argsort(order))
            assert np.array_equal(back, expected), (order, flips)


def test_progress_rises_to_one(cascade: Bundle) -> None:
    told: list[float] = []
    segment_volume(_scene(GRID)[0], cascade, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 3


def test_a_view_without_a_liver_gives_labels_without_one(cascade: Bundle) -> None:
    empty = Volume(np.full(GRID.shape, NOTHING_HU, dtype=np.int16), GRID, Quantity.HU)
    labels = segment_volume(empty, cascade).labels
    assert not labels.has(Structure.LIVER)
    assert labels.knows(Structure.LIVER)


def test_what_can_not_be_labelled_is_refused(cascade: Bundle) -> None:
    hu = np.zeros(GRID.shape, dtype=np.float32)
    with pytest.raises(InputRefusedError, match="MR_SIGNAL"):
        segment_volume(Volume(hu, GRID, Quantity.MR_SIGNAL), cascade)
    broken = hu.copy()
    broken[3, 4, 5] = np.nan
    with pytest.raises(InputRefusedError, match="NaN"):
        segment_volume(Volume(broken, GRID, Quantity.HU), cascade)
    flat = Grid.from_axes((1, 56, 72), spacing_mm=(2.5, 1.3, 1.3))
    with pytest.raises(InputRefusedError, match="at least 3 slices"):
        segment_volume(Volume(hu[:1], flat, Quantity.HU), cascade)
