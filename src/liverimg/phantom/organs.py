"""Organs around the liver: spleen, kidneys, aorta, heart, stomach, bowel, pancreas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import Structure
from liverimg.phantom.anatomy import Anatomy
from liverimg.phantom.capsules import Capsules, chain, joined
from liverimg.phantom.scene import Part, Tissue, Tubes, solid
from liverimg.phantom.solids import Common, Ellipsoid, Grown, Triple, Without, turned_ellipsoid
from liverimg.phantom.vessels import resampled
from liverimg.phantom.wall import Frame

FloatArray = NDArray[np.float64]


def organ_parts(person: Anatomy, surfaces: Frame) -> list[Part]:
    """All organs but the liver, in rising priority; the liver lies over them."""
    rng = np.random.default_rng((person.seed, 23))

    def moved(x: float, y: float, z: float) -> Triple:
        shift = rng.normal(0, person.jitter_mm, size=3) if person.jitter_mm else np.zeros(3)
        place = np.array(person.at(x, y, z)) + shift
        return float(place[0]), float(place[1]), float(place[2])

    return [
        *_psoas(person),
        *_heart(person, surfaces, moved(26, -34, 120)),
        *_kidney("right", moved(-58, 54, -58), person, side=-1),
        *_kidney("left", moved(62, 54, -34), person, side=1),
        *_bowel(person, surfaces, rng),
        *_colon(person, rng),
        *_pancreas_and_duodenum(person),
        *_stomach(person),
        *_spleen(person, surfaces, moved(96, 34, 34)),
        *_aorta(person),
    ]


def _psoas(person: Anatomy) -> list[Part]:
    sides = [
        chain(person.line((s * 24, 56, 15), (s * 32, 58, -60), (s * 45, 50, -160), (s * 52, 36, -300)), radius)
        for s in (-1, 1)
        for radius in (np.array([5.0, 14.0, 21.0, 22.0]) * person.mean_size,)
    ]
    crura = [
        chain(person.line((s * 14, 40, 60), (s * 13, 40, 0), (s * 10, 42, -60)), np.array([3.5, 5.0, 3.0]))
        for s in (-1, 1)
    ]
    return [Tubes("psoas and crura", Tissue.MUSCLE, Structure.MUSCLE, joined(*sides, *crura))]


def _heart(person: Anatomy, surfaces: Frame, centre: Triple) -> list[Part]:
    wall = turned_ellipsoid(centre, person.radii(58, 46, 40), about_z_deg=-25, about_y_deg=15)
    fat = Ellipsoid(wall.centre, tuple(r + 5 for r in wall.radii), wall.axes)  # type: ignore[arg-type]
    left = turned_ellipsoid(
        (centre[0] + 14, centre[1] - 4, centre[2] - 2), person.radii(32, 22, 20), about_z_deg=-25, about_y_deg=15
    )
    right = turned_ellipsoid(
        (centre[0] - 20, centre[1] - 8, centre[2] + 2), person.radii(27, 30, 26), about_z_deg=-30, about_y_deg=15
    )
    above = Grown(surfaces.domes, 3.0)
    box = fat.bounds()
    return [
        solid("pericardial fat", Tissue.VISCERAL_FAT, Structure.FAT, Without(fat, above), box=box),
        solid("heart", Tissue.HEART, Structure.HEART, Without(wall, above, 3.0), box=box),
        solid("right ventricle", Tissue.VENA_CAVA, Structure.HEART, Without(right, Grown(above, 3.0)), box=box),
        solid("left ventricle", Tissue.AORTA, Structure.HEART, Without(left, Grown(above, 6.0)), box=box),
    ]


def _kidney(name: str, centre: Triple, person: Anatomy, *, side: int) -> list[Part]:
    turn = {"about_y_deg": 12.0 * side, "about_x_deg": -8.0}
    radii = person.radii(25, 27, 52)
    cortex = turned_ellipsoid(centre, radii, **turn)
    frame = np.array(cortex.axes)
    parts: list[Part] = [solid(f"{name} kidney", Tissue.RENAL_CORTEX, Structure.KIDNEY, cortex)]
    for level in (-0.62, -0.3, 0.02, 0.34, 0.64):
        for angle in (-70.0, 0.0, 70.0):
            ring = np.sqrt(1 - level**2) * 0.56
            out = np.deg2rad(angle)
            local = np.array([side * ring * np.cos(out), ring * np.sin(out), level * 0.86]) * radii
            place = np.array(centre) + local @ frame
            pyramid = Ellipsoid((place[0], place[1], place[2]), tuple(0.9 * v for v in (6.5, 6.5, 6.0)))  # type: ignore[arg-type]
            parts.append(solid(f"{name} pyramid", Tissue.RENAL_MEDULLA, Structure.KIDNEY, pyramid))
    inward = np.array(centre) - side * np.array([13.0 * person.width, 4.0, 0])
    sinus = Ellipsoid((inward[0], inward[1], inward[2]), person.radii(16, 9, 26), cortex.axes)
    pelvis = Ellipsoid((inward[0], inward[1], inward[2]), person.radii(9, 4.5, 13), cortex.axes)
    parts.append(solid(f"{name} renal sinus", Tissue.VISCERAL_FAT, Structure.FAT, sinus))
    parts.append(solid(f"{name} renal pelvis", Tissue.RENAL_PELVIS, None, pelvis))
    out_of = chain(
        [
            (inward[0], inward[1], inward[2]),
            (inward[0] - side * 22, inward[1] - 12, inward[2] + 4),
            (-17 if side < 0 else 4, 32, inward[2] + 8),
        ],
        4.5,
    )
    parts.append(Tubes(f"{name} renal vein", Tissue.VENA_CAVA, None, out_of))
    return parts


def _spleen(person: Anatomy, surfaces: Frame, centre: Triple) -> list[Part]:
    body = turned_ellipsoid(centre, person.radii(34, 56, 58), about_z_deg=-28, about_x_deg=18)
    hollow = Ellipsoid(person.at(60, 6, 40), person.radii(33, 40, 55))
    inner = Common(Grown(surfaces.domes, -1.5), Grown(surfaces.cavity, -3.5), 6.0)
    shape = Common(Without(body, hollow, 8.0), inner, 5.0)
    return [solid("spleen", Tissue.SPLEEN, Structure.SPLEEN, shape, box=body.bounds())]


def _aorta(person: Anatomy) -> list[Part]:
    trunk = chain(person.line((14, 34, 400), (12, 33, 60), (8, 31, -40), (6, 30, -400)), [11.5, 11.0, 10.0, 9.0])
    coeliac = chain(person.line((9, 24, -8), (8, 8, -4), (-8, 0, -6), (-20, -10, -4)), np.array([4.0, 3.4, 2.8, 2.2]))
    splenic = chain(person.line((8, 8, -4), (30, 10, 6), (55, 22, 10), (84, 36, 22)), np.array([3.2, 2.8, 2.6, 2.2]))
    mesenteric = chain(person.line((8, 22, -24), (8, 2, -50), (9, -6, -110), (10, -8, -180)), [3.6, 3.4, 3.2, 3.0])
    renal = [
        chain(person.line((8, 28, -42), (s * 24, 36, -48), (s * 48, 48, -48)), np.array([3.2, 2.8, 2.4]))
        for s in (-1, 1)
    ]
    return [
        Tubes("arteries", Tissue.AORTA, None, joined(coeliac, splenic, mesenteric, *renal)),
        Tubes("aorta", Tissue.AORTA, Structure.AORTA, trunk),
    ]


def _stomach(person: Anatomy) -> list[Part]:
    fill = person.stomach_fill * person.mean_size
    line = person.line((62, 4, 48), (64, -10, 30), (62, -34, 4), (44, -52, -22), (14, -56, -34), (-14, -46, -30))
    path = resampled(np.array(line), step_mm=8.0)
    radii = np.interp(np.linspace(0, 5, len(path)), range(6), np.array([33, 33, 26, 20, 15, 9]) * fill)
    wall = 4.0
    # The gas of a patient who lies on the back collects in front: a second, thinner tube against the front wall.
    lifted = path + np.stack([np.zeros(len(path)), -0.48 * radii, np.zeros(len(path))], axis=1)
    gas = chain(lifted[: len(path) - 3], 0.42 * radii[: len(path) - 3])
    gullet = chain(person.line((6, 22, 400), (8, 20, 75), (28, 12, 62), (52, 6, 56)), [8.0, 8.0, 7.0, 7.0])
    return [
        Tubes("oesophagus", Tissue.STOMACH_WALL, None, gullet),
        Tubes("stomach", Tissue.STOMACH_WALL, Structure.STOMACH, chain(path, radii)),
        Tubes("stomach content", Tissue.STOMACH_CONTENT, Structure.STOMACH, chain(path, np.maximum(radii - wall, 2))),
        Tubes("stomach gas", Tissue.GAS, Structure.GAS, gas),
    ]


def _pancreas_and_duodenum(person: Anatomy) -> list[Part]:
    pancreas = chain(
        person.line((-20, -4, -62), (-16, -10, -46), (0, -20, -36), (26, -12, -20), (52, 8, -4), (76, 28, 10)),
        np.array([11.0, 12.5, 8.0, 9.0, 8.5, 6.0]) * person.mean_size,
    )
    path = resampled(
        np.array(
            person.line(
                (-14, -46, -30),
                (-30, -34, -30),
                (-38, -14, -44),
                (-38, -4, -78),
                (-18, 4, -92),
                (18, 4, -88),
                (34, -12, -76),
            )
        ),
        step_mm=8.0,
    )
    return [
        Tubes("pancreas", Tissue.PANCREAS, Structure.PANCREAS, pancreas),
        Tubes("duodenum", Tissue.BOWEL_WALL, Structure.BOWEL, chain(path, 11.0 * person.mean_size)),
        Tubes("duodenum content", Tissue.BOWEL_CONTENT, Structure.BOWEL, chain(path, 7.5 * person.mean_size)),
    ]


def _bowel(person: Anatomy, surfaces: Frame, rng: np.random.Generator) -> list[Part]:
    """Loops that wind through the lower abdomen, with fluid and here and there gas."""
    points = []
    forward = 1
    for z in np.arange(-58, -330, -26.0):
        for y in (-58.0, -30.0, -4.0):
            span = (54 if y > -40 else 66) * (1.0 if z < -80 else 0.6)
            centre = 22.0 if z > -90 else 6.0
            row = [(centre + forward * s * span, y + 6 * np.sin(3 * s), z) for s in np.linspace(-1, 1, 6)]
            points += row
            forward = -forward
    jittered = np.array(points) + rng.normal(0, 6, size=(len(points), 3))
    path = resampled(jittered * np.array(person.size), step_mm=9.0)
    radii = 11.0 + 2.2 * np.sin(np.arange(len(path)) * 0.55) + rng.normal(0, 0.5, len(path))
    walls, fluid = chain(path, radii), chain(path, radii - 2.8)
    within = Grown(surfaces.cavity, -3.0)
    parts: list[Part] = [
        Tubes("small bowel", Tissue.BOWEL_WALL, Structure.BOWEL, walls, within),
        Tubes("small bowel content", Tissue.BOWEL_CONTENT, Structure.BOWEL, fluid, Grown(surfaces.cavity, -5.5)),
    ]
    gas = _gas(path, radii - 2.8, rng, share=0.4 * person.gas_share)
    return (
        parts
        if gas is None
        else [*parts, Tubes("small bowel gas", Tissue.GAS, Structure.GAS, gas, Grown(surfaces.cavity, -6.0))]
    )


def _colon(person: Anatomy, rng: np.random.Generator) -> list[Part]:
    line = person.line(
        (-92, 22, -330), (-96, 24, -200), (-98, 26, -130), (-92, 6, -104), (-74, -46, -92), (-30, -66, -74),
        (16, -68, -66), (60, -62, -44), (96, -34, -18), (108, 14, -18), (104, 40, -48), (102, 34, -130), (98, 26, -330),
    )  # fmt: skip
    path = resampled(np.array(line), step_mm=6.0)
    radii = (17.0 + 3.2 * np.sin(np.arange(len(path)) * 1.35)) * person.mean_size
    gas = _gas(path, radii - 2.5, rng, share=person.gas_share)
    parts: list[Part] = [
        Tubes("colon", Tissue.BOWEL_WALL, Structure.BOWEL, chain(path, radii)),
        Tubes("colon content", Tissue.STOOL, Structure.BOWEL, chain(path, radii - 2.5)),
    ]
    return parts if gas is None else [*parts, Tubes("colon gas", Tissue.GAS, Structure.GAS, gas)]


def _gas(path: FloatArray, radii: FloatArray, rng: np.random.Generator, *, share: float) -> Capsules | None:
    """Bubbles against the front wall of some stretches."""
    wave = np.convolve(rng.standard_normal(len(path) + 8), np.ones(9) / 3, mode="valid")
    full = wave > np.quantile(wave, 1 - min(share, 0.95))
    lifted = path + np.stack([np.zeros(len(path)), -0.3 * radii, np.zeros(len(path))], axis=1)
    pieces = [
        chain(lifted[n : n + 2], 0.68 * radii[n : n + 2]) for n in range(len(path) - 1) if full[n] and full[n + 1]
    ]
    return joined(*pieces) if pieces else None
