"""From slices to a grid: ordering by position, spacing from positions, and what may be corrected.

Nothing but ImagePositionPatient and ImageOrientationPatient decides here (PS3.3 C.7.6.2.1.1): instance numbers,
slice locations, thickness and file names are known to lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from liverimg.core.errors import DicomRefusedError
from liverimg.core.grid import FloatArray, Grid
from liverimg.dicom.codes import Code, Flag
from liverimg.dicom.frame import Frame
from liverimg.dicom.resample import Regularisation, plan_regular
from liverimg.dicom.scaling import NO_UNIT

# Slice centres this near to their line and even spacing are left as they are: 0.01 mm of rounding in every direction.
STRAIGHT_MM: Final = 0.02
# Shear that the affine carries exactly; a larger one is gantry tilt and is resampled away.
SHEAR_COSINE: Final = 1e-3
SAME_PLACE_MM: Final = 0.05
FEWEST_SLICES: Final = 3
# Gaps that scatter by less than this are a wobble of the table; a larger one is a slice that is not there.
WOBBLE: Final = 0.25
# So many equal gaps in a row are a change of protocol, not missing slices.
PROTOCOL_RUN: Final = 3
FURTHEST_ASTRAY_MM: Final = 1.0
STEEPEST_TILT_COSINE: Final = 0.7
_NOT_MAGNITUDE: Final = frozenset((
    "P", "PHASE", "PHASE MAP", "PHASE_MAP", "R", "REAL", "I", "IMAGINARY", "ADC", "ADC MAP", "FA", "T1 MAP", "T2 MAP",
    "T2_STAR MAP", "R2 MAP", "R2_STAR MAP", "B0 MAP", "FIELD_MAP", "VELOCITY", "VELOCITY MAP",
))  # fmt: skip
_OTHER_DIXON: Final = frozenset((
    "F", "FAT", "IP", "IN_PHASE", "INPHASE", "OP", "OPP_PHASE", "OUT_PHASE", "OUTPHASE", "OPPOSED_PHASE", "FF",
    "FAT_FRACTION", "T2_STAR",
))  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """Slices that make one volume.

    Attributes:
        frames: In the order of array axis k.
        grid: Of the finished volume, after correction where there is one.
        flags: What was tolerated or corrected.
        regularisation: How to resample onto ``grid``; None when the slices already lie on it.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    flags: tuple[Flag, ...]
    regularisation: Regularisation | None = None

    @property
    def widest_gap_mm(self) -> float | None:
        """Widest distance between two slices where they are resampled to even ones; None where they are even."""
        if self.regularisation is None or self.regularisation.spacing_mm is None:
            return None
        return float(np.diff(self.regularisation.depth_mm).max())


def positions_mm(frames: tuple[Frame, ...]) -> FloatArray:
    """Centres of the first pixels, shape (n, 3)."""
    return np.array([frame.position_lps_mm for frame in frames], dtype=float).reshape(-1, 3)


