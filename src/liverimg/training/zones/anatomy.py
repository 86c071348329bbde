"""A treated piece of liver by chance: what lies where, as layers over each other, and which of it is the zone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.training.synthesis.warp import NoiseBank
from liverimg.training.zones.shapes import ball, ellipsoid, heading, places, share_of, tube, turn

FloatArray = NDArray[np.float32]
Vector = NDArray[np.float64]

_BUMPS, _WAVES = 3, 4  # scales of the noise bank: ragged borders, bent surfaces
_FAR_MM = np.float32(60.0)
_UNTREATED_SHARE = 0.08
_MISSED_SHARE = 0.15
_SECOND_SHARE = 0.2
_OUTSIDE = ("fat", "muscle", "lung", "stomach_content", "kidney_cortex", "spleen", "bowel_content")


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Layers, each over those before it.

    Attributes:
        layers: Name of the matter and how much of each voxel it takes.
        zone: Share of each voxel that is ablation zone.
        liver_mm: Signed distance of the liver's surface, negative inside.
        place_mm: Distance to where the lesions are said to lie, positive inside.
        perfusion: Where more arterial blood flows beside the zone.
        inside: Names of what lies in the zone.
    """

    layers: tuple[tuple[str, FloatArray], ...] = field(repr=False)
    zone: FloatArray = field(repr=False)
    liver_mm: FloatArray = field(repr=False)
    place_mm: FloatArray = field(repr=False)
    perfusion: FloatArray = field(repr=False)
    inside: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Canvas:
    """What all that draws needs."""

    at: FloatArray
    spacing_mm: float
    bank: NoiseBank
    rng: np.random.Generator

    def bumps(self, scale: int, most_mm: float) -> FloatArray:
        shape = (self.at.shape[1], self.at.shape[2], self.at.shape[3])
        found = self.bank.piece(shape, scale, self.rng)
        return np.asarray(found * np.float32(self.rng.uniform(0, most_mm)), dtype=np.float32)

    def share(self, distance_mm: FloatArray) -> FloatArray:
        return share_of(distance_mm, self.spacing_mm)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)


@dataclass(frozen=True, eq=False)
class _Treated:
    """One lesion and its zone."""

    lesion_mm: FloatArray
    said_mm: FloatArray
    zone_mm: FloatArray
    middle: Vector
    radius_mm: float


def draw_anatomy(size: int, spacing_mm: float, bank: NoiseBank, rng: np.random.Generator) -> Anatomy:
    """One crop.

    Args:
        size: Voxels along each axis.
        spacing_mm: Between them.
        bank: Random fields.
        rng: Source of chance.
    """
    canvas = _Canvas(places(size, spacing_mm), spacing_mm, bank, rng)
    liver_mm = _liver(canvas)
    trees = {"portal_vein": _tree(canvas), "hepatic_vein": _tree(canvas)}
    vessels_mm = np.minimum(*trees.values())
    cases = [_treated(canvas, rng.uniform(-6, 6, 3), vessels_mm)]
    if canvas.chance(_SECOND_SHARE):
        cases.append(_treated(canvas, cases[0].middle + heading(rng) * rng.uniform(15, 45), vessels_mm))
    zone_mm = np.minimum.reduce([one.zone_mm for one in cases])
    lesion_mm = np.minimum.reduce([one.lesion_mm for one in cases])
    said_mm = np.minimum.reduce([one.said_mm for one in cases])
    layers = [(name, canvas.share(tree)) for name, tree in trees.items()]
    layers += _bystanders(canvas, zone_mm)
    if canvas.chance(0.8):
        layers.append(("tumour", canvas.share(lesion_mm)))
    filled, spared, inside = _zone(canvas, zone_mm, lesion_mm, cases[0])
    layers += filled
    if canvas.chance(0.4):
        opened = canvas.share(np.maximum(vessels_mm, zone_mm - 2))
        spared = np.maximum(spared, opened)
        layers += [(name, canvas.share(np.maximum(tree, zone_mm - 2))) for name, tree in trees.items()]
    liver = canvas.share(liver_mm)
    layers += _outside(canvas, liver_mm)
    return Anatomy(
        layers=tuple(layers),
        zone=np.asarray(canvas.share(zone_mm) * liver * (1 - spared), dtype=np.float32),
        liver_mm=liver_mm,
        place_mm=-said_mm,
        perfusion=_perfusion(canvas, zone_mm),
        inside=inside,
    )


