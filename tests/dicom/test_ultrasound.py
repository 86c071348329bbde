"""Ultrasound becomes cines: right frames, times and millimetres, or the reason why not."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from liverimg.core.cine import ClockZero, Pane
from liverimg.dicom.headers import read_folder
from liverimg.dicom.ultrasound import (
    ClipSource,
    LoadedClip,
    UltrasoundRules,
    clip_sources,
    load_clip,
    with_shared_clock,
)
from liverimg.dicom.ultrasound_pixels import luma_of

TIMES_S = np.arange(40) * 0.5


@pytest.fixture(scope="session")
def us_rules(repository: Path) -> UltrasoundRules:
    text = (repository / "src" / "liverimg" / "data" / "ultrasound.toml").read_text(encoding="utf-8")
    return UltrasoundRules(tomllib.loads(text))


@pytest.fixture
def sources(tmp_path: Path, us_rules: UltrasoundRules) -> Callable[[], tuple[ClipSource, ...]]:
    """The clips that the headers of the test's own folder describe; nothing may be refused."""

    def read() -> tuple[ClipSource, ...]:
        found, refused = clip_sources(read_folder(tmp_path).frames, rules=us_rules)
        assert refused == ()
        return found

    return read


@pytest.fixture
def loaded(sources: Any, us_rules: UltrasoundRules) -> Callable[..., LoadedClip]:
    """The only clip, with its pixels."""

    def load(**told: Any) -> LoadedClip:
        (source,) = sources()
        return load_clip(source, rules=us_rules, **told)

    return load


# ---- colour ----


@pytest.mark.parametrize(
    ("colour_space", "planar"),
    [
        ("MONOCHROME2", 0), ("MONOCHROME1", 0), ("RGB", 0), ("RGB", 1), ("YBR_FULL", 0), ("YBR_FULL", 1),
        ("YBR_FULL_422", 0), ("PALETTE COLOR", 0),
    ],
)  # fmt: skip
def test_a_grey_picture_survives_every_colour_space(
    colour_space: str, planar: int, build_us: ModuleType, tmp_path: Path, loaded: Any
) -> None:
    grey = build_us.speckle(5, 90, seed=0)
    build_us.write_loop(tmp_path, np.repeat(grey[..., None], 3, -1), colour_space=colour_space, planar=planar)
    (cine,) = loaded().cines
    np.testing.assert_array_equal(cine.array, grey)
    assert loaded().clip.pictures[0].colour_map is None


@pytest.mark.parametrize(
    ("colour_space", "planar", "off"),
    [
        ("RGB", 0, 0), ("RGB", 1, 0), ("YBR_FULL", 0, 1), ("YBR_FULL_422", 0, 1), ("PALETTE COLOR", 0, 0),
        ("JPEG", 0, 40),
    ],
)  # fmt: skip
def test_a_tinted_picture_keeps_its_colour_map(
    colour_space: str, planar: int, off: int, build_us: ModuleType, tmp_path: Path, loaded: Any
) -> None:
    rgb = build_us.tinted(build_us.speckle(5, 90, seed=0))
    build_us.write_loop(tmp_path, rgb, colour_space=colour_space, planar=planar)
    entry = loaded()
    difference = np.abs(entry.cines[0].array.astype(int) - luma_of(rgb))
    assert difference.max() <= off
    assert difference.mean() < 1
    table = np.array(entry.clip.pictures[0].colour_map)
    assert table.shape == (256, 3)
    level = 100
    near = np.abs(luma_of(rgb).astype(int) - level) <= 1
    # Half the chroma samples smear the tint from one grain of speckle into the next.
    smeared = colour_space in ("JPEG", "YBR_FULL_422")
    np.testing.assert_allclose(table[level], rgb[near].mean(axis=0), atol=25 if smeared else 6)


