"""The tables and the page of a cohort: the same bytes whoever did the work, stable columns, hostile words as words."""

import csv
import io
import shutil
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from html import unescape
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.stages.treated_world import make_before

from liverimg.core.errors import WorkspaceBusyError, WorkspaceError
from liverimg.files.tables import read_table
from liverimg.pipeline import cohort_rows
from liverimg.pipeline.cohort_folder import CohortFolder, Ending
from liverimg.pipeline.cohort_job import Job
from liverimg.pipeline.cohort_rows import BATCH, MEASUREMENT_COLUMNS, REFUSAL_COLUMNS, StudyRows, all_rows
from liverimg.pipeline.cohort_summary import Gathering
from liverimg.pipeline.cohort_tables import table_files, write_tables
from liverimg.report.cohort_page import render_cohort_page

HOSTILE = "<img src=http://evil/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured study with three lesions."""
    return make_before(tmp_path_factory.mktemp("cohort") / "pre")


@pytest.fixture
def cohort(tmp_path: Path, study: Path) -> CohortFolder:
    """Two studies that are done, and one that was refused."""
    folder = CohortFolder(tmp_path / "out")
    with folder.locked():
        for name in ("one", "two"):
            shutil.copytree(study, folder.study(name))
        folder.put_ending(Ending("three", "input_refused", f"=cmd: {HOSTILE}", "segment", 1, is_final=True))
    return folder


def content_of(files: tuple[Path, ...]) -> list[bytes]:
    return [path.read_bytes() for path in files]


def test_both_tables_hold_every_number_and_every_refusal_once(cohort: CohortFolder) -> None:
    write_tables(cohort, ["one", "three", "two"], processes=1)
    measured = pq.read_table(cohort.folder / "measurements.parquet")
    assert tuple(measured.column_names) == tuple(MEASUREMENT_COLUMNS)
    rows = measured.to_pylist()
    assert list(dict.fromkeys(r["study_id"] for r in rows)) == ["one", "two"]
    keys = [(r["study_id"], r["kind"], r["target"], r["quantity"]) for r in rows]
    assert len(set(keys)) == len(keys)
    diameters = [r for r in rows if r["quantity"] == "axial_long_diameter" and r["measured"]]
    assert len(diameters) == 6
    assert all(r["low"] <= r["value"] <= r["high"] for r in diameters)
    refused = pq.read_table(cohort.folder / "refusals.parquet")
    assert tuple(refused.column_names) == tuple(REFUSAL_COLUMNS)
    assert [(r["study_id"], r["code"], r["tries"]) for r in refused.to_pylist() if r["level"] == "study"] == [
        ("three", "input_refused", 1)
    ]


def test_csv_and_parquet_say_the_same_and_no_cell_is_a_formula(cohort: CohortFolder) -> None:
    write_tables(cohort, ["one", "three"], processes=1)
    for table in ("measurements", "refusals"):
        arrow = pq.read_table(cohort.folder / f"{table}.parquet").to_pylist()
        text = (cohort.folder / f"{table}.csv").read_text(encoding="utf-8-sig")
        plain = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [r["study_id"] for r in plain] == [r["study_id"] for r in arrow]
        for row, other in zip(plain, arrow, strict=True):
            if other.get("value") is not None:
                assert float(row["value"]) == other["value"]
            assert not any(cell.startswith(("=", "+", "@")) for cell in row.values())


def test_equal_folders_give_equal_bytes_wherever_they_lie(cohort: CohortFolder, tmp_path: Path) -> None:
    other = CohortFolder(tmp_path / "elsewhere" / "name")
    shutil.copytree(cohort.folder, other.folder)
    for each in (cohort, other):
        write_tables(each, ["one", "three", "two"], processes=1)
    assert content_of(table_files(cohort.folder)) == content_of(table_files(other.folder))
    assert not list(cohort.folder.glob(".*.new"))


@pytest.mark.slow
def test_several_processes_write_the_bytes_of_one(cohort: CohortFolder) -> None:
    # So many that they are read in two batches; most have an ending and no results.
    names = ["one", "three", *(f"none{n}" for n in range(BATCH)), "two"]
    for name in names[2:-1]:
        cohort.put_ending(Ending(name, "too_long", "it took more than 6 h", "", 3, is_final=False))
    written = []
    for processes in (1, 2):
        write_tables(cohort, names, processes=processes)
        written.append(content_of(table_files(cohort.folder)))
    assert written[0] == written[1]