def _liver(canvas: _Canvas) -> FloatArray:
    """Its surface on one side, on two, or nowhere near."""
    rng = canvas.rng
    out = np.full(canvas.at.shape[1:], -_FAR_MM, dtype=np.float32)
    for share in (0.75, 0.25):
        if not canvas.chance(share):
            break
        bend_mm = float(rng.uniform(40, 150))
        out = np.maximum(out, ball(canvas.at, heading(rng) * (rng.uniform(-4, 40) - bend_mm), bend_mm))
    return np.asarray(out + canvas.bumps(_WAVES, 3.0))


def _tree(canvas: _Canvas) -> FloatArray:
    """A few vessels of one kind."""
    rng = canvas.rng
    out = np.full(canvas.at.shape[1:], _FAR_MM, dtype=np.float32)
    for _ in range(int(rng.integers(0, 5))):
        middle, way = rng.uniform(-35, 35, 3), heading(rng)
        line = np.stack([middle - 60 * way, middle + rng.normal(0, 6, 3), middle + 60 * way + rng.normal(0, 12, 3)])
        first = float(np.exp(rng.uniform(np.log(0.8), np.log(6))))
        np.minimum(out, tube(canvas.at, line, first * np.array([1.0, 0.85, 0.6])), out=out)
    return out


def _treated(canvas: _Canvas, middle: Vector, vessels_mm: FloatArray) -> _Treated:
    """A lesion, where it is said to lie, and the zone that was made for it."""
    rng = canvas.rng
    radius = float(np.exp(rng.uniform(np.log(4), np.log(18))))
    axes = turn(rng)
    radii = radius * rng.uniform(0.75, 1.15, 3)
    lesion = ellipsoid(canvas.at, middle, radii, axes) + canvas.bumps(_BUMPS, 1.0)
    said_at = middle + heading(rng) * rng.uniform(0, 8)
    said = ellipsoid(canvas.at, said_at, radii * rng.uniform(0.85, 1.15, 3), axes)
    if canvas.chance(_UNTREATED_SHARE):
        return _Treated(lesion, said, np.full(lesion.shape, _FAR_MM), middle, radius)
    margin = float(rng.uniform(-1, 10))
    away = float(rng.uniform(0, 3)) + (margin + float(rng.uniform(4, 9)) if canvas.chance(_MISSED_SHARE) else 0.0)
    centre = middle + heading(rng) * away
    size = np.maximum(3.0, radii + margin) * rng.uniform(0.85, 1.1, 3) * np.array([rng.uniform(0.9, 1.4), 1.0, 1.0])
    zone = ellipsoid(canvas.at, centre, size, axes)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.6, 0.25, 0.15]))):
        beside = centre + heading(rng) * float(size.min() * rng.uniform(0.4, 1.0))
        zone = np.minimum(zone, ellipsoid(canvas.at, beside, size * rng.uniform(0.6, 1.0), turn(rng)))
    if canvas.chance(0.6):
        zone = zone + canvas.bumps(_BUMPS, 2.0)
    if canvas.chance(0.25):  # flowing blood cools what lies beside it
        zone = np.maximum(zone, np.float32(rng.uniform(0, 3)) - vessels_mm)
    return _Treated(lesion, said, np.asarray(zone, dtype=np.float32), middle, radius)


def _bystanders(canvas: _Canvas, zone_mm: FloatArray) -> list[tuple[str, FloatArray]]:
    """Cysts, ducts and other tumours, away from the zone."""
    rng, found = canvas.rng, []
    free = np.maximum(-zone_mm + 1, 0) * 10
    for name, share, least, most in (("cyst", 0.2, 2.5, 12.0), ("other_tumour", 0.15, 3.0, 12.0)):
        if canvas.chance(share):
            middle = rng.uniform(-40, 40, 3)
            found.append((name, canvas.share(ball(canvas.at, middle, float(rng.uniform(least, most))) + free)))
    if canvas.chance(0.15):
        middle, way = rng.uniform(-30, 30, 3), heading(rng)
        line = np.stack([middle - 60 * way, middle + 60 * way])
        found.append(("bile_duct", canvas.share(tube(canvas.at, line, rng.uniform(0.8, 2.5) * np.ones(2)))))
    return found