def test_deep_grey_values_keep_their_high_bits(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    grey = build_us.speckle(3, 90, seed=0)

    def deepen(made: Any) -> None:
        made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
        made.PixelData = (grey.astype("<u2") << 4).tobytes()
        made["PixelData"].VR = "OW"

    build_us.write_loop(tmp_path, np.repeat(grey[..., None], 3, -1), colour_space="MONOCHROME2", edit=deepen)
    np.testing.assert_array_equal(loaded().cines[0].array, grey)


def test_colour_doppler_is_no_tint(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    rgb = np.repeat(build_us.speckle(4, 90, seed=0)[..., None], 3, -1)
    rgb[:, 20:40, 30:40] = [220, 30, 10]
    build_us.write_loop(tmp_path, rgb)
    clip = loaded().clip
    assert "colour_overlay" in clip.flags
    assert clip.pictures[0].colour_map is None


# ---- times ----

VECTOR = [0, 100, 100, 200, 100, 100]
CASES: list[tuple[dict[str, Any], list[float] | None, str, set[str]]] = [
    ({"FrameTimeVector": VECTOR}, [0, 0.1, 0.2, 0.4, 0.5, 0.6], "FrameTimeVector", set()),
    # The first increment says nothing, whatever it is.
    ({"FrameTimeVector": [90, 100, 100, 200, 100, 100]}, [0, 0.1, 0.2, 0.4, 0.5, 0.6], "FrameTimeVector", set()),
    ({"FrameTimeVector": VECTOR, "FrameTime": "120"}, [0, 0.1, 0.2, 0.4, 0.5, 0.6], "FrameTimeVector", set()),
    ({"FrameTimeVector": VECTOR, "FrameTime": "127"}, [0, 0.1, 0.2, 0.4, 0.5, 0.6], "FrameTimeVector", {"conflict"}),
    ({"FrameTimeVector": VECTOR[1:], "FrameTime": "50"}, [0.05 * n for n in range(6)], "FrameTime", {"invalid"}),
    ({"FrameTimeVector": [0, 100, -5, 9, 9, 9], "CineRate": 10}, [0.1 * n for n in range(6)], "CineRate", {"invalid"}),
    ({"FrameTimeVector": [0] * 6, "CineRate": 10}, [0.1 * n for n in range(6)], "CineRate", {"invalid"}),
    (
        {"FrameTimeVector": [0, 50, 100, 150, 200, 250], "CineRate": 20},
        [0.05 * n for n in range(6)], "FrameTimeVector (times, not increments)", {"absolute"},
    ),
    ({"FrameTime": "40"}, [0.04 * n for n in range(6)], "FrameTime", set()),
    ({"FrameTime": "33.33", "CineRate": 30}, [0.03333 * n for n in range(6)], "FrameTime", set()),
    ({"FrameTime": "40", "CineRate": 30}, [0.04 * n for n in range(6)], "FrameTime", {"conflict"}),
    ({"CineRate": 25, "RecommendedDisplayFrameRate": 25}, [0.04 * n for n in range(6)], "CineRate", set()),
    ({"CineRate": 25, "RecommendedDisplayFrameRate": 50}, [0.04 * n for n in range(6)], "CineRate", {"conflict"}),
    ({"RecommendedDisplayFrameRate": 20}, [0.05 * n for n in range(6)], "RecommendedDisplayFrameRate", set()),
    ({"FrameTime": "100", "EffectiveDuration": 0.6}, [0.1 * n for n in range(6)], "FrameTime", set()),
    ({"FrameTime": "100", "EffectiveDuration": 1.2}, [0.1 * n for n in range(6)], "FrameTime", {"conflict"}),
    ({"FrameTime": "0"}, None, "", {"unknown"}),
    ({}, None, "", {"unknown"}),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "times_s", "source", "flags"), CASES)
def test_times_come_from_the_best_tag(
    tags: dict[str, Any], times_s: list[float] | None, source: str, flags: set[str],
    build_us: ModuleType, tmp_path: Path, sources: Any,
) -> None:  # fmt: skip
    rgb = np.repeat(build_us.speckle(6, 90, seed=0)[..., None], 3, -1)
    build_us.write_loop(tmp_path, rgb, colour_space="MONOCHROME2", tags=tags)
    (found,) = sources()
    assert {flag.removeprefix("frame_times_") for flag in found.clip.flags} == flags
    if times_s is None:
        assert found.clip.times_s is None
        assert "FrameTimeVector" in found.clip.times_detail
        return
    assert found.clip.times_detail == source
    np.testing.assert_allclose(found.clip.times_s, times_s, atol=1e-6)


def test_unknown_times_stay_unknown_in_the_cine(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    build_us.write_loop(tmp_path, np.repeat(build_us.speckle(6, 90, seed=0)[..., None], 3, -1), tags={})
    (cine,) = loaded().cines
    assert cine.times_s is None
    assert "times" in cine.unknown


@pytest.mark.parametrize(
    ("tags", "detail"),
    [
        (lambda n: {"AcquisitionDateTime": f"2026010110{n:02d}30.5"}, "AcquisitionDateTime"),
        (lambda n: {"AcquisitionDate": "20260101", "AcquisitionTime": f"10{n:02d}30"}, "AcquisitionDateTime"),
        (lambda n: {"ContentDate": "20260101", "ContentTime": f"10{n:02d}30"}, "ContentTime"),
        # Everything that was saved within one second: acquisition times tell nothing apart.
        (
            lambda n: {"AcquisitionTime": "100000", "ContentDate": "20260101", "ContentTime": f"10{n:02d}30"},
            "ContentTime",
        ),
    ],
)
def test_stills_are_put_in_order_of_time(
    tags: Callable[[int], dict[str, str]], detail: str, build_us: ModuleType, tmp_path: Path, loaded: Any
) -> None:
    levels = {1: 40, 2: 80, 3: 120}
    minutes = {1: 7, 2: 1, 3: 4}
    for instance, level in levels.items():
        rgb = np.repeat(build_us.speckle(1, level, seed=instance)[0][..., None], 3, -1)
        build_us.write_still(tmp_path, rgb, instance, tags=tags(minutes[instance]))
    entry = loaded()
    assert entry.clip.times_s == (0.0, 180.0, 360.0)
    assert entry.clip.times_detail.startswith(detail)
    assert entry.clip.acquired_at == "20260101100130"
    means = entry.cines[0].array.reshape(3, -1).mean(axis=1)
    assert means[0] > means[2] and means[1] > means[0]


def test_stills_without_times_have_none(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    for instance in (2, 1):
        rgb = np.repeat(build_us.speckle(1, 90, seed=instance)[0][..., None], 3, -1)
        build_us.write_still(tmp_path, rgb, instance)
    clip = loaded().clip
    assert clip.times_s is None
    assert [uid[-1] for uid in clip.sop_instance_uids] == ["1", "2"]


def test_stills_calibrated_otherwise_are_another_clip(build_us: ModuleType, tmp_path: Path, sources: Any) -> None:
    rgb = np.repeat(build_us.speckle(1, 90, seed=1)[0][..., None], 3, -1)
    for instance, delta in ((1, 0.05), (2, 0.05), (3, 0.08)):
        tags = {"AcquisitionDateTime": f"20260101100{instance}00"}
        box = build_us.region((0, 0, 71, 59), delta=(delta, delta))
        build_us.write_still(tmp_path, rgb, instance, regions=[box], tags=tags)
    clips = [source.clip for source in sources()]
    assert [clip.stored_frames for clip in clips] == [2, 1]
    assert all("calibration_differs" in clip.flags for clip in clips)


# ---- scale ----


@pytest.mark.parametrize(
    ("regions", "spacing_mm", "reason"),
    [
        ([((0, 0, 71, 59), {})], (0.5, 0.5), "region 1 of 1"),
        ([((0, 0, 71, 59), {"delta": (0.04, 0.05)})], (0.5, 0.4), "region 1 of 1"),
        ([((0, 0, 71, 59), {"delta": (-0.05, 0.05)})], (0.5, 0.5), "backwards"),
        ([((0, 0, 71, 59), {"delta": (0.05, -0.05)})], (0.5, 0.5), "backwards"),
        ([((0, 0, 72, 60), {})], (0.5, 0.5), "region 1 of 1"),  # corners counted one past the last pixel
        ([((0, 0, 79, 59), {})], None, "larger than the image"),
        ([((0, 0, 71, 59), {"units": 0})], None, "not centimetre"),
        ([((0, 0, 71, 59), {"units": 7})], None, "cm/s"),
        ([((0, 0, 71, 59), {"delta": (0.0, 0.05)})], None, "no size"),
        ([((0, 0, 71, 59), {"delta": (0.05, 5.0)})], None, "believable"),
        ([((0, 0, 71, 59), {"delta": (float("nan"), 0.05)})], None, "no size"),
        ([((0, 0, 71, 59), {"spatial_format": 2, "units": 3})], None, "no two-dimensional region"),
        ([((0, 0, 71, 59), {}), ((0, 0, 71, 59), {"delta": (0.08, 0.08)})], None, "disagree"),
        ([((0, 0, 71, 59), {}), ((20, 20, 40, 40), {"data_type": 2})], (0.5, 0.5), "region 1 of 2"),
        ([((0, 0, 71, 59), {}), ((0, 0, 700, 590), {})], None, "larger than the image"),
        ([], None, "no calibration"),
    ],
)  # fmt: skip
def test_millimetres_only_where_a_region_says_so(
    regions: list[tuple[Any, dict[str, Any]]], spacing_mm: Any, reason: str,
    build_us: ModuleType, tmp_path: Path, loaded: Any,
) -> None:  # fmt: skip
    rgb = np.repeat(build_us.speckle(4, 90, seed=1)[..., None], 3, -1)
    build_us.write_loop(tmp_path, rgb, regions=[build_us.region(box, **more) for box, more in regions])
    entry = loaded()
    (picture,) = entry.clip.pictures
    assert reason in picture.spacing_detail
    assert ("not_calibrated" in entry.clip.flags) == (spacing_mm is None)
    if spacing_mm is None:
        assert picture.spacing_mm is None
        assert reason in entry.cines[0].unknown["spacing"]
    else:
        np.testing.assert_allclose(picture.spacing_mm, spacing_mm)
        assert "spacing" not in entry.cines[0].unknown


def test_implicit_little_endian_regions(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    def implicit(made: Any) -> None:
        made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
        made["PixelData"].VR = "OW"

    rgb = np.repeat(build_us.speckle(4, 90, seed=1)[..., None], 3, -1)
    build_us.write_loop(tmp_path, rgb, regions=[build_us.region((0, 0, 71, 59), delta=(0.04, 0.05))], edit=implicit)
    np.testing.assert_allclose(loaded().clip.pictures[0].spacing_mm, (0.5, 0.4))


# ---- panes ----


@pytest.mark.parametrize("contrast_left", [True, False])
@pytest.mark.parametrize("layout", ["regions", "one region", "content", "touching"])
@pytest.mark.parametrize("in_colour", [True, False])
def test_a_dual_display_is_split_and_named(
    contrast_left: bool, layout: str, in_colour: bool, build_us: ModuleType, tmp_path: Path, loaded: Any
) -> None:
    gap = 0 if layout == "touching" else 8
    rgb = build_us.dual(TIMES_S, contrast_left=contrast_left, gap=gap, in_colour=in_colour)
    regions = []
    if layout == "regions":
        regions = [build_us.region((0, 0, 71, 59)), build_us.region((80, 0, 151, 59))]
    elif layout == "one region":
        regions = [build_us.region((0, 0, 151, 59))]
    build_us.write_loop(tmp_path, rgb, regions=regions, tags={"FrameTime": "500"})
    entry = loaded()
    assert [p.pane for p in entry.clip.pictures] == [Pane.CONTRAST, Pane.B_MODE][:: 1 if contrast_left else -1]
    left, right = (p.box for p in entry.clip.pictures)
    assert left.right <= right.left
    width = build_us.PANE_SHAPE[1]
    assert left.right <= width + gap and right.left >= width
    contrast = entry.clip.picture(Pane.CONTRAST)
    assert contrast is not None
    assert (contrast.colour_map is not None) == in_colour
    assert ("panes_by_content" in entry.clip.flags) == (layout != "regions")
    assert (contrast.spacing_mm is not None) == (layout in ("regions", "one region"))


def test_one_fan_with_a_shadow_down_its_middle_is_one_picture(
    build_us: ModuleType, tmp_path: Path, loaded: Any
) -> None:
    grey = build_us.speckle(20, 90, seed=1, shape=(80, 120))
    grey[:, :, 54:66] = 0
    build_us.write_loop(tmp_path, np.repeat(grey[..., None], 3, -1))
    assert len(loaded().clip.pictures) == 1


def test_two_like_pictures_stay_unnamed(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    grey = np.concatenate([build_us.speckle(20, 85, seed=1), build_us.speckle(20, 85, seed=2)], axis=2)
    regions = [build_us.region((0, 0, 71, 59)), build_us.region((72, 0, 143, 59))]
    build_us.write_loop(tmp_path, np.repeat(grey[..., None], 3, -1), regions=regions)
    entry = loaded()
    assert [p.pane for p in entry.clip.pictures] == [Pane.UNKNOWN] * 2
    assert "pane_unknown" in entry.clip.flags
    assert "pane" in entry.cines[0].unknown
    named = loaded(pane="right")
    assert [p.pane for p in named.clip.pictures] == [Pane.B_MODE, Pane.CONTRAST]


def test_a_single_contrast_picture_wants_two_signs(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    grey = build_us.speckle(40, 6 + build_us.arrival_curve(TIMES_S, at_s=6), seed=1)
    build_us.write_loop(tmp_path, build_us.tinted(grey))
    (picture,) = loaded().clip.pictures
    assert picture.pane is Pane.CONTRAST
    build_us.write_loop(tmp_path, np.repeat(grey[..., None], 3, -1))
    assert loaded().clip.pictures[0].pane is Pane.UNKNOWN
    build_us.write_loop(tmp_path, np.repeat(grey[..., None], 3, -1), tags={"ContrastBolusAgent": "SonoVue"})
    assert loaded().clip.pictures[0].pane is Pane.CONTRAST


# ---- repeated frames ----


def test_frozen_and_repeated_frames_are_dropped_and_listed(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    moving = build_us.speckle(10, 90, seed=1)
    order = [0, 1, 1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 8, 9]
    rgb = np.repeat(moving[order][..., None], 3, -1)
    build_us.write_loop(tmp_path, rgb, regions=[build_us.region((0, 0, 71, 59))])
    entry = loaded()
    assert entry.clip.kept_frames == (0, 1, 3, 4, 5, 6, 10, 11, 12, 13)
    assert [(d.first, d.last, d.same_as) for d in entry.clip.dropped] == [(2, 2, 1), (7, 9, 6)]
    np.testing.assert_array_equal(entry.cines[0].array, moving)
    np.testing.assert_allclose(entry.cines[0].times_s, np.array(entry.clip.kept_frames) * 0.1)
    assert "frames_dropped" in entry.clip.flags


def test_black_before_contrast_is_no_freeze(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    grey = build_us.speckle(12, 90, seed=1)
    grey[:5] = 0
    build_us.write_loop(tmp_path, np.repeat(grey[..., None], 3, -1))
    assert loaded().clip.dropped == ()


# ---- clock ----


def contrast_clip(build_us: ModuleType, folder: Path, at_s: float = 8.0, **tags: Any) -> None:
    rgb = build_us.dual(TIMES_S, at_s=at_s)
    build_us.write_loop(folder, rgb, tags={"FrameTime": "500", **tags})


@pytest.mark.parametrize("at_s", [5.0, 8.0, 11.0])
def test_the_arrival_of_contrast_is_found(at_s: float, build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    contrast_clip(build_us, tmp_path, at_s)
    entry = loaded()
    clock = entry.clip.clock
    assert clock.zero is ClockZero.SIGNAL_ONSET
    assert abs(clock.zero_s - at_s) <= clock.uncertainty_s
    assert clock.uncertainty_s < 2
    np.testing.assert_allclose(entry.cines[0].times_s, TIMES_S - clock.zero_s)


def test_contrast_that_is_there_from_the_start_gives_no_zero(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    contrast_clip(build_us, tmp_path, -30.0)
    entry = loaded()
    assert entry.clip.clock.zero is ClockZero.FIRST_FRAME
    assert entry.clip.clock.uncertainty_s is None
    assert "clock" in entry.cines[0].unknown


def test_the_zero_of_a_tag_an_annotation_and_the_user(build_us: ModuleType, tmp_path: Path, loaded: Any) -> None:
    contrast_clip(build_us, tmp_path, AcquisitionDateTime="20260101235950", ContrastBolusStartTime="235940")
    clock = loaded().clip.clock
    assert (clock.zero, clock.zero_s, clock.uncertainty_s) == (ClockZero.CONTRAST_TAG, -10.0, 1.0)
    # Past midnight.
    contrast_clip(build_us, tmp_path, AcquisitionDateTime="20260101235950", ContrastBolusStartTime="000005")
    assert loaded().clip.clock.zero_s == 15.0
    # ContentTime may be written at either end of the clip.
    contrast_clip(build_us, tmp_path, ContentTime="100000", ContentDate="20260101", ContrastBolusStartTime="095955")
    clock = loaded().clip.clock
    assert (clock.zero_s, clock.uncertainty_s) == (-5.0, 1 + TIMES_S[-1])
    # Of another injection, an hour ago.
    contrast_clip(build_us, tmp_path, AcquisitionDateTime="20260101110000", ContrastBolusStartTime="100000")
    assert loaded().clip.clock.zero is ClockZero.SIGNAL_ONSET
    contrast_clip(build_us, tmp_path, FrameNumbersOfInterest=[1, 5], FrameOfInterestDescription=["start", "Bolus"])
    clock = loaded().clip.clock
    assert (clock.zero, clock.zero_s) == (ClockZero.ANNOTATION, 2.0)
    entry = loaded(contrast_start_s=-3.5)
    assert (entry.clip.clock.zero, entry.clip.clock.zero_s) == (ClockZero.USER, -3.5)
    assert entry.cines[0].times_s[0] == 3.5


def test_a_later_clip_counts_from_the_earlier_one(
    build_us: ModuleType, tmp_path: Path, sources: Any, us_rules: UltrasoundRules
) -> None:
    contrast_clip(build_us, tmp_path, AcquisitionDateTime="20260101100000")
    rgb = build_us.dual(TIMES_S[:12], at_s=-60)
    tags = {"FrameTime": "500", "AcquisitionDateTime": "20260101100200"}
    build_us.write_loop(tmp_path, rgb, series=2, tags=tags)
    first, second = with_shared_clock([load_clip(s, rules=us_rules) for s in sources()], rules=us_rules)
    assert second.clip.clock.zero is ClockZero.OTHER_CLIP
    np.testing.assert_allclose(second.clip.clock.zero_s, first.clip.clock.zero_s - 120)
    np.testing.assert_allclose(second.cines[0].times_s[0], 120 - first.clip.clock.zero_s)
    assert "clock_zero_unknown" not in second.clip.flags


# ---- refused ----


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.2"}, "enhanced_ultrasound"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "secondary_capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.1"}, "modality_not_supported"),
        ({"PhotometricInterpretation": "HSV"}, "pixel_format"),
        ({"PhotometricInterpretation": "RGB"}, "pixel_format"),
        ({"Rows": 600}, "pixel_data_truncated"),
        ({"NumberOfFrames": 9}, "pixel_data_truncated"),
        ({"PixelRepresentation": 1}, "pixel_format"),
    ],
)
def test_refused_with_a_reason(
    spoil: dict[str, Any], code: str, build_us: ModuleType, tmp_path: Path, us_rules: UltrasoundRules
) -> None:
    def edit(made: Any) -> None:
        for keyword, value in spoil.items():
            setattr(made, keyword, value)

    rgb = np.repeat(build_us.speckle(6, 90, seed=0)[..., None], 3, -1)
    build_us.write_loop(tmp_path, rgb, colour_space="MONOCHROME2", edit=edit)
    found, refused = clip_sources(read_folder(tmp_path).frames, rules=us_rules)
    assert found == ()
    assert [entry.code for entry in refused] == [code]


@pytest.mark.parametrize("retired", ["1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.6"])
def test_retired_classes_are_read(retired: str, build_us: ModuleType, tmp_path: Path, sources: Any) -> None:
    def edit(made: Any) -> None:
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = retired

    build_us.write_loop(tmp_path, np.repeat(build_us.speckle(6, 90, seed=0)[..., None], 3, -1), edit=edit)
    assert sources()[0].clip.stored_frames == 6


# ---- a real one ----


def test_the_real_loop(shared_data: Path, us_rules: UltrasoundRules) -> None:
    """An echocardiogram, JPEG in YBR_FULL_422. The scanner wrote 180 mm of depth on the picture."""
    found, refused = clip_sources(read_folder(shared_data / "dicom_real" / "us_loop").frames, rules=us_rules)
    assert refused == ()
    (source,) = found
    entry = load_clip(source, rules=us_rules)
    clip, (cine,) = entry.clip, entry.cines
    assert (clip.stored_frames, clip.stored_shape, clip.dropped) == (65, (456, 576), ())
    # The vector's first increment, 33.333 ms, belongs to no interval: 64 intervals last 2.438318 s.
    assert clip.times_detail == "FrameTimeVector"
    np.testing.assert_allclose(cine.times_s[[0, 1, 2, 64]], [0, 0.033333, 0.083333, 2.438318])
    # Region 1 has no unit and holds the writing around the picture; region 2 is the picture.
    assert [region.units_xy for region in clip.regions] == [(0, 0), (3, 3)]
    (picture,) = clip.pictures
    assert (picture.box.top, picture.box.bottom, picture.box.left, picture.box.right) == (48, 392, 27, 549)
    # Its x axis runs from right to left; a pixel is as wide as it is high all the same.
    assert "mirrored_axis" in clip.flags
    np.testing.assert_allclose(picture.spacing_mm, (0.52478, 0.52478), atol=1e-5)
    assert abs(cine.array.shape[1] * cine.spacing_mm[0] - 180) < 1
    assert picture.pane is Pane.B_MODE
    assert clip.clock.zero is ClockZero.FIRST_FRAME


def test_the_real_loop_has_no_millimetres_outside_its_picture(shared_data: Path, us_rules: UltrasoundRules) -> None:
    from liverimg.core.cine import Box
    from liverimg.dicom.ultrasound_regions import calibration

    found, _ = clip_sources(read_folder(shared_data / "dicom_real" / "us_loop").frames, rules=us_rules)
    clip = found[0].clip
    limits = us_rules["calibration"]
    whole = calibration(Box(0, 456, 0, 576), clip.regions, clip.stored_shape, limits=limits)
    assert whole.spacing_mm is None and "covers" in whole.detail
    # Scaled to half its size after calibration, as some archives do: the regions no longer fit.
    halved = calibration(Box(24, 196, 14, 274), clip.regions, (228, 288), limits=limits)
    assert halved.spacing_mm is None and "scaled" in halved.detail
