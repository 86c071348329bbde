"""How far the sub-voxel surface lies inside the true one, by its volume and by its area, on random bodies.

    python benchmarks/measurement_surface.py [--scenes 8] [--seed 11]

In pixels: the volume that the plain mesh lacks over the true area, beside what its facets cut off (``drawn_in_mm`` in
``liverimg.measure.surface``); and by how much the radius of the ball with the mesh's area is too small. Bodies of fewer
than six slices are left out: their ends, not their outlines, decide.
"""

import argparse

import numpy as np

from liverimg.core.labels import LabelQuality
from liverimg.files.tables import read_table
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body
from liverimg.measure.surface import blob_surface, drawn_in_mm, mesh_area_mm2, mesh_volume_mm3
from measurement_scenes import FAMILIES, SLICES_MM, size_scene

FEWEST_SLICES = 6


def row_of(rng, family, slices_mm, settings):
    """Family, spacing, what the mesh lacks by volume, what is added back, what it lacks by area; None if flat."""
    labels, truth = size_scene(rng, family, slices_mm)
    (lesion,) = Body.of(labels, LabelQuality("external"), settings=settings).lesions
    if lesion.mask.shape[0] < FEWEST_SLICES:
        return None
    surface = blob_surface(lesion.mask, lesion.grid)
    pixel_mm = float(np.sqrt(surface.spacing_mm[1:].prod()))
    area = truth["surface_area"]
    lacks = truth["volume"] * 1000 - mesh_volume_mm3(surface.vertices_lps_mm, surface.faces)
    short = area - mesh_area_mm2(surface.vertices_lps_mm, surface.faces)
    added = drawn_in_mm(surface.spacing_mm, area)
    per_mm = 2 * np.sqrt(4 * np.pi * area)
    return family, slices_mm, lacks / area / pixel_mm, added / pixel_mm, short / per_mm / pixel_mm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=11)
    chosen = parser.parse_args()
    settings = MeasureSettings.from_table(read_table("measure"))
    rows = []
    for slices_mm in SLICES_MM:
        for family in FAMILIES:
            rng = np.random.default_rng([chosen.seed, int(slices_mm * 10), FAMILIES.index(family), 4])
            rows += [row_of(rng, family, slices_mm, settings) for _ in range(chosen.scenes)]
    rows = [row for row in rows if row is not None]
    print(f"{'bodies':18}{'number':>8}{'by volume':>12}{'spread':>8}{'added':>8}{'by area':>10}{'spread':>8}")
    groups = [("all", rows)]
    groups += [(f, [r for r in rows if r[0] == f]) for f in FAMILIES]
    groups += [(f"{s:g} mm", [r for r in rows if r[1] == s]) for s in SLICES_MM]
    for words, some in groups:
        lacks, added, short = np.array([r[2:] for r in some]).T
        print(
            f"{words:18}{len(some):>8}{lacks.mean():>12.3f}{lacks.std():>8.3f}{added.mean():>8.3f}"
            f"{short.mean():>10.3f}{short.std():>8.3f}"
        )


if __name__ == "__main__":
    main()