def _zone(
    canvas: _Canvas, zone_mm: FloatArray, lesion_mm: FloatArray, first: _Treated
) -> tuple[list[tuple[str, FloatArray]], FloatArray, tuple[str, ...]]:
    """Rim, zone and what lies in it; living rests; names of what is inside."""
    rng, at = canvas.rng, canvas.at
    found = list[tuple[str, FloatArray]]()
    if canvas.chance(0.5):
        around = np.float32(rng.uniform(1.0, 4.0)) + canvas.bumps(_BUMPS, 0.7)
        found.append(("ablation_rim", canvas.share(zone_mm - around)))
    found.append(("ablation_zone", canvas.share(zone_mm)))
    depth = float(max(0.0, -zone_mm.min()))
    inner = {"core": 0.5, "ghost": 0.4, "blood": 0.4, "oil": 0.1, "gas": 0.25}
    for name in [name for name, share in inner.items() if canvas.chance(share) and depth > 3]:
        found.append((name, canvas.share(np.maximum(_within(canvas, name, depth, zone_mm, lesion_mm), zone_mm))))
    spared = np.zeros(at.shape[1:], dtype=np.float32)
    if canvas.chance(0.45) and depth > 0:
        spared = canvas.share(_rest(canvas, zone_mm, float(rng.uniform(2.5, 7.0)), first))
        found.append(("living", spared))
    if canvas.chance(0.2) and depth > 0:  # where the applicator went in: dark, thin, and no zone
        way = heading(rng)
        line = np.stack([first.middle, first.middle + 70 * way])
        track = canvas.share(np.maximum(tube(at, line, np.full(2, rng.uniform(0.8, 1.8))), -zone_mm))
        found.insert(0, ("track", track))
    return found, spared, tuple(name for name, _ in found if name in inner)


def _within(canvas: _Canvas, name: str, depth: float, zone_mm: FloatArray, lesion_mm: FloatArray) -> FloatArray:
    """Where one thing inside the zone lies."""
    rng = canvas.rng
    if name == "core":
        return np.asarray(zone_mm + np.float32(depth * rng.uniform(0.2, 0.7)))
    if name == "ghost":
        return lesion_mm
    deep = np.argwhere(zone_mm < -0.3 * depth)
    bodies = []
    for _ in range(int(rng.integers(1, 7 if name == "gas" else 3))):
        middle = canvas.at[(slice(None), *deep[rng.integers(len(deep))])].astype(np.float64)
        radius = float(rng.uniform(1.0, 4.0)) if name == "gas" else depth * float(rng.uniform(0.2, 0.6))
        bodies.append(ball(canvas.at, middle, radius))
    return np.asarray(np.minimum.reduce(bodies) + canvas.bumps(_BUMPS, 1.5))


def _rest(canvas: _Canvas, zone_mm: FloatArray, radius_mm: float, first: _Treated) -> FloatArray:
    """A nodule somewhere at the zone's border."""
    border = np.argwhere(np.abs(zone_mm) < canvas.spacing_mm)
    if not len(border):
        return ball(canvas.at, first.middle, radius_mm)
    middle = canvas.at[(slice(None), *border[canvas.rng.integers(len(border))])].astype(np.float64)
    return ball(canvas.at, middle, radius_mm)


def _outside(canvas: _Canvas, liver_mm: FloatArray) -> list[tuple[str, FloatArray]]:
    """Up to three kinds of matter beyond the liver, one behind the other or side by side."""
    rng = canvas.rng
    first = str(rng.choice(["fat", "muscle", "stomach_content", "kidney_cortex"], p=[0.55, 0.25, 0.1, 0.1]))
    found = [(first, canvas.share(-liver_mm))]
    behind = np.float32(rng.uniform(1.5, 12)) - liver_mm
    found.append((str(rng.choice(_OUTSIDE)), canvas.share(behind + canvas.bumps(_WAVES, 2.0))))
    if canvas.chance(0.5):
        side = np.tensordot(heading(rng).astype(np.float32), canvas.at, axes=1) + np.float32(rng.uniform(-20, 20))
        found.append((str(rng.choice(_OUTSIDE)), canvas.share(np.maximum(side, np.float32(1) - liver_mm))))
    return found


def _perfusion(canvas: _Canvas, zone_mm: FloatArray) -> FloatArray:
    """A wedge beside the zone that takes up more early, in some."""
    if not canvas.chance(0.2):
        return np.zeros(zone_mm.shape, dtype=np.float32)
    side = np.tensordot(heading(canvas.rng).astype(np.float32), canvas.at, axes=1)
    near = zone_mm - np.float32(canvas.rng.uniform(4, 18)) + canvas.bumps(_WAVES, 3.0)
    return np.asarray(np.clip(0.5 - np.maximum(near, side) / np.float32(4.0), 0, 1), dtype=np.float32)
