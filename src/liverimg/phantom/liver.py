"""The liver: its surface, veins, portal tree, ducts, gallbladder and tumours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import Structure
from liverimg.phantom.anatomy import Anatomy, TumourPlan
from liverimg.phantom.capsules import Capsules, chain, joined, near_distance
from liverimg.phantom.ducts import beside
from liverimg.phantom.inside import points_inside
from liverimg.phantom.scene import Lesion, LesionKind, Part, Tissue, Tubes, solid
from liverimg.phantom.solids import (
    Blend,
    Common,
    Ellipsoid,
    Grown,
    Implicit,
    Rods,
    Triple,
    Without,
    at_points,
    turned_ellipsoid,
)
from liverimg.phantom.vessels import Growth, SignedDistance, grow_tree, resampled
from liverimg.phantom.wall import Frame

_CLEAR_OF_TUMOUR_MM = 1.2


@dataclass(frozen=True, eq=False)
class Liver:
    """The liver of one person, with its trees."""

    surface: Implicit
    lesions: tuple[Lesion, ...]
    vena_cava: Capsules
    hepatic_veins: Capsules
    portal_veins: Capsules
    bile_ducts: Capsules
    gallbladder: Capsules
    low: Triple
    high: Triple


def build_liver(person: Anatomy, surfaces: Frame) -> Liver:
    """Shapes the liver and grows its trees around the planned tumours."""
    cava, gallbladder = _cava(person), _gallbladder(person)
    surface = shape_liver(person, surfaces)
    low, high = person.at(-150, -110, -150), person.at(130, 110, 125)
    lesions = tuple(_lesion(number, plan, person) for number, plan in enumerate(person.tumours, start=1))
    hepatic, portal = _trees(person, surface, lesions, low, high)
    ducts = _ducts(person, portal, hepatic, lesions)
    return Liver(surface, lesions, cava, hepatic, portal, ducts, gallbladder, low, high)


def _cava(person: Anatomy) -> Capsules:
    return chain(
        person.line((-17, 32, -400), (-17, 30, -40), (-22, 27, 25), (-20, 21, 80), (-13, 10, 118)),
        np.array([10.5, 11.5, 12.5, 13.0, 14.0]) * person.mean_size,
    )


def _gallbladder(person: Anatomy) -> Capsules:
    return chain(
        person.line((-31, -16, -12), (-38, -30, -22), (-47, -48, -33), (-53, -66, -40)),
        np.array([3.5, 8.5, 14.0, 13.0]) * person.mean_size,
    )


def shape_liver(person: Anatomy, surfaces: Frame) -> Implicit:
    """The liver's surface: two lobes under the diaphragm, hollowed by the organs that it lies against."""
    cava, gallbladder = _cava(person), _gallbladder(person)
    swell = person.liver_swell
    tip, reach = person.liver_tip_mm, person.left_lobe_mm
    right = Ellipsoid(
        person.at(-66, 2, 2 - tip / 2),
        tuple(swell * r for r in person.radii(71, 85, 98 + tip / 2)),  # type: ignore[arg-type]
    )
    left = turned_ellipsoid(
        person.at(2 + reach / 2, -46, 42),
        person.radii(86 * swell + reach / 2, 38 * swell, 31 * swell),
        about_y_deg=4,
        about_x_deg=-18,
        about_z_deg=8,
    )
    lobes: Implicit = Blend(right, left, 18.0)
    hollow = turned_ellipsoid(person.at(28, 20, -68), person.radii(94, 100, 92), about_y_deg=-14)
    lobes = Without(lobes, hollow, 16.0)
    lobes = Without(lobes, turned_ellipsoid(person.at(66, 4, 34), person.radii(50, 38, 38)), 12.0)
    lobes = Without(lobes, Ellipsoid(person.at(-58, 56, -60), person.radii(28, 29, 54)), 10.0)
    lobes = Without(lobes, turned_ellipsoid(person.at(-17, 0, -4), person.radii(13, 9, 12)), 6.0)
    lobes = Without(lobes, turned_ellipsoid(person.at(12, -52, 14), person.radii(2.5, 24, 20), about_z_deg=-8), 4.0)
    lobes = Without(lobes, Grown(Rods(cava), -0.5), 4.0)
    lobes = Without(lobes, Grown(Rods(gallbladder), 0.0), 4.0)
    lobes = Without(lobes, Ellipsoid(person.at(4, 66, 60), person.radii(40, 34, 160)), 10.0)
    inner = Common(
        Grown(surfaces.domes, -0.3 - person.ascites_mm), Grown(surfaces.cavity, -1.5 - person.ascites_mm), 5.0
    )
    return Common(lobes, inner, 3.0)


