"""Rules and tables on a finished run: own criteria, the listing, CSV and Excel."""

import csv
import io
import json
import shutil
import tomllib
from pathlib import Path

import nibabel
import numpy as np
import openpyxl
import pytest

from liverimg.core.catalogue import row_of
from liverimg.core.errors import ExitCode
from liverimg.files.catalogue import quantity_rows
from liverimg.files.criteria import criteria_names
from liverimg.pipeline.recipe import load_recipe, recipe_from_record
from liverimg.stages import measure

ROWS = quantity_rows()
OWN = """
id = "{name}"
title = "Ours"
edition = "2026"
[item.frailty]
kind = "number"
unit = "1"
[[criterion]]
id = "ours.size"
title = "Size here"
scope = "lesion"
quantity = "axial_long_diameter"
operator = "<="
thresholds = [{{ value = {limit}, unit = "mm", source = "our ward" }}]
source = "our ward"
[[criterion]]
id = "ours.frailty"
title = "Frailty"
quantity = "frailty"
operator = "<"
thresholds = [{{ value = 3, unit = "1", source = "our ward" }}]
source = "our ward"
"""


@pytest.fixture
def finished(assessed_slab: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(assessed_slab, tmp_path / "out"))


def test_every_quantity_that_is_measured_has_a_row_with_its_unit(assessed: Path):
    measured = json.loads((assessed / "measurements.json").read_text())
    every = [(q, "lesion") for lesion in measured["lesions"] for q in lesion["quantities"]]
    every += [(q, "study") for q in measured["organs"]]
    assert every
    for quantity, scope in every:
        row = row_of(quantity["name"], ROWS)
        assert row is not None, f"{quantity['name']} has no row in data/quantities.toml"
        assert row.scope == scope, quantity["name"]
        assert quantity.get("unit", row.unit) == row.unit, quantity["name"]


def test_the_recipe_assesses_with_every_table(assessed: Path):
    record = json.loads((assessed / "assessment.json").read_text())
    assert {c["id"] for c in record["criteria"]} == set(criteria_names())
    assert record["sessions"] and record["classifications"] and record["conflicts"]


def test_the_pieces_of_the_sessions_are_voxels_that_a_planner_can_load(assessed: Path):
    pieces, labels = (nibabel.load(assessed / name) for name in ("sessions.nii.gz", "labels.nii.gz"))
    assert pieces.shape == labels.shape
    assert np.allclose(pieces.affine, labels.affine)
    values = np.asarray(pieces.dataobj)
    voxel_ml = abs(np.linalg.det(pieces.affine[:3, :3])) / 1000
    plans = json.loads((assessed / "assessment.json").read_text())["sessions"]
    wanted = {piece["label_value"]: piece for plan in plans for piece in plan["pieces"]}
    assert 0 not in wanted and sorted(wanted) == list(range(1, len(wanted) + 1))
    assert set(np.unique(values)) - {0} <= set(wanted)
    for value, piece in wanted.items():
        index = np.argwhere(values == value)
        if len(index) * voxel_ml < 0.99 * piece["volume_ml"]:
            continue  # its target overlaps a larger lesion's
        assert len(index) * voxel_ml == pytest.approx(piece["volume_ml"], rel=1e-3)
        centre = nibabel.affines.apply_affine(pieces.affine, index.mean(axis=0)) * (-1, -1, 1)
        assert centre == pytest.approx(piece["centroid_lps_mm"], abs=0.01)
    shares = [np.count_nonzero(values == v) * voxel_ml / p["volume_ml"] for v, p in wanted.items()]
    assert sum(share > 0.99 for share in shares) >= len(shares) - 1


OWN_TRANSDUCER = """[bench]
title = "A bench transducer"
aperture_mm = 100.0
focal_length_mm = 180.0
opening_mm = 0.0
frequency_mhz = 1.0
standoff_mm = 5.0
azimuth_deg = [-30.0, 100.0]
elevation_deg = [-30.0, 30.0]
source = "a test"
"""


