"""``liverimg ceus``: the sample from files to page, and every bad input with its one sentence and exit code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pytest
from tests.dicom import build_us

from liverimg.core.cine import Pane
from liverimg.core.measurement import Lesion, Measurement, MeasurementSet, NotMeasured
from liverimg.core.study import Study
from liverimg.dicom.write import StudyHeader, uid_from
from liverimg.dicom.write_ultrasound import ClipHeader, write_clip
from liverimg.files import records
from liverimg.files.result_records import measurements_to_record
from liverimg.files.study_records import study_to_record
from liverimg.files.tables import read_table
from liverimg.measure.perfusion.plane import PlaneInput
from liverimg.measure.perfusion.result import assess_plane
from liverimg.measure.perfusion.settings import PerfusionSettings
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.cohort_tables import write_tables
from liverimg.report.cohort_page import render_cohort_page
from liverimg.stages.cines import read_clips
from liverimg.stages.export import long_table
from liverimg.workspace import Workspace

Run = Callable[..., Any]
TIMES_S = np.arange(30) * 1.0
STUDY = StudyHeader("PHANTOM^CEUS", "P-7", uid_from("ceus test"), "20260120", "100000")
CLIP = ClipHeader(1, uid_from("ceus test", 1), "CEUS", "100000", "100000", "Microbubbles", TIMES_S, (0.8, 0.8), 60.0)


def panes(*, contrast: bool = True) -> tuple[np.ndarray, ...]:
    """A contrast picture that brightens, beside a B-mode picture; or the latter alone."""
    level = 6 + build_us.arrival_curve(TIMES_S, at_s=8.0)
    b_mode = build_us.speckle(len(TIMES_S), 85, seed=2)
    return (build_us.speckle(len(TIMES_S), level, seed=1), b_mode) if contrast else (b_mode,)


def baseline_at(folder: Path, *, patient_check: str | None) -> Path:
    """The results of a study before ablation: one lesion of 32 x 30 mm."""
    folder.mkdir()
    (folder / "provenance").mkdir()
    study = Study("1.2.3", "20260105", (), patient_check=patient_check)
    record = study_to_record(study, files=(), quantities=(), reference=None)
    (folder / "study.json").write_text(records.dump(record))
    diameters = (("axial_long_diameter", 32.0), ("axial_short_diameter", 30.0))
    lesion = Lesion(
        "L1",
        (0.0, 0.0, 0.0),
        tuple(Measurement(n, "L1", v, "mm", v - 1, v + 1, "m", sources=("1.2",)) for n, v in diameters),
    )
    measured = measurements_to_record(
        MeasurementSet((lesion,), ()),
        study={
            "study_instance_uid": "1.2.3", "study_date": "20260105", "reference_series_instance_uid": "1.2",
            "reference_volume": "volumes/01.nii.gz", "modality": "CT", "phase": "portal_venous",
            "spacing_kji_mm": [3.0, 0.8, 0.8],
        },
        labels={"origin": "external", "model": None, "sha256": "0" * 64},
    )  # fmt: skip
    (folder / "measurements.json").write_text(records.dump(measured))
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """The sample's two planes, with a baseline of the same patient; not to be changed by tests."""
    from liverimg.cli.ceus import ceus

    place = tmp_path_factory.mktemp("ceus")
    baseline = baseline_at(place / "pre", patient_check=None)
    ceus(sample / "ceus", place / "out", baseline=baseline)
    return place / "out"


