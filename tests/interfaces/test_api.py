"""The Python interface: small, typed, lazy, and one path with the command line."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from tests.interfaces.conftest import Secretive

import liverimg as package
from liverimg import api
from liverimg.cli import ceus, post, run
from liverimg.core.study import Phase
from liverimg.pipeline import options
from liverimg.pipeline.recipe import load_recipe
from liverimg.pipeline.request import OPTIONS

# The command line's own words for two options that would hide a table and a module.
SPELLED = {"own_criteria": "criteria", "transducers_file": "transducers"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, liverimg; liverimg.__version__; liverimg.LiverimgError\n"
        "print([m for m in ('numpy', 'torch', 'pydicom', 'typer', 'jsonschema') if m in sys.modules])\n"
        "print(sorted(set(liverimg.__all__) - set(dir(liverimg))), hasattr(liverimg, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[] False\n"


def test_every_public_name_is_there() -> None:
    assert sorted(package.__all__) == package.__all__
    assert set(package.__all__) == {*package._HOME, "__version__"}
    for name in package.__all__:
        assert getattr(package, name) is not None


@pytest.mark.parametrize("command", [run.pre, run.ingest, run.measure, post.post, ceus.ceus])
def test_options_have_the_same_names_on_the_command_line(command: object) -> None:
    of_commands = {"ingest": api.ingest, "measure": api.measure_again}
    function = of_commands.get(command.__name__, api.run)
    known = set(inspect.signature(function).parameters)
    asked = {SPELLED.get(name, name) for name in inspect.signature(command).parameters}
    assert asked <= known


def test_every_option_of_a_run_has_a_place() -> None:
    rest = {"study", "out", "recipe", "redo", "log", "reporter"}
    assert set(inspect.signature(api.run).parameters) - rest == set(OPTIONS) - {"with_volume"}
    taken = {stage.stage.name: stage.stage.settings for name in ("pre_ablation", "post_ablation", "ceus_response")
             for stage in load_recipe(name).steps}  # fmt: skip
    for option in OPTIONS.values():
        for stage in (*option.stages, *option.also):
            assert option.setting in {field.name for field in dataclasses.fields(taken[stage])}


def test_results_are_read_as_core_objects(assessed: Path) -> None:
    result = package.read_result(assessed)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.folder = Path()  # type: ignore[misc]
    record = json.loads((assessed / "measurements.json").read_text())
    assert [lesion.id for lesion in result.measurements.lesions] == [row["id"] for row in record["lesions"]]
    size = result.measurements.lesions[0].quantity("axial_long_diameter")
    assert isinstance(size, package.Measurement)
    assert size.low <= size.value <= size.high
    assert isinstance(result.measurements.lesions[0].quantity("unheard_of"), package.NotMeasured)
    assert {f.verdict for f in result.assessment.findings} <= set(package.Verdict)
    assert result.study.study_instance_uid == record["study"]["study_instance_uid"]
    assert result.labels.array.shape == result.reference.array.shape
    assert result.report == assessed / "report.html"
    assert result.paths["measurements"] == assessed / "measurements.json"
    assert result.record("window")["record"] == "window"
    assert result.measurements is result.measurements, "read once"


def test_what_is_not_there_is_refused_in_one_sentence(assessed: Path, tmp_path: Path) -> None:
    result = package.read_result(assessed)
    with pytest.raises(package.UsageError, match=r"holds no response\.json"):
        _ = result.response
    with pytest.raises(package.UsageError, match="there is no record 'poem'"):
        result.record("poem")
    with pytest.raises(package.UsageError, match=r"no study\.json"):
        package.read_result(tmp_path)
    with pytest.raises(AttributeError, match="it offers"):
        _ = package.anything


def test_python_and_command_line_run_the_same(secretive: Secretive) -> None:
    """What the command line made is fresh to the same call from Python."""
    result = package.run(secretive.study, out=secretive.home / "out", labels=str(secretive.labels))
    assert [outcome.state for outcome in result.outcomes] == ["fresh"] * 5
    assert result.measurements.lesions[0].site == "liver"
    found = package.inspect(secretive.study)
    assert [series.modality for series in found.study.series] == ["CT"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"baseline": "somewhere"}, "recipe pre_ablation has no use for --baseline"),
        ({"recipe": "post_ablation"}, "give --baseline"),
        ({"recipe": "ceus_response", "target": "L1"}, "give --baseline too"),
        ({"recipe": "ceus_response", "labels": "a.nii.gz"}, "no use for --labels"),
        ({"device": "abacus"}, "expected auto, cpu or cuda"),
        ({"phase": {"1.2.3": "lunar"}}, "--phase '1.2.3=lunar'"),
        ({"use": "reference"}, "--use 'reference'"),
        ({"model": "a", "labels": "b"}, "both say who draws"),
        ({"recipe": "unheard_of"}, "no recipe called"),
    ],
)
def test_what_can_not_be_meant_is_refused(given: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(package.UsageError, match=words) as refused:
        package.run(tmp_path, out=tmp_path.parent / "out", **given)
    assert refused.value.exit_code == package.ExitCode.USAGE
    assert not (tmp_path.parent / "out").exists()


def test_a_call_keeps_the_log_that_it_is_given(secretive: Secretive, tmp_path: Path) -> None:
    with pytest.raises(package.UsageError):
        package.run(secretive.study, out=secretive.study / "out", log=tmp_path / "log.jsonl")
    first, last = (json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())
    assert (first["event"], last["event"], last["code"]) == ("command_started", "command_refused", "usage")
    assert "Sentinel" not in (tmp_path / "log.jsonl").read_text()


def test_mappings_mean_what_texts_mean() -> None:
    assert options.phases({"1.2.3": Phase.ARTERIAL}) == options.phases(["1.2.3=arterial"]) == {"1.2.3": Phase.ARTERIAL}
    assert options.roles({"reference": 2}) == options.roles("reference=2") == {"reference": "2"}
    assert options.contrast_starts({"1.2": 3.5}) == {"1.2": 3.5}
    day = date(2026, 1, 31)
    rows = [{"date": "2026-01-31", "kind": "hifu"}]
    assert options.treatments([package.Treatment(day, "hifu")]) == options.treatments(["2026-01-31=hifu"]) == rows
    assert options.treatments([day]) == [{"date": "2026-01-31", "kind": None}]
    assert options.phases(None) is options.phases([]) is options.phases({}) is None
