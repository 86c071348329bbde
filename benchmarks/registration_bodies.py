"""Made people as bodies on fine cubes, without noise, by CT or MR: what examinations are looked at of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity
from liverimg.files.tables import read_table
from liverimg.phantom.contrast import Contrast, Look
from liverimg.phantom.people import build_scene, random_person
from liverimg.phantom.render import image, labels, layers
from liverimg.phantom.scene import Scene, Solid
from liverimg.phantom.solids import Ellipsoid

FINE_MM = 1.5
BEYOND_MM = 24.0
_LIVER = (
    Structure.LIVER,
    Structure.TUMOUR,
    Structure.HEPATIC_VEIN,
    Structure.PORTAL_VEIN,
    Structure.BILE_DUCT,
)
_PHASES = {
    Modality.CT: (Phase.PORTAL_VENOUS, Phase.ARTERIAL, Phase.DELAYED, Phase.UNENHANCED),
    Modality.MR: (Phase.PORTAL_VENOUS, Phase.ARTERIAL, Phase.DELAYED, Phase.UNENHANCED, Phase.HEPATOBILIARY),
}


@dataclass(frozen=True, eq=False)
class Body:
    """A body as built, on fine cubes, without noise.

    Attributes:
        grid: Of all arrays.
        images: HU or MR signal by phase, ``fluid`` the portal venous one with ascites; ``second`` the same phase with
            noise of its own, where a real body gives it.
        signed_mm: Signed distance to the liver's surface, outside positive.
        tumours: By name.
        few_vessels: For tables.
        noisy: Whether the images have their own noise already.
        quantity: What the images' values are.
    """

    grid: Grid
    images: Mapping[str, np.ndarray] = field(repr=False)
    signed_mm: np.ndarray = field(repr=False)
    tumours: Mapping[str, Ellipsoid]
    few_vessels: bool = False
    noisy: bool = False
    quantity: Quantity = Quantity.HU


def draw_body(seed: int, modality: Modality = Modality.CT) -> Body | None:
    """A made person by a number; None for one without a tumour."""
    rng = np.random.default_rng((seed, 41))
    person = replace(random_person(seed), ascites_mm=0.0)
    few = bool(rng.random() < 0.33)
    if few:
        person = replace(person, least_vessel_mm=2.2, vessel_density_mm=20.0)
    scene = build_scene(person)
    if not scene.lesions:
        return None
    grid = _grid_around(scene)
    contrast = Contrast.from_table(read_table("phantom"), modality)
    found = layers(scene, grid)
    found = replace(found, texture=np.zeros(grid.shape, dtype=np.float32))
    images = {phase.value: _plain(found, contrast, phase) for phase in _PHASES[modality]}
    if rng.random() < 0.35:
        wet = layers(build_scene(replace(person, ascites_mm=float(rng.uniform(6, 18)))), grid)
        wet = replace(wet, texture=np.zeros(grid.shape, dtype=np.float32))
        images["fluid"] = _plain(wet, contrast, Phase.PORTAL_VENOUS)
    drawn = labels(scene, grid, {s: n for n, s in enumerate(_LIVER, 1)}).array > 0
    tumours = {lesion.id: lesion.shape for lesion in scene.lesions}
    quantity = Quantity.HU if modality is Modality.CT else Quantity.MR_SIGNAL
    return Body(grid, images, signed_distance(drawn, grid), tumours, few, quantity=quantity)


def signed_distance(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Distance to the border of a mask in mm, outside positive."""
    spacing = grid.spacing_mm
    outside, inside = ndimage.distance_transform_edt(~mask, spacing), ndimage.distance_transform_edt(mask, spacing)
    return np.asarray(outside - inside, dtype=np.float32)


def _plain(found, contrast: Contrast, phase: Phase) -> np.ndarray:
    flat = {tissue: Look(look.mean, 0.0) for tissue, look in contrast.looks(phase).items()}
    return image(found, flat, background=contrast.background, noise=0.0, seed=0, blur_mm=0.0).array


def _grid_around(scene: Scene) -> Grid:
    part = next(p for p in scene.parts if isinstance(p, Solid) and p.shape is scene.liver)
    axes = [np.arange(a, b, 6.0) for a, b in zip(part.low_lps_mm, part.high_lps_mm, strict=True)]
    x, y, z = axes
    index = np.argwhere(scene.liver(x[:, None, None], y[None, :, None], z[None, None, :]) <= 0)
    low = np.array([axis[n] for axis, n in zip(axes, index.min(axis=0), strict=True)]) - BEYOND_MM - 10
    high = np.array([axis[n] for axis, n in zip(axes, index.max(axis=0), strict=True)]) + BEYOND_MM + 10
    count = np.ceil((high - low)[::-1] / FINE_MM).astype(int)
    return Grid.from_axes((int(count[0]), int(count[1]), int(count[2])), spacing_mm=(FINE_MM,) * 3, origin_lps_mm=low)
