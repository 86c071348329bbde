"""People with tumours and how these were treated, for ``zone_cases.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liverimg.core.study import Modality
from liverimg.phantom.aftermath import Aftermath
from liverimg.phantom.anatomy import Anatomy, TumourPlan
from liverimg.phantom.capsules import chain, distance
from liverimg.phantom.liver import hepatic_trunks, portal_trunks, shape_liver
from liverimg.phantom.people import random_person
from liverimg.phantom.scene import Ablation, LesionKind, Scene
from liverimg.phantom.solids import Ellipsoid, at_points
from liverimg.phantom.wall import frame


def person_of(rng: np.random.Generator, seed: int) -> tuple[Anatomy, str]:
    """A person with one tumour, or two near each other, and where the first lies."""
    person = replace(random_person(seed), ascites_mm=0.0)
    surface = shape_liver(person, frame(person))
    trunks = [chain(line, person.hepatic_radius_mm) for line in hepatic_trunks(person)]
    trunks += [chain(line, person.portal_radius_mm) for line in portal_trunks(person)]
    where = str(rng.choice(["free", "subcapsular", "vein"], p=[0.4, 0.3, 0.3]))
    kind = LesionKind.HCC if rng.random() < 0.6 else LesionKind.METASTASIS
    radius = float(rng.uniform(6, 15))
    for _ in range(20000):
        centre = rng.uniform((-130, -85, -100), (70, 80, 100))
        at = centre * np.array(person.size)
        depth = -float(at_points(surface, at[None])[0])
        if depth < radius + 1:
            continue
        to_trunk = min(float(distance(at[None], trunk)[0]) for trunk in trunks)
        fits = {
            "free": depth > radius + 9 and to_trunk > radius + 8,
            "subcapsular": depth < radius + 4 and to_trunk > radius + 4,
            "vein": depth > radius + 4 and radius + 1.5 < to_trunk < radius + 5,
        }
        if fits[where]:
            break
    plans = [_plan(rng, centre, radius, kind)]
    if rng.random() < 0.25:
        small = float(rng.uniform(5, 9))
        for _ in range(2000):
            way = rng.normal(size=3)
            other = at + way / np.linalg.norm(way) * (radius + small + float(rng.uniform(3, 26)))
            clear = min(float(distance(other[None], trunk)[0]) for trunk in trunks) > small + 2
            if clear and float(at_points(surface, other[None])[0]) < -(small + 3):
                plans.append(_plan(rng, other / np.array(person.size), small, kind))
                break
    return replace(person, tumours=tuple(plans)), where


def _plan(rng: np.random.Generator, centre: np.ndarray, radius: float, kind: LesionKind) -> TumourPlan:
    radii = radius * rng.uniform(0.8, 1.0, 3)
    turn = rng.uniform(-60, 60, 3)
    return TumourPlan(kind, _triple(centre), _triple(radii), _triple(turn))


def aftermath_of(rng: np.random.Generator, scene: Scene, number: int, modality: Modality) -> Aftermath:
    """How one tumour was treated, and what lies in and around the zone."""
    lesion = scene.lesions[number]
    shape = lesion.shape
    margin = float(rng.uniform(3, 9))
    offset = rng.normal(size=3)
    offset *= float(rng.uniform(0, 3)) / np.linalg.norm(offset)
    if rng.random() < 0.15:  # missed on one side
        offset *= (margin + float(rng.uniform(4, 9))) / np.linalg.norm(offset)
    stretch = rng.uniform(0.9, 1.25)
    radii = tuple(float((r + margin) * f) for r, f in zip(shape.radii, (stretch, 1.0, 1.0), strict=True))
    centre = np.array(shape.centre) + offset
    zone = Ellipsoid(_triple(centre), _triple(radii), shape.axes)
    inside = float(min(radii))

    def ball(radius: float, within: float) -> Ellipsoid:
        way = rng.normal(size=3)
        place = centre + way / np.linalg.norm(way) * float(rng.uniform(0, max(0.0, within - radius)))
        return Ellipsoid(_triple(place), _triple(radius * rng.uniform(0.7, 1.0, 3)))

    blood = (ball(0.45 * inside, inside),) if rng.random() < 0.4 else ()
    gas = tuple(ball(float(rng.uniform(1.5, 4)), 0.8 * inside) for _ in range(3)) if rng.random() < 0.25 else ()
    oil = (ball(0.5 * min(shape.radii), 0.6 * inside),) if modality is Modality.CT and rng.random() < 0.12 else ()
    living = ()
    if rng.random() < 0.5:
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        local = zone.frame @ way
        reach = 1 / np.sqrt(((local / np.array(radii)) ** 2).sum())
        radius = float(rng.uniform(2.6, 6.0))
        place = centre + way * (reach + radius * float(rng.uniform(-0.4, 0.6)))
        if float(at_points(scene.liver, place[None])[0]) < -radius:
            living = (Ellipsoid(_triple(place), (radius, radius, radius)),)
    return Aftermath(
        Ablation(lesion.id, zone),
        rim_mm=float(rng.uniform(1.0, 3.5)) if rng.random() < 0.5 else 0.0,
        blood=blood,
        gas=gas,
        oil=oil,
        living=living,
        living_kind=lesion.kind,
        open_veins=bool(rng.random() < 0.4),
    )


def _triple(values) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z
