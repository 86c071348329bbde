"""Margins of spheres have closed forms; every number is held against them, also across a motion between grids."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.motion import RigidMotion
from liverimg.files.tables import read_table
from liverimg.measure.ablation_margin import Ablated, MarginSettings, measure_ablation_margin
from liverimg.measure.margin import distance_to_surface, margin_map
from liverimg.measure.surface import Surface, blob_surface

SETTINGS = MarginSettings.from_table(read_table("margin"))
SPACING_MM = (1.5, 0.8, 0.8)


def _turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _ball(centre: np.ndarray, radius: float, *, turned: float = 0.0) -> tuple[np.ndarray, Grid]:
    count = np.ceil((2 * radius + 14) / np.array(SPACING_MM)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = _turn(turned) @ np.eye(3)[::-1].T * SPACING_MM
    affine[:3, 3] = centre - affine[:3, :3] @ ((count - 1) / 2 + 0.3)
    grid = Grid((int(count[0]), int(count[1]), int(count[2])), affine, None)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return np.linalg.norm(grid.index_to_lps_mm(index) - centre, axis=-1) <= radius, grid


def _surface(centre: np.ndarray, radius: float, *, turned: float = 0.0) -> Surface:
    return blob_surface(*_ball(centre, radius, turned=turned))


def _case(offset_mm: float, wide_mm: float, **more: object) -> Ablated:
    """A tumour of 10 mm radius; the zone is drawn in an examination turned by 25 degrees and shifted."""
    motion = RigidMotion(_turn(25.0), np.array([4.0, -7.0, 12.0]))
    tumour = _surface(np.zeros(3), 10.0)
    zone = _surface(motion.apply(np.array([offset_mm, 0.0, 0.0])), wide_mm, turned=25.0)
    given = {"motion_error_mm": 0.0, "outline_error_mm": 0.0, "tumour_ml": 4.18879, **more}
    return Ablated("L1", tumour, zone, motion, **given)  # type: ignore[arg-type]


def _numbers(case: Ablated) -> dict[str, Measurement | NotMeasured]:
    return {m.name: m for m in measure_ablation_margin(case, SETTINGS)[0]}


@pytest.mark.parametrize(("offset_mm", "wide_mm", "true_mm"), [(0, 15, 5.0), (2, 16, 4.0), (4, 12, -2.0), (0, 10, 0.0)])
def test_the_smallest_margin_of_spheres(offset_mm: float, wide_mm: float, true_mm: float) -> None:
    least = _numbers(_case(offset_mm, wide_mm))["minimal_ablation_margin"]
    assert isinstance(least, Measurement)
    assert least.value == pytest.approx(true_mm, abs=0.25)
    assert least.low <= true_mm <= least.high


def test_the_thinnest_place_is_named_in_both_examinations() -> None:
    case = _case(3.0, 15.0)
    least = _numbers(case)["minimal_ablation_margin"]
    assert isinstance(least, Measurement)
    places = {p.role: np.array(p.lps_mm) for p in least.evidence}
    assert places["on_tumour_before"] == pytest.approx([-10.0, 0.0, 0.0], abs=2.5)
    assert places["on_tumour"] == pytest.approx(case.motion.apply(places["on_tumour_before"]), abs=1e-4)
    assert np.linalg.norm(places["on_tumour"] - places["on_zone"]) == pytest.approx(least.value, abs=0.5)


def test_shares_of_the_surface_follow_the_closed_form() -> None:
    numbers = _numbers(_case(2.0, 16.0))
    shares = {n: m for n, m in numbers.items() if n.startswith("surface_share")}
    assert sum(m.value for m in shares.values() if isinstance(m, Measurement)) == pytest.approx(100.0)
    above = shares["surface_share_margin_5_to_10_mm"]
    truth = 50 * (1 - (100 + 4 - 121) / 40)
    assert isinstance(above, Measurement)
    assert above.value == pytest.approx(truth, abs=2.0)
    assert above.low <= truth <= above.high


def test_what_is_left_of_the_tumour_follows_the_lens_formula() -> None:
    r, big, d = 10.0, 10.0, 6.0
    lens = np.pi * (big + r - d) ** 2 * (d**2 + 2 * d * (r + big) - 3 * (r - big) ** 2) / (12 * d) / 1000
    left = _numbers(_case(d, big))["uncovered_tumour_volume"]
    assert isinstance(left, Measurement)
    assert left.value == pytest.approx(4.18879 - lens, abs=0.1)
    assert left.low < left.value < left.high


def test_a_motion_of_unknown_quality_widens_every_band() -> None:
    sure, unsure = (_numbers(_case(2.0, 16.0, motion_error_mm=e)) for e in (0.0, 3.0))
    for name in ("minimal_ablation_margin", "ablation_margin_median"):
        narrow, wide = sure[name], unsure[name]
        assert isinstance(narrow, Measurement)
        assert isinstance(wide, Measurement)
        assert wide.value == narrow.value
        assert wide.high - wide.low > narrow.high - narrow.low + 5.0


def test_shells_end_at_the_capsule_and_the_surface_under_it_is_told_apart() -> None:
    _, grid = _ball(np.zeros(3), 22.0)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    liver = grid.index_to_lps_mm(index)[..., 0] < 12.0  # the capsule 2 mm beside the tumour
    numbers = _numbers(_case(-1.0, 14.5, liver=liver, liver_grid=grid))
    whole, apart = numbers["minimal_ablation_margin"], numbers["minimal_ablation_margin_without_subcapsular"]
    share, shell = numbers["subcapsular_surface_share"], numbers["shell_coverage_3_mm"]
    assert isinstance(whole, Measurement)
    assert isinstance(apart, Measurement)
    assert isinstance(share, Measurement)
    assert isinstance(shell, Measurement)
    assert whole.value == pytest.approx(3.5, abs=0.2), "the thinnest place faces the capsule"
    assert apart.value == pytest.approx(14.5 - np.hypot(8.0, np.sqrt(100 - 49)), abs=0.2)
    assert share.value == pytest.approx(100 * (10 - 7) / 20, abs=4.0)  # a cap's share of a sphere
    assert shell.value == pytest.approx(100.0, abs=0.5)


def test_without_liver_or_vessels_the_reasons_are_given() -> None:
    numbers = _numbers(_case(0.0, 15.0))
    for name in ("shell_coverage_5_mm", "subcapsular_surface_share", "minimal_ablation_margin_without_perivascular"):
        assert isinstance(numbers[name], NotMeasured)


def test_distance_to_triangles_is_exact_where_vertices_are_far_apart() -> None:
    surface = _surface(np.zeros(3), 12.0)
    points = np.array([[0.0, 0.0, 0.0], [20.0, 0, 0], [0, -9.0, 0]])
    distance, nearest = distance_to_surface(points, surface)
    assert distance == pytest.approx([12.0, 8.0, 3.0], abs=0.5)
    assert np.linalg.norm(nearest - points, axis=1) == pytest.approx(distance)


def test_weights_are_areas() -> None:
    found = margin_map(_surface(np.zeros(3), 9.0), _surface(np.zeros(3), 14.0), motion=RigidMotion.none())
    assert found.weight.sum() == pytest.approx(1.0)
    assert found.share(-50, 50) == pytest.approx(1.0)
    assert (found.weight * found.before_lps_mm[:, 2]).sum() == pytest.approx(0.0, abs=0.1)


def test_no_other_motion_than_a_rigid_one() -> None:
    with pytest.raises(ValueError, match="scales"):
        RigidMotion(1.1 * np.eye(3), np.zeros(3))
    there = RigidMotion(_turn(30.0), np.array([1.0, 2.0, 3.0]))
    points = np.array([[5.0, -2.0, 1.0]])
    assert there.inverse().apply(there.apply(points)) == pytest.approx(points)
    assert there.after(there).apply(points) == pytest.approx(there.apply(there.apply(points)))


def test_a_table_without_a_number_is_refused() -> None:
    with pytest.raises(RecordInvalidError, match="patch_pitches"):
        MarginSettings.from_table({})
