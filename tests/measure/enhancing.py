"""Livers with one lesion of known HU in every phase, seen on grids of their own, moved and noisy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.measure.phases import PhaseImage
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body

SETTINGS = MeasureSettings.from_table(read_table("measure"))
VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.HEPATIC_VEIN: 3}
FRAME = "1.2.3"
LIVER_HU = {Phase.UNENHANCED: 58.0, Phase.ARTERIAL: 77.0, Phase.PORTAL_VENOUS: 114.0, Phase.DELAYED: 95.0}
VEIN_HU = {Phase.UNENHANCED: 42.0, Phase.ARTERIAL: 55.0, Phase.PORTAL_VENOUS: 168.0, Phase.DELAYED: 120.0}
FAT_HU = -100.0
REFERENCE = Phase.PORTAL_VENOUS


@dataclass(frozen=True)
class Look:
    """HU of a lesion's centre and rim in each phase, and how far in the rim reaches, as a share of the radius."""

    core: dict[Phase, float]
    rim: dict[Phase, float]
    rim_share: float = 0.3

    @classmethod
    def even(cls, *hu: float) -> Look:
        """One tissue: unenhanced, arterial, portal venous, delayed."""
        levels = dict(zip(LIVER_HU, hu, strict=True))
        return cls(levels, levels)


HYPER_AND_WASHOUT = Look.even(48, 110, 85, 64)
HYPOVASCULAR = Look.even(40, 44, 60, 65)
RIM_ONLY = Look(Look.even(38, 42, 48, 56).core, Look.even(45, 110, 100, 80).core, 0.45)
LIKE_LIVER = Look(dict(LIVER_HU), dict(LIVER_HU))


@dataclass(frozen=True)
class Made:
    """A scene with its phases."""

    labels: LabelMap
    phases: dict[Phase, PhaseImage]
    radius_mm: float
    look: Look
    quantity: Quantity = Quantity.HU
    moved_lps_mm: dict[Phase, tuple[float, float, float]] = field(default_factory=dict)

    def body(self, *, error_mm: float = 0.0) -> Body:
        """Ready to be measured."""
        quality = LabelQuality("external", surface_error_mm={Structure.TUMOUR: error_mm} if error_mm else {})
        image = self.phases[REFERENCE].volume
        return Body.of(self.labels, quality, settings=SETTINGS, image=image, phases=self.phases)


def liver_grid(rng: np.random.Generator, spacing_mm, *, tilt_rad: float, reach_mm: float = 50.0) -> Grid:
    turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * tilt_rad).as_matrix()
    axes = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float) @ turn.T
    shape = tuple(int(n) for n in np.ceil(2 * reach_mm / np.asarray(spacing_mm)))
    origin = -((np.array(shape) - 1) / 2 * spacing_mm) @ axes + rng.uniform(-0.5, 0.5, 3)
    return Grid.from_axes(
        shape, spacing_mm=spacing_mm, directions=axes, origin_lps_mm=origin, frame_of_reference_uid=FRAME
    )


def make(
    rng: np.random.Generator,
    look: Look,
    *,
    radius_mm: float = 12.0,
    noise_hu: float = 8.0,
    motion_mm: float = 6.0,
    slices_mm: tuple[float, ...] = (3.0, 5.0),
    tilt_rad: float = 0.2,
    phases: tuple[Phase, ...] = tuple(LIVER_HU),
) -> Made:
    """A liver with veins around a ball, each phase on a grid of its own, all but the reference moved.

    Args:
        rng: Of everything that is left to chance.
        look: Of the lesion.
        radius_mm: Its radius.
        noise_hu: Standard deviation per voxel, correlated over neighbours.
        motion_mm: Standard deviation of the motion along the body; a third of it across.
        slices_mm: Slice spacing of the reference and of the others.
        tilt_rad: How oblique the grids are.
        phases: Which there are.
    """
    centre = rng.uniform(-8, 8, 3)
    veins = [_vein(rng, centre, radius_mm) for _ in range(5)]
    images, moved = {}, {}
    labels = None
    for phase in phases:
        is_reference = phase is REFERENCE
        in_plane = float(rng.uniform(1.0, 1.2))
        spacing = (slices_mm[0] if is_reference else slices_mm[-1], in_plane, in_plane)
        grid = liver_grid(rng, spacing, tilt_rad=tilt_rad)
        shift = np.zeros(3) if is_reference else rng.normal(0, motion_mm, 3) * (1 / 3, 1 / 3, 1)
        places = (_centres(grid) - shift).astype(np.float32)
        liver = np.linalg.norm(places / np.float32((42.0, 38.0, 40.0)), axis=-1) - 1
        liver = liver * 38.0
        ball = np.linalg.norm(places - centre.astype(np.float32), axis=-1)
        lesion, inner = ball - radius_mm, ball - radius_mm * (1 - look.rim_share)
        tubes = np.min([_tube(places, *vein) for vein in veins], axis=0)
        image = np.full(grid.shape, FAT_HU)
        pitch = (spacing[0] * in_plane * in_plane) ** (1 / 3)
        for distance, hu in (
            (liver, LIVER_HU[phase]),
            (np.maximum(tubes, liver), VEIN_HU[phase]),
            (lesion, look.rim[phase]),
            (inner, look.core[phase]),
        ):
            share = np.clip(0.5 - distance / pitch, 0, 1)
            image += share * (hu - image)
        grain = gaussian_filter(rng.standard_normal(grid.shape), (0.0, 1.0, 1.0))
        image += grain * (noise_hu / grain.std())
        images[phase] = PhaseImage(Volume(image.astype(np.float32), grid, Quantity.HU), is_reference, source=phase)
        moved[phase] = (float(shift[0]), float(shift[1]), float(shift[2]))
        if is_reference:
            array = np.where(liver <= 0, 1, 0)
            array[(tubes <= 0) & (liver <= 0)] = 3
            array[lesion <= 0] = 2
            labels = LabelMap(array.astype(np.uint8), grid, VALUES)
    assert labels is not None
    return Made(labels, images, radius_mm, look, Quantity.HU, moved)


def _vein(rng, centre, radius_mm):
    """A straight tube that passes the lesion at some distance: start, direction, radius."""
    along = rng.normal(0, 1, 3)
    along /= np.linalg.norm(along)
    aside = np.cross(along, rng.normal(0, 1, 3))
    aside /= np.linalg.norm(aside)
    return centre + aside * (radius_mm + rng.uniform(8, 18)), along, rng.uniform(2.0, 4.5)


def _tube(places, start, along, radius_mm):
    offset = places - start.astype(np.float32)
    ahead = offset @ along.astype(np.float32)
    return np.sqrt(np.maximum((offset * offset).sum(axis=-1) - ahead * ahead, 0)) - radius_mm


def _centres(grid: Grid) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.index_to_lps_mm(index)
