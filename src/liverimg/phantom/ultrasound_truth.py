"""The exact answers about a contrast plane: area and diameters of what never enhances, curves, foci, frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from liverimg.phantom.ultrasound import ContrastPlane, FloatArray, Wash
from liverimg.phantom.ultrasound_render import shares

_STEP_MM: Final = 0.1
_ROOM_MM: Final = 4.0
_ARRIVAL_SHARE: Final = 0.1
# Beyond this the B-mode picture is mostly another one: half a slice's thickness.
OFF_PLANE_MM: Final = 2.0


@dataclass(frozen=True)
class ZoneTruth:
    """What enhances in no phase: the zone without its foci, in the plane as built.

    Attributes:
        area_mm2: Area.
        long_mm: Longest distance across.
        short_mm: Width at right angles to it.
        whole_area_mm2: Area of the zone with its foci.
    """

    area_mm2: float
    long_mm: float
    short_mm: float
    whole_area_mm2: float


def zone_truth(plane: ContrastPlane) -> ZoneTruth | None:
    """By counting places a tenth of a millimetre apart; None without a zone."""
    if plane.zone is None:
        return None
    reach = max(plane.zone.half_axes_mm) * 1.3 + _ROOM_MM
    line = np.arange(-reach, reach, _STEP_MM)
    places = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1) + np.array(plane.zone.centre_mm)
    whole = float((plane.zone.depth_mm(places) > 0).sum()) * _STEP_MM**2
    labels, _ = ndimage.label(shares(plane, places)["zone"] > 1 / 2)
    dark: NDArray[np.bool_] = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    long_mm, short_mm = _diameters(places[dark])
    return ZoneTruth(float(dark.sum()) * _STEP_MM**2, long_mm, short_mm, whole)


def _diameters(points: FloatArray) -> tuple[float, float]:
    hull = points[ConvexHull(points).vertices]
    apart = np.linalg.norm(hull[:, None] - hull[None], axis=-1)
    a, b = np.unravel_index(int(apart.argmax()), apart.shape)
    along = (hull[b] - hull[a]) / apart[a, b]
    return float(apart[a, b]), float(np.ptp(hull @ np.array([-along[1], along[0]])))


def wash_truth(wash: Wash) -> dict[str, float]:
    """What the curve comes to, times after the injection."""
    arrival_s = wash.arrival_s + wash.rise_s * float(np.exp(-wash.sigma * np.sqrt(-2 * np.log(_ARRIVAL_SHARE))))
    times = np.linspace(wash.arrival_s + 1e-6, wash.peak_s, 4000)
    return {
        "peak": wash.peak,
        "arrival_s": arrival_s,
        "time_to_peak_s": wash.peak_s,
        "rise_s": wash.peak_s - arrival_s,
        "mean_transit_s": wash.mean_transit_s,
        "wash_in_area": float(np.trapezoid(wash.at(times), times)),
        "wash_in_rate": float(np.gradient(wash.at(times), times).max()),
    }


def truth_record(plane: ContrastPlane) -> dict[str, Any]:
    """All exact answers, lengths in mm, seconds after the injection, echo power in arbitrary units."""
    zone = zone_truth(plane)
    return {
        "zone": None if zone is None else asdict(zone),
        "liver": wash_truth(plane.liver),
        "rim": wash_truth(plane.rim) | {"thickness_mm": plane.rim_mm},
        "foci": [
            {"centre_mm": list(f.centre_mm), "diameter_mm": f.diameter_mm} | wash_truth(f.wash) for f in plane.foci
        ],
        "frames_off_plane": [int(n) for n in np.flatnonzero(np.abs(plane.motion.off_plane_mm) > OFF_PLANE_MM)],
        "dynamic_range_db": plane.display.dynamic_range_db,
        "seed": plane.seed,
    }