def test_a_transducer_of_ones_own_is_remembered_without_its_path(tmp_path: Path):
    own = tmp_path / "john_doe.toml"
    own.write_text(OWN_TRANSDUCER, encoding="utf-8")
    settings = measure.Settings(transducers=own)
    assert settings.transducers["bench"]["focal_length_mm"] == 180
    recipe = load_recipe("pre_ablation").only("measure").with_settings("measure", transducers=own)
    record = recipe.to_record()
    assert "john_doe" not in json.dumps(record)
    own.unlink()
    assert recipe_from_record(record).steps[0].resolved() == settings


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--transducer", "jc_151"], "there is no transducer called 'jc_151'; the table has: jc_150, jc_120"),
        (["--transducers", "{missing}"], "missing.toml"),
        (["--transducers", "{poor}"], "does not describe 'poor' fully"),
    ],
)
def test_a_wrong_transducer_is_refused_in_a_sentence_before_any_work(
    arguments: list[str], words: str, tmp_path: Path, sample: Path, liverimg
):
    (tmp_path / "poor.toml").write_text("[poor]\naperture_mm = 100\n", encoding="utf-8")
    places = {"missing": tmp_path / "missing.toml", "poor": tmp_path / "poor.toml"}
    given = [argument.format(**places) for argument in arguments]
    said = liverimg("pre", sample / "pre_ct", "--out", tmp_path / "out", *given)
    assert said.code == ExitCode.INPUT_REFUSED
    assert words in said.err and said.err.strip().count("\n") == 0
    assert not (tmp_path / "out" / "study.json").exists()


def test_the_transducers_are_listed(tmp_path: Path, liverimg):
    listed = json.loads(liverimg("transducers", "--json").out)["transducers"]
    assert [t["id"] for t in listed][:2] == ["jc_150", "jc_120"]
    assert all(t["source"] for t in listed)
    shown = liverimg("transducers")
    assert "jc_120" in shown.out and "PMID" in shown.out
    own = tmp_path / "own.toml"
    own.write_text(OWN_TRANSDUCER, encoding="utf-8")
    assert [
        t["id"] for t in json.loads(liverimg("transducers", "--transducers", own, "--json").out)["transducers"]
    ] == ["bench"]


def test_own_criteria_are_judged_recorded_and_remembered(finished: Path, tmp_path: Path, liverimg):
    first, second = tmp_path / "john_doe.toml", tmp_path / "b.toml"
    first.write_text(OWN.format(name="first", limit=20), encoding="utf-8")
    second.write_text(OWN.format(name="second", limit=10), encoding="utf-8")
    clinical = tmp_path / "clinical.toml"
    clinical.write_text("frailty = 2\n")
    said = liverimg("measure", finished, "--criteria", first, "--criteria", second, "--clinical", clinical)
    assert said.code == 0, said.err
    record = json.loads((finished / "assessment.json").read_text())
    used = {c["id"]: c["sha256"] for c in record["criteria"]}
    assert {"first", "second"} <= set(used)
    verdicts = {(f["criteria_set"], f["criterion_id"], f["target"]): f["verdict"] for f in record["findings"]}
    assert verdicts["first", "ours.size", "L1"] == "NOT_MET"
    assert verdicts["first", "ours.size", "L2"] == "MET"
    assert verdicts["second", "ours.size", "L2"] == "NOT_MET"
    assert verdicts["second", "ours.frailty", "study"] == "MET"
    provenance = (finished / "provenance" / "assess.json").read_text()
    assert used["first"] in provenance
    assert "john_doe" not in provenance


