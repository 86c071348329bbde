"""A plane's results as a row of ``perfusion.json`` and as maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.files.perfusion_records import numbers_to_record, points_to_record
from liverimg.files.records import Record
from liverimg.files.result_records import quantity_to_record
from liverimg.measure.perfusion.enhancement import PhaseMap
from liverimg.measure.perfusion.maps import parametric_maps
from liverimg.measure.perfusion.plane import Reading, Region, zone_pixels
from liverimg.measure.perfusion.result import PlaneResult
from liverimg.stages.ceus_planes import Plane

# Share of the usual peak below which a place of the map has no time to peak: what does not enhance, peaks at no time.
_LEAST_PEAK_SHARE = 0.25


def plane_maps(plane: Plane, result: PlaneResult) -> dict[str, NDArray[Any]]:
    """Pictures and maps of a plane on its reference frame."""
    reading, motion = result.reading, result.motion
    assert reading is not None and motion is not None
    aligned = reading.aligned
    parametric = parametric_maps(aligned, arrival_s=reading.arrival_s, least_share=_LEAST_PEAK_SHARE)
    made: dict[str, NDArray[Any]] = {
        "b_mode": np.asarray(plane.given.b_mode.array[motion.reference]),
        "contrast": np.asarray(plane.given.contrast.array[motion.reference]),
        "mean_enhancement": parametric.mean_enhancement.astype(np.float32),
        "peak": parametric.peak.astype(np.float32),
        "time_to_peak_s": parametric.time_to_peak_s.astype(np.float32),
        "picture": aligned.picture,
        "similarity": motion.similarity.astype(np.float32),
        "similarity_before": motion.before.astype(np.float32),
    }
    for phase, found in reading.maps.items():
        if isinstance(found, PhaseMap):
            made[f"enhancement_{phase.value}"] = found.mean.astype(np.float32)
    if reading.outline is not None:
        made["zone"] = zone_pixels(reading.outline, aligned)
    foci = np.zeros(aligned.picture.shape, dtype=np.uint8)
    for n, focus in enumerate(reading.foci, start=1):
        foci[focus.mask] = n
    return made | {"foci": foci}


def plane_row(plane: Plane, result: PlaneResult, maps: str | None) -> Record:
    """A row of ``perfusion.json``; ``maps`` is the file of its maps, relative to the workspace."""
    reading, motion, given = result.reading, result.motion, plane.given
    outline = reading.outline if reading is not None else None
    long, short = outline.diameters() if outline is not None else (None, None)
    clock = plane.clips[0].clock
    return {
        "id": given.id,
        "series_instance_uids": list(given.sources),
        "maps": maps,
        "spacing_ji_mm": None if given.contrast.spacing_mm is None else list(given.contrast.spacing_mm),
        "pixel_block": None if reading is None else reading.aligned.block,
        "dynamic_range_db": given.dynamic_range_db,
        "dynamic_range_from": plane.dynamic_range_from,
        "injection_known": given.injection_known,
        "clock": clock.detail if clock is not None else "",
        "injection_s": None if reading is None else round(reading.timing.injection_s, 3),
        "frames": {
            "total": len(given.contrast.array),
            "reference": None if motion is None else motion.reference,
            "rejected": [] if motion is None else [int(n) for n in np.flatnonzero(~motion.kept)],
            "similarity_limit": None if motion is None else round(motion.limit, 4),
        },
        "outline": points_to_record(None if outline is None else outline.points),
        "long_diameter_ends": points_to_record(long),
        "short_diameter_ends": points_to_record(short),
        "foci": None if reading is None or outline is None or reading.foci_reason else _foci(reading),
        "curves": None if reading is None else _curves(reading),
        "quantities": [quantity_to_record(q) for q in result.quantities],
    }


def _foci(reading: Reading) -> list[Record]:
    assert reading.outline is not None
    centre = reading.outline.centre
    rows = []
    for n, focus in enumerate(reading.foci, start=1):
        down, across = focus.centre[0] - centre[0], focus.centre[1] - centre[1]
        direction = float(np.degrees(np.arctan2(across, -down))) % 360
        rows.append(
            {"id": f"F{n}", "centre": [round(c, 3) for c in focus.centre], "direction_deg": round(direction, 1)}
        )
    return rows


def _curves(reading: Reading) -> Record:
    return {
        "times_s": numbers_to_record(reading.aligned.times_s),
        "regions": [_region(region) for region in reading.regions],
    }


def _region(region: Region) -> Record:
    fit = None
    if not isinstance(region.fit, str):
        curve = region.fit.curve
        fit = {
            "baseline": float(f"{curve.baseline:.6g}"),
            "peak": float(f"{curve.peak:.6g}"),
            "start_s": round(curve.start_s, 4),
            "rise_s": round(curve.rise_s, 4),
            "sigma": round(curve.sigma, 5),
            "r_squared": round(region.fit.r_squared, 5),
        }
    reason = region.fit if isinstance(region.fit, str) else None
    return {"name": region.name, "power": numbers_to_record(region.power), "fit": fit, "not_fitted": reason}