def test_the_sample_comes_out_right(done: Path, sample: Path) -> None:
    record = json.loads((done / "perfusion.json").read_text())
    truth = json.loads((sample / "truth" / "ceus.json").read_text())
    for plane, true in zip(record["planes"], truth["planes"], strict=True):
        by_name = {(q["name"], q["target"]): q for q in plane["quantities"]}
        wanted = {
            ("ceus_non_enhancing_area", plane["id"]): true["zone"]["area_mm2"],
            ("ceus_long_diameter", plane["id"]): true["zone"]["long_mm"],
            ("ceus_short_diameter", plane["id"]): true["zone"]["short_mm"],
            ("ceus_peak", f"{plane['id']} liver"): true["liver"]["peak"],
            ("ceus_time_to_peak", f"{plane['id']} liver"): true["liver"]["time_to_peak_s"],
        }
        for key, exact in wanted.items():
            assert by_name[key]["value"] == pytest.approx(exact, rel=0.05), key
            assert by_name[key]["low"] <= exact <= by_name[key]["high"], key
        assert plane["frames"]["rejected"] == true["frames_off_plane"]
        assert len(plane["foci"]) == len(true["foci"])
    zone = {q["name"]: q for q in record["quantities"]}
    volume = zone["ceus_ellipsoid_volume"]
    assert volume["low"] <= truth["ellipsoid_volume_ml"] <= volume["high"]
    assert volume["value"] == pytest.approx(truth["ellipsoid_volume_ml"], rel=0.05)
    assert zone["ceus_long_diameter_excess"]["value"] == pytest.approx(12, abs=1.5)
    assert "sensitivity for residual tumour 33 %" in record["warnings"][0]
    assert any("can't be checked" in w for w in record["warnings"])


def test_the_page_holds_everything_and_fetches_nothing(done: Path) -> None:
    page = (done / "perfusion.html").read_text()
    assert "Plane P1" in page and "Plane P2" in page and "not a medical device" in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert page.count('<image href="data:image/png') == 8
    for warning in json.loads((done / "perfusion.json").read_text())["warnings"]:
        assert warning.split("±")[0][:40] in page


def test_results_keep_their_schema_and_are_kept(done: Path, sample: Path, liverimg: Run) -> None:
    assert liverimg("validate", done / "perfusion.json").code == 0
    before = (done / "perfusion.html").read_bytes()
    said = liverimg("ceus", sample / "ceus", "--out", done, "--baseline", done.parent / "pre")
    assert said.code == 0 and "up to date already: ingest, ceus, ceus_report" in said.out
    assert (done / "perfusion.html").read_bytes() == before
    with np.load(done / "perfusion" / "P1.npz") as maps:
        assert {"peak", "time_to_peak_s", "zone", "foci", "enhancement_portal"} <= set(maps.files)


def test_every_quantity_is_documented(done: Path, repository: Path) -> None:
    page = (repository / "docs" / "reference" / "perfusion.md").read_text()
    record = json.loads((done / "perfusion.json").read_text())
    rows = [*record["quantities"], *(q for plane in record["planes"] for q in plane["quantities"])]
    for name in {q["name"] for q in rows}:
        assert f"`{name}`" in page, name


def test_tables_hold_every_number_in_its_own_unit(done: Path, tmp_path: Path, liverimg: Run) -> None:
    record = json.loads((done / "perfusion.json").read_text())
    wanted = [*(q for plane in record["planes"] for q in plane["quantities"]), *record["quantities"]]
    _, sheet = long_table(done)
    rows = [dict(zip(sheet.header, row, strict=True)) for row in sheet.rows]
    assert [(r["quantity"], r["target"], r["value"]) for r in rows] == [
        (q["name"], q["target"], q.get("value")) for q in wanted
    ]
    assert {r["kind"] for r in rows} == {"plane", "liver", "rim", "focus", "zone"}
    assert all(
        r["unit"] == q.get("unit", r["unit"]) and r["ucum"] and r["title"] for r, q in zip(rows, wanted, strict=True)
    )
    assert all(r["reason"] for r in rows if r["measured"] == "no")
    said = liverimg("export", done, "--csv", tmp_path / "ceus.csv", "--xlsx", tmp_path / "ceus.xlsx")
    assert said.code == 0, said.err
    book = openpyxl.load_workbook(tmp_path / "ceus.xlsx")
    assert book.sheetnames == ["planes", "quantities", "not used", "about"]
    first = next(book["planes"].iter_rows(min_row=2, values_only=True))
    assert first[0] == "P1" and first[4] == "mm2" and first[11] == "mm" and isinstance(first[1], float)