def axes_of(frames: tuple[Frame, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean unit directions along rows' columns (i), columns' rows (j) and their normal."""
    row = np.array([frame.row_lps for frame in frames], dtype=float).mean(axis=0)
    column = np.array([frame.column_lps for frame in frames], dtype=float).mean(axis=0)
    row = row / np.linalg.norm(row)
    column = column / np.linalg.norm(column)
    normal = np.cross(row, column)
    return row, column, normal / np.linalg.norm(normal)


def depths_mm(frames: tuple[Frame, ...]) -> FloatArray:
    """Position of each slice along the common normal, shape (n,)."""
    return np.asarray(positions_mm(frames) @ axes_of(frames)[2])


def stack_slices(frames: tuple[Frame, ...]) -> Stack:
    """Orders slices and finds the grid they lie on.

    Raises:
        DicomRefusedError: They do not make one whole, regular volume and cannot be corrected to one.
    """
    _refuse_problems(frames)
    _refuse_mixed_scales(frames)
    if len(frames) < FEWEST_SLICES:
        count = "a single slice" if len(frames) == 1 else f"{len(frames)} slices"
        raise DicomRefusedError(Code.TOO_FEW_SLICES, f"{count} of this kind, at least {FEWEST_SLICES} make a volume")
    row, column, normal = axes_of(frames)
    order = np.argsort(depths_mm(frames), kind="stable")
    frames = tuple(frames[n] for n in order)
    places = positions_mm(frames)
    gaps_mm = np.diff(places @ normal)
    if gaps_mm.min() < SAME_PLACE_MM:
        raise DicomRefusedError(
            Code.DUPLICATE_POSITIONS,
            f"{int((gaps_mm < SAME_PLACE_MM).sum())} slices lie where another one lies and no tag tells them apart",
        )
    spacing_mm = frames[0].spacing_mm or (0.0, 0.0)
    origin, step = _line(places)
    astray_mm = np.linalg.norm(places - (origin + np.arange(len(places))[:, None] * step), axis=1).max()
    length_mm = float(np.linalg.norm(step))
    sheared = max(abs(step @ row), abs(step @ column)) / length_mm > SHEAR_COSINE
    flags = list(_plain_flags(frames, float(np.median(gaps_mm))))
    if astray_mm <= STRAIGHT_MM and not sheared:
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack((step, column * spacing_mm[0], row * spacing_mm[1]))
        affine[:3, 3] = origin
        shape = (len(frames), frames[0].pixels.rows, frames[0].pixels.columns)
        return Stack(frames, Grid(shape, affine, frames[0].frame_of_reference_uid), tuple(flags))
    uneven = _uneven_spacing_mm(gaps_mm)
    _refuse_wild_offsets(places, row, column, normal)
    regularisation, grid = plan_regular(frames, places, (normal, column, row), spacing_mm, uneven)
    if uneven is not None:
        flags.append(Flag.DERIVED_FROM_UNEVEN_SLICES)
    if uneven is None or sheared:
        flags.append(Flag.DERIVED_FROM_TILT)
    return Stack(frames, grid, tuple(flags), regularisation)


def _refuse_problems(frames: tuple[Frame, ...]) -> None:
    problems = [frame.problem for frame in frames if frame.problem is not None]
    if problems:
        first = min(problems, key=lambda problem: (problem.code, problem.reason))
        raise DicomRefusedError(first.code, f"{first.reason} ({len(problems)} of {len(frames)} slices)")


def _refuse_mixed_scales(frames: tuple[Frame, ...]) -> None:
    unscaled = sum(frame.rescale_assumed for frame in frames)
    if 0 < unscaled < len(frames):
        raise DicomRefusedError(
            Code.RESCALE_MISSING, f"{unscaled} of {len(frames)} slices have no rescale tags while the others do"
        )


def _line(places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First point and step of the even spacing that fits the slice positions best (least squares)."""
    index = np.arange(len(places)) - (len(places) - 1) / 2
    step = index @ places / (index @ index)
    return places.mean(axis=0) + index[0] * step, step


def _uneven_spacing_mm(gaps_mm: FloatArray) -> float | None:
    """None when the gaps are even; else the spacing to resample to.

    Raises:
        DicomRefusedError: A gap is so wide that a slice must be missing, or follows no rule.
    """
    usual = float(np.median(gaps_mm))
    depth_mm = np.concatenate(([0.0], np.cumsum(gaps_mm)))
    if np.abs(depth_mm - np.linspace(0, depth_mm[-1], len(depth_mm))).max() <= STRAIGHT_MM:
        return None
    if np.abs(gaps_mm - usual).max() <= WOBBLE * usual:
        return float(gaps_mm.mean())
    if min(_run_lengths(gaps_mm)) >= PROTOCOL_RUN:
        return float(gaps_mm.min())
    wide = gaps_mm[gaps_mm > (1 + WOBBLE) * usual]
    if len(wide) and np.abs(gaps_mm[gaps_mm <= (1 + WOBBLE) * usual] - usual).max() <= WOBBLE * usual:
        missing = int(np.rint(wide / usual - 1).sum())
        first = int(np.flatnonzero(gaps_mm > (1 + WOBBLE) * usual)[0]) + 1
        raise DicomRefusedError(
            Code.MISSING_SLICES,
            f"{len(wide)} gap(s) of up to {wide.max():.2f} mm among slices {usual:.2f} mm apart, the first one behind "
            f"slice {first} of {len(gaps_mm) + 1} in place: about {missing} slice(s) are missing",
        )
    raise DicomRefusedError(
        Code.UNEVEN_SLICES,
        f"slices are {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm apart without a rule that could be corrected",
    )


def _run_lengths(gaps_mm: FloatArray) -> list[int]:
    """Lengths of stretches of equal gaps (to 5 %)."""
    breaks = np.flatnonzero(np.abs(np.diff(gaps_mm)) > 0.05 * gaps_mm[:-1]) + 1
    return [len(run) for run in np.split(gaps_mm, breaks)]


def _refuse_wild_offsets(places: FloatArray, row: FloatArray, column: FloatArray, normal: FloatArray) -> None:
    """A tilted gantry shifts slices along one straight line; anything else is not understood."""
    depth = (places - places[0]) @ normal
    across = np.column_stack(((places - places[0]) @ row, (places - places[0]) @ column))
    slope = depth @ across / (depth @ depth)
    astray_mm = np.linalg.norm(across - depth[:, None] * slope, axis=1).max()
    if astray_mm > FURTHEST_ASTRAY_MM:
        raise DicomRefusedError(
            Code.UNEVEN_SLICES, f"slices lie up to {astray_mm:.1f} mm beside the straight line they should follow"
        )
    if 1 / np.sqrt(1 + slope @ slope) < STEEPEST_TILT_COSINE:
        raise DicomRefusedError(Code.UNEVEN_SLICES, "slices are stacked at more than 45 degrees to their own plane")


def _plain_flags(frames: tuple[Frame, ...], gap_mm: float) -> tuple[Flag, ...]:
    flags = []
    thickness_mm = frames[0].thickness_mm
    if thickness_mm and abs(thickness_mm - gap_mm) > 0.1 * gap_mm:
        flags.append(Flag.THICKNESS_DIFFERS)
    if any(frame.lossy for frame in frames):
        flags.append(Flag.LOSSY_COMPRESSION)
    if frames[0].frame_of_reference_uid is None:
        flags.append(Flag.NO_FRAME_OF_REFERENCE)
    if frames[0].made_up_series_uid:
        flags.append(Flag.SERIES_UID_MADE_UP)
    if "DERIVED" in frames[0].image_type[:1]:
        flags.append(Flag.DERIVED_IMAGE)
    if any(part.startswith("SUBTRACT") for part in frames[0].image_type):
        flags.append(Flag.SUBTRACTION)
    if frames[0].modality == "MR" and (
        _NOT_MAGNITUDE.intersection(frames[0].image_type[2:])
        or frames[0].rescale_type not in NO_UNIT
        or frames[0].unit not in NO_UNIT
    ):
        flags.append(Flag.NOT_MAGNITUDE)
    if frames[0].modality == "MR" and _OTHER_DIXON.intersection(frames[0].image_type[2:]):
        flags.append(Flag.FAT_OR_PHASE_SHIFTED)
    if frames[0].modality == "CT" and any(frame.rescale_type == "US" for frame in frames):
        flags.append(Flag.RESCALE_TYPE_UNSPECIFIED)
    return tuple(flags)
