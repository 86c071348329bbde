"""An ultrasound study goes through the stage "ingest" and the command ``inspect``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from liverimg.core.cine import ClockZero, Pane
from liverimg.files import records
from liverimg.stages.cines import read_clips
from liverimg.workspace import Workspace

TIMES_S = np.arange(30) * 0.5


@pytest.fixture(scope="module")
def study(build_us: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A contrast clip beside B-mode, and two stills without scale."""
    folder = tmp_path_factory.mktemp("us") / "study"
    regions = [build_us.region((0, 0, 71, 59)), build_us.region((80, 0, 151, 59), delta=(0.04, 0.04))]
    build_us.write_loop(folder, build_us.dual(TIMES_S), regions=regions, tags={"FrameTime": "500"})
    for instance in (1, 2):
        grey = build_us.speckle(1, 90, seed=instance)[0]
        tags = {"AcquisitionDateTime": f"2026010110{instance:02d}00", "SeriesDescription": "PHANTOM late"}
        build_us.write_still(folder, np.repeat(grey[..., None], 3, -1), instance, series=2, tags=tags)
    return folder


def test_ingest_writes_cines_that_can_be_read_back(
    study: Path, build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    said = liverimg("ingest", study, "--out", tmp_path / "out")
    assert said.code == 0, said.err
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    assert record["volumes"] == [] and record["reference_volume"] is None and record["rejected"] == []
    stills, loop = record["cines"]
    assert loop["panes"] == ["contrast", "b_mode"]
    assert loop["spacing_ji_mm"] == [0.5, 0.5]
    assert stills["spacing_ji_mm"] is None and "no calibration" in stills["calibration"]
    assert stills["description"] == "[removed] late", "the patient's name in free text"
    for path in sorted((tmp_path / "out").rglob("*.json")):
        if path.parent.name == "cines":
            assert liverimg("validate", path).code == 0
    late, early = read_clips(Workspace(tmp_path / "out"))
    assert late.cines[0].array.shape == (2, 60, 72)
    contrast = early.cines[[p.pane for p in early.clip.pictures].index(Pane.CONTRAST)]
    b_mode = early.cines[[p.pane for p in early.clip.pictures].index(Pane.B_MODE)]
    np.testing.assert_array_equal(b_mode.array, build_us.dual(TIMES_S)[:, :, 80:, 0])
    np.testing.assert_allclose(b_mode.spacing_mm, (0.4, 0.4))
    np.testing.assert_allclose(np.diff(contrast.times_s), 0.5)
    assert early.clip.clock.zero is ClockZero.SIGNAL_ONSET
    assert contrast.unknown == {}


def test_renamed_and_shuffled_files_give_the_same_bytes(
    study: Path, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    for number, path in enumerate(sorted(study.iterdir(), reverse=True)):
        (tmp_path / "again" / str(number)).mkdir(parents=True)
        shutil.copy(path, tmp_path / "again" / str(number) / "x")
    assert liverimg("ingest", study, "--out", tmp_path / "one").code == 0
    assert liverimg("ingest", tmp_path / "again", "--out", tmp_path / "two").code == 0
    for name in ("study.json", "cines/01.json", "cines/02.json", "cines/02_1_contrast.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_the_user_says_wins(
    study: Path, build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    uid = f"{build_us.ROOT}.2.1"
    told = ("--contrast-start", f"{uid}=2.5", "--pane", f"{uid}=right")
    assert liverimg("ingest", study, "--out", tmp_path / "out", *told).code == 0
    loop = read_clips(Workspace(tmp_path / "out"))[1]
    assert [p.pane for p in loop.clip.pictures] == [Pane.B_MODE, Pane.CONTRAST]
    assert loop.cines[0].times_s[0] == -2.5


@pytest.mark.parametrize(
    "told",
    [("--contrast-start", "1.2.3=4"), ("--contrast-start", "1.2.3"), ("--pane", "1.2.3=up"), ("--pane", "1.2.3=left")],
)
def test_wrong_options_leave_by_2(
    told: tuple[str, str], study: Path, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    assert liverimg("ingest", study, "--out", tmp_path / "out", *told).code == 2


def test_pre_still_wants_a_volume(study: Path, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    said = liverimg("pre", study, "--out", tmp_path / "out")
    assert said.code == 3
    assert "2 ultrasound clip" in said.err
    assert not (tmp_path / "out").exists()
    assert liverimg("ingest", study, "--out", tmp_path / "out").code == 0
    assert liverimg("pre", study, "--out", tmp_path / "out").code == 3


def test_inspect_shows_clips(study: Path, liverimg: Callable[..., Any]) -> None:
    said = liverimg("inspect", study)
    assert said.code == 0
    assert "30 frames, 14.50 s" in said.out and "pixels only" in said.out
    record = json.loads(liverimg("inspect", study, "--json").out)
    assert records.problems(record, "inspection") == []
    assert [row["frames"] for row in record["cines"]] == [2, 30]


def test_a_damaged_clip_is_refused_and_the_study_goes_on(
    study: Path, build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    shutil.copytree(study, tmp_path / "study")
    rgb = build_us.tinted(build_us.speckle(4, 90, seed=5))
    path = build_us.write_loop(tmp_path / "study", rgb, colour_space="JPEG", series=3)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert liverimg("ingest", tmp_path / "study", "--out", tmp_path / "out").code == 0
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    assert len(record["cines"]) == 2
    assert [entry["what"][-1] for entry in record["rejected"]] == ["3"]


def test_a_clip_without_identity_is_the_same_clip(study: Path, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    """Masking and new names change no picture, time, scale or clock; stills without regions stay behind."""
    assert liverimg("deidentify", study, "--out", tmp_path / "clean").code == 0
    assert liverimg("ingest", study, "--out", tmp_path / "one").code == 0
    assert liverimg("ingest", tmp_path / "clean", "--out", tmp_path / "two").code == 0
    _, before = read_clips(Workspace(tmp_path / "one"))
    (after,) = read_clips(Workspace(tmp_path / "two"))
    assert after.clip.series_instance_uid != before.clip.series_instance_uid
    assert [p.pane for p in after.clip.pictures] == [p.pane for p in before.clip.pictures]
    assert abs(after.clip.clock.zero_s - before.clip.clock.zero_s) < 0.25
    for first, second in zip(before.cines, after.cines, strict=True):
        assert first.spacing_mm == second.spacing_mm
        middle = (slice(None), slice(20, 40), slice(30, 42))
        np.testing.assert_array_equal(first.array[middle], second.array[middle])


def test_ct_and_ultrasound_of_one_study(
    build: ModuleType, build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    def same_study(made: Any, k: int = 0) -> None:
        made.StudyInstanceUID = f"{build_us.ROOT}.1"

    build.write_series(tmp_path / "study" / "ct", edit=same_study)
    build_us.write_loop(tmp_path / "study" / "us", build_us.dual(TIMES_S), tags={"FrameTime": "500"})
    assert liverimg("ingest", tmp_path / "study", "--out", tmp_path / "out").code == 0
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    assert len(record["volumes"]) == len(record["cines"]) == 1
    assert record["reference_volume"] == record["volumes"][0]["file"]
