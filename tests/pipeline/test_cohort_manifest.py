"""Which studies a cohort has, from a table or a folder, and what is refused before any work."""

from pathlib import Path

import pytest

from liverimg.core.errors import UsageError
from liverimg.pipeline.cohort_job import GPU, MEMORY_GB, Job
from liverimg.pipeline.cohort_manifest import COLUMNS, Defaults, plan
from liverimg.pipeline.request import OPTIONS


def table(tmp_path: Path, text: str, name: str = "m.csv") -> list[Job]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return plan(path, tmp_path / "out" / "studies", Defaults())


def test_every_option_of_a_run_is_a_column_or_an_option_of_the_command() -> None:
    assert set(OPTIONS) - set(COLUMNS) == {"device", "with_volume", "dynamic_range"}


def test_a_row_becomes_a_request(tmp_path: Path) -> None:
    jobs = table(
        tmp_path,
        "id,study,labels,phase,criteria,memory_gb\n"
        "a,scans/a,masks/a.nii.gz,1.2.3=arterial; 1.2.4=delayed,own.toml,12\n"
        "b,/far/b,,,,\n",
    )
    assert [job.id for job in jobs] == ["a", "b"]
    first, second = jobs
    assert first.study == tmp_path / "scans" / "a"
    assert first.out == tmp_path / "out" / "studies" / "a"
    assert first.options == {
        "labels": tmp_path / "masks" / "a.nii.gz",
        "phase": ["1.2.3=arterial", "1.2.4=delayed"],
        "criteria": [tmp_path / "own.toml"],
        "device": "auto",
    }
    assert first.demands == {MEMORY_GB: 12.0}
    assert second.study == Path("/far/b")
    assert (second.recipe, second.demands) == ("pre_ablation", {})


@pytest.mark.parametrize(("name", "mark"), [("m.csv", ";"), ("m.tsv", "\t"), ("m.csv", ","), ("m.txt", "\t")])
def test_tables_of_excel_and_others_are_read(tmp_path: Path, name: str, mark: str) -> None:
    jobs = table(tmp_path, f"\ufeffStudy{mark}ID\r\nscan{mark}one\r\n\r\n", name)
    assert [(job.id, job.study.name) for job in jobs] == [("one", "scan")]


def test_a_baseline_that_is_a_row_is_waited_for(tmp_path: Path) -> None:
    after, before, other = table(tmp_path, "id,study,baseline\nafter,s2,before\nbefore,s1,\nother,s3,elsewhere/out\n")
    assert after.needs == ("before",)
    assert after.options["baseline"] == before.out
    assert (after.recipe, before.recipe) == ("post_ablation", "pre_ablation")
    assert (other.needs, other.options["baseline"]) == ((), tmp_path / "elsewhere" / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,study\n", "names no study"),
        ("id,stduy\na,b\n", "did you mean 'study'"),
        ("id,labels\na,b\n", "column 'study'"),
        ("id,study\na,b\nA,c\n", "two studies have the id"),
        ("study\nb\nb\n", "two studies have the id"),
        ("id,study\n../a,b\n", "no name for a folder"),
        ("id,study\na,b,c\n", "at most 2 cells"),
        ("id,study,memory_gb\na,b,much\n", "memory_gb"),
        ("id,study,recipe\na,b,pre_ablatoin\n", "no recipe"),
        ("id,study,baseline\na,x,b\nb,y,a\n", "wait for each other"),
        ("id,study,model,labels\na,x,liver_ct,y\n", "give one of them"),
        ("id,study\na,.\n", "inside the study folder"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        table(tmp_path, text)


def test_subfolders_are_studies_under_ids_that_tell_no_name(tmp_path: Path) -> None:
    for name in ("DOE_JANE", "ROE_JOHN", ".hidden"):
        (tmp_path / "in" / name).mkdir(parents=True)
    jobs = plan(tmp_path / "in", tmp_path / "out" / "studies", Defaults())
    assert [job.study.name for job in jobs] == ["DOE_JANE", "ROE_JOHN"]
    assert not [job.id for job in jobs if "DOE" in job.id or "ROE" in job.id]
    assert [j.id for j in plan(tmp_path / "in", tmp_path / "o2" / "studies", Defaults())] == [j.id for j in jobs]
    named = plan(tmp_path / "in", tmp_path / "out" / "studies", Defaults(keep_names=True))
    assert [job.id for job in named] == ["DOE_JANE", "ROE_JOHN"]
    assert "DOE" not in repr(jobs[0])


def test_a_folder_is_refused_that_is_one_study_or_holds_the_results(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(UsageError, match="no subfolders"):
        plan(tmp_path / "one", tmp_path / "out", Defaults())
    (tmp_path / "in" / "a").mkdir(parents=True)
    with pytest.raises(UsageError, match="read as a study"):
        plan(tmp_path / "in", tmp_path / "in" / "a" / "out", Defaults())


def test_only_a_study_that_is_drawn_on_a_gpu_asks_for_one() -> None:
    place = Path("x")
    assert Job("a", place, place, "r", {"device": "cuda"}).demands == {GPU: 1.0}
    assert Job("a", place, place, "r", {"device": "cuda", "labels": place}).demands == {}
    assert Job("a", place, place, "r", {"device": "auto"}).demands == {}
