"""Exact answers about a scene: what a perfect measurement of it would give.

Volumes and diameters of ellipsoids are closed forms. Distances to tubes are closed forms per point, minimised
over the tumour's surface. Distances to the skin are found on the analytic skin itself. All lengths in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from liverimg.phantom import ellipsoids
from liverimg.phantom.capsules import Capsules, capsule_distance, distance
from liverimg.phantom.deformation import Deformation
from liverimg.phantom.scene import Lesion, Scene, Solid
from liverimg.phantom.solids import Ellipsoid, Rods, at_points

FloatArray = NDArray[np.float64]
Point = tuple[float, float, float]

_MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class LesionTruth:
    """The exact measures of one tumour, in the patient's place at the examination.

    Attributes:
        id: The lesion's.
        kind: ``hcc`` or ``metastasis``.
        centre_lps_mm: Centroid.
        volume_ml: Of the whole tumour.
        axial_long_diameter_mm: Longest chord in an axial plane.
        axial_short_diameter_mm: Longest chord across it in the same plane.
        max_3d_diameter_mm: Longest chord of all.
        depth_near_mm: Shortest way from the tumour's surface to the skin.
        depth_centre_mm: Shortest way from the centroid to the skin.
        depth_far_mm: Shortest way to the skin from the surface point that lies deepest.
        skin_near_lps_mm: Skin point of the near depth.
        to_hepatic_vein_mm: Least surface-to-surface distance; None where the body bends in between.
        to_portal_vein_mm: Likewise.
        to_bile_duct_mm: Likewise.
        to_vena_cava_mm: Likewise.
    """

    id: str
    kind: str
    centre_lps_mm: Point
    volume_ml: float
    axial_long_diameter_mm: float
    axial_short_diameter_mm: float
    max_3d_diameter_mm: float
    depth_near_mm: float
    depth_centre_mm: float
    depth_far_mm: float
    skin_near_lps_mm: Point
    to_hepatic_vein_mm: float | None
    to_portal_vein_mm: float | None
    to_bile_duct_mm: float | None
    to_vena_cava_mm: float | None


@dataclass(frozen=True)
class VolumeTruth:
    """A volume by sampling, with the standard error of the sampling."""

    volume_ml: float
    standard_error_ml: float


def lesion_truth(scene: Scene, lesion: Lesion, *, skin: SkinDistance | None = None) -> LesionTruth:
    """All measures of one tumour."""
    to_skin = skin or SkinDistance(scene)
    shape = ellipsoids.placed(lesion.shape, scene.deformation)
    near, at = ellipsoids.extreme_on_surface(shape, to_skin, start=500, candidates=2)
    far, _ = ellipsoids.extreme_on_surface(shape, to_skin, largest=True, start=500, candidates=2)
    long_mm, short_mm = ellipsoids.axial_diameters_mm(shape)
    return LesionTruth(
        id=lesion.id,
        kind=lesion.kind.value,
        centre_lps_mm=shape.centre,
        volume_ml=ellipsoids.volume_ml(shape),
        axial_long_diameter_mm=long_mm,
        axial_short_diameter_mm=short_mm,
        max_3d_diameter_mm=2 * max(shape.radii),
        depth_near_mm=near,
        depth_centre_mm=float(to_skin(np.array([shape.centre]))[0]),
        depth_far_mm=far,
        skin_near_lps_mm=_point(to_skin.nearest(at[None])[0]),
        to_hepatic_vein_mm=_gap_mm(lesion.shape, scene.hepatic_veins, scene.deformation),
        to_portal_vein_mm=_gap_mm(lesion.shape, scene.portal_veins, scene.deformation),
        to_bile_duct_mm=_gap_mm(lesion.shape, scene.bile_ducts, scene.deformation),
        to_vena_cava_mm=_gap_mm(lesion.shape, scene.vena_cava, scene.deformation),
    )


def scene_truth(scene: Scene) -> tuple[LesionTruth, ...]:
    """All measures of all tumours of a scene."""
    skin = SkinDistance(scene)
    return tuple(lesion_truth(scene, lesion, skin=skin) for lesion in scene.lesions)


def liver_truth(scene: Scene, *, spacing_mm: float = 3.0) -> VolumeTruth:
    """Volume within the liver's surface at the examination, by eight shifted point lattices.

    Vessels, ducts and tumours inside count; the vena cava, which runs in a groove, does not.
    """
    part = next(p for p in scene.parts if isinstance(p, Solid) and p.shape is scene.liver)
    low, high = np.array(part.low_lps_mm), np.array(part.high_lps_mm)
    if scene.deformation is not None:
        corners = np.stack(np.meshgrid(*np.stack([low, high], axis=1), indexing="ij"), axis=-1).reshape(-1, 3)
        corners = scene.deformation.from_built(corners, tolerance_mm=1e-3)
        low, high = corners.min(axis=0) - 15, corners.max(axis=0) + 15
    cava = Rods(scene.vena_cava)
    volumes = []
    for shift in np.ndindex(2, 2, 2):
        first = low + spacing_mm * (0.25 + 0.5 * np.array(shift))
        axes = [np.arange(first[a], high[a], spacing_mm, dtype=np.float32) for a in range(3)]
        x, y, z = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
        if scene.deformation is not None:
            built = scene.deformation.to_built(np.stack(np.broadcast_arrays(x, y, z), axis=-1))
            x, y, z = built[..., 0], built[..., 1], built[..., 2]
        inside = (scene.liver(x, y, z) <= 0) & (cava(x, y, z) > 0)
        volumes.append(float(inside.sum()) * spacing_mm**3 / _MM3_PER_ML)
    return VolumeTruth(float(np.mean(volumes)), float(np.std(volumes, ddof=1) / np.sqrt(8)))


def _gap_mm(shape: Ellipsoid, tubes: Capsules, deformation: Deformation | None) -> float | None:
    """Surface-to-surface distance, as built; None where the deformation changes it."""
    each_mm = capsule_distance(
        np.array(shape.centre), tubes.start_lps_mm, tubes.end_lps_mm, tubes.radius_start_mm, tubes.radius_end_mm
    )
    # The nearest tube gives a gap of at most its distance less the least radius; a tube further than this can't.
    near = tubes.select(each_mm <= each_mm.min() + max(shape.radii) - min(shape.radii) + 1e-9)
    gap_mm, foot = ellipsoids.extreme_on_surface(shape, lambda points: distance(points, near))
    if deformation is not None and not any(
        np.linalg.norm(foot - np.array(ball.centre_lps_mm)) + gap_mm <= ball.radius_mm for ball in deformation.still
    ):
        return None
    return gap_mm


class SkinDistance:
    """Exact distance from points inside the body to the analytic skin.

    A dense cloud of skin points gives the start; from there the foot point slides along the skin until the line
    to it is perpendicular to the skin, to well under a micrometre.
    """

    def __init__(self, scene: Scene, *, step_mm: float = 2.5) -> None:
        self._scene = scene
        self._cloud = self._skin_points(step_mm)
        self._tree = cKDTree(self._cloud)

    def __call__(self, points: FloatArray) -> FloatArray:
        """Distance in mm from points (n, 3), positive inside the body."""
        return np.asarray(np.linalg.norm(self.nearest(points) - points, axis=1))

    def nearest(self, points: FloatArray) -> FloatArray:
        """Nearest skin point of each point, shape (n, 3)."""
        at = np.asarray(points, dtype=float)
        foot = self._cloud[self._tree.query(at)[1]]
        for _ in range(400):
            value, slope = self._value_and_slope(foot)
            foot = foot - (value / (slope * slope).sum(axis=1))[:, None] * slope
            outward = slope / np.linalg.norm(slope, axis=1, keepdims=True)
            to_point = at - foot
            along_skin = to_point - (to_point * outward).sum(axis=1, keepdims=True) * outward
            foot = foot + 0.7 * along_skin
            if float(np.abs(along_skin).max()) < 1e-7:
                break
        value, slope = self._value_and_slope(foot)
        return np.asarray(foot - (value / (slope * slope).sum(axis=1))[:, None] * slope)

    def _value(self, points: FloatArray) -> FloatArray:
        deformation = self._scene.deformation
        built = points if deformation is None else deformation.to_built(points)
        return np.asarray(at_points(self._scene.skin, built), dtype=float)

    def _value_and_slope(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        h = 1e-4
        steps = h * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
        values = self._value((points[None] + steps[:, None]).reshape(-1, 3)).reshape(7, -1)
        return values[0], ((values[1:4] - values[4:7]) / (2 * h)).T

    def _skin_points(self, step_mm: float) -> FloatArray:
        """Points on the skin about every ``step_mm``, by bisection along rays from the body's axis."""
        angles = np.arange(0, 2 * np.pi, step_mm / 150)
        heights = np.arange(-260, 260, step_mm)
        angle, height = (g.ravel() for g in np.meshgrid(angles, heights, indexing="ij"))
        out = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
        axis = np.stack([np.zeros_like(height), np.zeros_like(height), height], axis=1)
        low, high = np.zeros(len(angle)), np.full(len(angle), 400.0)
        for _ in range(24):
            middle = 0.5 * (low + high)
            inside = at_points(self._scene.skin, axis + middle[:, None] * out) < 0
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        points = axis + low[:, None] * out
        deformation = self._scene.deformation
        return points if deformation is None else deformation.from_built(points, tolerance_mm=1e-4)


def _point(values: FloatArray) -> Point:
    return float(values[0]), float(values[1]), float(values[2])
