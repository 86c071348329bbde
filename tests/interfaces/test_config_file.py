"""Defaults by file: the command line wins, and nothing that is misspelt is believed in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.interfaces.conftest import call

TRANSDUCER = """
[ours]
title = "Ours"
aperture_mm = 100.0
focal_length_mm = 100.0
opening_mm = 0.0
frequency_mhz = 1.0
standoff_mm = 5.0
azimuth_deg = [-45.0, 120.0]
elevation_deg = [-45.0, 45.0]
source = "our ward"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration beside a table that it names."""
    (tmp_path / "ours.toml").write_text(TRANSDUCER)
    path = tmp_path / "liverimg.toml"
    path.write_text('[transducers]\ntransducers = "ours.toml"\njson = true\n[criteria]\njson = true\n')
    return path


def test_the_file_gives_defaults_with_paths_beside_it(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = call("transducers", "--config", config)
    assert [row["id"] for row in json.loads(said.out)["transducers"]] == ["ours"]
    monkeypatch.setenv("LIVERIMG_CONFIG", str(config))
    assert call("transducers").out == said.out


def test_the_command_line_wins(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(TRANSDUCER.replace("[ours]", "[another]"))
    said = call("transducers", "--config", config, "--transducers", other)
    assert [row["id"] for row in json.loads(said.out)["transducers"]] == ["another"]


def test_a_required_option_may_stand_in_the_file(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[pre]\nout = "study/inside"\ndevice = "cpu"\ntransducer = "jc_150"\n')
    (tmp_path / "study").mkdir()
    said = call("pre", tmp_path / "study", "--config", config)
    assert said.code == 2
    assert "lies inside the study folder" in said.err, "so --out was read, and is relative to the file"


def test_what_applies_can_be_looked_at(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = json.loads(call("config", "show", "--config", config, "--json").out)["options"]
    assert [(r["command"], r["option"], r["value"], r["from"]) for r in rows] == [
        ("criteria", "--json", True, "file"),
        ("transducers", "--transducers", str(tmp_path / "ours.toml"), "file"),
        ("transducers", "--json", True, "file"),
    ]
    monkeypatch.setenv("LIVERIMG_CONFIG", str(config))
    by_option = {
        r["option"]: r["from"] for r in json.loads(call("config", "show", "transducers", "--json").out)["options"]
    }
    assert by_option == {"--transducers": "file", "--json": "file", "--log": "built in"}
    monkeypatch.delenv("LIVERIMG_CONFIG")
    told = {r["option"]: r for r in json.loads(call("config", "show", "pre", "--json").out)["options"]}
    assert (told["--out"]["from"], told["--device"]["value"], told["--device"]["from"]) == (
        "must be given", "auto", "built in",
    )  # fmt: skip
    assert call("config", "show", "pree").code == 2
    (tmp_path / "bad.toml").write_text("[pre]\ndevise = 'cpu'\n")
    assert "did you mean 'device'?" in call("config", "show", "--config", tmp_path / "bad.toml").err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[prre]\n", "'prre', which is no command; did you mean 'pre'?"),
        ('[pre]\ntreated_on = ["2026-01-31"]\n', "'treated_on', which is no option"),
        ('[post]\ntreated_on = ["2026-01-31"]\n', "did you mean 'treated-on'?"),
        ('[pre]\ncriteria = "one.toml"\n', "expected a list"),
        ('[pre]\nout = ["one"]\n', "expected one value"),
        ("[publish]\npdf = 1\n", "expected true or false"),
        ("[pre]\ndevice = true\n", "expected no true or false"),
        ('pre = "x"\n', "expected a table [pre]"),
        ('[pacs.fnd]\nlevel = "study"\n', "did you mean 'find'?"),
        ('[pre]\nconfig = "other.toml"\n', "'config', which is no option"),
        ("[pre\n", "not valid TOML"),
    ],
)
def test_what_is_misspelt_is_refused_whatever_command_is_run(text: str, words: str, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(text)
    said = call("transducers", "--config", config)
    assert said.code == 2
    assert words in said.err
    assert said.err.startswith("liverimg: ")
    assert said.err.count("\n") == 1


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = call("transducers", "--config", tmp_path / "none.toml")
    assert said.code == 2
    assert "none.toml does not exist" in said.err
