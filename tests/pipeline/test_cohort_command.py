"""``liverimg cohort`` at the shell: exit codes, JSON, and what is refused before any work."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SMALL = 'name = "small"\ntitle = "Small"\nstages = ["ingest"]\n'


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two studies that are not there, in folders that are named after somebody."""
    (tmp_path / "small.toml").write_text(SMALL)
    path = tmp_path / "manifest.csv"
    path.write_text("study,recipe\nDOE_JANE/ct,small.toml\nROE_JOHN/ct,small.toml\n")
    return path


def test_a_cohort_that_is_not_all_done_leaves_by_4_and_says_why_without_names(
    liverimg: Callable, manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = liverimg("cohort", manifest, "--out", out, "--workers", 0, "--json")
    assert said.code == 4
    record = json.loads(said.out)
    assert {name: record[name] for name in ("studies", "done", "refused", "failed")} == {
        "studies": 2, "done": 0, "refused": 2, "failed": 0,
    }  # fmt: skip
    assert {Path(name).name for name in record["files"]} == {
        "measurements.parquet", "measurements.csv", "refusals.parquet", "refusals.csv", "cohort.html",
    }  # fmt: skip
    rows = pq.read_table(out / "refusals.parquet").to_pylist()
    assert [(r["code"], r["stage"]) for r in rows] == [("input_refused", "ingest")] * 2
    shown = [p for p in out.rglob("*") if p.is_file() and p.name != "studies.csv"]
    for word in (b"DOE", b"JANE", b"ROE"):
        assert not [p.name for p in shown if word in p.read_bytes() or word.decode() in str(p.relative_to(out))]


@pytest.mark.parametrize(
    "more",
    [
        ["nowhere.csv", "--out", "out"],
        ["manifest.csv", "--out", "out", "--workers", "1", "--scheduler", "tcp://127.0.0.1:1"],
        ["manifest.csv", "--out", "out", "--workers", "0", "--hours", "0"],
        ["manifest.csv", "--out", "out", "--device", "abacus"],
        ["manifest.csv", "--out", "full", "--workers", "0"],
        ["manifest.csv", "--out", "out", "--slurm", "small.toml"],
    ],
)
def test_what_makes_no_sense_leaves_by_2(
    liverimg: Callable, manifest: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    monkeypatch.chdir(manifest.parent)
    Path("full").mkdir()
    Path("full/letter.txt").write_text("mine")
    assert liverimg("cohort", *more).code == 2
    assert not list(Path().glob("out/studies/*"))
