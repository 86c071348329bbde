"""The command line's door: quick, quiet, with documented exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from liverimg.cli import main

HEAVY = ("torch", "monai", "SimpleITK", "pydicom", "nibabel", "scipy", "skimage", "matplotlib", "plotly", "numpy")


def command(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs the command line in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["liverimg", *arguments])
    with pytest.raises(SystemExit) as leaving:
        main()
    return int(leaving.value.code or 0)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['liverimg', '--help']\n"
        "from liverimg.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stdout
    for name in ("pre", "ingest", "inspect", "measure", "sample", "validate", "deidentify"):
        assert name in done.stdout


@pytest.mark.parametrize("name", ["pre", "ingest", "inspect", "measure", "sample", "validate", "deidentify"])
def test_every_command_has_help_with_exit_codes(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert command(name, "--help", monkeypatch=monkeypatch) == 0
    assert "Exit codes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["pre"],
        ["pre", "study"],
        ["pre", "study", "--out", "out", "--colour", "red"],
        ["pre", "study", "--out", "out", "--device", "abacus"],
        ["pre", "study", "--out", "out", "--phase", "1.2.3=lunar"],
        ["pre", "study", "--out", "out", "--recipe", "pre_ablatoin"],
        ["pre", "study", "--out", "study/out"],
        ["measure", "nowhere"],
        ["sample", "out", "--seed", "-5"],
    ],
)
def test_usage_errors_leave_by_2(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    assert command(*arguments, monkeypatch=monkeypatch) == 2
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().err


def test_validate_names_each_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"liver": 1, "tumour": 2}))
    assert command("validate", str(path), monkeypatch=monkeypatch) == 0
    path.write_text(json.dumps({"liver": 0, "spline": 2}))
    assert command("validate", str(path), monkeypatch=monkeypatch) == 3
    said = capsys.readouterr().err
    assert "liver" in said
    assert "spline" in said


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_validate_refuses_what_is_no_record(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "something.json"
    path.write_text(text)
    assert command("validate", str(path), monkeypatch=monkeypatch) == 3


def test_an_internal_error_leaves_by_5(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['liverimg', 'validate', 'x.json']\n"
        "from liverimg.files import records\n"
        "records.load = lambda path: 1 / 0\n"
        "from liverimg.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 5
    assert "internal error" in done.stderr
    assert "ZeroDivisionError" in done.stderr
