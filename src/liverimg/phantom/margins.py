"""Exact ablation margins: closed forms for spheres, fine quadrature for ellipsoids.

The margin of a point on the tumour's surface is its signed distance to the zone's surface, positive where the
zone covers it. Spheres of radius r (tumour) and R (zone) with centres d apart (derivation in the project's
clinical reference): margin at polar angle t is R - sqrt(r^2 + d^2 - 2 r d cos t), least R - r - d, largest
R - |r - d|; the residual tumour is the ball minus the lens that both share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverimg.phantom import ellipsoids
from liverimg.phantom.scene import Ablation, Lesion, Scene
from liverimg.phantom.solids import Ellipsoid

_MM3_PER_ML = 1000.0
_DIRECTIONS = 200_000


@dataclass(frozen=True)
class AblationTruth:
    """The exact outcome of one ablation.

    Attributes:
        lesion_id: Treated lesion.
        zone_volume_ml: Of the whole zone.
        minimal_margin_mm: Signed, negative where tumour is left.
        maximal_margin_mm: Signed.
        residual_volume_ml: Tumour outside the zone.
        thinnest_lps_mm: Point of the tumour's surface with the least margin, at the examination.
        covered_share: Share of the tumour's surface, by area, with a margin of at least 0 mm.
    """

    lesion_id: str
    zone_volume_ml: float
    minimal_margin_mm: float
    maximal_margin_mm: float
    residual_volume_ml: float
    thinnest_lps_mm: tuple[float, float, float]
    covered_share: float


def ablation_truth(scene: Scene, ablation: Ablation) -> AblationTruth:
    """Margins and residual volume of one ablation of a treated scene."""
    lesion = _treated_lesion(scene, ablation)
    tumour = ellipsoids.placed(lesion.shape, scene.deformation)
    zone = ellipsoids.placed(ablation.shape, scene.deformation)
    least, where = ellipsoids.extreme_on_surface(tumour, lambda p: -ellipsoids.signed_distance(p, zone))
    most, _ = ellipsoids.extreme_on_surface(tumour, lambda p: -ellipsoids.signed_distance(p, zone), largest=True)
    if ellipsoids.is_sphere(tumour) and ellipsoids.is_sphere(zone):
        r, big_r, d = _spheres(tumour, zone)
        least, most = big_r - r - d, big_r - abs(r - d)
    return AblationTruth(
        lesion_id=ablation.lesion_id,
        zone_volume_ml=ellipsoids.volume_ml(zone),
        minimal_margin_mm=least,
        maximal_margin_mm=most,
        residual_volume_ml=residual_ml(tumour, zone),
        thinnest_lps_mm=(float(where[0]), float(where[1]), float(where[2])),
        covered_share=share_with_margin(tumour, zone, at_least_mm=0.0),
    )


def _treated_lesion(scene: Scene, ablation: Ablation) -> Lesion:
    for lesion in scene.lesions:
        if lesion.id == ablation.lesion_id:
            return lesion
    raise ValueError(f"the scene has no lesion {ablation.lesion_id}")


def _spheres(tumour: Ellipsoid, zone: Ellipsoid) -> tuple[float, float, float]:
    return tumour.radii[0], zone.radii[0], float(np.linalg.norm(np.subtract(tumour.centre, zone.centre)))


def share_with_margin(tumour: Ellipsoid, zone: Ellipsoid, *, at_least_mm: float) -> float:
    """Share of the tumour's surface, by area, whose margin is at least ``at_least_mm``."""
    if ellipsoids.is_sphere(tumour) and ellipsoids.is_sphere(zone):
        r, big_r, d = _spheres(tumour, zone)
        if d == 0:
            return float(big_r - r >= at_least_mm)
        edge = (r**2 + d**2 - (big_r - at_least_mm) ** 2) / (2 * r * d)
        return float((1 - np.clip(edge, -1, 1)) / 2) if big_r >= at_least_mm else 0.0
    directions = ellipsoids.unit_directions(_DIRECTIONS)
    margin = -ellipsoids.signed_distance(ellipsoids.surface_points(tumour, directions), zone)
    return float(ellipsoids.surface_weights(tumour, directions)[margin >= at_least_mm].sum())


def residual_ml(tumour: Ellipsoid, zone: Ellipsoid) -> float:
    """Volume of the tumour outside the zone."""
    if ellipsoids.is_sphere(tumour) and ellipsoids.is_sphere(zone):
        r, big_r, d = _spheres(tumour, zone)
        ball = 4 / 3 * np.pi * r**3
        if d >= big_r + r:
            return float(ball / _MM3_PER_ML)
        if d <= abs(big_r - r):
            return float(max(ball - 4 / 3 * np.pi * big_r**3, 0) / _MM3_PER_ML)
        lens = np.pi * (big_r + r - d) ** 2 * (d**2 + 2 * d * (r + big_r) - 3 * (r - big_r) ** 2) / (12 * d)
        return float((ball - lens) / _MM3_PER_ML)
    # Along each ray from the tumour's centre the zone is one interval: a quadratic gives its ends, and r^2 dr
    # integrates exactly. What is left is an average over directions.
    directions = ellipsoids.unit_directions(_DIRECTIONS)
    scaled = np.diag(1 / np.array(zone.radii)) @ zone.frame
    ray = ((directions * tumour.radii) @ tumour.frame) @ scaled.T
    start = scaled @ np.subtract(tumour.centre, zone.centre)
    a, b, c = (ray * ray).sum(axis=1), ray @ start, float(start @ start) - 1
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    first, last = (np.clip((-b + s * root) / a, 0, 1) for s in (-1, 1))
    covered = np.where(b * b > a * c, last**3 - first**3, 0)
    return float((1 - covered.mean()) * ellipsoids.volume_ml(tumour))
