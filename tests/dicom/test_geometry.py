"""Slices become a grid by their positions alone, and what no grid fits is refused or resampled aloud."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liverimg.core.grid import Grid
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import StudyHeaders, read_study

ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]  # fmt: skip


def one_volume(folder: Path, rules: PhaseRules) -> Any:
    found = read_study(folder, phase_rules=rules)
    assert found.study.rejected == ()
    (stack,) = found.stacks
    volume = load_volume(stack)
    assert found.study.series[0].grid is volume.grid
    return volume


def refused_for(folder: Path, rules: PhaseRules) -> list[str]:
    found = read_study(folder, phase_rules=rules)
    assert found.study.series == ()
    return [entry.code for entry in found.study.rejected]


def flags_of(found: StudyHeaders) -> set[str]:
    return {flag for series in found.study.series for flag in series.flags}


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_48_orientations_survive_in_mm(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    axes = np.eye(3)[list(order)] * np.array(signs)[:, None]
    grid = Grid.from_axes(
        (5, 6, 7),
        spacing_mm=(2.5, 0.9, 0.8),
        directions=axes,
        origin_lps_mm=(11.5, -20.25, 300.125),
        frame_of_reference_uid="1.2.3",
    )
    values = build.values_on(grid)
    build.write_series(tmp_path, grid=grid, values=values)
    volume = one_volume(tmp_path, rules)
    build.same_in_space(volume, grid, values)
    assert volume.grid.frame_of_reference_uid == "1.2.3"


def test_awkward_grid_survives_in_mm(awkward_grid: Grid, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = build.values_on(awkward_grid)
    build.write_series(tmp_path, grid=awkward_grid, values=values)
    build.same_in_space(one_volume(tmp_path, rules), awkward_grid, values)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(st.floats(0.4, 8), st.floats(0.2, 3), st.floats(0.2, 3)),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    mirrored=st.booleans(),
)
def test_any_oblique_grid_survives_in_mm(
    angles: Any, spacing: Any, origin: Any, mirrored: bool, tmp_path_factory: Any, build: ModuleType, rules: PhaseRules
) -> None:
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        step = np.eye(3)
        a, b = [n for n in range(3) if n != axis]
        step[a, a], step[a, b], step[b, a], step[b, b] = c, -s, s, c
        turn = turn @ step
    if mirrored:
        turn[0] = -turn[0]
    grid = Grid.from_axes((4, 5, 6), spacing_mm=spacing, directions=turn, origin_lps_mm=origin)
    values = build.values_on(grid)
    folder = tmp_path_factory.mktemp("oblique")
    build.write_series(folder, grid=grid, values=values)
    build.same_in_space(one_volume(folder, rules), grid, values)


def test_shuffled_and_renamed_files_give_the_same_study_and_bytes(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    build.write_series(tmp_path / "plain")
    build.write_series(tmp_path / "plain", series=2)
    for k, path in enumerate(sorted((tmp_path / "plain").iterdir())):
        there = tmp_path / "renamed" / "abc"[k % 3]
        there.mkdir(parents=True, exist_ok=True)
        (there / f"{(k * 7919) % 1000:03d} ünïcode '\"").write_bytes(path.read_bytes())
    first, second = (read_study(tmp_path / name, phase_rules=rules) for name in ("plain", "renamed"))
    for one, other in zip(first.study.series, second.study.series, strict=True):
        assert one.grid.is_same_as(other.grid, tolerance_mm=0)
        assert one.sop_instance_uids == other.sop_instance_uids
        assert (one.series_instance_uid, one.flags, one.phase) == (
            other.series_instance_uid, other.flags, other.phase,
        )  # fmt: skip
    for one, other in zip(first.stacks, second.stacks, strict=True):
        assert load_volume(one).array.tobytes() == load_volume(other).array.tobytes()


@pytest.mark.parametrize("instances", ["reversed", "constant", "absent", "random"])
def test_instance_numbers_do_not_matter(instances: str, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SliceLocation = str((k * 37) % 11)
        if instances == "absent":
            del dataset.InstanceNumber
        else:
            dataset.InstanceNumber = {"reversed": 99 - k, "constant": 1, "random": (k * 5) % 8}[instances]

    build.write_series(tmp_path, edit=edit)
    build.same_in_space(one_volume(tmp_path, rules), build.PLAIN_GRID, build.values_on(build.PLAIN_GRID, seed=1))


def test_sop_uids_follow_the_slices(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, edit=lambda dataset, k: setattr(dataset, "InstanceNumber", (k * 5) % 8))
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert [int(uid.rsplit(".", 1)[1]) for uid in series.sop_instance_uids] == list(range(1, 9))


@pytest.mark.parametrize("nonsense", ["-1024", "0", "0.0000001", "1e30"])
def test_a_thickness_that_no_scanner_has_is_not_told(
    nonsense: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    build.write_series(tmp_path, edit=lambda dataset, k: setattr(dataset, "SliceThickness", nonsense))
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.slice_thickness_mm is None


def test_spacing_comes_from_positions_not_from_thickness(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SliceThickness = dataset.SpacingBetweenSlices = "5"

    build.write_series(tmp_path, edit=edit)
    found = read_study(tmp_path, phase_rules=rules)
    assert found.study.series[0].grid.spacing_mm[0] == pytest.approx(2.5)
    assert flags_of(found) == {"thickness_differs"}


def _moved(build: ModuleType, offsets_mm: Any) -> Any:
    def edit(dataset: Any, k: int) -> None:
        place = build.PLAIN_GRID.index_to_lps_mm((k, 0, 0)) + offsets_mm[k]
        dataset.ImagePositionPatient = build.decimals(*place)

    return edit


def test_ten_micrometres_of_jitter_are_left_alone(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    jitter = np.random.default_rng(0).uniform(-0.01, 0.01, (8, 3))
    build.write_series(tmp_path, edit=_moved(build, jitter))
    found = read_study(tmp_path, phase_rules=rules)
    assert flags_of(found) == set()
    assert found.study.series[0].widest_gap_mm is None
    values = build.values_on(build.PLAIN_GRID, seed=1)
    build.same_in_space(one_volume(tmp_path, rules), build.PLAIN_GRID, values, tolerance_mm=0.02)


def test_visible_jitter_is_resampled_and_flagged(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    shift_mm = np.zeros((8, 3))
    shift_mm[3, 2] = 0.6
    ramp = _ramp(build.PLAIN_GRID, shift_mm)
    build.write_series(tmp_path, values=ramp, edit=_moved(build, shift_mm))
    found = read_study(tmp_path, phase_rules=rules)
    assert flags_of(found) == {"derived_from_uneven_slices"}
    assert found.study.series[0].widest_gap_mm == pytest.approx(2.5 + 0.6)
    volume = load_volume(found.stacks[0])
    _assert_ramp(volume)


def test_a_drifting_slice_distance_is_not_taken_for_even(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    # Each gap is within rounding of the next one, yet the middle slices end up far from an even grid.
    gaps_mm = np.array([2.48, 2.48, 2.48, 2.5, 2.52, 2.52, 2.52])
    shift_mm = np.zeros((8, 3))
    shift_mm[1:, 2] = np.cumsum(gaps_mm) - 2.5 * np.arange(1, 8)
    build.write_series(tmp_path, edit=_moved(build, shift_mm))
    assert flags_of(read_study(tmp_path, phase_rules=rules)) == {"derived_from_uneven_slices"}


def _ramp(grid: Grid, shift_mm: Any) -> Any:
    """HU = 10 z + 3 y + 2 x at every voxel's true place: linear, so linear interpolation must be exact."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    lps_mm = grid.index_to_lps_mm(index) + shift_mm[:, None, None, :] - grid.centre_lps_mm
    return np.rint(lps_mm @ (2.0, 3.0, 10.0))


