"""Distances, vessel widths and contacts against closed forms, on random oblique anisotropic grids.

Usage: ``python -m benchmarks.nearness_truth [--scenes 300] [--seed 0]``

A sphere stands for the lesion and a straight tube for the vessel. Prints for each quantity the mean error, its
spread and the share of truths inside the stated 95 % band, by slice spacing.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from scipy.spatial.transform import Rotation

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement
from liverimg.measure.nearness import measure_nearness
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body, Subject

SLICES_MM = (1.0, 1.5, 2.5, 4.0, 5.0)
TUMOUR, VEIN = 2, 4
_ROOM_MM = 24.0


@dataclass(frozen=True)
class Crossing:
    """A sphere around the origin and a tube at a distance from it, with their exact relations.

    Attributes:
        sphere_mm: Radius of the sphere.
        tube_mm: Radius of the tube.
        axis_mm: Distance of the tube's axis from the sphere's centre.
        turn: Rows: direction of the tube, direction from the centre to the axis.
        half_mm: Half of the tube's length.
    """

    sphere_mm: float
    tube_mm: float
    axis_mm: float
    turn: np.ndarray
    half_mm: float = 60.0

    @property
    def gap_mm(self) -> float:
        """Least signed distance of the sphere's points to the tube: below 0 the depth, to the axis at most."""
        return max(0.0, self.axis_mm - self.sphere_mm) - self.tube_mm

    @property
    def crosses(self) -> bool:
        """Whether they share some space."""
        return self.axis_mm < self.sphere_mm + self.tube_mm

    @property
    def contact_deg(self) -> float:
        """Largest angle around the tube that lies in the sphere."""
        d, r, big = self.axis_mm, self.tube_mm, self.sphere_mm
        if d >= r + big:
            return 0.0
        if d + r <= big:
            return 360.0
        return float(np.degrees(2 * np.arccos(np.clip((d * d + r * r - big * big) / (2 * d * r), -1, 1))))

    @property
    def contact_mm(self) -> float:
        """Length of the tube along which its wall lies in the sphere."""
        nearest = abs(self.axis_mm - self.tube_mm)
        return 2 * float(np.sqrt(max(0.0, self.sphere_mm**2 - nearest**2)))

    def labels(self, grid: Grid, *, over: bool = False) -> LabelMap:
        """Drawn by voxel centres; where the two cross, the voxels are the vessel's, or the lesion's drawn over it."""
        index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
        points = grid.index_to_lps_mm(index)
        off = points - self.turn[1] * self.axis_mm
        along = off @ self.turn[0]
        away = np.linalg.norm(off - along[..., None] * self.turn[0], axis=-1)
        array = np.zeros(grid.shape, np.uint8)
        sphere = np.linalg.norm(points, axis=-1) <= self.sphere_mm
        array[sphere] = TUMOUR
        array[(away <= self.tube_mm) & (np.abs(along) <= self.half_mm)] = VEIN
        if over:
            array[sphere] = TUMOUR
        return LabelMap(array, grid, {Structure.TUMOUR: TUMOUR, Structure.PORTAL_VEIN: VEIN})


def random_grid(rng: np.random.Generator, reach_mm: float, *, slices_mm: float) -> Grid:
    """Oblique by up to 20 degrees, flipped at random, off by parts of voxels."""
    spacing = np.array([slices_mm, rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.9)])
    turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * 0.35).as_matrix()
    axes = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float) * rng.choice([-1, 1], size=(3, 1))
    directions = axes @ turn.T
    k, j, i = (int(n) for n in np.ceil(2 * reach_mm / spacing) + 4)
    middle = (np.array((k, j, i)) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
    return Grid.from_axes(
        (k, j, i), spacing_mm=spacing, directions=directions, origin_lps_mm=-(middle * spacing) @ directions
    )


def random_crossing(rng: np.random.Generator, *, touching: bool) -> Crossing:
    """A tube of 2 to 14 mm beside a sphere, or crossing it."""
    tube = rng.uniform(1.0, 7.0)
    turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    if touching:
        sphere = rng.uniform(max(6.0, tube + 2), 16.0)
        return Crossing(sphere, tube, rng.uniform(0.0, sphere + 0.6 * tube), turn)
    sphere = rng.uniform(5.0, 14.0)
    return Crossing(sphere, tube, sphere + tube + rng.uniform(1.0, 12.0), turn)


def measured(labels: LabelMap, settings: MeasureSettings) -> dict[str, Measurement]:
    """What is measured of the one lesion."""
    body = Body.of(labels, LabelQuality("external"), settings=settings)
    if not body.lesions:
        return {}
    rows = measure_nearness(Subject.of(body.lesions[0], body), body)
    return {r.name: r for r in rows if isinstance(r, Measurement)}


def truths(scene: Crossing) -> dict[str, float]:
    """Exact answers by name."""
    found = {"distance_to_portal_vein": scene.gap_mm, "diameter_of_portal_vein": 2 * scene.tube_mm}
    if scene.crosses:
        found["contact_angle_of_portal_vein"] = scene.contact_deg
        found["contact_length_of_portal_vein"] = scene.contact_mm
    return found


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = MeasureSettings.from_table(tomllib.loads((files("liverimg") / "data/measure.toml").read_text()))
    rng = np.random.default_rng(options.seed)
    rows: dict[tuple[str, float], list[tuple[float, bool, float]]] = defaultdict(list)
    missing: dict[str, int] = defaultdict(int)
    for n in range(options.scenes):
        touching = n % 2 == 1
        scene = random_crossing(rng, touching=touching)
        slices = SLICES_MM[n % 5]
        reach = max(scene.sphere_mm, scene.axis_mm + scene.tube_mm) + _ROOM_MM * 0.6
        grid = random_grid(rng, reach, slices_mm=slices)
        over = n % 4 == 3
        found = measured(scene.labels(grid, over=over), settings)
        voxel = float(np.cbrt(np.prod(grid.spacing_mm)))
        for name, truth in truths(scene).items():
            if over and not name.startswith("distance"):
                continue  # of a tube that is drawn in part, width and contact have no closed form
            title = name + (" (lesion over tube)" if over else " (crossing)" if touching else "")
            if name not in found:
                missing[title] += 1
                continue
            m = found[name]
            rows[title, slices].append((m.value - truth, m.low <= truth <= m.high, voxel))
    print("| quantity | slices mm | n | mean error | mean error / voxel | SD | worst | in the band |")
    print("|---|---|---|---|---|---|---|---|")
    titles = sorted({title for title, _ in rows})
    for title in titles:
        parts = [(f"{s:g}", rows[title, s]) for s in SLICES_MM if (title, s) in rows]
        parts.append(("all", [r for _, part in parts for r in part]))
        for slices_text, part in parts:
            error, held, voxel = (np.array(column, dtype=float) for column in zip(*part, strict=True))
            print(
                f"| {title} | {slices_text} | {len(part)} | {error.mean():+.3f} | {(error / voxel).mean():+.3f} | "
                f"{error.std():.3f} | {np.abs(error).max():.2f} | {held.mean():.1%} |"
            )
        if missing[title]:
            print(f"| {title} | not measured | {missing[title]} | | | | | |")


if __name__ == "__main__":
    main()
