"""Fits the constants of the 95 % bands (``band_*`` and ``few_*`` of ``measure.toml``) to random bodies.

    python benchmarks/measurement_calibration.py [--scenes 30] [--kind size distance depth]

The scenes are those of seed 1 of ``measurement_scenes.py``; ``measurement_truth.py`` checks the bands on other ones.
A band's half width is ``scale * (band + few / slices**2)``, for volumes the root of the sum of both squares. Of all
pairs that hold 95 % of the truths at each spacing the one is taken that comes nearest to 95 % in each class of
lesions by number of slices, and at each spacing: too wide a band at one spacing rather than too narrow a one at
another. Where a quantity has no ``few``, ``band`` alone is fitted.
"""

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from liverimg.files.tables import read_table
from liverimg.measure.settings import MeasureSettings
from measurement_scenes import FAMILIES, SCENES
from measurement_truth import CALIBRATION_SEED, rows_of

# Quantities whose bands share a constant, and whether the number of slices counts.
CONSTANTS = {
    "long_diameter": (("axial_long_diameter", "any_plane"), True),
    "short_diameter": (("axial_short_diameter",), True),
    "extent": (("craniocaudal_extent",), True),
    "3d_diameter": (("maximum_3d_diameter",), True),
    "volume": (("volume",), True),
    "mesh_volume": (("mesh_volume",), True),
    "surface_area": (("surface_area",), True),
    "sphericity": (("sphericity",), True),
    "distance": (("distance_to_hepatic_vein",), False),
    "depth": (("depth_from_skin_near",), True),
    "depth_centre": (("depth_from_skin_centre",), False),
    "depth_far": (("depth_from_skin_far",), True),
}
_WANTED = 0.95
_UNIT = 0.1
_CLASSES = (2, 3, 4, 6, 9, 14, 22)
_FEW = np.concatenate([np.arange(0, 1, 0.05), np.arange(1, 6, 0.25)])


def unit_settings():
    """The settings of the package with every band a tenth of its scale: narrow enough never to end at zero."""
    settings = MeasureSettings.from_table(read_table("measure"))
    names = {f.name for f in fields(settings)}
    return replace(
        settings,
        **{f"band_{name}": _UNIT for name in CONSTANTS},
        **{f"few_{name}": 0.0 for name in CONSTANTS if f"few_{name}" in names},
    )


class Errors:
    """Errors of one constant's quantities, and the scales of their bands."""

    def __init__(self, rows, *, of_volume):
        error = np.array([r["value"] - r["truth"] for r in rows])
        down = np.array([r["value"] - r["low"] for r in rows])
        up = np.array([r["high"] - r["value"] for r in rows])
        # The wider end of a band is wider by what may hide between slices: no matter of the constants.
        narrow = np.minimum(up, down)
        self.size = np.maximum(np.abs(error) - np.where(error < 0, up - narrow, down - narrow), 0)
        self.slices = np.array([r["slices"] for r in rows])
        self.scale = narrow / _UNIT
        self.few_scale = (np.array([r["value"] for r in rows]) if of_volume else self.scale) / self.slices**2
        self.of_volume = of_volume
        self.spacing = np.array([r["slices_mm"] for r in rows])
        # Each quantity at each spacing, where several share a constant.
        self.group = np.array([f"{r['name']} {r['slices_mm']}" for r in rows])

    def half(self, band, few):
        a, b = band * self.scale, few * self.few_scale
        return np.hypot(a, b) if self.of_volume else a + b

    def held(self, band, few):
        return self.size <= self.half(band, few)

    def band_for(self, few):
        """The least share of the scale that holds enough together with this ``few``; None when none is needed."""
        low, high = 0.0, 20.0
        if self.holds_enough(low, few):
            return None
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self.holds_enough(middle, few) else (middle, high)
        return high

    def holds_enough(self, band, few):
        """Whether 95 % of the truths are held at each spacing."""
        held = self.held(band, few)
        return min(held[self.group == g].mean() for g in np.unique(self.group)) >= _WANTED

    def unevenness(self, band, few):
        """Squared distance of the coverage from the wanted one: at each spacing, and by number of slices."""
        held, number = self.held(band, few), np.digitize(self.slices, _CLASSES)
        by_slices = [held[number == n] for n in np.unique(number)]
        uneven = sum((held[self.spacing == s].mean() - _WANTED) ** 2 for s in np.unique(self.spacing))
        return uneven + sum(len(c) * (c.mean() - _WANTED) ** 2 for c in by_slices) / len(held)


def fitted(rows, *, of_volume, with_few):
    """The pair of constants, rounded up to two places."""
    errors = Errors(rows, of_volume=of_volume)
    pairs = [(errors.band_for(few), few) for few in (_FEW if with_few else (0.0,))]
    band, few = min(((b, f) for b, f in pairs if b is not None), key=lambda pair: errors.unevenness(*pair))
    return np.ceil(band * 100) / 100, few, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=30, help="per family of bodies and slice spacing")
    parser.add_argument("--kind", nargs="+", choices=tuple(SCENES), default=list(SCENES))
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--json", type=Path, nargs="+", help="keep the rows here, or take those that lie there")
    chosen = parser.parse_args()
    if chosen.json and all(path.is_file() for path in chosen.json):
        rows = [row for path in chosen.json for row in json.loads(path.read_text())]
    else:
        settings, families = unit_settings(), chosen.families
        rows = [
            row
            for kind in chosen.kind
            for row in rows_of(kind, scenes=chosen.scenes, seed=CALIBRATION_SEED, settings=settings, families=families)
        ]
        if chosen.json:
            chosen.json[0].write_text(json.dumps(rows))
    for constant, (names, with_few) in CONSTANTS.items():
        own = [r for r in rows if r["name"] in names]
        if own:
            band, few, errors = fitted(own, of_volume=constant.endswith("volume"), with_few=with_few)
            held = errors.held(band, few).mean()
            words = f"[band_{constant}] {band:.2f}" + (f"  [few_{constant}] {few:.2f}" if with_few else "")
            print(f"{words:54}{len(own):>6} numbers, {held:.1%} held")


if __name__ == "__main__":
    main()
