"""Several volumes in one series, one volume in several series, copies, and what is no slice at all."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import StudyHeaders, read_study


def two_phases(
    folder: Path, build: ModuleType, tell_apart: Any, *, second_skip: Any = (), second_grid: Grid | None = None
) -> tuple[Any, Any]:
    """Two phases under one series UID; ``tell_apart(dataset, phase, k)`` sets what distinguishes them."""
    values = [build.values_on(build.PLAIN_GRID, seed=s) for s in (11, 12)]
    for phase in (0, 1):
        build.write_series(
            folder,
            grid=build.PLAIN_GRID if phase == 0 or second_grid is None else second_grid,
            values=values[phase],
            first_instance=1 + 100 * phase,
            edit=lambda d, k, phase=phase: tell_apart(d, phase, k),
            skip=second_skip if phase else (),
        )
    return values[0], values[1]


def without_labels(dataset: Any) -> None:
    for keyword in ("AcquisitionNumber", "AcquisitionTime"):
        if keyword in dataset:
            delattr(dataset, keyword)


def by_acquisition_number(dataset: Any, phase: int, k: int) -> None:
    dataset.AcquisitionNumber = 3 + phase
    dataset.InstanceNumber = 1 + k


def by_temporal_position(dataset: Any, phase: int, k: int) -> None:
    without_labels(dataset)
    dataset.InstanceNumber = 1 + k
    dataset.TemporalPositionIdentifier = 1 + phase


def by_acquisition_time(dataset: Any, phase: int, k: int) -> None:
    del dataset.AcquisitionNumber
    dataset.InstanceNumber = 1
    dataset.AcquisitionTime = f"1000{10 + 30 * phase:02d}"


def by_acquisition_time_of_each_slice(dataset: Any, phase: int, k: int) -> None:
    del dataset.AcquisitionNumber
    dataset.InstanceNumber = 1
    dataset.AcquisitionTime = f"1000{10 + 30 * phase:02d}.{k:01d}00"


def by_content_time(dataset: Any, phase: int, k: int) -> None:
    without_labels(dataset)
    dataset.InstanceNumber = 1
    dataset.ContentDate, dataset.ContentTime = "20260101", f"10{phase:02d}{k // 3:02d}"


def by_trigger_time(dataset: Any, phase: int, k: int) -> None:
    without_labels(dataset)
    dataset.InstanceNumber = 1
    dataset.TriggerTime = str(1000 + 20000 * phase + k)


def by_instance_number(dataset: Any, phase: int, k: int) -> None:
    without_labels(dataset)


def by_instance_number_backwards(dataset: Any, phase: int, k: int) -> None:
    without_labels(dataset)
    dataset.InstanceNumber = (1 + k) if phase == 0 else 200 - k


WAYS = [
    by_acquisition_number, by_temporal_position, by_acquisition_time, by_acquisition_time_of_each_slice,
    by_content_time, by_trigger_time, by_instance_number, by_instance_number_backwards,
]  # fmt: skip


def check_both(found: StudyHeaders, build: ModuleType, values: Any, grids: Any) -> None:
    assert found.study.rejected == ()
    assert len(found.stacks) == 2
    for expected, grid in zip(values, grids, strict=True):
        matches = [v for v in map(load_volume, found.stacks) if v.array.shape == expected.shape]
        assert any(np.array_equal(v.array, expected) for v in matches)
        right = next(v for v in matches if np.array_equal(v.array, expected))
        build.same_in_space(right, grid, expected)


@pytest.mark.parametrize("way", WAYS)
def test_two_phases_in_one_series(way: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = two_phases(tmp_path, build, way)
    found = read_study(tmp_path, phase_rules=rules)
    check_both(found, build, values, [build.PLAIN_GRID] * 2)
    by_order = way in (by_instance_number, by_instance_number_backwards)
    for series in found.study.series:
        assert series.flags == ("split_by_order" if by_order else "split_by_tag",)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("skip", [(5, 6, 7), (0, 1, 2)])
def test_phases_with_unequal_counts(way: Any, skip: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Either both right, or refused: never a slice of one phase in the other."""
    first, second = two_phases(tmp_path, build, way, second_skip=skip)
    kept = [k for k in range(8) if k not in skip]
    found = read_study(tmp_path, phase_rules=rules)
    grid = build.PLAIN_GRID.cropped((kept[0], 0, 0), (5, *first.shape[1:]))
    check_both(found, build, (first, second[kept]), (build.PLAIN_GRID, grid))


