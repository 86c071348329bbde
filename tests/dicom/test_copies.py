"""Copies in every dress: byte for byte, under a new UID, as an archive compressed them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless, RLELossless

from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study


def test_a_compressed_copy_is_a_copy(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """An archive may hand out a slice both as it came and as it keeps it."""
    paths = build.write_series(tmp_path)
    for number, syntax in ((2, RLELossless), (5, JPEGLSLossless)):
        build.save(dcmread(paths[number]), tmp_path / f"again{number}", syntax)
    found = read_study(tmp_path, phase_rules=rules)
    (series,) = found.study.series
    assert series.flags == ("duplicates_dropped",)
    np.testing.assert_array_equal(load_volume(found.stacks[0]).array, build.values_on(build.PLAIN_GRID, seed=1))


def test_another_slice_under_the_same_uid_is_no_copy_however_packed(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    paths = build.write_series(tmp_path)
    dataset = dcmread(paths[2])
    dataset.PixelData = dcmread(paths[3]).PixelData
    build.save(dataset, tmp_path / "again", RLELossless)
    found = read_study(tmp_path, phase_rules=rules)
    assert [entry.code for entry in found.study.rejected] == ["duplicate_positions"]


def test_a_whole_series_sent_again_is_one_volume(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = build.values_on(build.PLAIN_GRID)
    for first in (1, 101):
        build.write_series(tmp_path, values=values, first_instance=first)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.flags == ("duplicates_dropped",)


def test_phases_that_share_an_empty_slice_stay_two(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    for phase in (0, 1):
        values = build.values_on(build.PLAIN_GRID, seed=phase)
        values[0] = values[-1] = -1000
        build.write_series(
            tmp_path,
            values=values,
            first_instance=1 + 100 * phase,
            edit=lambda d, k, phase=phase: setattr(d, "AcquisitionNumber", 1 + phase),
        )
    found = read_study(tmp_path, phase_rules=rules)
    assert [series.grid.shape[0] for series in found.study.series] == [8, 8]


def test_which_copy_is_kept_does_not_hang_on_its_name(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Copies whose headers differ: the choice rests on the headers."""
    said = []
    for study, (first, second) in {"one": ("a", "b"), "two": ("b", "a")}.items():
        paths = build.write_series(tmp_path / study)
        dataset = dcmread(paths[0])
        dataset.SeriesDescription = "PORTAL VENOUS"
        dataset.save_as(tmp_path / study / f"{first}.dcm", enforce_file_format=True)
        shutil.move(paths[0], tmp_path / study / f"{second}.dcm")
        said.append(repr(read_study(tmp_path / study, phase_rules=rules).study.series))
    assert said[0] == said[1]
