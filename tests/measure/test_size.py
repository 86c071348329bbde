"""Sizes of bodies whose size is known."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import NotMeasured
from liverimg.measure.size import SIZE_NAMES, volume_range_ml
from liverimg.measure.survey import survey

from .shapes import Capsule, Ellipsoid, centres, sphere

EXACT = LabelQuality("external")


def lesion_of(mask, grid, settings, quality=EXACT):
    labels = LabelMap(np.where(mask, 2, 0).astype(np.uint8), grid, {Structure.TUMOUR: 2})
    (lesion,) = survey(None, labels, quality, settings=settings).lesions
    return lesion


def value(lesion, name):
    return lesion.quantity(name).value


def test_a_sphere_on_the_awkward_grid(awkward_grid, settings):
    middle = awkward_grid.centre_lps_mm + np.array([0.3, -0.2, 0.4])
    lesion = lesion_of(sphere(middle, 9).holds(centres(awkward_grid)), awkward_grid, settings)
    for name in SIZE_NAMES[:4]:
        found = lesion.quantity(name)
        assert found.value == pytest.approx(18, abs=0.6)
        assert found.unit == "mm"
        ends = [np.array(p.lps_mm) for p in found.evidence[:2]]
        assert np.linalg.norm(ends[1] - ends[0]) >= found.value - 1e-3
        for end in ends:
            assert np.linalg.norm(end - middle) == pytest.approx(9, abs=0.6)
    assert value(lesion, "volume") == pytest.approx(4 / 3 * np.pi * 0.729, rel=0.02)
    assert value(lesion, "ellipsoid_volume") == pytest.approx(4 / 3 * np.pi * 0.729, rel=0.06)


def test_diameters_of_one_ellipsoid_stand_at_right_angles_in_one_slice(settings):
    grid = Grid.from_axes((24, 70, 70), spacing_mm=(2.0, 0.7, 0.7))
    turn = np.array([[np.cos(0.5), -np.sin(0.5), 0], [np.sin(0.5), np.cos(0.5), 0], [0, 0, 1.0]])
    shape = Ellipsoid(grid.centre_lps_mm + 0.2, np.array([19.0, 10.0, 14.0]), turn)
    lesion = lesion_of(shape.holds(centres(grid)), grid, settings)
    long, short = lesion.quantity("axial_long_diameter"), lesion.quantity("axial_short_diameter")
    true_long, true_short = shape.axial_mm(grid)
    assert long.value == pytest.approx(true_long, abs=0.25)
    assert short.value == pytest.approx(true_short, abs=0.3)
    lines = [np.subtract(m.evidence[1].lps_mm, m.evidence[0].lps_mm) for m in (long, short)]
    assert abs(lines[0] @ lines[1]) / (long.value * short.value) < np.sin(np.deg2rad(1))
    heights = {round(p.lps_mm[2], 6) for m in (long, short) for p in m.evidence}
    assert len(heights) == 1
    assert (heights.pop() / 2) % 1 == pytest.approx(0)  # an acquired slice, not one in between


@pytest.mark.parametrize("slices_mm", [1.0, 3.0, 5.0])
def test_a_tilted_capsule(slices_mm, settings):
    grid = Grid.from_axes((int(70 / slices_mm), 80, 80), spacing_mm=(slices_mm, 0.8, 0.8))
    middle = grid.centre_lps_mm
    along = np.array([9.0, 4.0, 13.0])
    tube = Capsule(middle - along, middle + along, 7.0)
    lesion = lesion_of(tube.holds(centres(grid)), grid, settings)
    three_d = lesion.quantity("maximum_3d_diameter")
    up = lesion.quantity("craniocaudal_extent")
    assert three_d.value == pytest.approx(2 * np.linalg.norm(along) + 14, abs=0.3 * slices_mm + 0.2)
    assert three_d.low <= 2 * np.linalg.norm(along) + 14 <= three_d.high
    assert up.low <= 40 <= up.high


def test_slices_of_another_orientation_are_said(settings):
    # Coronal slices: 5 mm apart from front to back.
    grid = Grid.from_axes((12, 60, 60), spacing_mm=(5.0, 0.8, 0.8), directions=((0, 1, 0), (0, 0, -1), (1, 0, 0)))
    lesion = lesion_of(sphere(grid.centre_lps_mm + 0.3, 14).holds(centres(grid)), grid, settings)
    long = lesion.quantity("axial_long_diameter")
    assert "reformatted" in long.method
    assert long.value == pytest.approx(28, abs=0.5)
    assert value(lesion, "craniocaudal_extent") == pytest.approx(28, abs=0.4)


def test_a_flat_ended_cylinder_is_not_overshot(settings):
    grid = Grid.from_axes((14, 50, 50), spacing_mm=(4.0, 0.8, 0.8))
    points = centres(grid) - grid.centre_lps_mm
    mask = (np.hypot(points[..., 0], points[..., 1]) <= 14) & (np.abs(points[..., 2]) < 12)
    found = lesion_of(mask, grid, settings).quantity("craniocaudal_extent")
    assert found.low <= 24 <= found.high


def test_delineation_errors_widen_the_band_in_quadrature(settings):
    grid = Grid.from_axes((20, 40, 40), spacing_mm=(1.5, 0.8, 0.8))
    mask = sphere(grid.centre_lps_mm, 9).holds(centres(grid))
    exact = lesion_of(mask, grid, settings)
    blurred = lesion_of(mask, grid, settings, LabelQuality("model", {Structure.TUMOUR: 2.0}))
    for name in SIZE_NAMES[1:4]:
        a, b = exact.quantity(name), blurred.quantity(name)
        assert a.value == b.value
        assert (b.value - b.low) ** 2 == pytest.approx((a.value - a.low) ** 2 + 2 * 2.0**2, rel=1e-4)
    volume = blurred.quantity("volume")
    shell_ml = 4 * np.pi * 9.0**2 * 2.0 / 1000  # surface times error
    assert volume.value - volume.low == pytest.approx(shell_ml, rel=0.05)
    assert volume.high == pytest.approx(4 / 3 * np.pi * 11.0**3 / 1000, rel=0.05), "the ball that is 2 mm larger"


def test_one_voxel_has_a_place_but_no_size(settings):
    grid = Grid.from_axes((9, 9, 9), spacing_mm=(5, 5, 5))
    mask = np.zeros(grid.shape, bool)
    mask[4, 4, 4] = True
    lesion = lesion_of(mask, grid, settings)
    for name in SIZE_NAMES:
        assert isinstance(lesion.quantity(name), NotMeasured)
        assert "single voxel" in lesion.quantity(name).reason
    assert lesion.centroid_lps_mm == (20, 20, 20)


def test_a_single_slice_is_about_one_slice_high(settings):
    grid = Grid.from_axes((9, 40, 40), spacing_mm=(5.0, 0.8, 0.8))
    mask = np.zeros(grid.shape, bool)
    mask[4] = sphere(grid.centre_lps_mm, 8).holds(centres(grid))[4]
    lesion = lesion_of(mask, grid, settings)
    assert value(lesion, "craniocaudal_extent") == pytest.approx(5, abs=1)
    assert value(lesion, "axial_long_diameter") == pytest.approx(16, abs=0.4)


def test_cut_off_by_the_image_is_not_measured(settings):
    grid = Grid.from_axes((12, 40, 40), spacing_mm=(2.0, 0.8, 0.8))
    mask = sphere(grid.index_to_lps_mm((0, 20, 20)), 8).holds(centres(grid))
    lesion = lesion_of(mask, grid, settings)
    for name in SIZE_NAMES:
        assert "edge of the image" in lesion.quantity(name).reason


def test_a_small_lesion_drawn_too_small_keeps_its_true_volume_in_the_band() -> None:
    drawn_ml, true_ml = (4 / 3 * np.pi * r**3 / 1000 for r in (3.0, 6.0))
    low, high = volume_range_ml(drawn_ml, 3.0)
    assert high == pytest.approx(true_ml)
    assert low == 0
