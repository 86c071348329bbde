"""The beam from one entry: what lies on its axis, and rays in two planes for a picture."""

from __future__ import annotations

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.window import Beam, Fan, PathPiece, Transducer
from liverimg.measure.approach import ApproachSettings
from liverimg.measure.beam import follow
from liverimg.measure.subject import Body
from liverimg.measure.tissue import Codes, Tissue, TissueGrid

_FINE_STEP_MM = 0.5
_FAN_STEP = np.deg2rad(2.0)
_UPRIGHT = np.array([0.0, 0.0, 1.0])
_SIDEWAYS = np.array([-1.0, 0.0, 0.0])
_NEARLY_UPRIGHT = 0.99  # cosine


def beam_from(
    entry: int,
    axis: FloatArray,
    target: FloatArray,
    tissue: TissueGrid,
    transducer: Transducer,
    settings: ApproachSettings,
    body: Body,
) -> Beam:
    """Describes the beam along an axis.

    Args:
        entry: Its index in the map.
        axis: From the target to the transducer.
        target: The focus, LPS mm.
        tissue: What lies where.
        transducer: Which.
        settings: How thin skin is.
        body: For the sub-voxel skin.
    """
    axis = axis / np.linalg.norm(axis)
    depth = depth_on_axis(body, target, axis)
    ray = follow(tissue, target, axis[None], reach_mm=transducer.focal_length_mm, step_mm=_FINE_STEP_MM)
    across = np.cross(axis, _UPRIGHT if abs(axis @ _UPRIGHT) < _NEARLY_UPRIGHT else _SIDEWAYS)
    across /= np.linalg.norm(across)
    planes = (across, np.cross(across, axis))
    length = depth if depth is not None else float(ray.lengths_mm[0])
    return Beam(
        entry=entry,
        entry_lps_mm=target + length * axis,
        axis=axis,
        transducer_lps_mm=target + transducer.focal_length_mm * axis,
        path=pieces(ray.codes[0, : ray.ends[0]][::-1], ray.step_mm, length, skin_mm=settings.skin_most_mm),
        fans=tuple(_fan(axis, plane, target, tissue, transducer) for plane in planes),
    )


def depth_on_axis(body: Body, target: FloatArray, axis: FloatArray) -> float | None:
    """Sub-voxel depth of a place along a direction; None where the skin is not met."""
    if isinstance(body.skin, str):
        return None
    found = body.skin.along(target, axis)
    return None if found is None else found[0]


def pieces(inwards: Codes, step_mm: float, length_mm: float, *, skin_mm: float) -> tuple[PathPiece, ...]:
    """Stretches of one tissue from the skin inwards; thin soft tissue at the outside is skin.

    Args:
        inwards: Tissue at each step.
        step_mm: Between the steps.
        length_mm: The whole length, known better than the steps tell; the first stretch takes up the difference.
        skin_mm: How thick skin may be.
    """
    if len(inwards) == 0:
        return ()
    starts = np.flatnonzero(np.diff(inwards, prepend=np.uint8(Tissue.OUTSIDE)) != 0)
    ends = np.append(starts[1:], len(inwards))
    shift = length_mm - len(inwards) * step_mm
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        code = int(inwards[start])
        outermost = start == 0
        if outermost and code in (Tissue.MUSCLE, Tissue.OTHER) and (end - start) * step_mm <= skin_mm:
            name = "skin"
        else:
            name = Tissue(code).name.lower()
        low = 0.0 if outermost else start * step_mm + shift
        found.append(PathPiece(name, round(max(low, 0.0), 3), round(max(end * step_mm + shift, 0.0), 3)))
    return tuple(piece for piece in found if piece.end_mm > piece.start_mm)


def _fan(axis: FloatArray, across: FloatArray, target: FloatArray, tissue: TissueGrid, transducer: Transducer) -> Fan:
    outer, inner = transducer.half_angle, transducer.opening_half_angle
    angles = np.linspace(-outer, outer, 2 * int(np.ceil(outer / _FAN_STEP)) + 1)
    angles = angles[np.abs(angles) >= inner]
    directions = np.cos(angles)[:, None] * axis + np.sin(angles)[:, None] * across
    rays = follow(tissue, target, directions, reach_mm=transducer.focal_length_mm, step_mm=_FINE_STEP_MM)
    stop, cause = rays.first_block()
    at = np.where(stop >= 0, (stop + 1) * rays.step_mm, 0.0)
    return Fan(
        across=across,
        aperture_lps_mm=target + transducer.focal_length_mm * directions,
        skin_lps_mm=target + rays.lengths_mm[:, None] * directions,
        stop_lps_mm=target + at[:, None] * directions,
        blocked_by=tuple(Tissue(int(c)).name.lower() if s >= 0 else "" for s, c in zip(stop, cause, strict=True)),
    )
