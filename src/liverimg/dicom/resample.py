"""Making regular what a tilted gantry or a change of slice distance made irregular.

Slices keep their own planes: a tilted stack becomes an oblique but orthogonal grid by shifting each slice within
its plane, so nothing is interpolated between slices; uneven gaps are then bridged linearly along the normal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import DicomRefusedError
from liverimg.core.grid import FloatArray, Grid
from liverimg.dicom.codes import Code
from liverimg.dicom.frame import Frame

LARGEST_GROWTH: Final = 4.0


@dataclass(frozen=True, eq=False)
class Regularisation:
    """What to do with the slices as acquired.

    Attributes:
        shift_px: Where each slice's first pixel lies in the finished plane, along j and i, shape (n, 2), >= 0.
        depth_mm: Where each slice lies along the normal from the first, shape (n,).
        spacing_mm: Distance between finished slices, or None when the slices stay as many as they are.
        shape: Of the finished array.
    """

    shift_px: FloatArray = field(repr=False)
    depth_mm: FloatArray = field(repr=False)
    spacing_mm: float | None
    shape: tuple[int, int, int]


def plan_regular(
    frames: tuple[Frame, ...],
    places: FloatArray,
    axes: tuple[FloatArray, FloatArray, FloatArray],
    spacing_mm: tuple[float, float],
    uneven_spacing_mm: float | None,
) -> tuple[Regularisation, Grid]:
    """Plans an orthogonal, evenly spaced grid that holds all slices, parallel to them.

    Args:
        frames: Slices in order along the normal.
        places: Their positions, shape (n, 3).
        axes: Unit normal, direction of j, direction of i.
        spacing_mm: Between rows, between columns.
        uneven_spacing_mm: Slice distance to resample to, or None when the distances are even already.
    """
    normal, column, row = axes
    away = places - places[0]
    depth_mm = away @ normal
    offset_px = np.column_stack((away @ column / spacing_mm[0], away @ row / spacing_mm[1]))
    # Rounding of positions must not cost an interpolation where a slice is not shifted at all.
    offset_px[np.abs(offset_px) < 1e-4] = 0
    first = np.floor(offset_px.min(axis=0))
    grow = np.ceil(offset_px.max(axis=0)) - first
    rows, columns = frames[0].pixels.rows, frames[0].pixels.columns
    if max(grow[0] / rows, grow[1] / columns) > LARGEST_GROWTH:
        raise DicomRefusedError(Code.UNEVEN_SLICES, "slices lie beside each other rather than behind each other")
    if uneven_spacing_mm is None:
        count, gap_mm = len(frames), float(depth_mm[-1] / (len(frames) - 1))
    else:
        count = int(np.floor(depth_mm[-1] / uneven_spacing_mm + 1e-3)) + 1
        gap_mm = uneven_spacing_mm
    shape = (count, rows + int(grow[0]), columns + int(grow[1]))
    grid = Grid.from_axes(
        shape,
        spacing_mm=(gap_mm, *spacing_mm),
        directions=(normal, column, row),
        origin_lps_mm=places[0] + first[0] * spacing_mm[0] * column + first[1] * spacing_mm[1] * row,
        frame_of_reference_uid=frames[0].frame_of_reference_uid,
    )
    plan = Regularisation(offset_px - first, depth_mm, None if uneven_spacing_mm is None else gap_mm, shape)
    return plan, grid


def regularise(slices: NDArray[Any], plan: Regularisation, *, outside: float) -> NDArray[Any]:
    """Resamples slices, shape (n, rows, columns), linearly onto the planned grid; the dtype is kept.

    Beside the slices and the result no more than a few planes are held in memory.

    Args:
        slices: As acquired, in order.
        plan: From :func:`plan_regular`.
        outside: Value where nothing was measured.
    """
    out = np.empty(plan.shape, dtype=slices.dtype)
    if plan.spacing_mm is None:
        for k in range(plan.shape[0]):
            out[k] = _shifted(slices[k], plan, k, outside)
        return out
    shifted: dict[int, NDArray[Any]] = {}
    for k in range(plan.shape[0]):
        depth_mm = min(k * plan.spacing_mm, float(plan.depth_mm[-1]))
        after = min(max(int(np.searchsorted(plan.depth_mm, depth_mm)), 1), len(slices) - 1)
        pair = (after - 1, after)
        shifted = {n: shifted[n] if n in shifted else _shifted(slices[n], plan, n, outside) for n in pair}
        low, high = plan.depth_mm[after - 1], plan.depth_mm[after]
        share = float((depth_mm - low) / (high - low))
        out[k] = _cast(_mix(shifted[after - 1], shifted[after], share), slices.dtype)
    return out


def _shifted(values: NDArray[Any], plan: Regularisation, number: int, outside: float) -> NDArray[Any]:
    """One slice moved within its plane to where it lies in the finished one."""
    out = np.full(plan.shape[1:], outside, dtype=values.dtype)
    plane = values.astype(np.float32)
    start = [0, 0]
    for axis in (0, 1):
        whole = int(np.floor(plan.shift_px[number, axis]))
        share = float(plan.shift_px[number, axis] - whole)
        start[axis] = whole
        if share > 0:
            # A pixel of the finished plane lies between two of the slice: keep only those with both neighbours.
            plane = _mix(np.delete(plane, 0, axis), np.delete(plane, -1, axis), share)
            start[axis] = whole + 1
    j, i = start
    out[j : j + plane.shape[0], i : i + plane.shape[1]] = _cast(plane, values.dtype)
    return out


def _mix(first: NDArray[Any], second: NDArray[Any], share: float) -> NDArray[Any]:
    return np.asarray(first.astype(np.float32) * np.float32(1 - share) + second.astype(np.float32) * np.float32(share))


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return values.astype(dtype) if dtype.kind == "f" else np.rint(values).astype(dtype)
