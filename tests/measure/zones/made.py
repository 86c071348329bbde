"""A block of liver with a ball of dead tissue in it, in every phase, with known volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Treated

RULES = ZoneRules.from_tables(read_table("zones"), read_table("measure"))
U, A, P, D = Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED
Place = tuple[float, float, float]
# HU in the unenhanced, arterial and portal venous phase; some in the delayed one too.
LIVER = {U: 58.0, A: 77.0, P: 114.0, D: 95.0}
DEAD = {U: 42.0, A: 42.0, P: 42.0, D: 42.0}
BLOOD = {U: 75.0, A: 75.0, P: 75.0}
GAS = {U: -900.0, A: -900.0, P: -900.0}
OIL = {U: 350.0, A: 350.0, P: 350.0}
CARCINOMA = {U: 47.0, A: 109.0, P: 85.0}
RIM = {U: 54.0, A: 100.0, P: 118.0}
VEIN = {U: 42.0, A: 70.0, P: 160.0, D: 115.0}
# Before the treatment, against the liver.
CARCINOMA_AGAINST_LIVER = {phase: CARCINOMA[phase] - LIVER[phase] for phase in CARCINOMA}
METASTASIS = {U: 45.0, A: 75.0, P: 78.0}
METASTASIS_AGAINST_LIVER = {phase: METASTASIS[phase] - LIVER[phase] for phase in METASTASIS}
# Signal on MR, fat suppressed, in phases after contrast only.
MR_LIVER = {A: 340.0, P: 486.0, D: 516.0}
MR_DEAD = {A: 330.0, P: 330.0, D: 330.0}
MR_BLOOD = {A: 430.0, P: 430.0, D: 430.0}
MR_CARCINOMA = {A: 406.0, P: 376.0, D: 320.0}
MR_METASTASIS = {A: 306.0, P: 327.0, D: 297.0}
MR_RIM = {A: 393.0, P: 505.0, D: 516.0}
MR_VEIN = {A: 230.0, P: 490.0, D: 380.0}
_VALUES = {Structure.LIVER: 1, Structure.HEPATIC_VEIN: 4}


@dataclass(frozen=True)
class Ball:
    """A ball of one tissue; later ones lie over earlier ones."""

    centre: Place
    radius_mm: float
    looks: dict[Phase, float]


@dataclass(frozen=True)
class Made:
    """A study made of balls in a block of liver."""

    image: Volume
    labels: LabelMap
    phases: dict[Phase, PhaseImage]


def make(
    *balls: Ball,
    phases: tuple[Phase, ...] = (U, A, P),
    spacing_mm: Place = (2.0, 1.2, 1.2),
    noise: float = 8.0,
    hole: Ball | None = None,
    directions: object = ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    seed: int = 0,
    mr: bool = False,
) -> Made:
    """Renders them; the liver is a block 84 mm wide in a field of fat, with a vein along it."""
    own, fat = (MR_LIVER, 95.0) if mr else (LIVER, -100.0)
    blood = MR_VEIN if mr else VEIN
    quantity = Quantity.MR_SIGNAL if mr else Quantity.HU
    rng = np.random.default_rng(seed)
    count = [int(np.ceil(104 / s)) for s in spacing_mm]
    centre = -0.5 * (np.asarray(directions, dtype=float).T @ (np.array(count) * spacing_mm))
    grid = Grid.from_axes(
        (count[0], count[1], count[2]),
        spacing_mm=spacing_mm,
        directions=directions,
        origin_lps_mm=centre,
        frame_of_reference_uid="1.2.3",
    )
    places = grid.index_to_lps_mm(np.stack(np.indices(grid.shape), axis=-1))
    liver = np.abs(places).max(axis=-1) <= 42
    vein = np.linalg.norm(places[..., 1:] - (30.0, 28.0), axis=-1) - 4.0
    shown = {}
    for phase in phases:
        array = np.where(liver, own[phase], fat)
        array = _laid(array, vein, blood[phase], grid, liver)
        for ball in balls:
            away = np.linalg.norm(places - ball.centre, axis=-1) - ball.radius_mm
            array = _laid(array, away, ball.looks[phase], grid, liver)
        array = gaussian_filter(array, [0.0, 0.6 / spacing_mm[1], 0.6 / spacing_mm[2]])
        array = array + rng.normal(0, noise, grid.shape)
        shown[phase] = Volume(array.astype(np.float32), grid, quantity)
    labels = liver.astype(np.uint8)
    labels[(vein <= 0) & liver] = _VALUES[Structure.HEPATIC_VEIN]
    if hole is not None:
        labels[np.linalg.norm(places - hole.centre, axis=-1) <= hole.radius_mm] = 0
    # On MR the block has too few edges early to lay phases by.
    images = {phase: PhaseImage(volume, is_reference=mr or phase is P) for phase, volume in shown.items()}
    reference = shown[P] if P in shown else shown[phases[-1]]
    return Made(reference, LabelMap(labels, grid, _VALUES), images)


def lesion(
    name: str, centre: Place, radius_mm: float, *, motion: RigidMotion | None = None, lost: bool = False
) -> Treated:
    """A ball-shaped lesion of the earlier study, at the place where it lies now unless moved."""
    count = int(np.ceil(radius_mm)) * 2 + 3
    corner = np.array(centre) - (count - 1) / 2
    grid = Grid.from_axes((count, count, count), spacing_mm=(1, 1, 1), origin_lps_mm=corner)
    places = grid.index_to_lps_mm(np.stack(np.indices(grid.shape), axis=-1))
    mask = np.linalg.norm(places - centre, axis=-1) <= radius_mm
    moved = None if lost else motion or RigidMotion.none()
    return Treated(name, mask, grid, moved, contrast=CARCINOMA_AGAINST_LIVER)


def ball_ml(radius_mm: float) -> float:
    """Its volume."""
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def _laid(array: np.ndarray, away: np.ndarray, value: float, grid: Grid, liver: np.ndarray) -> np.ndarray:
    steps = [np.gradient(away, axis=axis) for axis in range(3)]
    share = np.clip(0.5 - away / np.maximum(np.sqrt(sum(s**2 for s in steps)), 1e-6), 0, 1) * liver
    return array + share * (value - array)