def test_pixels_never_become_millimetres(done: Path, tmp_path: Path) -> None:
    """A cohort of a calibrated and an uncalibrated clip: pixels are counted, and put together with nothing."""
    cohort = CohortFolder(tmp_path / "cohort")
    with cohort.locked():
        for name in ("mm", "px"):
            shutil.copytree(done, cohort.study(name))
        record = json.loads((done / "perfusion.json").read_text())
        for plane in record["planes"]:
            plane["spacing_ji_mm"] = None
            for quantity in plane["quantities"]:
                quantity |= {"unit": {"mm": "px", "mm2": "px2"}.get(quantity["unit"], quantity["unit"])}
        size = record["planes"][0]["quantities"]
        size[1] = {"name": size[1]["name"], "target": "P1", "not_measured": "no dark place"}
        (cohort.study("px") / "perfusion.json").write_text(json.dumps(record))
        gathered = write_tables(cohort, ["mm", "px"], processes=1)
    rows = pq.read_table(cohort.folder / "measurements.parquet").to_pylist()
    of_plane = {
        study: {r["unit"] for r in rows if r["study_id"] == study and r["kind"] == "plane"} for study in ("mm", "px")
    }
    assert of_plane == {"mm": {"mm", "mm2", "1"}, "px": {"px", "px2", "1"}}
    content = gathered.content(title="", total=2)
    assert content.modalities == (("US", 2),) and content.phase_counts == ()
    found = {(d.kind, d.name, d.unit): d for d in content.distributions}
    long = found["plane", "ceus_long_diameter", "mm"]
    assert long.measured == 2 and long.quartiles is not None
    pixels = found["plane", "ceus_long_diameter", "px"]
    assert (pixels.measured, pixels.missing, pixels.quartiles, pixels.heights) == (1, 1, None, ())
    peak = found["liver", "ceus_peak", "a.u."]
    assert (peak.measured, peak.quartiles, peak.outliers) == (4, None, ())
    page = render_cohort_page(content, read_table("cohort_strings"))
    assert '<a href="studies/' not in page and "a.u." in page


def refused(liverimg: Run, study: Path, out: Path, *words: str, code: int = 3, options: tuple = ()) -> None:
    said = liverimg("ceus", study, "--out", out, *options)
    assert said.code == code, said.err
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("liverimg: ")
    for word in words:
        assert word in last
    assert not (out / "perfusion.json").exists()


def test_a_single_frame(tmp_path: Path, liverimg: Run) -> None:
    build_us.write_still(tmp_path / "us", np.repeat(build_us.speckle(1, 90, seed=1)[0][..., None], 3, -1), 1)
    refused(liverimg, tmp_path / "us", tmp_path / "out", "it is a single frame")


def test_b_mode_alone(tmp_path: Path, liverimg: Run) -> None:
    clip = replace(CLIP, contrast_agent="", contrast_start_time="")
    write_clip(panes(contrast=False), tmp_path / "us" / "a.dcm", study=STUDY, clip=clip, tinted=False)
    refused(liverimg, tmp_path / "us", tmp_path / "out", "no picture of it is known to show contrast", "--pane")


def test_contrast_alone(tmp_path: Path, liverimg: Run) -> None:
    write_clip(panes()[:1], tmp_path / "us" / "a.dcm", study=STUDY, clip=CLIP)
    refused(liverimg, tmp_path / "us", tmp_path / "out", "no B-mode picture lies beside the contrast")


def test_no_times(tmp_path: Path, liverimg: Run) -> None:
    write_clip(panes(), tmp_path / "us" / "a.dcm", study=STUDY, clip=replace(CLIP, times_s=None))
    refused(liverimg, tmp_path / "us", tmp_path / "out", "its frames have no times")


def test_colour_doppler(tmp_path: Path, liverimg: Run) -> None:
    rgb = np.repeat(panes(contrast=False)[0][..., None], 3, axis=-1)
    flow = np.random.default_rng(0).integers(0, 2, (len(rgb), 14, 20))
    rgb[:, 20:34, 26:46] = np.where(flow[..., None] == 1, (220, 30, 20), (20, 40, 230))
    build_us.write_loop(tmp_path / "us", rgb, tags={"FrameTime": "500"})
    refused(liverimg, tmp_path / "us", tmp_path / "out", "colour Doppler")


def test_no_ultrasound_at_all(sample: Path, tmp_path: Path, liverimg: Run) -> None:
    (tmp_path / "ct").mkdir()
    for path in (sample / "pre_ct" / "S002").glob("*.dcm"):
        shutil.copy(path, tmp_path / "ct")
    refused(liverimg, tmp_path / "ct", tmp_path / "out", "holds no ultrasound clip")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    write_clip(panes(), tmp_path / "us" / "a.dcm", study=STUDY, clip=CLIP)
    return tmp_path / "us"


