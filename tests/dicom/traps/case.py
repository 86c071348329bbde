"""What a trap folder is: how it is written, and which answers to it are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian
from tests.dicom import build
from tests.dicom.traps.scene import GRID, SCENE, SECOND_PHASE_HU, Scene, density_hu, places_mm

from liverimg.core.grid import Grid

Edit = Callable[[Any, int], None]

INTERPOLATED_MM: Final = 0.8
AS_ACQUIRED_MM: Final = 0.2


@dataclass(frozen=True)
class Case:
    """One trap folder.

    Attributes:
        name: Of the folder.
        note: What is odd about it.
        write: Writes it.
        phases: One entry for each volume that it truly holds, in order of time: how often SECOND_PHASE_HU was added.
        codes: Refusal codes that are right for our reader; empty when the folder must be read. Other readers may also
            give a right volume and a warning.
        flags: What our reader must say about each volume that it accepts.
        must_flag: A right volume without any warning hides something that a person should know.
        is_signal: MR: the scene's density plus SIGNAL_OFFSET.
        rejects: What our reader must list as not used, beside the volumes.
        tolerance_mm: How far a blob's centroid may be from its place.
        volume_share: How far a blob's volume may be from its own, as a part of it.
        least_blobs: How many blobs each volume shows whole.
        in_order: Whether our reader must return the volumes in order of time.
        is_exact: Whether every voxel must hold the density of its place, beyond the blobs' figures.
        scene: What the volumes show.
        study_below: Folder of the study inside the folder that is written.
    """

    name: str
    note: str
    write: Callable[[Path], None]
    phases: tuple[int, ...] = (0,)
    codes: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    must_flag: bool = False
    is_signal: bool = False
    rejects: frozenset[str] = frozenset()
    tolerance_mm: float = AS_ACQUIRED_MM
    volume_share: float = 0.05
    least_blobs: int = 3
    in_order: bool = True
    is_exact: bool = True
    study_below: str = ""
    scene: Scene = SCENE

    @property
    def must_read(self) -> bool:
        return not self.codes


@dataclass
class Register:
    """Collects cases in the order of their definition."""

    cases: dict[str, Case] = field(default_factory=dict)

    def __call__(self, note: str, **truth: Any) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
        """Registers the decorated writer under its own name."""

        def add(write: Callable[[Path], None]) -> Callable[[Path], None]:
            self.add(write.__name__, note, write, **truth)
            return write

        return add

    def add(self, name: str, note: str, write: Callable[[Path], None], **truth: Any) -> None:
        for key in ("codes", "flags", "rejects"):
            if key in truth:
                truth[key] = frozenset(truth[key])
        assert name not in self.cases
        self.cases[name] = Case(name, note, write, **truth)


def nothing(dataset: Any, k: int) -> None:
    """The edit that leaves everything as it is."""


def scene_values(grid: Grid = GRID, *, phase: int = 0, shift_mm: np.ndarray | None = None) -> np.ndarray:
    """The scene sampled on a grid, in whole HU; ``shift_mm`` (n, 3) moves whole slices."""
    shift = None if shift_mm is None else shift_mm.tobytes()
    return _sampled(grid.shape, grid.affine.tobytes(), shift) + phase * SECOND_PHASE_HU


@lru_cache(maxsize=16)
def _sampled(shape: tuple[int, int, int], affine: bytes, shift: bytes | None) -> np.ndarray:
    grid = Grid(shape, np.frombuffer(affine).reshape(4, 4))
    return np.rint(density_hu(places_mm(grid, None if shift is None else np.frombuffer(shift).reshape(-1, 3))))


def scene_series(
    folder: Path,
    *,
    grid: Grid = GRID,
    phase: int = 0,
    series: int = 1,
    modality: str = "CT",
    edit: Edit = nothing,
    first_instance: int | None = None,
    transfer_syntax: str = ExplicitVRLittleEndian,
    skip: Any = (),
    shift_mm: np.ndarray | None = None,
    names: Any = None,
) -> list[Path]:
    """Writes the scene as a classic series; ``shift_mm`` (n, 3) moves slices and their contents with them."""

    def place_and_edit(dataset: Any, k: int) -> None:
        name_maker(dataset)
        if shift_mm is not None:
            dataset.ImagePositionPatient = build.decimals(*(grid.index_to_lps_mm((k, 0, 0)) + shift_mm[k]))
        edit(dataset, k)

    return build.write_series(
        folder,
        grid=grid,
        values=scene_values(grid, phase=phase, shift_mm=shift_mm),
        series=series,
        modality=modality,
        edit=place_and_edit,
        first_instance=1 + 100 * phase if first_instance is None else first_instance,
        transfer_syntax=transfer_syntax,
        skip=skip,
        names=names,
    )


def name_maker(dataset: Any) -> None:
    """What every scanner writes, and some readers miss aloud."""
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.ProtocolName = "PHANTOM", "BALLS", "ABDOMEN"
    dataset.SeriesNumber = int(str(dataset.SeriesInstanceUID).rsplit(".", 1)[1])
    dataset.StudyTime, dataset.PatientPosition, dataset.BodyPartExamined = "095959", "HFS", "ABDOMEN"
    if dataset.Modality == "CT":
        dataset.KVP = "120"


def set_stored(dataset: Any, stored: np.ndarray) -> None:
    """Replaces the stored values of one slice, signed or not as their type says."""
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(stored).astype(stored.dtype.newbyteorder("<")).tobytes()


def hu_of(dataset: Any) -> np.ndarray:
    """The Hounsfield units that ``build.slice_dataset`` has stored."""
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    return stored.astype(np.int32) - 1024


def leave(folder: Path) -> None:
    """Writes nothing: the folder lies ready."""
