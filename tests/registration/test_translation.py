"""Translations between images of unlike contrast, on awkward grids."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from liverimg.core.boxes import box_of
from liverimg.core.grid import Grid
from liverimg.files.tables import read_table
from liverimg.measure.settings import MeasureSettings
from liverimg.registration.resample import sampled, thinned, thinned_onto, window_of
from liverimg.registration.translation import find_translation

RULES = MeasureSettings.from_table(read_table("measure")).alignment.translation


def blobs(grid: Grid, shift=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Smooth blobs of several sizes, fixed in space."""
    rng = np.random.default_rng(3)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    places = grid.index_to_lps_mm(index) - shift
    image = np.zeros(grid.shape)
    middle = grid.centre_lps_mm
    for _ in range(14):
        centre = middle + rng.uniform(-22, 22, 3)
        radius = rng.uniform(3, 9)
        image = np.where(np.linalg.norm(places - centre, axis=-1) < radius, rng.uniform(-80, 80), image)
    return gaussian_filter(image, 0.7).astype(np.float32)


@pytest.fixture
def grid() -> Grid:
    return Grid.from_axes((30, 46, 44), spacing_mm=(2.5, 2.0, 2.0), origin_lps_mm=(-40, 10, 600))


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (3.3, -4.1, 7.2), (-1.2, 0.6, -9.4)])
def test_finds_a_shift_whatever_the_contrast(grid: Grid, shift: tuple[float, float, float]):
    fixed, other = blobs(grid), 40 - 0.6 * blobs(grid, shift)
    region = np.zeros(grid.shape, dtype=bool)
    region[6:-6, 8:-8, 8:-8] = True
    found = find_translation(fixed, other, grid, region=region, most_mm=14.0, rules=RULES)
    assert found is not None
    assert np.linalg.norm(np.subtract(found.shift_lps_mm, shift)) < 0.8
    assert found.doubt_mm >= RULES.least_doubt_mm
    assert found.agreement > 0.6


def test_noise_agrees_with_nothing(grid: Grid):
    rng = np.random.default_rng(1)
    fixed = blobs(grid)
    other = rng.normal(0, 1, grid.shape).astype(np.float32)
    region = np.ones(grid.shape, dtype=bool)
    strict = replace(RULES, least_agreement=0.5)
    assert find_translation(fixed, other, grid, region=region, most_mm=10.0, rules=strict) is None


def test_a_flat_image_or_a_tiny_region_says_nothing(grid: Grid):
    fixed = blobs(grid)
    region = np.ones(grid.shape, dtype=bool)
    flat = np.zeros(grid.shape, dtype=np.float32)
    assert find_translation(fixed, flat, grid, region=region, most_mm=10.0, rules=RULES) is None
    tiny = np.zeros(grid.shape, dtype=bool)
    tiny[5, 5, 5] = True
    assert find_translation(fixed, fixed, grid, region=tiny, most_mm=10.0, rules=RULES) is None


def test_what_is_out_of_view_is_no_edge(grid: Grid):
    fixed = blobs(grid)
    other = blobs(grid, (2.0, 0.0, 5.0))
    other[:9] = np.nan
    region = np.zeros(grid.shape, dtype=bool)
    region[4:-4, 8:-8, 8:-8] = True
    found = find_translation(fixed, other, grid, region=region, most_mm=12.0, rules=RULES)
    assert found is not None
    assert np.linalg.norm(np.subtract(found.shift_lps_mm, (2.0, 0.0, 5.0))) < 1.0


def test_thinned_voxels_lie_where_they_lay(awkward_grid: Grid):
    index = np.stack(np.meshgrid(*[np.arange(n) for n in awkward_grid.shape], indexing="ij"), axis=-1)
    ramp = awkward_grid.index_to_lps_mm(index) @ (0.3, -0.7, 1.1)
    small, grid = thinned(ramp, awkward_grid, spacing_mm=3.0)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    assert small == pytest.approx(grid.index_to_lps_mm(index) @ (0.3, -0.7, 1.1), abs=1e-2)


def test_only_what_is_needed_is_read(awkward_grid: Grid):
    part = awkward_grid.cropped((10, 12, 14), (4, 5, 6))
    window = window_of(part, awkward_grid)
    assert window is not None
    assert [w.start for w in window] == [8, 10, 12]
    far = awkward_grid.cropped((500, 0, 0), (4, 5, 6))
    assert window_of(far, awkward_grid) is None
    values, seen = sampled(np.ones(awkward_grid.shape), awkward_grid, far)
    assert not seen.any() and not values.any()
    values, seen = sampled(np.ones(awkward_grid.shape), awkward_grid, part)
    assert seen.all() and values == pytest.approx(np.ones(part.shape))


@pytest.mark.parametrize("origin", [(-9.0, 4.0, 11.0), (14.0, 30.0, -7.0), (90.0, 0.0, 0.0)])
def test_reading_only_the_blocks_that_are_needed_changes_nothing(origin: tuple[float, ...]) -> None:
    grid = Grid.from_axes((41, 67, 70), spacing_mm=(1.6, 0.7, 0.7), origin_lps_mm=(-5.0, 3.0, 2.0))
    image = np.random.default_rng(6).normal(size=grid.shape).astype(np.float32)
    onto = Grid.from_axes((12, 13, 14), spacing_mm=(2.0, 2.0, 2.0), origin_lps_mm=origin)
    whole = sampled(*thinned(image, grid, spacing_mm=2.0), onto)
    for found, expected in zip(thinned_onto(image, grid, onto, spacing_mm=2.0), whole, strict=True):
        assert np.array_equal(found, expected)


def test_the_box_of_a_mask_holds_all_of_it_and_no_more() -> None:
    mask = np.zeros((6, 7, 8), dtype=bool)
    assert box_of(mask) is None
    mask[2, 3, 0] = mask[4, 1, 5] = True
    assert box_of(mask) == (slice(2, 5), slice(1, 4), slice(0, 6))