def test_a_baseline_of_another_patient(good: Path, tmp_path: Path, liverimg: Run) -> None:
    options = ("--baseline", baseline_at(tmp_path / "pre", patient_check="0000"))
    refused(liverimg, good, tmp_path / "out", "of another patient", options=options)


def test_a_baseline_without_measurements(good: Path, tmp_path: Path, liverimg: Run) -> None:
    folder = baseline_at(tmp_path / "pre", patient_check=None)
    (folder / "measurements.json").unlink()
    options = ("--baseline", folder)
    refused(liverimg, good, tmp_path / "out", "no measurements.json", "liverimg pre", code=2, options=options)


@pytest.mark.parametrize(
    "options",
    [
        ("--target", "L1"), ("--plane", "nothing"), ("--plane", "1.2.3=A"), ("--dynamic-range", "900"),
        ("--contrast-start", "1.2"),
    ],
)  # fmt: skip
def test_wrong_options_leave_by_2(options: tuple[str, str], good: Path, tmp_path: Path, liverimg: Run) -> None:
    refused(liverimg, good, tmp_path / "out", code=2, options=options)


def test_a_phantom_without_a_zone_is_no_failure(good: Path, tmp_path: Path, liverimg: Run) -> None:
    """Contrast arrives evenly and no B-mode frame resembles another: said, nothing guessed, exit code 0."""
    said = liverimg("ceus", good, "--out", tmp_path / "out")
    assert said.code == 0, said.err
    record = json.loads((tmp_path / "out" / "perfusion.json").read_text())
    (plane,) = record["planes"]
    area = next(q for q in plane["quantities"] if q["name"] == "ceus_non_enhancing_area")
    assert "value" not in area and area["not_measured"]
    assert (tmp_path / "out" / "perfusion.html").is_file()


def test_clips_of_one_plane_are_joined(tmp_path: Path, liverimg: Run) -> None:
    later = replace(
        CLIP, number=2, series_instance_uid=uid_from("ceus test", 2), acquired_at="100100", contrast_start_time=""
    )
    write_clip(panes(), tmp_path / "us" / "a.dcm", study=STUDY, clip=CLIP)
    write_clip(panes(), tmp_path / "us" / "b.dcm", study=STUDY, clip=later)
    joined = ("--plane", f"{CLIP.series_instance_uid}=A", "--plane", f"{later.series_instance_uid}=A")
    said = liverimg("ceus", tmp_path / "us", "--out", tmp_path / "out", *joined)
    assert said.code == 0, said.err
    (plane,) = json.loads((tmp_path / "out" / "perfusion.json").read_text())["planes"]
    assert plane["frames"]["total"] == 2 * len(TIMES_S)
    assert plane["series_instance_uids"] == [CLIP.series_instance_uid, later.series_instance_uid]


def test_the_patient_check_tells_patients_apart(good: Path, tmp_path: Path, liverimg: Run) -> None:
    other = replace(STUDY, patient_id="P-8", study_instance_uid=uid_from("other"))
    write_clip(panes(), tmp_path / "other" / "a.dcm", study=other, clip=CLIP)
    checks = []
    for study in (good, tmp_path / "other"):
        out = tmp_path / f"out_{study.name}"
        assert liverimg("ingest", study, "--out", out).code == 0
        checks.append(json.loads((out / "study.json").read_text())["patient_check"])
    assert checks[0] != checks[1]
    assert all(len(check) == 4 for check in checks)


def test_the_real_loop_is_refused_without_invented_millimetres(
    shared_data: Path, tmp_path: Path, liverimg: Run
) -> None:
    """It shows B-mode only; taken for contrast all the same, it has no wash-in, and no number comes out."""
    loop = shared_data / "dicom_real" / "us_loop"
    refused(liverimg, loop, tmp_path / "out", "no picture of it is known to show contrast (b-mode)")
    (clip,) = read_clips(Workspace(tmp_path / "out"))
    (cine,) = clip.cines
    few = replace(cine, array=cine.array[::3], times_s=None if cine.times_s is None else cine.times_s[::3])
    given = PlaneInput("P1", few, replace(few, pane=Pane.B_MODE), False, None)
    result = assess_plane(given, settings=PerfusionSettings.from_table(read_table("ceus")))
    assert all(isinstance(q, NotMeasured) for q in result.quantities)