def test_a_reading_process_that_is_killed_costs_no_row(cohort: CohortFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, batches: list[list[str]], _processes: int) -> Iterator[list[StudyRows]]:
        yield cohort_rows.batch_rows(folder, batches[0])
        raise BrokenProcessPool

    monkeypatch.setattr(cohort_rows, "BATCH", 1)
    monkeypatch.setattr(cohort_rows, "_by_many", broken)
    found = [study.study_id for rows in all_rows(cohort.folder, ["one", "three", "two"], processes=2) for study in rows]
    assert found == ["one", "three", "two"]


def test_results_of_an_earlier_run_of_a_study_that_is_refused_now_are_not_in_the_table(cohort: CohortFolder) -> None:
    cohort.put_ending(Ending("two", "input_refused", "no liver in view", "segment", 1, is_final=True))
    write_tables(cohort, ["one", "two"], processes=1)
    assert set(pq.read_table(cohort.folder / "measurements.parquet")["study_id"].to_pylist()) == {"one"}


def test_a_record_that_somebody_broke_is_a_refusal_and_the_table_goes_on(cohort: CohortFolder) -> None:
    (cohort.study("one") / "measurements.json").write_text("{")
    write_tables(cohort, ["one", "two"], processes=1)
    assert pq.read_table(cohort.folder / "refusals.parquet").to_pylist()[0]["code"] == "unreadable"
    assert set(pq.read_table(cohort.folder / "measurements.parquet")["study_id"].to_pylist()) == {"two"}


def test_the_page_asks_for_nothing_and_shows_hostile_words_as_words(cohort: CohortFolder) -> None:
    gathered = write_tables(cohort, ["one", "two", "three"], processes=1)
    content = gathered.content(title=HOSTILE, total=3)
    page = render_cohort_page(content, read_table("cohort_strings"), provenance=[("Software", HOSTILE)])
    assert "<img" not in page
    assert page.count("&lt;img") == 3
    assert "<script" not in page
    assert "default-src 'none'" in unescape(page)
    assert "src=" not in page.replace("src=http://evil", "")
    assert 'href="http' not in page


def test_a_value_far_from_all_others_is_listed_with_its_study(cohort: CohortFolder, study: Path) -> None:
    row = dict.fromkeys(MEASUREMENT_COLUMNS, "") | {
        "kind": "lesion", "quantity": "volume", "target": "L1", "measured": True, "unit": "ml", "title": "Volume",
    }  # fmt: skip
    gathered = Gathering()
    for n in range(30):
        cells = row | {"value": 900.0 if n == 7 else 10.0 + n / 10}
        one = StudyRows(
            f"s{n}", True, (tuple(cells.values()),), modalities=("CT",), phases=("arterial",), page="report.html"
        )
        gathered.add(replace(one, page="" if n == 8 else one.page))
    content = gathered.content(title="", total=30)
    (found,) = content.distributions
    assert [(o.study_id, o.target, o.value) for o in found.outliers] == [("s7", "L1", 900.0)]
    assert sum(found.heights) == found.measured == 30
    assert content.phase_counts == ((1, 30),)
    page = render_cohort_page(content, read_table("cohort_strings"))
    assert '<a href="studies/s7/report.html">s7</a>' in page


def test_a_second_start_is_refused_while_the_first_is_at_work(cohort: CohortFolder) -> None:
    with cohort.locked(), pytest.raises(WorkspaceBusyError), CohortFolder(cohort.folder).locked():
        pass
    with cohort.locked():
        pass


def test_a_folder_full_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(WorkspaceError), CohortFolder(tmp_path).locked():
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_which_id_is_which_study_is_for_the_owner_alone(cohort: CohortFolder) -> None:
    cohort.put_list([Job("one", Path("/scans/DOE_JANE"), cohort.study("one"), "pre_ablation")])
    path = cohort.folder / "studies.csv"
    assert "DOE_JANE" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
