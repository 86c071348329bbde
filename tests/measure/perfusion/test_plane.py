"""One plane of the phantom against its exact answers, and what is said when there is nothing to measure."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.measure.perfusion.conftest import OFF_PLANE

from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.perfusion.plane import PlaneInput
from liverimg.measure.perfusion.result import PlaneResult, assess_plane
from liverimg.measure.perfusion.settings import PerfusionSettings
from liverimg.phantom.ultrasound import ContrastPlane
from liverimg.phantom.ultrasound_render import Clip
from liverimg.phantom.ultrasound_truth import truth_record

Make = Callable[..., PlaneInput]


def find(result: PlaneResult, name: str, target: str = "P1") -> Measured:
    return next(q for q in result.quantities if (q.name, q.target) == (name, target))


def assert_right(quantity: Measured, truth: float, *, share: float = 0.05) -> None:
    assert isinstance(quantity, Measurement), quantity
    assert quantity.value == pytest.approx(truth, rel=share)
    assert quantity.low <= truth <= quantity.high


def test_area_and_diameters(result: PlaneResult, scene: ContrastPlane) -> None:
    zone = truth_record(scene)["zone"]
    assert_right(find(result, "ceus_non_enhancing_area"), zone["area_mm2"])
    assert_right(find(result, "ceus_long_diameter"), zone["long_mm"])
    assert_right(find(result, "ceus_short_diameter"), zone["short_mm"])
    assert find(result, "ceus_late_persistence").value > 0.95


def test_curves(result: PlaneResult, scene: ContrastPlane) -> None:
    liver = truth_record(scene)["liver"]
    assert_right(find(result, "ceus_peak", "P1 liver"), liver["peak"])
    assert_right(find(result, "ceus_time_to_peak", "P1 liver"), liver["time_to_peak_s"])
    assert_right(find(result, "ceus_mean_transit_time", "P1 liver"), liver["mean_transit_s"], share=0.08)
    assert not any(q.target == "P1 zone" for q in result.quantities)


def test_frames_out_of_plane_are_rejected(result: PlaneResult) -> None:
    assert result.motion is not None
    assert tuple(np.flatnonzero(~result.motion.kept)) == OFF_PLANE
    assert any("4 of 80 frames show another plane" in w for w in result.warnings)


def test_motion_is_the_phantoms(result: PlaneResult, scene: ContrastPlane) -> None:
    motion = result.motion
    assert motion is not None
    kept = np.flatnonzero(motion.kept)
    down = scene.motion.down_mm[kept] - scene.motion.down_mm[motion.reference]
    np.testing.assert_allclose(motion.shift_px[kept, 0], down, atol=0.25)
    assert motion.similarity[kept].min() > 0.85
    assert np.median(motion.before) < np.median(motion.similarity)


def test_the_focus_is_found_where_it_is(result: PlaneResult, scene: ContrastPlane) -> None:
    assert result.reading is not None and result.motion is not None
    (focus,) = result.reading.foci
    at = scene.to_frame_mm(np.array([scene.foci[0].centre_mm]), result.motion.reference)[0]
    assert np.linalg.norm(np.array(focus.centre) + 0.5 - [0, 38] - at) < 2
    assert_right(find(result, "ceus_focus_diameter", "P1 F1"), 8.0, share=0.25)
    assert_right(find(result, "ceus_time_to_peak", "P1 F1"), 22.0, share=0.1)


def test_without_calibration_there_are_pixels_only(plane_input: Make, settings: PerfusionSettings) -> None:
    result = assess_plane(plane_input(spacing=None), settings=settings)
    units = {q.unit for q in result.quantities if isinstance(q, Measurement)}
    assert "px2" in units and not units & {"mm", "mm2", "ml"}
    assert any("pixels, never millimetres" in w for w in result.warnings)


def test_an_unknown_dynamic_range_takes_the_amplitudes_away(
    plane_input: Make, settings: PerfusionSettings, result: PlaneResult
) -> None:
    assumed = assess_plane(plane_input(dynamic_range_db=None), settings=settings)
    peak = find(assumed, "ceus_peak", "P1 liver")
    assert isinstance(peak, NotMeasured) and "--dynamic-range" in peak.reason
    area, known = find(assumed, "ceus_non_enhancing_area"), find(result, "ceus_non_enhancing_area")
    assert isinstance(area, Measurement) and isinstance(known, Measurement)
    assert area.high - area.low > known.high - known.low
    assert any("60 dB was assumed" in w for w in assumed.warnings)


def test_an_unknown_injection_takes_the_times_after_it_away(plane_input: Make, settings: PerfusionSettings) -> None:
    result = assess_plane(plane_input(injection_known=False), settings=settings)
    assert isinstance(find(result, "ceus_time_to_peak", "P1 liver"), NotMeasured)
    assert isinstance(find(result, "ceus_rise_time", "P1 liver"), Measurement)
    assert any("nobody says when contrast was injected" in w for w in result.warnings)


def nothing_measured(result: PlaneResult, words: str) -> None:
    assert not [q for q in result.quantities if isinstance(q, Measurement)]
    for quantity in result.quantities:
        assert words in quantity.reason


def test_a_clip_that_starts_after_the_arrival(plane_input: Make, settings: PerfusionSettings) -> None:
    nothing_measured(assess_plane(plane_input(slice(34, None)), settings=settings), "had arrived before the clip began")


def test_no_wash_in(plane_input: Make, settings: PerfusionSettings, clip: Clip) -> None:
    before = np.resize(clip.contrast[:6], (30, *clip.contrast.shape[1:]))
    given = plane_input(slice(0, 30), contrast=before)
    nothing_measured(assess_plane(given, settings=settings), "no wash-in")


def test_too_few_frames(plane_input: Make, settings: PerfusionSettings) -> None:
    nothing_measured(assess_plane(plane_input(slice(10, 18)), settings=settings), "too few frames")


def test_saturation(plane_input: Make, settings: PerfusionSettings, clip: Clip) -> None:
    bright = np.where(clip.contrast > 120, 255, clip.contrast).astype(np.uint8)
    area = find(assess_plane(plane_input(contrast=bright), settings=settings), "ceus_non_enhancing_area")
    assert isinstance(area, NotMeasured) and "lower the gain" in area.reason


def test_some_saturation_takes_the_amplitudes_away(plane_input: Make, settings: PerfusionSettings, clip: Clip) -> None:
    bright = np.where(clip.contrast > 172, 255, clip.contrast).astype(np.uint8)
    result = assess_plane(plane_input(contrast=bright), settings=settings)
    assert result.reading is not None and 0.05 < result.reading.saturated < 0.25
    assert isinstance(find(result, "ceus_peak", "P1 liver"), NotMeasured)
    assert isinstance(find(result, "ceus_non_enhancing_area"), Measurement)


def test_a_liver_without_a_zone(plane_input: Make, settings: PerfusionSettings, clip: Clip) -> None:
    """The liver's own speckle, mirrored over the zone."""
    filled = clip.contrast.copy()
    filled[:, 20:60, 20:60] = clip.contrast[:, 60:64, 20:60].repeat(10, axis=1)
    area = find(assess_plane(plane_input(contrast=filled), settings=settings), "ceus_non_enhancing_area")
    assert isinstance(area, NotMeasured) and "no non-enhancing area" in area.reason


def test_pictures_of_different_fields(plane_input: Make, settings: PerfusionSettings, clip: Clip) -> None:
    given = plane_input(b_mode=clip.b_mode[:, :60])
    nothing_measured(assess_plane(given, settings=settings), "fields of different size")
