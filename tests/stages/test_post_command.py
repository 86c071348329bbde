"""``liverimg post`` from files to exit code: the job on a small study, and every bad input with its one sentence."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from tests.stages.treated_world import AFTER_UID, VALUES, After, grid_of, make_after, make_before, respond

from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, write_series
from liverimg.files import nifti
from liverimg.workspace import Artefact

Run = Callable[..., Any]
DAY = "20260216"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline without PatientID, and a study after ablation as DICOM with labels beside it."""
    place = tmp_path_factory.mktemp("command")
    make_before(place / "pre", patient=None)
    made = make_after(place / "made", After(zones={"L1": (14.0, (0, 0, 0))}, untreated={"L2": 7.0}))
    grid = grid_of(AFTER_UID)
    values = nifti.read_label_values(made / Artefact.LABELS.value, on=grid)
    hu = np.where(values == VALUES_AT["ablation_zone"], 45.0, np.where(values > 0, 110.0, -700.0))
    noise = np.random.default_rng(3).normal(0, 8, values.shape)
    study = StudyHeader("PHANTOM^POST", "P-9", AFTER_UID, DAY, "100000")
    series = SeriesHeader(Modality.CT, 1, f"{AFTER_UID}.1", "Portal venous", "100110", "Iodine", "100000")
    write_series(Volume((hu + noise).astype(np.float32), grid, Quantity.HU), place / "ct", study=study, series=series)
    nifti.write_label_values(place / "labels.nii.gz", np.array(values), grid)
    (place / "labels.json").write_text(json.dumps({s.value: v for s, v in VALUES.items()}))
    return place


VALUES_AT = {structure.value: value for structure, value in VALUES.items()}


def _run(liverimg: Run, world: Path, out: Path, *more: object, baseline: Path | None = None) -> Any:
    arguments = ("--baseline", baseline or world / "pre", "--labels", world / "labels.nii.gz", "--out", out)
    return liverimg("post", world / "ct", *arguments, *more)


def _refused(said: Any, code: int, *words: str) -> None:
    assert said.code == code, said.err
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("liverimg: ")
    for word in words:
        assert word in last


def test_the_job_on_one_phase_ends_well_and_says_what_is_missing(world: Path, tmp_path: Path, liverimg: Run) -> None:
    said = _run(liverimg, world, tmp_path / "out", "--treated-on", "2026-02-16=hifu", "--treated-on", "2026-01-10=tace")
    assert said.code == 0, said.err
    assert "The day of high-intensity focused ultrasound" in said.out
    record = json.loads((tmp_path / "out" / "response.json").read_text())
    assert [row["kind"] for row in record["treatments"]] == ["tace", "hifu"]
    assert any("no series known to be of this phase" in w for w in record["warnings"])
    assert any("can't be checked" in w for w in record["warnings"])
    assert liverimg("validate", tmp_path / "out" / "response.json").code == 0
    assert {row["id"] for row in record["lesions"]} == {"L1", "L2", "L3"}


def test_another_patient(world: Path, tmp_path: Path, liverimg: Run) -> None:
    make_before(tmp_path / "pre", patient="0000")
    _refused(_run(liverimg, world, tmp_path / "out", baseline=tmp_path / "pre"), 3, "another patient")
    assert not (tmp_path / "out" / "response.json").exists()


def test_a_later_baseline(world: Path, tmp_path: Path, liverimg: Run) -> None:
    make_before(tmp_path / "pre", patient=None, day="20260301")
    _refused(_run(liverimg, world, tmp_path / "out", baseline=tmp_path / "pre"), 2, "13 days after the study")


@pytest.mark.parametrize("missing", ["labels.nii.gz", "measurements.json"])
def test_a_baseline_that_is_not_whole(missing: str, world: Path, tmp_path: Path, liverimg: Run) -> None:
    shutil.copytree(world / "pre", tmp_path / "pre")
    (tmp_path / "pre" / missing).unlink()
    said = _run(liverimg, world, tmp_path / "out", baseline=tmp_path / "pre")
    _refused(said, 2, missing, "liverimg pre")
    assert not (tmp_path / "out").exists(), "refused before any work"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--treated-on", "2026-03-01"), "after the study"),
        (("--treated-on", "soon"), "expected a date"),
        (("--treated-on", "2026-01-20=magic"), "'magic' is not known"),
        (("--treated-on", "2026-01-20="), "DATE=KIND"),
        (("--redo", "measure"), "no such stage"),
        (("--device", "tpu"), "expected auto"),
        (("--model", "liver_ct"), "both say who draws"),
    ],
)
def test_options_that_mean_nothing(more: tuple, words: str, world: Path, tmp_path: Path, liverimg: Run) -> None:
    _refused(_run(liverimg, world, tmp_path / "out", *more), 2, words)


def test_one_folder_for_both(world: Path, liverimg: Run) -> None:
    _refused(_run(liverimg, world, world / "pre"), 2, "same folder")


def test_tables_of_a_study_after_treatment(tmp_path: Path, liverimg: Run) -> None:
    make_before(tmp_path / "pre")
    after = After(zones={"L1": (12.0, (5.0, 0, 0))}, foci={"L1": (2.6, (-9.4, 0, 0))}, untreated={"L2": 7.0})
    record = respond(make_after(tmp_path / "post", after), tmp_path / "pre")
    said = liverimg("export", tmp_path / "post", "--csv", tmp_path / "t.csv", "--xlsx", tmp_path / "t.xlsx")
    assert said.code == 0, said.err
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["kind"] for row in rows} == {"lesion", "baseline", "zone", "focus", "study"}
    wanted = sum(len(row["quantities"]) for part in ("lesions", "zones", "foci") for row in record[part])
    wanted += sum(len(row["baseline"]) for row in record["lesions"]) + 3 * len(record["criteria"])
    assert len(rows) == wanted
    margin = next(r for r in rows if r["quantity"] == "minimal_ablation_margin" and r["lesion"] == "L1")
    assert float(margin["low"]) <= -3.0 <= float(margin["high"]) and margin["unit"] == "mm" and margin["title"]
    unknown = next(r for r in rows if r["lesion"] == "L3" and r["kind"] == "lesion")
    assert unknown["measured"] == "no" and unknown["value"] == "" and unknown["reason"]
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["lesions", "response", "places", "quantities", "answers", "not used", "about"]
    assert [cell.value for cell in book["places"][2]][:2] == ["thinnest margin", "L1"]
