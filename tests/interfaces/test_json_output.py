"""``--json``: one object on standard output, whatever the command, and the same options on all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.interfaces.conftest import Secretive, call

from liverimg.cli import app
from liverimg.files import records

# Serves until it is ended.
ENDLESS = {"view"}


def leaves(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*above, name))
        else:
            yield " ".join((*above, name)), command


def test_every_command_has_the_shared_options() -> None:
    commands = dict(leaves(typer.main.get_command(app)))
    assert {"pre", "post", "ceus", "timeline", "pacs find", "evaluate", "publish"} <= set(commands)
    for words, command in commands.items():
        if words not in ENDLESS:
            given = [text for parameter in command.params for text in parameter.opts]
            assert [given.count(name) for name in ("--json", "--log", "--config")] == [1, 1, 1], words


def test_a_run_says_where_what_and_how(secretive: Secretive) -> None:
    out = secretive.home / "out"
    said = call("pre", secretive.study, "--out", out, "--labels", secretive.labels, "--json")
    record = json.loads(said.out)
    assert said.out == json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert record["out"] == str(out)
    assert record["report"] == str(out / "report.html")
    assert {row["stage"]: row["state"] for row in record["stages"]}["ingest"] == "fresh"
    assert Path(record["files"]["measurements"]).is_file()
    assert record["warnings"] == json.loads((out / "measurements.json").read_text())["warnings"]


def test_commands_about_results_and_rules(assessed: Path, tmp_path: Path) -> None:
    said = call("timeline", assessed, "--json")
    assert records.problems(json.loads(said.out), "timeline") == []
    said = call("export", assessed, "--csv", tmp_path / "a.csv", "--json")
    assert json.loads(said.out) == {"files": [str(tmp_path / "a.csv")]}
    assert {row["id"] for row in json.loads(call("transducers", "--json").out)["transducers"]} >= {"jc_150"}
    (table,) = json.loads(call("criteria", "staging", "--json").out)["criteria"]
    assert table["id"] == "staging"


def test_an_answer_may_leave_by_another_code(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"liver": 0}')
    said = call("validate", tmp_path / "labels.json", "--json")
    assert said.code == 3
    record = json.loads(said.out)
    assert (record["kind"], record["valid"]) == ("labels", False)
    assert record["problems"]


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("inspect", "nowhere"), 3, "input_refused"),
        (("measure", "nowhere"), 2, "usage"),
        (("validate", "nowhere.json"), 3, "record_invalid"),
        (("pacs", "echo", "ARCHIVE@127.0.0.1:9", "--attempts", "1", "--timeout", "2"), 4, "peer"),
        (("listen", "nowhere.toml"), 3, "record_invalid"),
        (("pacs", "find"), 2, "usage"),
    ],
)
def test_errors_are_objects_everywhere(words: tuple[str, ...], exit_code: int, code: str) -> None:
    said = call(*words, "--json")
    assert said.code == exit_code
    error = json.loads(said.out)["error"]
    assert (error["code"], error["exit_code"]) == (code, exit_code)
    assert error["message"] in said.err
