"""Abdomens of simple bodies for rays: where each ray ends and what it meets follows from formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.window import Transducer
from liverimg.measure.approach import Approach
from liverimg.measure.subject import Body, Subject
from liverimg.measure.window import find_window, search_of

from .shapes import centres, sphere

EXACT = LabelQuality("external")
CODES = {
    Structure.LIVER: 1,
    Structure.TUMOUR: 2,
    Structure.HEPATIC_VEIN: 3,
    Structure.PORTAL_VEIN: 4,
    Structure.STOMACH: 11,
    Structure.BOWEL: 12,
    Structure.LUNG: 14,
    Structure.BONE: 15,
    Structure.GAS: 17,
    Structure.ASCITES: 18,
    Structure.FAT: 21,
    Structure.MUSCLE: 22,
    Structure.BODY: 23,
}
GRID = Grid.from_axes((58, 116, 124), spacing_mm=(3.0, 1.8, 1.7), origin_lps_mm=(-105.0, -104.0, -86.0))
BODY_MM = 95.0
WALL_MM = 32.0


@dataclass(frozen=True)
class Ball:
    """A ball of gas."""

    centre: np.ndarray
    radius_mm: float
    code: int = 17

    def holds(self, points):
        return np.linalg.norm(points - self.centre, axis=-1) <= self.radius_mm

    def box(self, grid):
        """Where in the grid it lies."""
        at, reach = grid.lps_mm_to_index(self.centre), self.radius_mm / grid.spacing_mm + 1
        low = np.maximum(np.floor(at - reach), 0).astype(int)
        return tuple(slice(a, int(b) + 2) for a, b in zip(low, np.ceil(at + reach), strict=True))

    def meets_at(self, start, directions):
        """Distance at which each ray first meets it; infinite where it does not."""
        to = self.centre - start
        along = directions @ to
        rest = self.radius_mm**2 - (to @ to - along**2)
        hit = (along > 0) & (rest >= 0)
        return np.where(hit, along - np.sqrt(np.maximum(rest, 0)), np.inf)


@dataclass(frozen=True)
class Rib:
    """A straight bar of bone: an endless cylinder around a line."""

    point: np.ndarray
    along: np.ndarray
    radius_mm: float
    code: int = 15

    def _across(self, vectors):
        return vectors - (vectors @ self.along)[..., None] * self.along

    def holds(self, points):
        return np.linalg.norm(self._across(points - self.point), axis=-1) <= self.radius_mm

    def meets_at(self, start, directions):
        """Distance at which each ray first meets it; infinite where it does not."""
        to, way = self._across(self.point - start), self._across(directions)
        size = np.maximum((way**2).sum(axis=-1), 1e-12)
        at = (way @ to) / size
        rest = self.radius_mm**2 - np.linalg.norm(to - at[..., None] * way, axis=-1) ** 2
        hit = (at > 0) & (rest >= 0)
        return np.where(hit, at - np.sqrt(np.maximum(rest, 0) / size), np.inf)


@dataclass(frozen=True)
class Scene:
    """A cylindrical body along z with a spherical tumour and things in the way."""

    tumour: np.ndarray
    tumour_mm: float
    things: tuple = ()
    body_mm: float = BODY_MM

    def labels(self, grid=GRID, codes=CODES, extra=()):
        points = centres(grid)
        array = np.zeros(grid.shape, np.uint8)
        from_axis = np.hypot(points[..., 0], points[..., 1])
        array[from_axis <= self.body_mm] = 23
        # Ribs lie in the outer part of the body; balls are looked for where they are.
        wall = np.nonzero((array == 23) & (from_axis > self.body_mm - WALL_MM))
        for thing in self.things:
            places = wall if isinstance(thing, Rib) else thing.box(grid)
            part = array[places]
            part[thing.holds(points[places]) & (part == 23)] = thing.code
            array[places] = part
        array[sphere(self.tumour, self.tumour_mm).holds(points)] = 2
        for change in extra:
            change(array, points)
        return LabelMap(array, grid, codes)

    def blocked(self, start, directions):
        """Which rays from a point meet anything on their way to the skin."""
        skin = self.depth_mm(start, directions)
        found = np.zeros(len(directions), dtype=bool)
        for thing in self.things:
            found |= thing.meets_at(np.asarray(start), directions) < skin
        return found

    def depth_mm(self, start, directions):
        """Length of rays within the cylinder."""
        way, at = directions[..., :2], np.asarray(start)[:2]
        a, b, c = (way**2).sum(axis=-1), 2 * way @ at, at @ at - self.body_mm**2
        return (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)


def dense(axis, half_angle, inner=0.0, count=12_000):
    """Directions spread evenly over a cone by its own formula: equal area in rings around the axis."""
    n = np.arange(count) + 0.5
    cosine = np.cos(inner) - (np.cos(inner) - np.cos(half_angle)) * n / count
    turn = np.pi * (1 + np.sqrt(5)) * n
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    one = np.cross(axis, helper)
    one /= np.linalg.norm(one)
    other = np.cross(axis, one)
    sine = np.sqrt(1 - cosine**2)
    return cosine[:, None] * axis + (sine * np.cos(turn))[:, None] * one + (sine * np.sin(turn))[:, None] * other


def true_share(scene, targets, axis, transducer):
    """Blocked share in percent for each target point, from the formulas of the things in the way."""
    rays = dense(axis, transducer.half_angle, transducer.opening_half_angle)
    return np.array([100 * scene.blocked(t, rays).mean() for t in targets])


def device(**changes):
    """A transducer that fits these small bodies."""
    plain = {
        "id": "test",
        "title": "test",
        "aperture_mm": 100.0,
        "focal_length_mm": 150.0,
        "opening_mm": 0.0,
        "frequency_mhz": 1.0,
        "standoff_mm": 5.0,
        "azimuth_deg": (-60.0, 120.0),
        "elevation_deg": (-12.0, 12.0),
        "source": "none",
    }
    return Transducer(**{**plain, **changes})


def window_of(labels, approach, settings, *, quality=EXACT, image=None):
    """Body, subject, search and window of the first lesion."""
    body = Body.of(labels, quality, settings=settings, image=image)
    subject = Subject.of(body.lesions[0], body)
    search = search_of(body, approach)
    if isinstance(search, str):
        return body, subject, search, None
    return body, subject, search, find_window(subject, search, body)


def approach_with(settings, **changes):
    """An approach with the test transducer."""
    return Approach(device(**changes), settings)


def random_scene(rng):
    """Ribs around the flank and a ball of gas or two, never in the tumour."""
    tumour = np.array([rng.uniform(-45, -10), rng.uniform(-25, 25), rng.uniform(-15, 15)])
    things = []
    pitch, radius = rng.uniform(16, 30), rng.uniform(3.5, 6.5)
    tilt = rng.uniform(-0.4, 0.4)
    shift = rng.uniform(0, pitch)
    for n in range(-3, 4):
        for side in np.arange(-60, 150, 42) + rng.uniform(0, 42):
            outward = np.array([-np.sin(np.deg2rad(side)), -np.cos(np.deg2rad(side)), 0.0])
            round_body = np.array([outward[1], -outward[0], 0.0])
            along = np.cos(tilt) * round_body + np.sin(tilt) * np.array([0.0, 0.0, 1.0])
            things.append(Rib((BODY_MM - 22) * outward + np.array([0, 0, n * pitch + shift]), along, radius))
    for _ in range(rng.integers(0, 3)):
        turn = rng.uniform(-0.6, 1.8)
        away = rng.uniform(35, 55)
        centre = tumour + away * np.array([-np.sin(turn), -np.cos(turn), rng.uniform(-0.3, 0.3)])
        things.append(Ball(centre, rng.uniform(4, 12)))
    return Scene(tumour, rng.uniform(4, 8), tuple(things))
