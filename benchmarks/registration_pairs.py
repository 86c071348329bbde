"""Examinations from before and after an ablation whose motion is known everywhere, of made people and of a real liver.

A body is drawn once on fine cubes without noise; each pair is two looks at it. At the second the body lies elsewhere:
other coordinates, turned, breathed by 5 to 25 mm, bent by smooth pushes, at times with ascites that was not there
before or with a zone that has shrunk. What would make the task easier than it is on patients is taken away: tissue has
no lasting texture (it is drawn anew for each look), a third of the people has few vessels, outlines are off by smooth
errors of 1.5 mm, slices are 1 to 5 mm apart and differ, the phase differs in half of the pairs, and a third of the
later outlines leaves the zone out, as a model may do. On MR each look has shading and a scale of signal of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.volume import Quantity, Volume
from liverimg.phantom.deformation import Deformation, Push, Squeeze
from liverimg.phantom.solids import Ellipsoid, rotation
from registration_bodies import BEYOND_MM, FINE_MM, Body

SLICES_MM = (1.0, 1.5, 2.5, 3.0, 5.0)
_IN_PLANE_MM = 1.3
_TEXTURE = {Quantity.HU: 4.0, Quantity.MR_SIGNAL: 9.0}  # standard deviation in the liver, likewise
_ZONE = {Quantity.HU: (40.0, 58.0), Quantity.MR_SIGNAL: (330.0, 390.0)}  # rim and core, as the phantom's table has them
_SHADING, _SHADING_MM = 0.12, 90.0  # of an MR coil, standard deviation as a share of the signal and its size


@dataclass(frozen=True, eq=False)
class Pair:
    """Two examinations of one body.

    Attributes:
        earlier: Image before the ablation.
        later: Image after it.
        liver_earlier: With all that lies in it.
        liver_later: Likewise.
        tumours: By name, on the earlier grid.
        surfaces: Points on each tumour, shape (n, 3).
        motion: From the later examination to the body as built, before ``offset_mm``; a zone's shrinking is left out, a
            tumour moves rigidly.
        offset_mm: Of the later examination's coordinates.
        facts: What was drawn, for tables.
        shapes: The tumours in the body as built.
        zones: The ablation zones there, before they shrank.
        seen_motion: ``motion`` with the zones' shrinking.
    """

    earlier: Volume
    later: Volume
    liver_earlier: np.ndarray
    liver_later: np.ndarray
    tumours: Mapping[str, np.ndarray]
    surfaces: Mapping[str, np.ndarray]
    motion: Deformation
    offset_mm: np.ndarray
    facts: Mapping[str, object]
    shapes: Mapping[str, Ellipsoid]
    zones: Mapping[str, Ellipsoid]
    seen_motion: Deformation

    def truth(self, points: np.ndarray) -> np.ndarray:
        """Where places of the earlier examination lie in the later one."""
        return self.motion.from_built(points, tolerance_mm=1e-4) + self.offset_mm


def draw_pair(body: Body, seed: Sequence[int], *, motion: Deformation | None = None) -> Pair:
    """Two looks at a body.

    Args:
        body: It.
        seed: Of everything that is left to chance.
        motion: Instead of a random one.
    """
    rng = np.random.default_rng(seed)
    motion = draw_motion(rng, centre_of(body)) if motion is None else motion
    zones = {name: _zone(shape, rng) for name, shape in body.tumours.items()}
    shrink = float(rng.uniform(0.05, 0.2)) if rng.random() < 0.3 else 0.0
    squeezes = tuple(Squeeze(z.centre, shrink, 0.8 * max(z.radii)) for z in zones.values()) if shrink else ()
    others = [name for name in body.images if name not in ("portal_venous", "second")]
    second = "second" if body.noisy else "portal_venous"
    after = str(rng.choice(others)) if others and rng.random() < 0.5 else second
    slices = [float(s) for s in rng.choice(SLICES_MM, 2)]
    noise = float(rng.uniform(8, 18))
    zone_lost = bool(rng.random() < 0.33)
    there = _painted(body.images[after], body, zones)
    liver_after = np.maximum(body.signed_mm, -_depth(body, zones)) if zone_lost else body.signed_mm
    whole = replace(motion, squeezes=squeezes)
    one = examination(body, body.images["portal_venous"], body.signed_mm, None, slices[0], noise, rng)
    offset = rng.normal(0, 60, 3)
    two = examination(body, there, liver_after, whole, slices[1], noise, rng)
    later = Volume(two[0].array, _moved_grid(two[0].grid, offset), body.quantity)
    surfaces = {name: surface_points(shape) for name, shape in body.tumours.items()}
    return Pair(
        one[0],
        later,
        one[1],
        two[1],
        {name: drawn(shape, one[0].grid) for name, shape in body.tumours.items()},
        surfaces,
        motion,
        offset,
        {
            "slices_mm": slices,
            "after": after,
            "noise_hu": noise,
            "few_vessels": body.few_vessels,
            "shrink": shrink,
            "zone_lost": zone_lost,
            "push_mm": motion.most_mm,
        },
        body.tumours,
        zones,
        whole,
    )


def draw_motion(rng: np.random.Generator, centre: np.ndarray, *, turn_deg: float = 3.0) -> Deformation:
    """Breathing of 5 to 25 mm, a turn of a few degrees, and smooth bending of up to about 8 mm."""
    degrees = rng.normal(0, turn_deg, 3)
    breathing = rng.uniform(5, 25) * rng.choice([-1, 1])
    shift = np.array([rng.normal(0, 4), rng.normal(0, 4) - 0.3 * breathing, breathing])
    size = rng.uniform(0, 8)
    pushes = tuple(
        Push(tuple(centre + rng.normal(0, 60, 3)), tuple(size * rng.normal(0, 0.6, 3)), float(rng.uniform(40, 70)))
        for _ in range(5)
    )
    turn = rotation(about_x_deg=degrees[0], about_y_deg=degrees[1], about_z_deg=degrees[2])
    return Deformation(turn, shift, centre, pushes)


def surface_points(shape: Ellipsoid, count: int = 100) -> np.ndarray:
    """Points spread over an ellipsoid, shape (count, 3)."""
    n = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * n / count), np.pi * (1 + np.sqrt(5)) * n
    sphere = np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], axis=1)
    return np.array(shape.centre) + (sphere * np.array(shape.radii)) @ shape.frame


def centre_of(body: Body) -> np.ndarray:
    """Of its liver."""
    return body.grid.index_to_lps_mm(np.argwhere(body.signed_mm[::4, ::4, ::4] < 0).mean(axis=0) * 4)


def _zone(shape: Ellipsoid, rng: np.random.Generator) -> Ellipsoid:
    centre = np.array(shape.centre) + rng.normal(0, 2, 3)
    radius = max(shape.radii) + rng.uniform(1, 9)
    return Ellipsoid(tuple(centre), tuple(radius * rng.uniform(0.9, 1.1, 3)))


def _depth(body: Body, zones: Mapping[str, Ellipsoid], *, share: float = 1.0) -> np.ndarray:
    """About the signed distance to the nearest zone's surface, outside positive."""
    axes = [body.grid.origin_lps_mm[2 - a] + np.arange(n) * FINE_MM for a, n in enumerate(body.grid.shape)]
    z, y, x = np.ix_(*(a.astype(np.float32) for a in axes))
    nearest = np.full(body.grid.shape, np.float32(1e3))
    for zone in zones.values():
        radii = share * np.array(zone.radii)
        cx, cy, cz = zone.centre
        away = np.sqrt(((x - cx) / radii[0]) ** 2 + ((y - cy) / radii[1]) ** 2 + ((z - cz) / radii[2]) ** 2)
        nearest = np.minimum(nearest, (away - 1) * np.float32(radii.mean()))
    return nearest