def _assert_ramp(volume: Any, centre_lps_mm: Any = None, build_grid: Grid | None = None) -> None:
    from_grid = build_grid or Grid.from_axes(
        (8, 14, 16), spacing_mm=(2.5, 0.9, 0.8), origin_lps_mm=(-12.5, 40.25, -333.5)
    )
    index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.grid.shape], indexing="ij"), axis=-1)
    lps_mm = volume.grid.index_to_lps_mm(index) - from_grid.centre_lps_mm
    measured = volume.array > -1000
    assert measured.mean() > 0.5
    assert np.abs(volume.array - lps_mm @ (2.0, 3.0, 10.0))[measured].max() <= 2.0


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("across", [False, True])
def test_gantry_tilt_is_undone(sign: int, across: bool, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """With and without its tag, towards either side, along rows or columns: positions tell."""
    shift_mm = np.zeros((8, 3))
    shift_mm[:, 0 if across else 1] = sign * np.arange(8) * 2.5 * np.tan(np.deg2rad(17))
    build.write_series(tmp_path, values=_ramp(build.PLAIN_GRID, shift_mm), edit=_moved(build, shift_mm))
    found = read_study(tmp_path, phase_rules=rules)
    assert flags_of(found) == {"derived_from_tilt"}
    volume = load_volume(found.stacks[0])
    assert volume.grid.is_orthogonal()
    assert volume.grid.is_same_as(found.study.series[0].grid)
    _assert_ramp(volume)


def test_change_of_slice_distance_is_resampled(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    depth_mm = np.array([0, 2.5, 5, 7.5, 10, 15, 20, 25])
    shift_mm = np.zeros((8, 3))
    shift_mm[:, 2] = depth_mm - 2.5 * np.arange(8)
    build.write_series(tmp_path, values=_ramp(build.PLAIN_GRID, shift_mm), edit=_moved(build, shift_mm))
    found = read_study(tmp_path, phase_rules=rules)
    assert flags_of(found) == {"derived_from_uneven_slices"}
    volume = load_volume(found.stacks[0])
    assert volume.grid.shape == (11, 14, 16)
    _assert_ramp(volume)


@pytest.mark.parametrize("skip", [(3,), (3, 4), (2, 5)])
def test_missing_slices_are_refused(
    skip: tuple[int, ...], tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    grid = Grid(shape=(16, 4, 5), affine=build.PLAIN_GRID.affine, frame_of_reference_uid="1.2.3")
    build.write_series(tmp_path, grid=grid, skip=skip)
    assert refused_for(tmp_path, rules) == ["missing_slices"]


def test_slices_beside_their_line_are_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    shift_mm = np.zeros((8, 3))
    shift_mm[4, 0] = 15
    build.write_series(tmp_path, edit=_moved(build, shift_mm))
    assert refused_for(tmp_path, rules) == ["uneven_slices"]


def test_random_positions_are_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    shift_mm = np.zeros((8, 3))
    shift_mm[:, 2] = [0, 1.1, -0.9, 4, 9.3, 9.5, 17, 29]
    build.write_series(tmp_path, edit=_moved(build, shift_mm))
    assert set(refused_for(tmp_path, rules)) <= {"uneven_slices", "missing_slices"}


BROKEN_TAGS = {
    "no position": ("ImagePositionPatient", None, "position_missing"),
    "no orientation": ("ImageOrientationPatient", None, "orientation_invalid"),
    "skewed orientation": ("ImageOrientationPatient", ["1", "0", "0", "0.5", "0.8660254", "0"], "orientation_invalid"),
    "short orientation": ("ImageOrientationPatient", ["0.9", "0", "0", "0", "1", "0"], "orientation_invalid"),
    "no pixel spacing": ("PixelSpacing", None, "pixel_spacing_missing"),
    "zero pixel spacing": ("PixelSpacing", ["0", "0.8"], "pixel_spacing_invalid"),
    "one pixel spacing": ("PixelSpacing", "0.8", "pixel_spacing_invalid"),
    "no slope": ("RescaleSlope", None, "rescale_missing"),
    "no intercept": ("RescaleIntercept", None, "rescale_missing"),
    "zero slope": ("RescaleSlope", "0", "rescale_invalid"),
    "another unit": ("RescaleType", "Z_EFF", "not_hounsfield"),
    "bits": ("BitsStored", 17, "pixel_format"),
}


@pytest.mark.parametrize("case", sorted(BROKEN_TAGS))
@pytest.mark.parametrize("where", ["every slice", "one slice"])
def test_a_broken_tag_refuses_the_volume(
    case: str, where: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    keyword, value, code = BROKEN_TAGS[case]

    def edit(dataset: Any, k: int) -> None:
        if where == "one slice" and k != 4:
            return
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)

    build.write_series(tmp_path, edit=edit)
    assert refused_for(tmp_path, rules) == [code]


def test_decimal_comma_is_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    for path in build.write_series(tmp_path):
        path.write_bytes(path.read_bytes().replace(b"0.9\\0.8 ", b"0,9\\0,8 "))
    assert refused_for(tmp_path, rules) == ["pixel_spacing_invalid"]


def test_one_slice_of_another_matrix_leaves_a_gap(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k == 4:
            dataset.Rows, dataset.Columns = dataset.Columns, dataset.Rows

    build.write_series(tmp_path, edit=edit)
    assert sorted(refused_for(tmp_path, rules)) == ["missing_slices", "too_few_slices"]


def test_mixed_frames_of_reference_never_make_one_volume(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, edit=lambda d, k: setattr(d, "FrameOfReferenceUID", f"1.2.{3 + k // 4}"))
    found = read_study(tmp_path, phase_rules=rules)
    assert sorted(series.grid.shape[0] for series in found.study.series) == [4, 4]
    assert {series.grid.frame_of_reference_uid for series in found.study.series} == {"1.2.3", "1.2.4"}


def test_no_frame_of_reference_is_flagged(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, edit=lambda d, k: d.__delattr__("FrameOfReferenceUID"))
    found = read_study(tmp_path, phase_rules=rules)
    assert flags_of(found) == {"no_frame_of_reference"}
    assert found.study.series[0].grid.frame_of_reference_uid is None
