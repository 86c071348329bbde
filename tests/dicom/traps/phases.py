"""Several volumes under one series UID, and one volume under several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.dicom.traps.case import Register, scene_series
from tests.dicom.traps.scene import GRID, grid_along

from liverimg.core.grid import Grid

trap = Register()
SLICES = GRID.shape[0]
Tell = Callable[[Any, int, int], None]


def _bare(dataset: Any, k: int) -> None:
    """Leaves nothing but what the way in question adds."""
    for keyword in ("AcquisitionNumber", "AcquisitionTime", "AcquisitionDate"):
        delattr(dataset, keyword)
    dataset.InstanceNumber = 1 + k


def acquisition_number(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.AcquisitionNumber = 3 + phase


def temporal_position(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.TemporalPositionIdentifier = 1 + phase


def acquisition_time(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20260101", f"1000{10 + 35 * phase:02d}"


def acquisition_time_per_slice(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20260101", f"1000{10 + 35 * phase:02d}.{37 * k:06d}"


def acquisition_date_time(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.AcquisitionDateTime = f"202601011000{10 + 35 * phase:02d}.000000"


def content_time(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.ContentDate, dataset.ContentTime = "20260101", f"10{phase:02d}{10 + k // 3:02d}"


def trigger_time(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.TriggerTime = str(1000 + 20000 * phase + k)


def series_description(dataset: Any, phase: int, k: int) -> None:
    """One UID, two names: some archives merge series."""
    _bare(dataset, k)
    dataset.SeriesDescription = ("ARTERIAL", "PORTAL VENOUS")[phase]


def instance_number(dataset: Any, phase: int, k: int) -> None:
    _bare(dataset, k)
    dataset.InstanceNumber = 1 + k + SLICES * phase


def instance_number_interleaved(dataset: Any, phase: int, k: int) -> None:
    """Slice 1 of every phase, then slice 2 of every phase."""
    _bare(dataset, k)
    dataset.InstanceNumber = 1 + 2 * k + phase


WAYS: tuple[Tell, ...] = (
    acquisition_number, temporal_position, acquisition_time, acquisition_time_per_slice, acquisition_date_time,
    content_time, trigger_time, series_description, instance_number,
)  # fmt: skip

OFFSET_GRID = Grid.from_axes(
    GRID.shape,
    spacing_mm=GRID.spacing_mm,
    origin_lps_mm=GRID.origin_lps_mm + np.array((0, 0, 1.25)),
    frame_of_reference_uid=GRID.frame_of_reference_uid,
)


def two_phases(folder: Path, tell: Tell, *, short: Any = (), second: Grid = GRID, modality: str = "CT") -> None:
    """Two phases under one series UID, told apart by what ``tell`` writes."""
    for phase in (0, 1):
        scene_series(
            folder,
            grid=second if phase else GRID,
            phase=phase,
            modality=modality,
            skip=short if phase else (),
            edit=lambda d, k, phase=phase: tell(d, phase, k),
        )


def _flag(tell: Tell) -> list[str]:
    return ["split_by_order" if tell in (instance_number, instance_number_interleaved) else "split_by_tag"]


for _tell in (*WAYS, instance_number_interleaved):
    _name = _tell.__name__
    trap.add(
        f"two_phases_{_name}", f"two phases told apart by {_name.replace('_', ' ')}",
        lambda folder, tell=_tell: two_phases(folder, tell), phases=(0, 1), flags=_flag(_tell),
    )  # fmt: skip
for _tell in WAYS:
    _name = _tell.__name__
    trap.add(
        f"unequal_phases_{_name}", f"the second phase is five slices shorter; told apart by {_name.replace('_', ' ')}",
        lambda folder, tell=_tell: two_phases(folder, tell, short=range(5)), phases=(0, 1), flags=_flag(_tell),
    )  # fmt: skip
    trap.add(
        f"offset_phases_{_name}", f"the second phase lies half a slice higher; told apart by {_name.replace('_', ' ')}",
        lambda folder, tell=_tell: two_phases(folder, tell, second=OFFSET_GRID), phases=(0, 1), flags=_flag(_tell),
    )  # fmt: skip


@trap("four phases of MR by trigger time alone", phases=(0, 1, 2, 3), is_signal=True, flags=["split_by_tag"])
def four_phases_mr(folder: Path) -> None:
    for phase in range(4):
        scene_series(folder, phase=phase, modality="MR", edit=lambda d, k, phase=phase: trigger_time(d, phase, k))


@trap("MR: the second phase lies half a slice higher", phases=(0, 1), is_signal=True, flags=["split_by_tag"])
def offset_phases_mr(folder: Path) -> None:
    two_phases(folder, acquisition_number, second=OFFSET_GRID, modality="MR")


@trap("two phases that no tag tells apart", codes=["duplicate_positions"], must_flag=True, phases=(0, 1))
def two_phases_nothing(folder: Path) -> None:
    def tell(dataset: Any, phase: int, k: int) -> None:
        _bare(dataset, k)
        dataset.InstanceNumber = 1

    two_phases(folder, tell)


@trap("two series in one folder", phases=(0, 1))
def two_series(folder: Path) -> None:
    for phase in (0, 1):
        scene_series(
            folder, phase=phase, series=1 + phase,
            edit=lambda d, k, phase=phase: setattr(d, "AcquisitionTime", f"1000{10 + 35 * phase:02d}"),
        )  # fmt: skip


@trap("axial, coronal and sagittal slices in one series", phases=(0, 0, 0))
def three_orientations(folder: Path) -> None:
    planes = ([[0, 0, 1], [0, 1, 0], [1, 0, 0]], [[0, 1, 0], [0, 0, -1], [1, 0, 0]], [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    for number, directions in enumerate(planes):
        scene_series(folder, grid=grid_along(directions), first_instance=1 + 100 * number)


@trap("two echoes of MR in one series", phases=(0, 1), is_signal=True)
def two_echoes(folder: Path) -> None:
    for echo in (0, 1):
        scene_series(
            folder, phase=echo, modality="MR",
            edit=lambda d, k, echo=echo: setattr(d, "EchoTime", str(2.3 + 2.3 * echo)),
        )  # fmt: skip


@trap("in and opposed phase of MR, told apart by ImageType alone", phases=(0, 1), is_signal=True,
      flags=["fat_or_phase_shifted"])  # fmt: skip
def two_image_types(folder: Path) -> None:
    for number, kind in enumerate(("IN_PHASE", "OPP_PHASE")):
        scene_series(
            folder, phase=number, modality="MR",
            edit=lambda d, k, kind=kind: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "DIXON", kind]),
        )  # fmt: skip


@trap("two reconstruction kernels in one series", phases=(0, 1))
def two_kernels(folder: Path) -> None:
    for number, kernel in enumerate(("B30f", "B70f")):
        scene_series(folder, phase=number, edit=lambda d, k, kernel=kernel: setattr(d, "ConvolutionKernel", kernel))


@trap("odd and even slices of MR at different times: one volume", is_signal=True)
def interleaved_mr(folder: Path) -> None:
    scene_series(folder, modality="MR", edit=lambda d, k: setattr(d, "AcquisitionTime", f"1000{10 + 30 * (k % 2)}"))


@trap("two table positions, acquired one after the other: one volume")
def two_slabs(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.AcquisitionNumber = 1 + k // 13
        dataset.AcquisitionTime = f"1000{10 + k // 13 * 20}"

    scene_series(folder, edit=edit)


@trap("one volume over two series UIDs, halves", flags=["joined_series"], must_flag=True)
def split_over_series_halves(folder: Path) -> None:
    scene_series(folder, skip=range(13, SLICES))
    scene_series(folder, series=2, skip=range(13))


@trap("one volume over two series UIDs, every other slice", flags=["joined_series"], must_flag=True)
def split_over_series_interleaved(folder: Path) -> None:
    scene_series(folder, skip=range(1, SLICES, 2))
    scene_series(folder, series=2, skip=range(0, SLICES, 2))


@trap("slices of two tables' frames of reference under one series UID", phases=(0, 1))
def two_frames_of_reference(folder: Path) -> None:
    for number in (0, 1):
        scene_series(
            folder,
            phase=number,
            edit=lambda d, k, number=number: setattr(d, "FrameOfReferenceUID", f"1.2.{3 + number}"),
        )


@trap("a bolus monitor: one place over and over", codes=["duplicate_positions", "too_few_slices"])
def bolus_monitor(folder: Path) -> None:
    rng = np.random.default_rng(6)
    for number in range(12):

        def edit(dataset: Any, k: int, number: int = number) -> None:
            stored = np.frombuffer(dataset.PixelData, "<u2") + rng.integers(0, 20, dataset.Rows * dataset.Columns)
            dataset.PixelData = stored.astype("<u2").tobytes()
            dataset.AcquisitionTime = f"1000{10 + 2 * number:02d}"
            dataset.AcquisitionNumber = 1 + number

        scene_series(folder, first_instance=1 + 30 * number, skip=[k for k in range(SLICES) if k != 13], edit=edit)