@pytest.mark.parametrize("way", WAYS)
def test_phases_on_offset_grids(way: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """No place is taken twice, and together the slices even look evenly spaced."""
    affine = np.array(build.PLAIN_GRID.affine)
    affine[2, 3] += 1.25
    shifted = Grid(build.PLAIN_GRID.shape, affine, build.PLAIN_GRID.frame_of_reference_uid)
    values = two_phases(tmp_path, build, way, second_grid=shifted)
    found = read_study(tmp_path, phase_rules=rules)
    check_both(found, build, values, (build.PLAIN_GRID, shifted))


def test_phases_that_nothing_tells_apart_are_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def nothing(dataset: Any, phase: int, k: int) -> None:
        without_labels(dataset)
        dataset.InstanceNumber = 1

    two_phases(tmp_path, build, nothing)
    found = read_study(tmp_path, phase_rules=rules)
    assert found.study.series == ()
    assert [entry.code for entry in found.study.rejected] == ["duplicate_positions"]


def test_shuffled_instance_numbers_do_not_mix_phases(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    numbers = np.random.default_rng(3).permutation(16)

    def shuffled(dataset: Any, phase: int, k: int) -> None:
        without_labels(dataset)
        dataset.InstanceNumber = int(numbers[8 * phase + k])

    two_phases(tmp_path, build, shuffled)
    assert read_study(tmp_path, phase_rules=rules).study.series == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0, 5, False), (0, 8, True)),  # the short one first: the long one must not lend it slices
        ((0, 8, True), (3, 8, True)),
        ((2, 8, False), (0, 5, True)),
        ((0, 6, False), (2, 7, True)),  # turns round at a slice of its own: undecidable, so refused
    ],
)
def test_order_alone_never_mixes_phases(
    first: Any, second: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    instance = 1
    for phase, (start, stop, backwards) in enumerate((first, second)):
        sequence = list(range(start, stop))[:: -1 if backwards else 1]

        def edit(dataset: Any, k: int, sequence: list[int] = sequence, instance: int = instance) -> None:
            without_labels(dataset)
            dataset.InstanceNumber = instance + sequence.index(k)

        build.write_series(
            tmp_path,
            values=np.full(build.PLAIN_GRID.shape, 100 * phase),
            first_instance=1 + 100 * phase,
            edit=edit,
            skip=[k for k in range(8) if k not in sequence],
        )
        instance += len(sequence)
    found = read_study(tmp_path, phase_rules=rules)
    arrays = [load_volume(stack).array for stack in found.stacks]
    assert all(len(np.unique(array)) == 1 for array in arrays)
    lengths = sorted(stop - start for start, stop, _ in (first, second))
    if second == (2, 7, True):
        assert [entry.code for entry in found.study.rejected] == ["duplicate_positions"]
    else:
        assert sorted(len(array) for array in arrays) == lengths


def test_interleaved_mr_acquisition_stays_one_volume(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Odd and even slices at different times are how MR works, not two phases."""
    build.write_series(
        tmp_path, modality="MR", edit=lambda d, k: setattr(d, "AcquisitionTime", f"1000{10 + 30 * (k % 2)}")
    )
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.grid.shape[0] == 8


def test_acquisition_of_each_slab_stays_one_volume(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.AcquisitionNumber = 1 + k // 4
        dataset.AcquisitionTime = f"1000{10 + k // 4 * 20}"

    build.write_series(tmp_path, edit=edit)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.grid.shape[0] == 8


def test_three_orientations_in_one_series(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    expected = []
    for number, axes in enumerate(([2, 1, 0], [1, 2, 0], [0, 2, 1])):
        grid = Grid.from_axes(
            (5, 6, 7), spacing_mm=(3, 1, 1), directions=np.eye(3)[axes], frame_of_reference_uid="1.2.3"
        )
        values = build.values_on(grid, seed=number)
        expected.append((grid, values))
        build.write_series(tmp_path, grid=grid, values=values, first_instance=1 + 10 * number)
    found = read_study(tmp_path, phase_rules=rules)
    volumes = [load_volume(stack) for stack in found.stacks]
    assert len(volumes) == 3
    for grid, values in expected:
        (match,) = [v for v in volumes if np.allclose(np.abs(v.grid.directions[0]), np.abs(grid.directions[0]))]
        build.same_in_space(match, grid, values)


def test_two_echoes_in_one_series(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    for echo in (0, 1):
        build.write_series(
            tmp_path,
            modality="MR",
            first_instance=1 + 50 * echo,
            values=build.values_on(build.PLAIN_GRID, seed=echo),
            edit=lambda d, k, echo=echo: setattr(d, "EchoTime", str(2.3 + echo)),
        )
    assert len(read_study(tmp_path, phase_rules=rules).stacks) == 2


def test_copies_are_dropped(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    paths = build.write_series(tmp_path)
    (tmp_path / "again").write_bytes(paths[3].read_bytes())
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.flags == ("duplicates_dropped",)
    assert series.grid.shape[0] == 8


def test_resent_slices_are_dropped(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """The same slices under new SOP instance UIDs."""
    build.write_series(tmp_path)
    values = build.values_on(build.PLAIN_GRID, seed=1)
    build.write_series(tmp_path, values=values, first_instance=300, skip=range(3, 8))
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.flags == ("duplicates_dropped",)
    assert series.grid.shape[0] == 8


def test_one_uid_with_two_contents_is_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    paths = build.write_series(tmp_path)
    data = bytearray(paths[3].read_bytes())
    data[-9] ^= 1
    (tmp_path / "other").write_bytes(data)
    found = read_study(tmp_path, phase_rules=rules)
    assert [entry.code for entry in found.study.rejected] == ["duplicate_positions"]
    assert found.study.series == ()


@pytest.mark.parametrize("upper", [(4, 5, 6, 7), (7,), (0,), (1, 3, 5, 7), (2, 3, 6), (4,)])
def test_a_volume_over_two_series_is_joined(upper: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Halves, a lone last slice, every other slice, any mixture."""
    values = build.values_on(build.PLAIN_GRID)
    build.write_series(tmp_path, values=values, skip=upper)
    build.write_series(tmp_path, values=values, series=2, skip=[k for k in range(8) if k not in upper])
    found = read_study(tmp_path, phase_rules=rules)
    (series,) = found.study.series
    assert series.flags == ("joined_series",)
    build.same_in_space(load_volume(found.stacks[0]), build.PLAIN_GRID, values)


def test_two_coarse_volumes_on_offset_grids_stay_two(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Evenly spaced together, but each is whole by itself: slices as thick as its own gaps."""

    def thick(dataset: Any, k: int) -> None:
        dataset.SliceThickness = "5"

    build.write_series(tmp_path, skip=(1, 3, 5, 7), edit=thick)
    build.write_series(tmp_path, series=2, skip=(0, 2, 4, 6), edit=thick)
    assert [s.grid.shape[0] for s in read_study(tmp_path, phase_rules=rules).study.series] == [4, 4]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: setattr(d, "SeriesDescription", "ANOTHER"),
        lambda d: setattr(d, "AcquisitionTime", "100500"),
        lambda d: setattr(d, "ConvolutionKernel", "B70f"),
        lambda d: setattr(d, "FrameOfReferenceUID", "1.2.99"),
    ],
)
def test_neighbouring_series_of_another_kind_are_not_joined(
    change: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    build.write_series(tmp_path, skip=range(4, 8))
    build.write_series(tmp_path, series=2, skip=range(4), edit=lambda d, k: change(d))
    assert [s.grid.shape[0] for s in read_study(tmp_path, phase_rules=rules).study.series] == [4, 4]


SET_ASIDE = {
    "localiser": lambda d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "projection": lambda d: setattr(d, "ImageType", ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]),
    "secondary_capture": lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
    "modality_not_supported": lambda d: setattr(d, "Modality", "PT"),
    "colour": lambda d: setattr(d, "PhotometricInterpretation", "PALETTE COLOR"),
    "multiframe_without_geometry": lambda d: setattr(d, "NumberOfFrames", 2),
}


@pytest.mark.parametrize("code", sorted(SET_ASIDE))
def test_what_is_no_slice_spoils_no_volume(code: str, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    build.write_series(tmp_path, first_instance=90, skip=range(1, 8), edit=lambda d, k: SET_ASIDE[code](d))
    found = read_study(tmp_path, phase_rules=rules)
    assert [series.grid.shape[0] for series in found.study.series] == [8]
    assert [entry.code for entry in found.study.rejected] == [code]


def test_derived_volumes_are_flagged(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, edit=lambda d, k: setattr(d, "ImageType", ["DERIVED", "SECONDARY", "MPR"]))
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.flags == ("derived_image",)


def test_mr_maps_are_flagged(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(
        tmp_path, modality="MR", edit=lambda d, k: setattr(d, "ImageType", ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"])
    )
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert set(series.flags) == {"derived_image", "not_magnitude"}


def test_dixon_images_of_one_series(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    for number, kind in enumerate(("WATER", "FAT", "OPP_PHASE")):
        build.write_series(
            tmp_path,
            modality="MR",
            first_instance=1 + 20 * number,
            edit=lambda d, k, kind=kind: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "M", "DIXON", kind]),
        )
    flags = sorted(series.flags for series in read_study(tmp_path, phase_rules=rules).study.series)
    assert flags == [(), ("fat_or_phase_shifted",), ("fat_or_phase_shifted",)]


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_enhanced_multiframe_with_two_phases(
    modality: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    """Frames in random order, each with its own rescale; phases by TemporalPositionIndex."""
    order = [int(n) for n in np.random.default_rng(0).permutation(16)]
    values = build.values_on(build.PLAIN_GRID)
    dataset = build.enhanced(build.PLAIN_GRID, values, order=order, phases=2, modality=modality)
    build.save(dataset, tmp_path / "one")
    found = read_study(tmp_path, phase_rules=rules)
    volumes = [load_volume(stack) for stack in found.stacks]
    assert len(volumes) == 2
    build.same_in_space(volumes[0], build.PLAIN_GRID, values)
    build.same_in_space(volumes[1], build.PLAIN_GRID, values + 50)
    assert all(series.sop_instance_uids == (f"{build.ROOT}.9.77.1",) for series in found.study.series)


def test_enhanced_with_tilted_gantry(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def tilt(item: Any, phase: int, k: int) -> None:
        place = build.PLAIN_GRID.index_to_lps_mm((k, 0, 0)) + np.array((0, 0.8 * k, 0))
        item.PlanePositionSequence[0].ImagePositionPatient = build.decimals(*place)

    dataset = build.enhanced(build.PLAIN_GRID, build.values_on(build.PLAIN_GRID), order=list(range(8)), per_frame=tilt)
    build.save(dataset, tmp_path / "one")
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.flags == ("derived_from_tilt",)
    assert series.grid.is_orthogonal()


def test_enhanced_with_a_frame_too_few_described_is_refused(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    dataset = build.enhanced(build.PLAIN_GRID, build.values_on(build.PLAIN_GRID), order=list(range(8)))
    del dataset.PerFrameFunctionalGroupsSequence[3]
    build.save(dataset, tmp_path / "one")
    build.write_series(tmp_path, series=2)
    found = read_study(tmp_path, phase_rules=rules)
    assert [entry.code for entry in found.study.rejected] == ["multiframe_without_geometry"]
