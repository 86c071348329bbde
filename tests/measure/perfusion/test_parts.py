"""Outlines, curves, ellipsoids: closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.measurement import Lesion, Measurement, NotMeasured
from liverimg.measure.perfusion.across import against_target, ellipsoid_volume
from liverimg.measure.perfusion.aligned import power_of_levels
from liverimg.measure.perfusion.curve import Fit, Lognormal, fit_curve
from liverimg.measure.perfusion.outline import Outline, outline_at
from liverimg.measure.perfusion.result import PlaneResult
from liverimg.measure.perfusion.settings import PerfusionSettings


def ellipse(a: float, b: float) -> Outline:
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    return Outline(np.stack([a * np.cos(angle) + 30, b * np.sin(angle) + 25], axis=1))


def test_an_ellipse() -> None:
    outline = ellipse(12, 8)
    assert outline.area == pytest.approx(np.pi * 96, rel=1e-4)
    long, short = outline.diameters()
    assert np.linalg.norm(long[1] - long[0]) == pytest.approx(24, rel=1e-4)
    assert np.linalg.norm(short[1] - short[0]) == pytest.approx(16, rel=1e-3)
    np.testing.assert_allclose(outline.centre, (30, 25), atol=1e-9)
    assert outline.grown(50).area == pytest.approx(np.pi * 96 + 50, rel=1e-4)


def test_a_blurred_disc_is_outlined_at_half_its_depth() -> None:
    """On pixels that are not square; the blur of a curved edge takes pi times its variance."""
    pitch = (0.5, 0.8)
    down, across = np.indices((140, 90)) * np.array(pitch)[:, None, None]
    sigma, radius = 1.2, 14.0
    edge = np.hypot(down - 35, across - 36) - radius
    rise = 1 / (1 + np.exp(-edge * 1.702 / sigma))
    outline = outline_at(rise, 0.5, pitch=pitch, around=np.array([35.0, 36.0]))
    assert outline is not None
    assert outline.area == pytest.approx(np.pi * radius**2, rel=0.002)


def test_grey_levels_are_decibels() -> None:
    power = power_of_levels(60.0)
    assert power[0] == 1
    assert power[255] == pytest.approx(1e6, rel=1e-4)


@pytest.mark.parametrize(("rise", "sigma"), [(10.0, 0.5), (25.0, 1.0), (35.0, 1.3)])
def test_a_lognormal_is_found_again(rise: float, sigma: float, settings: PerfusionSettings) -> None:
    truth = Lognormal(12.0, 900.0, 9.0, rise, sigma)
    times = np.arange(0.0, 150.0, 0.8)
    noise = np.random.default_rng(4).normal(1, 0.03, len(times))
    fit = fit_curve(times, truth.at(times) * noise, settings=settings.curve)
    assert isinstance(fit, Fit)
    assert fit.curve.peak == pytest.approx(900, rel=0.02)
    assert fit.curve.peak_s == pytest.approx(9 + rise, rel=0.03)
    assert fit.half_width(lambda c: c.peak, model_share=0.0) < 0.05 * 900


def test_a_constant_curve_is_no_bolus(settings: PerfusionSettings) -> None:
    times = np.arange(0.0, 60.0)
    assert "no wash-in" in str(fit_curve(times, np.full(60, 7.0), settings=settings.curve))
    assert "too few frames" in str(fit_curve(times[:8], times[:8] + 1, settings=settings.curve))


def plane(long: float, short: float, unit: str = "mm") -> PlaneResult:
    def one(name: str, value: float) -> Measurement:
        return Measurement(name, "P", value, unit, value - 1, value + 1, "m", sources=("1.2",))

    quantities = (one("ceus_long_diameter", long), one("ceus_short_diameter", short))
    return PlaneResult(None, None, None, quantities)  # type: ignore[arg-type]


def test_the_volume_of_two_planes(settings: PerfusionSettings) -> None:
    volume = ellipsoid_volume([plane(44, 36), plane(39, 36)], settings=settings)
    truth = np.pi / 6 * 44 * 39 * 36 / 1000
    assert isinstance(volume, Measurement)
    assert volume.value == pytest.approx(truth, rel=1e-6)
    assert volume.low < truth < volume.high


@pytest.mark.parametrize("planes", [[], [plane(44, 36)], [plane(44, 36), plane(39, 36, "px")]])
def test_one_plane_or_pixels_give_no_volume(planes: list, settings: PerfusionSettings) -> None:
    assert isinstance(ellipsoid_volume(planes, settings=settings), NotMeasured)


def lesion(name: str) -> Lesion:
    quantities = tuple(
        Measurement(q, name, v, "mm", v - 1, v + 1, "m")
        for q, v in (("axial_long_diameter", 32), ("axial_short_diameter", 30))
    )
    return Lesion(name, (0.0, 0.0, 0.0), quantities)


def test_diameters_beside_the_target() -> None:
    long, short = against_target([plane(44, 36)], [lesion("L1")], target=None)
    assert isinstance(long, Measurement) and isinstance(short, Measurement)
    assert (long.value, short.value) == (12, 6)
    assert long.low == pytest.approx(12 - np.sqrt(2))


def test_what_can_not_be_compared_says_why() -> None:
    two = [lesion("L1"), lesion("L2")]
    for lesions, target, words in (
        (None, None, "no baseline"),
        (two, None, "several lesions (L1, L2)"),
        (two, "L9", "no lesion L9"),
        ([], None, "no lesion"),
    ):
        for quantity in against_target([plane(44, 36)], lesions, target=target):
            assert isinstance(quantity, NotMeasured) and words in quantity.reason
    (first, _) = against_target([plane(44, 36, "px")], [lesion("L1")], target=None)
    assert isinstance(first, NotMeasured) and "calibrated" in first.reason
    assert isinstance(against_target([plane(44, 36)], two, target="L2")[0], Measurement)


def test_settings_come_whole_from_the_table(settings: PerfusionSettings) -> None:
    assert replace(settings.phase, arterial_to_s=0.0) != settings.phase
    assert settings.phase.arterial_from_s < settings.phase.arterial_to_s < settings.phase.portal_to_s