def _lesion(number: int, plan: TumourPlan, person: Anatomy) -> Lesion:
    ax, ay, az = plan.turn_deg
    centre = person.at(*plan.centre)
    shape = (
        Ellipsoid(centre, plan.radii)
        if plan.turn_deg == (0, 0, 0)
        else turned_ellipsoid(centre, plan.radii, about_x_deg=ax, about_y_deg=ay, about_z_deg=az)
    )
    return Lesion(f"T{number}", plan.kind, shape)


def hepatic_trunks(person: Anatomy) -> list[list[Triple]]:
    """Right, middle and left hepatic vein, from the vena cava outward."""
    return [
        person.line((-24, 21, 79), (-42, 25, 72), (-70, 24, 48), (-92, 14, 18), (-100, 6, -12)),
        person.line((-20, 17, 79), (-28, 0, 66), (-40, -22, 38), (-48, -36, 10)),
        person.line((-17, 15, 79), (-6, -4, 68), (12, -24, 56), (36, -42, 48)),
    ]


def portal_trunks(person: Anatomy) -> list[list[Triple]]:
    """Mesenteric and portal vein with its first branches."""
    return [
        person.line((4, -10, -180), (3, -9, -110), (0, -7, -48), (-12, -5, -20), (-24, -3, 3)),
        person.line((-24, -3, 3), (-38, -2, 8), (-50, 0, 10)),
        person.line((-50, 0, 10), (-66, -16, 14), (-78, -30, 22)),
        person.line((-50, 0, 10), (-70, 22, 2), (-86, 34, -14)),
        person.line((-24, -3, 3), (-12, -12, 16), (2, -22, 27), (12, -34, 31)),
        person.line((12, -34, 31), (30, -38, 38), (48, -40, 46)),
    ]


