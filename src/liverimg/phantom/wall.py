"""Skin, fat, muscle, ribs, spine, diaphragm and lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import Structure
from liverimg.phantom.anatomy import Anatomy
from liverimg.phantom.capsules import Capsules, chain, joined
from liverimg.phantom.scene import Part, Tissue, Tubes, solid
from liverimg.phantom.solids import (
    Blend,
    Common,
    Dome,
    Ellipsoid,
    Grown,
    HalfSpace,
    Implicit,
    Spine,
    Triple,
    Trunk,
    Without,
)

_SKIN_MM = 2.0
_CAVITY = (128.0, 88.0, -4.0)
_BACK_WALL_MM = 22.0


@dataclass(frozen=True)
class Frame:
    """The surfaces that everything inside is fitted to.

    Attributes:
        skin: Outside of the body.
        fat: Outside of the subcutaneous fat.
        muscle: Outside of the muscular wall.
        cavity: Inside of the wall.
        abdomen: Under the diaphragm, within the cavity.
    """

    skin: Implicit
    fat: Implicit
    muscle: Implicit
    cavity: Implicit
    domes: Implicit
    abdomen: Implicit


def frame(person: Anatomy) -> Frame:
    """The nested surfaces of one person."""
    wide, deep, middle = _CAVITY[0] * person.width, _CAVITY[1] * person.depth, _CAVITY[2] * person.depth
    front_mm = 0.8 * person.muscle_mm
    muscle = (wide + person.muscle_mm, deep + 0.5 * (front_mm + _BACK_WALL_MM))
    muscle_middle = middle + 0.5 * (_BACK_WALL_MM - front_mm)
    back_fat_mm = 0.6 * person.fat_mm
    fat = (muscle[0] + 1.05 * person.fat_mm, muscle[1] + 0.5 * (person.fat_mm + back_fat_mm))
    fat_middle = muscle_middle + 0.5 * (back_fat_mm - person.fat_mm)
    shape = {"flare": -0.012, "waist": -0.012}
    belly_mm = 0.35 * person.fat_mm
    cavity = Trunk(wide, deep, middle, **shape)
    sx, sy, sz = person.size
    domes: Implicit = Blend(
        Dome(-60 * sx, -8 * sy, 69 * sx, 77 * sy, 26 * sz, 74 * sz),
        Dome(64 * sx, -8 * sy, 62 * sx, 76 * sy, 20 * sz, 60 * sz),
        24.0,
    )
    domes = Blend(domes, Dome(6 * sx, -34 * sy, 62 * sx, 48 * sy, 20 * sz, 50 * sz), 22.0)
    return Frame(
        Trunk(fat[0] + _SKIN_MM, fat[1] + _SKIN_MM, fat_middle, **shape, groove_mm=7, belly_mm=belly_mm),
        Trunk(*fat, fat_middle, **shape, groove_mm=7, belly_mm=belly_mm),
        Trunk(*muscle, muscle_middle, **shape, groove_mm=5),
        cavity,
        domes,
        Common(domes, cavity, 4.0),
    )


def wall_parts(person: Anatomy, surfaces: Frame) -> list[Part]:
    """Everything from the skin to the diaphragm, and the lungs, in rising priority."""
    sx, sy, sz = person.size
    recess = HalfSpace((0, 0, -8 * sz), (0, -0.55, -1))
    lungs = Common(Without(Grown(surfaces.cavity, -2.0), surfaces.domes), recess, 3.0)
    shell = Common(Grown(surfaces.domes, 2.5), Common(Grown(surfaces.cavity, 1.0), Grown(recess, 6.0)))
    mediastinum = Ellipsoid(person.at(4, 26, 140), person.radii(36, 52, 95))
    low, high = (-1e4, -1e4, 0.0), (1e4, 1e4, 1e4)
    deep_muscles = [
        solid(f"back muscle {name}", Tissue.MUSCLE, Structure.MUSCLE, _column(s * 32 * sx, 88 * sy, 29 * sx, 16 * sy))
        for name, s in (("right", -1), ("left", 1))
    ]
    return [
        solid("skin", Tissue.SKIN, Structure.SKIN, surfaces.skin),
        solid("subcutaneous fat", Tissue.FAT, Structure.FAT, surfaces.fat),
        solid("wall", Tissue.MUSCLE, Structure.MUSCLE, surfaces.muscle),
        solid("midline", Tissue.FAT, Structure.FAT, _column(0, -103 * sy, 5 * sx, 14 * sy)),
        solid("layer of fat in the wall", Tissue.FAT, Structure.FAT, _seam(person)),
        solid("cavity", Tissue.VISCERAL_FAT, Structure.FAT, surfaces.cavity),
        solid("lungs", Tissue.LUNG, Structure.LUNG, lungs, box=((-1e4, -1e4, -80 * sz), high)),
        solid("mediastinum", Tissue.VISCERAL_FAT, Structure.FAT, Common(mediastinum, surfaces.cavity)),
        solid("diaphragm", Tissue.DIAPHRAGM, Structure.MUSCLE, shell, box=((-1e4, -1e4, -80 * sz), high)),
        solid("abdomen", Tissue.VISCERAL_FAT, Structure.FAT, surfaces.abdomen),
        *deep_muscles,
        *_bones(person),
        solid("sternum", Tissue.CORTICAL_BONE, Structure.BONE, _sternum(person, 0.0), box=(low, high)),
        solid("sternum marrow", Tissue.BONE_MARROW, Structure.BONE, _sternum(person, 1.5), box=(low, high)),
    ]


def _column(x: float, y: float, radius_x: float, radius_y: float) -> Dome:
    return Dome(x, y, radius_x, radius_y, 1e4, 100.0, 0.0)


def _seam(person: Anatomy) -> Implicit:
    """A thin layer of fat between the oblique muscles, at the flanks below the ribs."""
    wide, deep = _CAVITY[0] * person.width, _CAVITY[1] * person.depth
    outer = Trunk(
        wide + 0.55 * person.muscle_mm, deep + 0.5 * person.muscle_mm, _CAVITY[2] * person.depth, -0.012, -0.012
    )
    below = HalfSpace((0, 0, -70 * person.height), (0, 0, 1))
    return Common(Without(outer, Grown(outer, -1.6)), below, 2.0)


def _sternum(person: Anatomy, shrink_mm: float) -> Implicit:
    return Grown(Ellipsoid(person.at(0, -101, 145), person.radii(17, 6, 62)), -shrink_mm)


def _bones(person: Anatomy) -> list[Part]:
    sx, sy, sz = person.size
    spine = (56 * sy, 21 * sx, 16 * sy, 31 * sz, 7 * sz)
    ribs, cartilage = _rib_cage(person)
    marrow = Capsules(
        ribs.start_lps_mm,
        ribs.end_lps_mm,
        np.maximum(ribs.radius_start_mm - 1.6, 0.5),
        np.maximum(ribs.radius_end_mm - 1.6, 0.5),
        ribs.parent,
        ribs.generation,
    )
    box = ((-45 * sx, 30 * sy, -1e4), (45 * sx, 125 * sy, 1e4))
    discs = _column(0, spine[0], spine[1], spine[2])
    return [
        solid("discs", Tissue.DISC, None, discs, box=box),
        solid("spine", Tissue.CORTICAL_BONE, Structure.BONE, Spine(*spine), box=box),
        solid("spine marrow", Tissue.BONE_MARROW, Structure.BONE, Spine(*spine, shrink_mm=1.4), box=box),
        solid(
            "canal", Tissue.SPINAL_CORD, None, _column(0, (spine[0] + spine[2] + 10 * sy), 8.5 * sx, 7 * sy), box=box
        ),
        Tubes("costal cartilage", Tissue.CARTILAGE, None, cartilage),
        Tubes("ribs", Tissue.CORTICAL_BONE, Structure.BONE, ribs),
        Tubes("rib marrow", Tissue.BONE_MARROW, Structure.BONE, marrow),
    ]


def _rib_cage(person: Anatomy) -> tuple[Capsules, Capsules]:
    """Ribs 12 to 5 on both sides and the cartilage of ribs 10 to 6."""
    ribs: list[Capsules] = []
    cartilage: list[Capsules] = []
    for number in range(8):
        head_z = -52.0 + 30.0 * number
        end_deg = (58.0, 92.0, 118.0, 122.0, 124.0, 126.0, 128.0, 130.0)[number]
        drop = (38.0, 60.0, 72.0, 74.0, 72.0, 68.0, 64.0, 60.0)[number]
        for side in (-1, 1):
            angles = np.linspace(14.0, end_deg, 22)
            share = (angles - 14.0) / (end_deg - 14.0)
            height = head_z + 8 * np.sin(np.pi * np.minimum(share * 4, 1)) - drop * share**1.15
            line = _along_wall(person, angles, height, side)
            ribs += [chain(line + np.array([0, 0, dz]), 4.2 * person.mean_size) for dz in (-2.6, 2.6)]
            if number >= 2:
                on = np.linspace(end_deg + 1.5, min(172.0, end_deg + 48.0), 12)
                rise = height[-1] + (on - on[0]) / (on[-1] - on[0]) * (46.0 if number < 5 else 30.0)
                cartilage.append(chain(_along_wall(person, on, rise, side), 4.6 * person.mean_size))
    return joined(*ribs), joined(*cartilage)


def _along_wall(
    person: Anatomy, angles_deg: NDArray[np.float64], z: NDArray[np.float64], side: int
) -> NDArray[np.float64]:
    """Points in the middle of the muscular wall; the angle runs from the spine (0) to the front (180)."""
    wide = _CAVITY[0] * person.width + 0.5 * person.muscle_mm
    deep = _CAVITY[1] * person.depth + 0.42 * person.muscle_mm
    size = 1 - 0.012 * (z / 100) - 0.012 * (z / 100) ** 2
    sine, cosine = np.sin(np.deg2rad(angles_deg)), np.cos(np.deg2rad(angles_deg))
    x = side * wide * sine**0.89 * size
    y = _CAVITY[2] * person.depth + deep * np.sign(cosine) * np.abs(cosine) ** 0.89 * size
    return np.stack([x, y, z * person.height], axis=1)


def tube(points: list[Triple], *radii: float) -> Capsules:
    """A tube along a polyline; one radius, or one a point."""
    return chain(points, radii[0] if len(radii) == 1 else np.array(radii))
