"""Random bodies with known measures on random oblique anisotropic grids: what measurements are held against.

Four families of bodies, all of them star-shaped: near-balls, ellipsoids, superellipsoids (boxy to pointed) and
lobulated bodies (a stretched ball with bumps and dents). What they measure is taken from their own formula on 8,000
points spread
evenly over the surface, good to about 0.01 mm, and never from voxels. A voxel belongs to a body when its centre
does.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure

FAMILIES = ("ball", "ellipsoid", "superellipsoid", "lobulated")
SLICES_MM = (1.0, 2.0, 3.0, 4.0, 5.0)
IN_PLANE_MM = (0.8, 0.7)
TUMOUR, VESSEL, BODY = 2, 3, 23
LEAST_ML = 0.06
_POINTS = 8_000
_UP = np.array([0.0, 0.0, 1.0])


@cache
def unit_sphere():
    """Evenly spread unit vectors and the triangles between them."""
    z = 1 - (2 * np.arange(_POINTS) + 1) / _POINTS
    ring, angle = np.sqrt(1 - z * z), np.pi * (3 - np.sqrt(5)) * np.arange(_POINTS)
    points = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    return points, ConvexHull(points).simplices


@dataclass(frozen=True, eq=False)
class StarBody:
    """All points ``centre + stretch @ (s * u)`` with unit ``u`` and ``0 <= s <= radius(u)``; lengths in mm."""

    family: str
    stretch: np.ndarray
    exponent: float = 2.0
    bumps: tuple = ()
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def radius(self, u):
        """Radius before stretching, of unit vectors (n, 3)."""
        if self.bumps:
            total = np.ones(u.shape[:-1])
            for towards, height, width in self.bumps:
                total = total + height * np.exp((u @ towards - 1) / width)
            return total
        return (np.abs(u) ** self.exponent).sum(axis=-1) ** (-1 / self.exponent)

    def holds(self, points):
        """Whether points (..., 3) in LPS mm lie inside."""
        local = (points - self.centre) @ np.linalg.inv(self.stretch).T
        length = np.linalg.norm(local, axis=-1)
        unit = local / np.maximum(length, 1e-12)[..., None]
        return length <= self.radius(unit)

    @property
    def surface(self):
        """Points spread over the surface, (n, 3), and its triangles."""
        unit, faces = unit_sphere()
        return self.centre + (unit * self.radius(unit)[:, None]) @ self.stretch.T, faces

    @property
    def volume_ml(self):
        unit, _ = unit_sphere()
        return float(abs(np.linalg.det(self.stretch)) * 4 / 3 * np.pi * (self.radius(unit) ** 3).mean() / 1000)

    @property
    def area_mm2(self):
        # Triangles cut corners: by as much as those of the unit sphere, to first order.
        return _area(*self.surface) * 4 * np.pi / _area(*unit_sphere())


def _area(points, faces):
    a, b, c = (points[faces[:, n]] for n in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def random_body(rng, family, *, low_mm=5.0, high_mm=22.0):
    """A body whose largest half-axis lies between the two lengths, turned at random."""
    least = 0.95 if family == "ball" else 0.6
    axes = rng.uniform(low_mm, high_mm) * np.array([1.0, rng.uniform(least, 1), rng.uniform(least, 1)])
    turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    if family == "superellipsoid":
        return StarBody(family, turn @ np.diag(axes), exponent=float(rng.uniform(1.6, 3.5)))
    if family == "lobulated":
        towards = rng.normal(size=(int(rng.integers(2, 6)), 3))
        bumps = tuple((t / np.linalg.norm(t), rng.uniform(-0.15, 0.3), rng.uniform(0.1, 0.3)) for t in towards)
        body = StarBody(family, turn @ np.diag(axes), bumps=bumps)
        largest = float(body.radius(unit_sphere()[0]).max())
        return StarBody(family, turn @ np.diag(axes / largest), bumps=bumps)
    return StarBody(family, turn @ np.diag(axes))


def random_grid(rng, low_mm, high_mm, *, slices_mm, tilt=0.35, in_plane_mm=IN_PLANE_MM):
    """A grid over a box in LPS mm: anisotropic, flipped at random, shifted by parts of voxels; two of three oblique."""
    spacing = np.array([slices_mm, *in_plane_mm])
    turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * tilt * rng.choice([0, 1, 1])).as_matrix()
    axes = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float) * rng.choice([-1, 1], size=(3, 1))
    directions = axes @ turn.T
    middle, half = (np.asarray(low_mm) + high_mm) / 2, (np.asarray(high_mm) - low_mm) / 2
    # The box's reach along each turned axis.
    reach = np.abs(directions) @ half
    shape = tuple(int(n) for n in np.ceil(2 * reach / spacing) + 6)
    start = (np.array(shape) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
    return Grid.from_axes(
        shape, spacing_mm=spacing, directions=directions, origin_lps_mm=middle - (start * spacing) @ directions
    )


def centres(grid):
    """LPS mm of all voxel centres, shape (*shape, 3)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.index_to_lps_mm(index)


def draw(array, grid, value, holds, low_mm, high_mm):
    """Writes a value where a body lies, looking only at the voxels of its box in LPS mm."""
    corners = np.array(np.meshgrid(*np.stack([low_mm, high_mm], axis=1), indexing="ij")).reshape(3, -1).T
    index = grid.lps_mm_to_index(corners)
    start = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(int)
    window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    k, j, i = stop - start
    array[window][holds(centres(grid.cropped(start, (k, j, i))))] = value