def _painted(values: np.ndarray, body: Body, zones: Mapping[str, Ellipsoid]) -> np.ndarray:
    """Zones of dead tissue inside the liver, with the denser core that coagulated blood leaves."""
    out = values.astype(np.float32)
    inside = np.clip(0.5 - body.signed_mm / FINE_MM, 0, 1)
    for share, value in zip((1.0, 0.5), _ZONE[body.quantity], strict=True):
        part = np.clip(0.5 - _depth(body, zones, share=share) / FINE_MM, 0, 1) * inside
        own = 0.0
        if body.noisy:  # a real image keeps its noise inside the zone
            own = values - ndimage.gaussian_filter(values, 3.0)
        out += part * (value + own - out)
    return out


def examination(
    body: Body,
    values: np.ndarray,
    signed_mm: np.ndarray,
    motion: Deformation | None,
    slice_mm: float,
    noise: float,
    rng: np.random.Generator,
) -> tuple[Volume, np.ndarray]:
    """An examination of the body: image and outline, on slices.

    Args:
        body: It.
        values: Its image on the body's cubes.
        signed_mm: Its liver there.
        motion: From the examination to the body as built; None for none.
        slice_mm: Distance of slices.
        noise: Standard deviation at 2.5 mm, HU or signal.
        rng: Of outline, texture, noise.
    """
    grid = _exam_grid(body, motion, slice_mm, rng)
    # As wide as a slice is thick, less what the cubes have averaged already.
    sigma = np.sqrt(max(slice_mm**2 - FINE_MM**2, 0.0) / 12) / FINE_MM
    flat = ndimage.gaussian_filter1d(values, sigma, axis=0) if sigma > 0 else values
    outline = signed_mm + 2.2 * _waves(body.grid, 12.0, rng)  # interpolated nodes: 1.5 mm of standard deviation
    made = np.empty(grid.shape, dtype=np.float32)
    inside = np.empty(grid.shape, dtype=bool)
    for k in range(grid.shape[0]):
        index = np.stack(np.meshgrid([k], *[np.arange(n) for n in grid.shape[1:]], indexing="ij"), axis=-1)
        places = grid.index_to_lps_mm(index).astype(np.float32)
        built = places if motion is None else motion.to_built(places)
        at = np.moveaxis((built - body.grid.origin_lps_mm)[..., ::-1] / FINE_MM, -1, 0)
        made[k] = ndimage.map_coordinates(flat, at, order=1, mode="nearest")[0]
        inside[k] = ndimage.map_coordinates(outline, at, order=1, mode="nearest")[0] < 0
    if not body.noisy:
        texture = _TEXTURE[body.quantity] * (0.75 * 1.5 * _waves(grid, 5.0, rng) + 0.65 * 1.5 * _waves(grid, 13.0, rng))
        # Thin slices are noisier: fewer photons a voxel. The grain is that of a smooth kernel.
        grain = rng.standard_normal(grid.shape, dtype=np.float32)
        grain = ndimage.gaussian_filter(grain, (0, 0.9 / _IN_PLANE_MM, 0.9 / _IN_PLANE_MM))
        made += texture + grain * np.float32(noise * np.sqrt(2.5 / slice_mm) / grain.std())
    if body.quantity is Quantity.MR_SIGNAL:
        made *= 1 + _SHADING * 1.5 * _waves(grid, _SHADING_MM, rng)
        made = np.abs(made) * float(rng.uniform(0.5, 4))
    return Volume(np.rint(made).astype(np.int16), grid, body.quantity), inside


