"""Fits the constants of the 95 % bands (``bands``, ``band_*`` and ``few_*`` of ``measure.toml``) to random bodies.

    python benchmarks/measurement_calibration.py [--scenes 40] [--seeds 1 7 8] [--kind size ...] [--json FILE ...]

Sizes were fitted to seeds 1, 7 and 8 (40, 30 and 30 scenes) and to 110 lesions of 4 to 12 mm, distances and depths to
seed 1; ``measurement_truth.py`` checks the bands on other ones. The formulas are those of ``liverimg.measure.lattice``,
``size`` and ``form``. Of all constants on a lattice those are taken whose shares held come nearest to 95 %: over all
bodies, at each slice spacing, in each family of bodies, by number of slices and of pixels and by the cosine
between line and stack; too few counts twice.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np

from liverimg.files.tables import read_table
from liverimg.measure.settings import MeasureSettings
from measurement_beside import SCENES
from measurement_scenes import FAMILIES
from measurement_truth import CALIBRATION_SEEDS, rows_of

_WANTED = 0.95
_CLASSES = (4, 6, 9, 14)
_PIXELS = (8, 12, 16, 24, 40)
_RISES = (0.3, 0.6, 0.85, 0.95)
_FEWEST = 25  # bodies in a class of their own


def steps(low, high, step):
    return np.arange(low, high + step / 2, step)


NOTHING = np.zeros(1)
PARTS = ("pixel", "small", "slice", "across", "few")
# Names of the rows, and the values tried for pixel, slice, across and few; a part that has none is 0.
LENGTHS = {
    "long_diameter": (
        ("axial_long_diameter", "any_plane"),
        steps(0.08, 0.24, 0.02), steps(0, 4, 0.5), NOTHING, None, steps(0, 0.6, 0.2),
    ),
    "short_diameter": (
        ("axial_short_diameter",), steps(0.06, 0.2, 0.02), steps(0, 4, 0.5), NOTHING, None, steps(0, 0.6, 0.2),
    ),
    "extent": (
        ("craniocaudal_extent",),
        steps(0.08, 0.28, 0.04), steps(0, 4, 1), NOTHING, steps(0.06, 0.24, 0.02), steps(1.5, 4, 0.5),
    ),
    "diameter_3d": (
        ("maximum_3d_diameter",),
        steps(0.04, 0.16, 0.02), steps(0, 4, 0.5), steps(0.02, 0.08, 0.01), NOTHING, steps(0.25, 1.5, 0.25),
    ),
    "surface_area": (
        ("surface_area",), steps(0, 0.16, 0.02), steps(0, 5, 0.5), steps(0, 0.06, 0.01), NOTHING, steps(1, 3, 0.25),
    ),
    "distance": (
        ("distance_to_hepatic_vein", "distance_to_tube"),
        steps(0.1, 0.36, 0.02), NOTHING, steps(0, 0.16, 0.02), steps(0.2, 0.5, 0.02), NOTHING,
    ),
    "depth_near": (
        ("depth_from_skin_near",), steps(0.1, 0.4, 0.02), NOTHING, steps(0, 0.08, 0.01), NOTHING, steps(0, 1.5, 0.1),
    ),
    "depth_centre": (
        ("depth_from_skin_centre",), steps(0.06, 0.3, 0.02), NOTHING, steps(0, 0.1, 0.01), NOTHING, NOTHING,
    ),
    "depth_far": (
        ("depth_from_skin_far",), steps(0.1, 0.5, 0.02), NOTHING, steps(0, 0.08, 0.01), NOTHING, steps(0, 1.5, 0.1),
    ),
}  # fmt: skip


class Rows:
    """Columns of the rows of one constant."""

    def __init__(self, rows):
        def column(key):
            return np.array([r[key] for r in rows], dtype=float)

        self.value, self.truth, self.slices = column("value"), column("truth"), column("slices")
        self.pixel, self.slice, self.rise, self.area = (
            column(key) for key in ("pixel_mm", "slice_mm", "rise", "area_mm2")
        )
        self.pixels = np.sqrt(self.area / np.pi) / self.pixel
        self.low, self.high = column("low"), column("high")
        self.short = np.array([r["short_mm"] for r in rows])
        spacing = np.array([f"{r['slices_mm']} {r['name']}" for r in rows])
        family, few = np.array([r["family"] for r in rows]), np.digitize(self.slices, _CLASSES)
        small = np.digitize(self.pixels, _PIXELS)
        steep = np.digitize(self.rise, _RISES)
        cells = [keys == key for keys in (spacing, family, few, small, steep) for key in np.unique(keys)]
        self.cells = [cell for cell in cells if cell.sum() >= _FEWEST]

    def length_half(self, share):
        """As ``Lattice.half_mm``."""
        between = np.hypot(share[2], share[3] * self.rise**4) + share[4] / self.slices**2
        return np.hypot((share[0] + share[1] / self.pixels) * self.pixel, between * self.slice)

    def uneven(self, held):
        """How far the shares held are from the wanted ones."""
        shares = np.array([held[cell].mean() for cell in self.cells])
        off = (shares - _WANTED) * np.where(shares < _WANTED, np.sqrt(2), 1)
        return 2 * (held.mean() - _WANTED) ** 2 + (off**2).mean()


def fitted(rows, grid, held):
    """The constants on a lattice that hold most evenly, and the share that they hold."""
    best = min(itertools.product(*grid), key=lambda values: rows.uneven(held(values)))
    return tuple(float(v) for v in best), float(held(best).mean())


def fit_length(name, rows):
    """Pixel, slice, across and few of one length."""
    scale = np.sqrt(rows.area) if name == "surface_area" else 1.0
    # What a band has beside the grid's part on one side stays: what may hide between slices, other lines as long.
    down, up = np.where(rows.low > 0, rows.value - rows.low, np.inf), rows.high - rows.value
    choice = np.zeros((2, len(rows.value)))
    if name == "short_diameter":
        choice = np.abs(rows.short[:, 1:] - rows.short[:, :1]).T
        up = np.maximum(up, np.hypot(np.sqrt(np.maximum(down**2 - choice[0] ** 2, 0)), choice[1]))
        below, above = np.zeros(len(up)), up - np.hypot(np.sqrt(np.maximum(down**2 - choice[0] ** 2, 0)), choice[1])
    else:
        below, above = down - np.minimum(up, down), up - np.minimum(up, down)
    _, pixels, smalls, slices, acrosses, fews = LENGTHS[name]
    grid = (pixels, smalls, slices, NOTHING if acrosses is None else acrosses, fews)

    def held(values):
        half = rows.length_half(values) * scale
        return (rows.truth >= rows.value - np.hypot(half, choice[0]) - below - 1e-9) & (
            rows.truth <= rows.value + np.hypot(half, choice[1]) + above + 1e-9
        )

    values, share = fitted(rows, grid, held)
    if acrosses is None:
        # A line in an axial plane that was made from slices of another orientation: the slice stands for the pixel.
        values = (*values[:3], values[0], values[4])
    return values, share


def fit_volume(rows, power, grid):
    """Share of the root of border voxels, and share over the number of slices."""
    voxel = rows.pixel**2 * rows.slice
    counted = voxel * np.sqrt(rows.area / voxel ** (2 / 3)) / 1000

    def held(values):
        half = np.hypot(values[0] * counted, values[1] * rows.value / rows.slices**power)
        return np.abs(rows.value - rows.truth) <= half

    return fitted(rows, grid, held)


def fit_sphericity(rows, grid):
    """Per cent always, over the area in pixels, over the squared number of slices."""

    def held(values):
        parts = np.array([values[0] + 0 * rows.area, values[1] * rows.pixel**2 / rows.area, values[2] / rows.slices**2])
        half = rows.value * np.sqrt((parts**2).sum(axis=0)) / 100
        return np.abs(rows.value - rows.truth) <= half

    return fitted(rows, grid, held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=40, help="per family of bodies and slice spacing")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(CALIBRATION_SEEDS))
    parser.add_argument("--kind", nargs="+", choices=tuple(SCENES), default=list(SCENES))
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--json", type=Path, nargs="+", help="rows that measurement_truth.py --seed 1 --json kept")
    chosen = parser.parse_args()
    if chosen.json:
        rows = [row for path in chosen.json for row in json.loads(path.read_text())]
    else:
        settings = MeasureSettings.from_table(read_table("measure"))
        kept = {"scenes": chosen.scenes, "settings": settings, "families": chosen.families}
        rows = [row for kind in chosen.kind for seed in chosen.seeds for row in rows_of(kind, seed=seed, **kept)]

    def named(*names):
        own = [r for r in rows if r["name"] in names]
        return Rows(own) if own else None

    for name, (names, *_) in LENGTHS.items():
        if own := named(*names):
            values, share = fit_length(name, own)
            words = "  ".join(f"{part} {v:.2f}" for part, v in zip(PARTS, values, strict=True))
            print(f"[bands.{name}] {words}: {share:.1%} of {len(own.value)} held", flush=True)
    for name, power, fews in (("volume", 2, steps(0, 1.2, 0.05)), ("mesh_volume", 3, steps(0, 6, 0.25))):
        if own := named(name):
            values, share = fit_volume(own, power, (steps(0.2, 0.7, 0.02), fews))
            print(f"[band_{name}] {values[0]:.2f}  [few_{name}] {values[1]:.2f}: {share:.1%} of {len(own.value)} held")
    if own := named("sphericity"):
        values, share = fit_sphericity(own, (steps(0, 0.6, 0.1), steps(0, 600, 50), steps(0, 15, 1)))
        print("[band_sphericity] {:.2f}  [pixel_sphericity] {:.0f}  [few_sphericity] {:.0f}".format(*values), end="")
        print(f": {share:.1%} of {len(own.value)} held")


if __name__ == "__main__":
    main()
