"""What is scanned for ``liverimg sample``: studies, series, grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.study import Modality, Phase
from liverimg.dicom.write import uid_from
from liverimg.phantom.extent import Extent
from liverimg.phantom.scene import Scene

_MATRIX = {Modality.CT: 352, Modality.MR: 208}
_ROOM_MM = 10.0


@dataclass(frozen=True)
class PlannedSeries:
    """One series of a planned study."""

    number: int
    phase: Phase
    slice_mm: float


@dataclass(frozen=True)
class PlannedStudy:
    """One study of the sample.

    Attributes:
        name: Folder.
        modality: CT or MR.
        date: StudyDate.
        reference: Phase whose grid carries the exact labels.
        series: What is scanned.
        scout: Whether a localiser comes first.
    """

    name: str
    modality: Modality
    date: str
    reference: Phase
    series: tuple[PlannedSeries, ...]
    scout: bool = False


STUDIES = (
    PlannedStudy(
        "pre_ct",
        Modality.CT,
        "20260105",
        Phase.PORTAL_VENOUS,
        (
            PlannedSeries(2, Phase.UNENHANCED, 5.0),
            PlannedSeries(3, Phase.ARTERIAL, 5.0),
            PlannedSeries(4, Phase.PORTAL_VENOUS, 3.0),
            PlannedSeries(5, Phase.DELAYED, 5.0),
        ),
        scout=True,
    ),
    PlannedStudy(
        "post_ct",
        Modality.CT,
        "20260216",
        Phase.PORTAL_VENOUS,
        (PlannedSeries(2, Phase.ARTERIAL, 5.0), PlannedSeries(3, Phase.PORTAL_VENOUS, 3.0)),
    ),
    PlannedStudy(
        "mr",
        Modality.MR,
        "20260107",
        Phase.HEPATOBILIARY,
        (
            PlannedSeries(4, Phase.UNENHANCED, 4.0),
            PlannedSeries(5, Phase.ARTERIAL, 4.0),
            PlannedSeries(6, Phase.PORTAL_VENOUS, 4.0),
            PlannedSeries(9, Phase.HEPATOBILIARY, 4.0),
        ),
    ),
)


def scan_grid(scene: Scene, room: Extent, study: PlannedStudy, slice_mm: float) -> Grid:
    """The axial grid of one series: square pixels around the body, slices over the liver and some room."""
    count = _MATRIX[study.modality]
    low, high = np.array(room.body_low_xy), np.array(room.body_high_xy)
    pixel_mm = round(float((high - low).max() + 2 * _ROOM_MM) / count + 0.005, 2)
    centre = (low + high) / 2
    bottom, top = room.liver_low_z - 1.5 * _ROOM_MM, room.liver_high_z + 1.5 * _ROOM_MM
    slices = int(np.ceil((top - bottom) / slice_mm))
    origin = (*np.round(centre - (count - 1) / 2 * pixel_mm, 3), round(bottom + slice_mm / 2, 3))
    return Grid.from_axes(
        (slices, count, count),
        spacing_mm=(slice_mm, pixel_mm, pixel_mm),
        origin_lps_mm=origin,
        frame_of_reference_uid=uid_from("frame", scene.seed, study.name),
    )
