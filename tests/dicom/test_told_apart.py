"""Ten ways in which scanners tell the phases of one series apart, or don't: right volumes, values and phases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from liverimg.core.grid import Grid
from liverimg.core.study import Phase
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study

GRID = Grid.from_axes(
    (9, 10, 12), spacing_mm=(2.5, 0.9, 0.8), origin_lps_mm=(-12.5, 40.25, -333.5), frame_of_reference_uid="1.2.3"
)
HIGHER = Grid.from_axes(
    (9, 10, 12), spacing_mm=(2.5, 0.9, 0.8), origin_lps_mm=(-12.5, 40.25, -332.25), frame_of_reference_uid="1.2.3"
)
BOTH = (Phase.ARTERIAL, Phase.PORTAL_VENOUS)
NEITHER = (Phase.UNKNOWN, Phase.UNKNOWN)
INJECTED = "100000"


def acquisition_number(dataset: Any, phase: int) -> None:
    dataset.AcquisitionNumber = 1 + phase


def temporal_position(dataset: Any, phase: int) -> None:
    dataset.TemporalPositionIdentifier = 1 + phase


def acquisition_time(dataset: Any, phase: int) -> None:
    dataset.AcquisitionTime, dataset.ContrastBolusStartTime = ("100036", "100110")[phase], INJECTED


def content_time(dataset: Any, phase: int) -> None:
    """AcquisitionTime stands still at the start of the run; the times of writing go on."""
    dataset.AcquisitionTime, dataset.ContrastBolusStartTime = "100036", INJECTED
    dataset.ContentDate, dataset.ContentTime = "20260101", ("100100", "100134")[phase]


def trigger_time(dataset: Any, phase: int) -> None:
    dataset.AcquisitionTime, dataset.ContrastBolusStartTime = "100036", INJECTED
    dataset.TriggerTime = str(34_000 * phase)


def instance_number(dataset: Any, phase: int) -> None:
    """Nothing but the instance number, which the writer counts on."""


Tell = Callable[[Any, int], None]
CLASSIC: dict[str, tuple[Tell, tuple[Phase, ...], str]] = {
    "AcquisitionNumber": (acquisition_number, NEITHER, "split_by_tag"),
    "TemporalPositionIdentifier": (temporal_position, NEITHER, "split_by_tag"),
    "AcquisitionTime": (acquisition_time, BOTH, "split_by_tag"),
    "ContentTime": (content_time, BOTH, "split_by_tag"),
    "TriggerTime": (trigger_time, BOTH, "split_by_tag"),
    "InstanceNumber alone": (instance_number, NEITHER, "split_by_order"),
}


def write_two(
    folder: Path, build: ModuleType, tell: Tell, *, second: Grid = GRID, skip: tuple[int, ...] = ()
) -> list[np.ndarray]:
    """Two phases under one series UID. Returns the values of each."""
    values = [build.values_on(GRID, seed=1), build.values_on(second, seed=2)]
    for phase, grid in enumerate((GRID, second)):

        def edit(dataset: Any, k: int, phase: int = phase) -> None:
            tell(dataset, phase)

        build.write_series(
            folder,
            grid=grid,
            values=values[phase],
            first_instance=1 + 100 * phase,
            edit=edit,
            skip=skip if phase else (),
        )
    return values


def volumes_match(found: Any, build: ModuleType, wanted: list[tuple[Grid, np.ndarray]]) -> None:
    assert len(found.stacks) == len(wanted)
    for stack, (grid, values) in zip(found.stacks, wanted, strict=True):
        build.same_in_space(load_volume(stack), grid, values)


@pytest.mark.parametrize("way", sorted(CLASSIC))
def test_two_phases_in_one_series(way: str, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    tell, phases, flag = CLASSIC[way]
    values = write_two(tmp_path, build, tell)
    found = read_study(tmp_path, phase_rules=rules)
    volumes_match(found, build, [(GRID, v) for v in values])
    assert tuple(series.phase for series in found.study.series) == phases
    assert all(flag in series.flags for series in found.study.series)


@pytest.mark.parametrize("way", ["ContentTime", "TriggerTime"])
def test_the_clock_that_was_used_is_named(way: str, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    write_two(tmp_path, build, CLASSIC[way][0])
    series = read_study(tmp_path, phase_rules=rules).study.series
    assert [one.time_s for one in series] == [0.0, 34.0]
    assert series[1].phase_evidence[0].detail == f"70 s after the start of injection by AcquisitionTime and {way}"


def test_enhanced_temporal_position_index(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = build.values_on(GRID, seed=1)

    def per_frame(item: Dataset, phase: int, k: int) -> None:
        use = Dataset()
        use.ContrastBolusAgentPhase = ("ARTERIAL", "PORTAL_VENOUS")[phase]
        item.ContrastBolusUsageSequence = Items([use])

    dataset = build.enhanced(GRID, values, order=range(18), phases=2, per_frame=per_frame)
    build.save(dataset, tmp_path / "one.dcm")
    found = read_study(tmp_path, phase_rules=rules)
    volumes_match(found, build, [(GRID, values + 50 * phase) for phase in (0, 1)])
    assert tuple(series.phase for series in found.study.series) == BOTH
    assert {series.phase_evidence[0].source for series in found.study.series} == {"ContrastBolusAgentPhase"}


def test_unequal_counts(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = write_two(tmp_path, build, acquisition_time, skip=(6, 7, 8))
    found = read_study(tmp_path, phase_rules=rules)
    short = Grid.from_axes(
        (6, 10, 12), spacing_mm=(2.5, 0.9, 0.8), origin_lps_mm=(-12.5, 40.25, -333.5), frame_of_reference_uid="1.2.3"
    )
    volumes_match(found, build, [(GRID, values[0]), (short, values[1][:6])])
    assert tuple(series.phase for series in found.study.series) == BOTH


def test_offset_grids(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = write_two(tmp_path, build, acquisition_time, second=HIGHER)
    found = read_study(tmp_path, phase_rules=rules)
    volumes_match(found, build, [(GRID, values[0]), (HIGHER, values[1])])
    assert tuple(series.phase for series in found.study.series) == BOTH


def test_one_volume_over_two_series(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """One volume, one phase; not two halves with a phase each."""
    values = build.values_on(GRID, seed=1)

    def edit(dataset: Any, k: int) -> None:
        acquisition_time(dataset, 1)
        dataset.InstanceNumber = 1 + k

    build.write_series(tmp_path, grid=GRID, values=values, series=1, skip=range(5, 9), edit=edit)
    build.write_series(tmp_path, grid=GRID, values=values, series=2, skip=range(5), edit=edit)
    found = read_study(tmp_path, phase_rules=rules)
    volumes_match(found, build, [(GRID, values)])
    (series,) = found.study.series
    assert (series.phase, "joined_series" in series.flags) == (Phase.PORTAL_VENOUS, True)
