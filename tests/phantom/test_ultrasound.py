"""The ultrasound phantom is what it says: speckle, log compression, curves, motion, areas."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.phantom.ultrasound import ContrastPlane, Display, Motion, Outline, Wash
from liverimg.phantom.ultrasound_random import Conditions, random_plane
from liverimg.phantom.ultrasound_render import fan_of, render, shares
from liverimg.phantom.ultrasound_truth import wash_truth, zone_truth

LIVER = Wash(3000.0, 5.0, 20.0, 0.9)


def plane(times_s: np.ndarray, **changes) -> ContrastPlane:
    made = ContrastPlane(
        Display(shape=(80, 80), spacing_mm=(1.0, 1.0)), times_s, Motion.still(len(times_s)),
        zone=Outline((42.0, 1.0), (15.0, 11.0), 30.0), zone_depth_mm=12.0, liver=LIVER, rim=LIVER, rim_mm=1.0,
        vessel=LIVER, seed=5,
    )  # fmt: skip
    return replace(made, **changes)


def test_a_wash_has_the_moments_that_it_states() -> None:
    times = np.linspace(5.0, 4000.0, 400_000)
    power = LIVER.at(times)
    assert times[power.argmax()] == pytest.approx(LIVER.peak_s, abs=0.01)
    assert power.max() == pytest.approx(LIVER.peak)
    first_moment = np.trapezoid((times - 5.0) * power, times) / np.trapezoid(power, times)
    assert first_moment == pytest.approx(LIVER.mean_transit_s, rel=1e-3)
    said = wash_truth(LIVER)
    assert LIVER.at(np.array([said["arrival_s"]]))[0] == pytest.approx(0.1 * LIVER.peak)
    assert said["wash_in_area"] == pytest.approx(np.trapezoid(power[times <= 25], times[times <= 25]), rel=1e-3)


def test_speckle_is_rayleigh_and_grey_is_its_logarithm() -> None:
    """Echo power of the liver at its peak, back from grey levels, is exponential with the mean of the curve."""
    shown = plane(np.full(6, LIVER.peak_s), zone=None, noise=0.0)
    clip = render(shown)
    inner = fan_of(shown.display) & (np.abs(np.indices((80, 80))[1] - 40) < 20)
    power = 10 ** (clip.contrast[:, inner] * 60.0 / 2550)
    assert power.mean() == pytest.approx(LIVER.peak, rel=0.03)
    assert power.std() / power.mean() == pytest.approx(1.0, abs=0.05)
    assert (clip.contrast[:, ~clip.fan] == 0).all()


def test_an_ellipse_has_the_area_of_an_ellipse() -> None:
    truth = zone_truth(plane(np.arange(2.0)))
    assert truth is not None
    assert truth.area_mm2 == pytest.approx(np.pi * 15 * 11, rel=0.002)
    assert truth.long_mm == pytest.approx(30, abs=0.15)
    assert truth.short_mm == pytest.approx(22, abs=0.15)


def test_a_pose_can_be_undone() -> None:
    moved = random_plane(3, Conditions())
    places = np.random.default_rng(0).uniform(-30, 60, (20, 2))
    for frame in (0, 30, 80):
        np.testing.assert_allclose(moved.to_built_mm(moved.to_frame_mm(places, frame), frame), places, atol=1e-9)


def test_parts_share_each_place_and_shrink_beside_the_plane() -> None:
    scene = random_plane(1001, Conditions())
    points = scene.display.points_mm()
    here, beside = shares(scene, points), shares(scene, points, off_mm=0.8 * scene.zone_depth_mm)
    assert (sum(here.values()) <= 1 + 1e-9).all()
    assert beside["zone"].sum() < 0.5 * here["zone"].sum()
    assert "zone" not in shares(scene, points, off_mm=scene.zone_depth_mm)


def test_out_of_plane_shows_another_picture() -> None:
    motion = replace(Motion.still(3), off_plane_mm=np.array([0.0, 0.0, 12.0]))
    clip = render(plane(np.zeros(3), motion=motion))
    grey = clip.b_mode[:, clip.fan].astype(float)
    assert np.corrcoef(grey[0], grey[1])[0, 1] > 0.9
    assert abs(np.corrcoef(grey[0], grey[2])[0, 1]) < 0.3


def test_the_same_seed_gives_the_same_frames() -> None:
    times = np.arange(2.0)
    np.testing.assert_array_equal(render(plane(times)).contrast, render(plane(times)).contrast)
