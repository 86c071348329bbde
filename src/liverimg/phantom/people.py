"""Whole people: the fixed sample, and as many others as seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import Structure
from liverimg.phantom.anatomy import Anatomy, TumourPlan
from liverimg.phantom.capsules import chain, distance
from liverimg.phantom.liver import build_liver, hepatic_trunks, liver_parts, portal_trunks, shape_liver
from liverimg.phantom.organs import organ_parts
from liverimg.phantom.scene import Ablation, LesionKind, Part, Scene, Tissue, solid
from liverimg.phantom.solids import Common, Ellipsoid, Grown, HalfSpace, Triple, Without, at_points
from liverimg.phantom.treated import follow_up_position, treated
from liverimg.phantom.wall import Frame, frame, wall_parts

SAMPLE_SEED = 20261121


def build_scene(person: Anatomy) -> Scene:
    """Puts one person together."""
    surfaces = frame(person)
    liver = build_liver(person, surfaces)
    parts: list[Part] = [
        *wall_parts(person, surfaces),
        *_ascites(person, surfaces, liver.low, liver.high),
        *organ_parts(person, surfaces),
        *liver_parts(person, liver),
    ]
    return Scene(
        person.seed,
        tuple(parts),
        surfaces.skin,
        liver.surface,
        liver.lesions,
        liver.hepatic_veins,
        liver.portal_veins,
        liver.bile_ducts,
        liver.vena_cava,
    )


def _ascites(person: Anatomy, surfaces: Frame, low: Triple, high: Triple) -> list[Part]:
    if person.ascites_mm <= 0:
        return []
    fluid = Common(Grown(surfaces.domes, -1.0), Grown(surfaces.cavity, -2.0), 3.0)
    # Fat keeps its place behind the peritoneum and in the root of the mesentery.
    behind = HalfSpace(person.at(0, 36, 0), (0, -1, 0))
    mesentery = Ellipsoid(person.at(10, 0, -70), person.radii(62, 44, 95))
    shape = Without(Without(fluid, behind, 12.0), mesentery, 8.0)
    return [solid("ascites", Tissue.ASCITES, Structure.ASCITES, shape, box=(low, high))]


def sample_person() -> Anatomy:
    """The person of ``sample_dicom``: an HCC of 32 mm near the right hepatic vein, a metastasis in the left lobe."""
    return Anatomy(
        seed=SAMPLE_SEED,
        # Only what slices of 3 mm show whole: the exact labels then keep the exact distances.
        least_vessel_mm=1.5,
        duct_ratio=0.42,
        least_duct_mm=1.2,
        tumours=(
            TumourPlan(LesionKind.HCC, (-70, 0, 51), (16.0, 16.0, 16.0)),
            TumourPlan(LesionKind.METASTASIS, (22, -50, 44), (7.0, 6.0, 6.5), (10.0, 20.0, 30.0)),
        ),
    )


def sample_scene() -> Scene:
    """The fixed scene of ``sample_dicom``."""
    return build_scene(sample_person())


def ablations_for(scene: Scene) -> tuple[Ablation, ...]:
    """How a scene is treated: the first tumour is missed by 4 mm on one side, the others have about 5 mm to spare."""
    zones = []
    for number, lesion in enumerate(scene.lesions):
        x, y, z = lesion.shape.centre
        largest = max(lesion.shape.radii)
        radius = largest + (2.0 if number == 0 else 6.0)
        centre = (x - 4.8, y - 3.6, z) if number == 0 else (x + 0.6, y, z)
        zones.append(Ablation(lesion.id, Ellipsoid(centre, (radius, radius, radius))))
    return tuple(zones)


def sample_treated_scene() -> Scene:
    """The post-treatment twin of the sample."""
    before = sample_scene()
    ablations = ablations_for(before)
    return treated(before, ablations, deformation=follow_up_position(ablations))


def random_scene(seed: int) -> Scene:
    """A person of any size and shape, with one to three tumours, dilated ducts or ascites now and then."""
    return build_scene(random_person(seed))


def random_person(seed: int) -> Anatomy:
    """The measures of :func:`random_scene`."""
    rng = np.random.default_rng((seed, 5))
    person = Anatomy(
        seed=seed,
        width=float(rng.uniform(0.88, 1.14)),
        depth=float(rng.uniform(0.88, 1.16)),
        height=float(rng.uniform(0.90, 1.10)),
        fat_mm=float(rng.triangular(5, 14, 42)),
        muscle_mm=float(rng.uniform(10, 17)),
        liver_tip_mm=float(rng.normal(0, 12)),
        left_lobe_mm=float(rng.normal(0, 12)),
        liver_swell=float(rng.uniform(0.84, 1.04)),
        portal_radius_mm=float(rng.uniform(6.0, 8.5)),
        hepatic_radius_mm=float(rng.uniform(5.0, 7.5)),
        duct_ratio=float(rng.uniform(0.5, 0.8) if rng.random() < 0.2 else rng.uniform(0.25, 0.4)),
        ascites_mm=float(rng.uniform(3, 18) if rng.random() < 0.2 else 0.0),
        stomach_fill=float(rng.uniform(0.75, 1.15)),
        gas_share=float(rng.uniform(0.1, 0.6)),
        jitter_mm=4.0,
        vessel_density_mm=float(rng.uniform(10, 14)),
    )
    return replace(person, tumours=_random_tumours(person, rng))


def _random_tumours(person: Anatomy, rng: np.random.Generator) -> tuple[TumourPlan, ...]:
    """Ellipsoids deep enough in the liver to be whole, clear of the great vessels and of each other."""
    surface = shape_liver(person, frame(person))
    trunks = [chain(line, person.portal_radius_mm) for line in portal_trunks(person)]
    trunks += [chain(line, person.hepatic_radius_mm) for line in hepatic_trunks(person)]
    found: list[TumourPlan] = []
    taken: list[tuple[NDArray[np.float64], float]] = []
    wanted = int(rng.integers(1, 4))
    for _ in range(2000):
        if len(found) == wanted:
            break
        radius = float(np.exp(rng.uniform(np.log(4.0), np.log(28.0))))
        centre = rng.uniform((-130, -85, -100), (70, 80, 100))
        at = centre * np.array(person.size)
        if at_points(surface, at[None])[0] > -(radius + 3):
            continue
        if min(float(distance(at[None], trunk)[0]) for trunk in trunks) < radius + 2:
            continue
        if any(np.linalg.norm(at - other) < radius + size + 4 for other, size in taken):
            continue
        radii = radius * rng.uniform(0.75, 1.0, size=3)
        turn = rng.uniform(-60, 60, size=3)
        kind = LesionKind.HCC if rng.random() < 0.5 else LesionKind.METASTASIS
        found.append(
            TumourPlan(
                kind,
                (float(centre[0]), float(centre[1]), float(centre[2])),
                (float(radii[0]), float(radii[1]), float(radii[2])),
                (float(turn[0]), float(turn[1]), float(turn[2])),
            )
        )
        taken.append((at, radius))
    return tuple(found)