def test_a_bad_own_table_is_refused_before_any_work(tmp_path: Path, sample: Path, liverimg):
    bad = tmp_path / "bad.toml"
    bad.write_text(OWN.format(name="hifu_suitability", limit=20), encoding="utf-8")
    said = liverimg("pre", sample / "pre_ct", "--out", tmp_path / "out", "--criteria", bad)
    assert said.code == ExitCode.INPUT_REFUSED
    assert "two criteria tables have the id" in said.err
    bad.write_text("id = 3", encoding="utf-8")
    said = liverimg("pre", sample / "pre_ct", "--out", tmp_path / "out", "--criteria", bad)
    assert "bad.toml" in said.err and said.err.strip().count("\n") == 0
    assert not (tmp_path / "out" / "study.json").exists()


def test_the_listing(tmp_path: Path, liverimg):
    everything = liverimg("criteria", "--json")
    assert {t["id"] for t in json.loads(everything.out)["criteria"]} == set(criteria_names())
    one = json.loads(liverimg("criteria", "transplant", "--json").out)["criteria"]
    assert [t["id"] for t in one] == ["transplant"]
    assert "max(axial_long_diameter) <= 50 mm" in one[0]["criteria"][0]["rule"]
    assert one[0]["unsupported"]
    shown = liverimg("criteria", "hifu_suitability")
    assert "conflict:" in shown.out and "hifu.size" in shown.out
    own = tmp_path / "own.toml"
    own.write_text(OWN.format(name="ours", limit=20), encoding="utf-8")
    assert "our ward" in liverimg("criteria", "ours", "--criteria", own).out
    assert liverimg("criteria", "nope").code == ExitCode.USAGE


def test_csv_and_excel(assessed: Path, tmp_path: Path, liverimg):
    said = liverimg("export", assessed, "--csv", tmp_path / "t.csv", "--xlsx", tmp_path / "t.xlsx")
    assert said.code == 0, said.err
    raw = (tmp_path / "t.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    measured = json.loads((assessed / "measurements.json").read_text())
    expected = sum(len(lesion["quantities"]) for lesion in measured["lesions"]) + len(measured["organs"])
    study = json.loads((assessed / "study.json").read_text())
    assert len(rows) == expected + len(study["rejected"])
    size = next(r for r in rows if r["lesion"] == "L1" and r["quantity"] == "axial_long_diameter")
    known = next(q for q in measured["lesions"][0]["quantities"] if q["name"] == "axial_long_diameter")
    assert float(size["value"]) == known["value"] and float(size["low"]) == known["low"]
    assert (size["unit"], size["code_value"]) == ("mm", "103339001")
    for row in rows:
        assert (row["measured"] == "yes") == bool(row["value"])
        assert row["measured"] == "yes" or row["reason"]
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert {"lesions", "quantities", "findings", "sessions", "not used", "about"} <= set(book.sheetnames)
    assert book["quantities"].max_row == len(rows) + 1
    assert book["lesions"].max_row == len(measured["lesions"]) + 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--csv FILE"),
        (("--csv", "x.xlsx"), "does not end in .csv"),
        (("--xlsx", "x.csv"), "does not end in .xlsx"),
        (("--csv", "nowhere/x.csv"), "does not exist"),
    ],
)
def test_export_says_what_is_wrong(assessed: Path, tmp_path: Path, monkeypatch, liverimg, arguments, words):
    monkeypatch.chdir(tmp_path)
    said = liverimg("export", assessed, *arguments)
    assert said.code == ExitCode.USAGE
    assert words in said.err


def test_a_folder_without_measurements_has_nothing_to_export(tmp_path: Path, liverimg):
    said = liverimg("export", tmp_path, "--csv", tmp_path / "t.csv")
    assert said.code == ExitCode.USAGE
    assert "liverimg pre" in said.err


def test_the_shipped_recipe_is_toml_with_every_table(repository: Path):
    recipe = tomllib.loads((repository / "pipelines" / "pre_ablation.toml").read_text())
    assert set(recipe["settings"]["assess"]["criteria"]) == set(criteria_names())
