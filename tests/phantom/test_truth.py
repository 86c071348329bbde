"""Exact answers against brute force that shares no formula with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.phantom import ellipsoids, margins, render
from liverimg.phantom.capsules import distance
from liverimg.phantom.scene import Scene
from liverimg.phantom.solids import Ellipsoid, at_points, turned_ellipsoid
from liverimg.phantom.truth import SkinDistance, lesion_truth, liver_truth

TURNED = turned_ellipsoid((4.0, -7.0, 12.0), (14.0, 9.0, 6.0), about_x_deg=25, about_y_deg=-40, about_z_deg=65)
VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.ABLATION_ZONE: 3, Structure.HEPATIC_VEIN: 4}


def cloud(shape: Ellipsoid, count: int = 60_000) -> np.ndarray:
    return ellipsoids.surface_points(shape, ellipsoids.unit_directions(count))


def inside_points(shape: Ellipsoid, spacing_mm: float) -> np.ndarray:
    low, high = shape.bounds()
    axes = [np.arange(low[a] + spacing_mm / 2, high[a], spacing_mm) for a in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[at_points(shape, points) <= 0]


def test_axial_diameters_of_a_turned_ellipsoid() -> None:
    long_mm, short_mm = ellipsoids.axial_diameters_mm(TURNED)
    points = inside_points(TURNED, 0.2)
    section = points[np.abs(points[:, 2] - TURNED.centre[2]) < 0.11][:, :2]
    angles = np.deg2rad(np.arange(0, 180, 0.5))
    along = section @ np.stack([np.cos(angles), np.sin(angles)])
    widths = along.max(axis=0) - along.min(axis=0)
    # The widest and the narrowest shadow of an ellipse are its two axes.
    assert widths.max() + 0.2 == pytest.approx(long_mm, abs=0.25)
    assert widths.min() + 0.2 == pytest.approx(short_mm, abs=0.25)


def test_volume_and_signed_distance_of_an_ellipsoid() -> None:
    spacing = 0.25
    assert len(inside_points(TURNED, spacing)) * spacing**3 / 1000 == pytest.approx(
        ellipsoids.volume_ml(TURNED), rel=2e-3
    )
    points = np.array(TURNED.centre) + np.random.default_rng(3).uniform(-18, 18, size=(80, 3))
    surface = cloud(TURNED, 300_000)
    brute = np.array([np.linalg.norm(surface - p, axis=1).min() for p in points])
    signed = ellipsoids.signed_distance(points, TURNED)
    np.testing.assert_allclose(np.abs(signed), brute, atol=0.02)
    assert ((signed < 0) == (at_points(TURNED, points) < 0)).all()


def test_area_weights_integrate_the_area() -> None:
    directions = ellipsoids.unit_directions(40_000)
    shape = Ellipsoid((0, 0, 0), (10.0, 10.0, 3.0))
    weights = ellipsoids.surface_weights(shape, directions)
    # Oblate spheroid: share of the area within |z| < 1.5, by an independent integral over z.
    z = np.linspace(-3, 3, 200_001)
    ring = np.sqrt(np.maximum(1 - (z / 3) ** 2, 0)) * 10
    slope = -((10 / 3) ** 2) * z / np.maximum(ring, 1e-6)
    density = ring * np.sqrt(1 + slope**2)
    expected = density[np.abs(z) < 1.5].sum() / density.sum()
    got = weights[np.abs(ellipsoids.surface_points(shape, directions)[:, 2]) < 1.5].sum()
    assert got == pytest.approx(expected, abs=2e-3)


def test_depths_against_a_dense_skin(scene: Scene, treated_scene: Scene) -> None:
    for person in (scene, treated_scene):
        skin = SkinDistance(person)
        lesion = person.lesions[1]
        exact = lesion_truth(person, lesion, skin=skin)
        shape = ellipsoids.placed(lesion.shape, person.deformation)
        near_skin = skin._skin_points(1.5)
        near_skin = near_skin[np.linalg.norm(near_skin - np.array(shape.centre), axis=1) < exact.depth_far_mm + 15]
        surface = cloud(shape, 600)
        gaps = np.array([np.linalg.norm(near_skin - p, axis=1).min() for p in surface])
        centre = np.linalg.norm(near_skin - np.array(shape.centre), axis=1).min()
        assert exact.depth_near_mm == pytest.approx(gaps.min(), abs=0.05)
        assert exact.depth_far_mm == pytest.approx(gaps.max(), abs=0.05)
        assert exact.depth_centre_mm == pytest.approx(centre, abs=0.02)
        assert exact.depth_centre_mm <= centre + 1e-6


def test_foot_points_lie_on_the_skin_and_look_straight_at_the_point(scene: Scene) -> None:
    skin = SkinDistance(scene)
    points = np.array([[-70.0, 0, 50], [20, -50, 44], [0, 95, 10], [-60, 60, -40]])
    foot = skin.nearest(points)
    value, slope = skin._value_and_slope(foot)
    assert np.abs(value).max() < 1e-6
    cosine = ((foot - points) * slope).sum(axis=1) / np.linalg.norm(foot - points, axis=1)
    np.testing.assert_allclose(cosine / np.linalg.norm(slope, axis=1), 1, atol=1e-9)


def test_vessel_distances_against_many_surface_points(scene: Scene) -> None:
    for lesion in scene.lesions:
        exact = lesion_truth(scene, lesion)
        for tree, gap_mm in (
            (scene.hepatic_veins, exact.to_hepatic_vein_mm),
            (scene.portal_veins, exact.to_portal_vein_mm),
            (scene.bile_ducts, exact.to_bile_duct_mm),
            (scene.vena_cava, exact.to_vena_cava_mm),
        ):
            brute = distance(cloud(lesion.shape, 1500), tree).min()
            assert gap_mm == pytest.approx(brute, abs=0.3)
            assert gap_mm is not None
            assert gap_mm <= brute + 1e-9
    ball = scene.lesions[0].shape
    expected = distance(np.array([ball.centre]), scene.hepatic_veins)[0] - ball.radii[0]
    assert lesion_truth(scene, scene.lesions[0]).to_hepatic_vein_mm == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("r", "big_r", "offset"), [(10, 15, 0), (10, 16, 2), (16, 18, 6), (8, 5, 1), (8, 9, 20)])
def test_margins_of_spheres_against_sampling(scene: Scene, r: float, big_r: float, offset: float) -> None:
    tumour, zone = Ellipsoid((0, 0, 0), (r, r, r)), Ellipsoid((0, offset * 0.6, offset * 0.8), (big_r,) * 3)
    margin = big_r - np.linalg.norm(cloud(tumour) - np.array(zone.centre), axis=1)
    for limit in (0.0, 2.0, 5.0):
        share = margins.share_with_margin(tumour, zone, at_least_mm=limit)
        if abs(share - (margin >= limit).mean()) > 2e-3:
            # All margins are equal: rounding decides on which side of the limit they fall.
            assert offset == 0
            assert margin.min() == pytest.approx(limit)
    points = inside_points(tumour, 0.25)
    left = (np.linalg.norm(points - np.array(zone.centre), axis=1) > big_r).sum() * 0.25**3 / 1000
    assert margins.residual_ml(tumour, zone) == pytest.approx(left, abs=0.01)


def test_residual_of_ellipsoids_against_sampling() -> None:
    zone = turned_ellipsoid((9.0, -4.0, 10.0), (12.0, 10.0, 9.0), about_y_deg=30)
    points = inside_points(TURNED, 0.25)
    left = (at_points(zone, points) > 0).sum() * 0.25**3 / 1000
    assert left > 0.2
    assert margins.residual_ml(TURNED, zone) == pytest.approx(left, rel=5e-3)


def test_ablations_of_the_sample(treated_scene: Scene) -> None:
    missed, covered = (margins.ablation_truth(treated_scene, a) for a in treated_scene.ablations)
    assert missed.minimal_margin_mm == pytest.approx(18 - 16 - 6)
    assert missed.maximal_margin_mm == pytest.approx(18 - abs(16 - 6))
    assert missed.residual_volume_ml > 1
    assert covered.minimal_margin_mm > 5
    assert covered.residual_volume_ml == pytest.approx(0, abs=1e-9)
    assert covered.covered_share == pytest.approx(1)


def test_labels_hold_the_true_volumes(scene: Scene, treated_scene: Scene) -> None:
    for person, structure, expected in (
        (scene, Structure.TUMOUR, ellipsoids.volume_ml(scene.lesions[0].shape)),
        (
            treated_scene,
            Structure.TUMOUR,
            margins.ablation_truth(treated_scene, treated_scene.ablations[0]).residual_volume_ml,
        ),
        (treated_scene, Structure.ABLATION_ZONE, ellipsoids.volume_ml(treated_scene.ablations[0].shape)),
    ):
        centre = ellipsoids.placed(scene.lesions[0].shape, person.deformation).centre
        grid = Grid.from_axes((48, 80, 80), spacing_mm=(1.0, 0.6, 0.6), origin_lps_mm=np.array(centre) - [24, 24, 24])
        labels = render.labels(person, grid, VALUES)
        assert labels.mask(structure).sum() * grid.voxel_ml == pytest.approx(expected, rel=0.02)


def test_liver_volume_against_labels(scene: Scene) -> None:
    value = liver_truth(scene)
    assert 1200 < value.volume_ml < 2200
    grid = Grid.from_axes((60, 60, 70), spacing_mm=(4, 4, 4), origin_lps_mm=(-160, -120, -120))
    bare = dataclasses.replace(scene, parts=tuple(p for p in scene.parts if p.name == "liver"))
    counted = render.labels(bare, grid, VALUES).mask(Structure.LIVER).sum() * grid.voxel_ml
    assert counted == pytest.approx(value.volume_ml, rel=0.005)
    assert value.standard_error_ml < 0.002 * value.volume_ml