def _exam_grid(body: Body, motion: Deformation | None, slice_mm: float, rng: np.random.Generator) -> Grid:
    index = np.argwhere(body.signed_mm[::4, ::4, ::4] < 0) * 4
    places = body.grid.index_to_lps_mm(index)
    if motion is not None:
        places = motion.from_built(places[::20], tolerance_mm=0.1)
    low = places.min(axis=0) - BEYOND_MM - rng.uniform(0, 3, 3)
    high = places.max(axis=0) + BEYOND_MM
    spacing = np.array((slice_mm, _IN_PLANE_MM, _IN_PLANE_MM))
    count = np.ceil((high - low)[::-1] / spacing).astype(int)
    return Grid.from_axes((int(count[0]), int(count[1]), int(count[2])), spacing_mm=spacing, origin_lps_mm=low)


def _moved_grid(grid: Grid, offset: np.ndarray) -> Grid:
    affine = np.array(grid.affine)
    affine[:3, 3] += offset
    return Grid(grid.shape, affine)


def drawn(shape: Ellipsoid, grid: Grid) -> np.ndarray:
    """Voxels of a grid whose centres lie in an ellipsoid."""
    mask = np.zeros(grid.shape, dtype=bool)
    reach = max(shape.radii)
    centre, half = grid.lps_mm_to_index(shape.centre), reach / grid.spacing_mm + 1
    box = tuple(slice(max(0, int(c - h)), int(c + h) + 2) for c, h in zip(centre, half, strict=True))
    axes = [np.arange(*s.indices(n)) for s, n in zip(box, grid.shape, strict=True)]
    points = grid.index_to_lps_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    local = (points - np.array(shape.centre)) @ shape.frame.T / np.array(shape.radii)
    mask[box] = np.square(local).sum(axis=-1) <= 1
    return mask


def _waves(grid: Grid, size_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise: random nodes ``size_mm`` apart, interpolated."""
    spacing = grid.spacing_mm
    out = rng.standard_normal([int(n * mm / size_mm) + 3 for n, mm in zip(grid.shape, spacing, strict=True)])
    out = out.astype(np.float32)
    for axis, (n, mm) in enumerate(zip(grid.shape, spacing, strict=True)):
        at = np.arange(n) * mm / size_mm
        low = at.astype(int)
        part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        out = np.take(out, low, axis) * (1 - part) + np.take(out, low + 1, axis) * part
    return out
