"""Holds measurements.json against the phantom's exact answers."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Name of a quantity in measurements.json: name of its exact answer.
EXACT = {
    "axial_long_diameter": "axial_long_diameter_mm",
    "axial_short_diameter": "axial_short_diameter_mm",
    "maximum_3d_diameter": "max_3d_diameter_mm",
    "volume": "volume_ml",
    "depth_from_skin_near": "depth_near_mm",
    "depth_from_skin_centre": "depth_centre_mm",
    "depth_from_skin_far": "depth_far_mm",
    "distance_to_hepatic_vein": "to_hepatic_vein_mm",
    "distance_to_portal_vein": "to_portal_vein_mm",
    "distance_to_bile_duct": "to_bile_duct_mm",
    "distance_to_inferior_vena_cava": "to_vena_cava_mm",
}


def read(path: Path) -> dict[str, Any]:
    """A JSON record."""
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Pair:
    """One quantity beside its exact answer; ``quantity`` is None when its lesion was not found."""

    lesion: str
    name: str
    truth: float
    quantity: dict[str, Any] | None

    @property
    def error(self) -> float:
        return self.quantity["value"] - self.truth

    @property
    def inside_its_band(self) -> bool:
        return self.quantity["low"] <= self.truth <= self.quantity["high"]


def lesion_at(measured: dict[str, Any], centre: list[float], *, within_mm: float) -> dict[str, Any] | None:
    """The measured lesion nearest to a place; None when none is near."""
    near = sorted(measured["lesions"], key=lambda lesion: math.dist(lesion["centroid_lps_mm"], centre))
    return near[0] if near and math.dist(near[0]["centroid_lps_mm"], centre) <= within_mm else None


def pairs(measured: dict[str, Any], truth: dict[str, Any], *, within_mm: float = 10.0) -> Iterator[Pair]:
    """Every quantity that has an exact answer."""
    for exact in truth["lesions"]:
        lesion = lesion_at(measured, exact["centre_lps_mm"], within_mm=within_mm)
        quantities = {q["name"]: q for q in lesion["quantities"]} if lesion else {}
        for name, key in EXACT.items():
            if exact[key] is not None:
                yield Pair(exact["id"], name, exact[key], quantities.get(name))