def _trees(
    person: Anatomy, surface: Implicit, lesions: tuple[Lesion, ...], low: Triple, high: Triple
) -> tuple[Capsules, Capsules]:
    rng = np.random.default_rng((person.seed, 11))

    def inside(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return at_points(surface, points)

    targets = points_inside(inside, low, high, rng=rng, per_ml=0.8)
    growth = Growth(
        near_mm=person.vessel_density_mm,
        clearance_mm=_CLEAR_OF_TUMOUR_MM,
        least_radius_mm=person.least_vessel_mm,
    )
    portal_lines = portal_trunks(person)
    trunk_tubes = joined(*[chain(resampled(np.array(t), step_mm=4.0), person.portal_radius_mm) for t in portal_lines])
    radius = np.array([1.0, 0.92, 0.85]) * person.hepatic_radius_mm * person.mean_size
    hepatic = grow_tree(
        hepatic_trunks(person),
        signed_distance=inside,
        target_points=targets,
        rng=rng,
        trunk_radius_mm=list(radius),
        obstacle=_any(near_distance(trunk_tubes), *[_near(lesion.shape) for lesion in lesions]),
        growth=growth,
    )
    portal = grow_tree(
        portal_lines,
        signed_distance=inside,
        target_points=targets,
        rng=rng,
        trunk_radius_mm=person.portal_radius_mm * person.mean_size,
        obstacle=_any(near_distance(hepatic), *[_near(lesion.shape) for lesion in lesions]),
        growth=growth,
    )
    return hepatic, portal


def _near(shape: Ellipsoid) -> SignedDistance:
    return lambda points: at_points(shape, points)


def _any(*obstacles: SignedDistance) -> SignedDistance:
    def nearest(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.min([o(points) for o in obstacles], axis=0))

    return nearest


def _ducts(person: Anatomy, portal: Capsules, hepatic: Capsules, lesions: tuple[Lesion, ...]) -> Capsules:
    """Companions of the portal branches, the common duct on to the pancreas head, and the cystic duct."""
    within = portal.select(portal.end_lps_mm[:, 2] > -50 * person.height)
    ducts = beside(
        within,
        least_radius_mm=max(1.5, person.least_duct_mm / person.duct_ratio),
        radius_ratio=person.duct_ratio,
        gap_mm=0.6,
        towards=(-0.75, -0.65, 0.15),
        clear_of=[hepatic],
    )
    touching = np.zeros(len(ducts), dtype=bool)
    for lesion in lesions:
        middle = 0.5 * (ducts.start_lps_mm + ducts.end_lps_mm)
        touching |= at_points(lesion.shape, middle) < ducts.radius_start_mm + 3.0
    ducts = ducts.select(~touching)
    first = ducts.start_lps_mm[0]
    thick = float(ducts.radius_start_mm[0])
    common = chain([first, first + np.array([-8, 4, -14]), first + np.array([-12, 10, -32])], thick)
    neck = np.array(person.at(-31, -16, -12))
    join = ducts.start_lps_mm[np.argmin(np.linalg.norm(ducts.start_lps_mm - (neck + first) / 2, axis=1))]
    bow = 0.5 * (neck + join) + np.array([-3.0, -3.0, -4.0])
    return joined(ducts, common, chain(resampled(np.array([neck, bow, join]), step_mm=4.0), 1.4 + 0.3 * thick))


def liver_parts(person: Anatomy, liver: Liver) -> list[Part]:
    """The liver and all that lies in it, in rising priority."""
    box = (liver.low, liver.high)
    thick = float(liver.portal_veins.radius_start_mm[0])
    splenic = chain(person.line((82, 34, 16), (60, 18, 4), (30, 0, -18), (0, -7, -46)), 0.72 * thick)
    parts: list[Part] = [
        solid("liver", Tissue.LIVER, Structure.LIVER, liver.surface, box=box),
        Tubes("vena cava", Tissue.VENA_CAVA, Structure.INFERIOR_VENA_CAVA, liver.vena_cava),
        Tubes("gallbladder", Tissue.GALLBLADDER, Structure.GALLBLADDER, liver.gallbladder),
        Tubes("bile ducts", Tissue.BILE, Structure.BILE_DUCT, liver.bile_ducts),
        Tubes("splenic vein", Tissue.PORTAL_VEIN, None, splenic),
        Tubes("portal veins", Tissue.PORTAL_VEIN, Structure.PORTAL_VEIN, liver.portal_veins),
        Tubes("hepatic veins", Tissue.HEPATIC_VEIN, Structure.HEPATIC_VEIN, liver.hepatic_veins),
    ]
    for lesion in liver.lesions:
        parts += lesion_parts(lesion)
    return parts


def lesion_parts(lesion: Lesion) -> list[Part]:
    """A tumour's tissue: HCC with a capsule, or a metastasis with a rim and a poor core."""
    outer, inner, share = (
        (Tissue.HCC_CAPSULE, Tissue.HCC, 0.93)
        if lesion.kind is LesionKind.HCC
        else (Tissue.METASTASIS_RIM, Tissue.METASTASIS_CORE, 0.72)
    )
    shape = lesion.shape
    core = Ellipsoid(shape.centre, tuple(share * r for r in shape.radii), shape.axes)  # type: ignore[arg-type]
    return [
        solid(f"{lesion.id} rim", outer, Structure.TUMOUR, shape),
        solid(f"{lesion.id} core", inner, Structure.TUMOUR, core),
    ]