def _farthest_mm(points):
    """Length of the longest line between two points, and its ends."""
    hull = points[ConvexHull(points).vertices]
    sample = hull[:: max(1, len(hull) // 1000)]
    lengths = cdist(sample, sample)
    if len(sample) < len(hull):
        # The longest line ends near the ends of some line between sampled points that is nearly as long.
        apart = 2.5 * np.median(np.sort(lengths, axis=1)[:, 1])
        ends = np.unique(np.argwhere(lengths > lengths.max() - apart / 4))
        hull = hull[cKDTree(sample[ends]).query(hull)[0] <= apart]
        lengths = cdist(hull, hull)
    a, b = np.unravel_index(int(lengths.argmax()), lengths.shape)
    return float(lengths[a, b]), hull[[a, b]]


def _section(points, faces, heights, plane, basis):
    """Pieces of the outline in the plane at a height, shape (n, 2 ends, 2), in mm along the basis."""
    above = (heights > plane)[faces].sum(axis=1)
    cut = faces[(above > 0) & (above < 3)]
    ends = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        h0, h1 = heights[cut[:, a]], heights[cut[:, b]]
        crosses = (h0 > plane) != (h1 > plane)
        share = np.where(crosses, (plane - h0) / np.where(crosses, h1 - h0, 1), np.nan)
        ends.append(points[cut[:, a]] + share[:, None] * (points[cut[:, b]] - points[cut[:, a]]))
    three = np.stack(ends, axis=1) @ basis.T
    real = ~np.isnan(three[..., 0])
    return three[real].reshape(-1, 2, 2)


def _widest_across(pieces, along):
    """Longest line at right angles to a direction, outer edge to outer edge."""
    across = np.array([-along[1], along[0]])
    u, v = pieces @ along, pieces @ across
    places = np.linspace(u.min(), u.max(), 402)[1:-1, None]
    run = u[:, 1] - u[:, 0]
    crosses = (u[:, 0] - places) * (u[:, 1] - places) <= 0
    share = (places - u[:, 0]) / np.where(run == 0, 1, run)
    height = v[:, 0] + share * (v[:, 1] - v[:, 0])
    top, bottom = np.where(crosses, height, -np.inf).max(axis=1), np.where(crosses, height, np.inf).min(axis=1)
    return float((top - bottom).max())


def true_sizes(body, grid):
    """What a perfect measurement of the body would give, by name of the quantity.

    The axial diameters are those of the acquired slice (first array axis) with the longest line, as they are defined;
    ``any_plane`` is the longest line in any plane parallel to it.
    """
    points, faces = body.surface
    heights = grid.lps_mm_to_index(points)[:, 0]
    basis = grid.directions[[2, 1]]
    best = (-1.0, None, None, 0)
    for plane in range(int(np.ceil(heights.min())), int(np.floor(heights.max())) + 1):
        pieces = _section(points, faces, heights, plane, basis)
        length, ends = _farthest_mm(pieces.reshape(-1, 2))
        if length > best[0]:
            best = (length, ends, pieces, plane)
    long_mm, ends, pieces, plane = best
    if ends is None:
        return {}
    short_mm = _widest_across(pieces, (ends[1] - ends[0]) / long_mm)
    fine = [p for p in np.linspace(plane - 1, plane + 1, 9) if heights.min() + 0.05 < p < heights.max() - 0.05]
    any_mm = max(_farthest_mm(_section(points, faces, heights, p, basis).reshape(-1, 2))[0] for p in fine)
    up_mm = float(np.ptp(points[:, 2]))
    return {
        "axial_long_diameter": long_mm,
        "axial_short_diameter": short_mm,
        "any_plane": max(any_mm, long_mm),
        "craniocaudal_extent": up_mm,
        "maximum_3d_diameter": _farthest_mm(points)[0],
        "volume": body.volume_ml,
        "mesh_volume": body.volume_ml,
        "ellipsoid_volume": np.pi / 6 * long_mm * short_mm * up_mm / 1000,
        "surface_area": body.area_mm2,
        "sphericity": (36 * np.pi * (body.volume_ml * 1000) ** 2) ** (1 / 3) / body.area_mm2,
    }


def size_scene(rng, family, slices_mm, *, low_mm=5.0, high_mm=22.0):
    """A label map with one body, and its true sizes."""
    body = random_body(rng, family, low_mm=low_mm, high_mm=high_mm)
    points, _ = body.surface
    grid = random_grid(rng, points.min(axis=0) - 2, points.max(axis=0) + 2, slices_mm=slices_mm)
    array = np.zeros(grid.shape, np.uint8)
    draw(array, grid, TUMOUR, body.holds, points.min(axis=0), points.max(axis=0))
    return LabelMap(array, grid, {Structure.TUMOUR: TUMOUR}), true_sizes(body, grid)


def small_scene(rng, family, slices_mm):
    """The same with a body of 4 to 12 mm that two slices cross and that is large enough to be reported."""
    while True:
        # On thick slices no smaller body is met by two of them.
        low = max(2.2, 0.75 * slices_mm)
        labels, truths = size_scene(rng, family, slices_mm, low_mm=low, high_mm=max(6.0, 1.5 * slices_mm))
        found = np.flatnonzero((labels.array > 0).any(axis=(1, 2)))
        if len(found) > 1 and np.count_nonzero(labels.array) * labels.grid.voxel_ml > LEAST_ML:
            return labels, truths
