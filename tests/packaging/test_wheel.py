"""The package: what the wheel holds, and that what it installs runs where there is no checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from tests.conftest import Slab

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the checkout without a network, as ``make wheel`` does."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command: the wheel in an environment of its own, its requirements lent by this one."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    # A folder named in a .pth file is searched last, and .pth files inside it (our editable install) are not read.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
    )
    return home / "bin" / "liverimg"


def run(command: Path, *arguments: object, where: Path) -> subprocess.CompletedProcess[str]:
    """Runs the installed command in a folder, without anything that leads back to the checkout."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(command), *map(str, arguments)], cwd=where, env=clean, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_wheel_holds_what_the_program_needs_and_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        told = Parser().parsestr(archive.read("liverimg-0.1.0.dist-info/METADATA").decode())
    here = {path.relative_to(ROOT) for folder in ("models", "pipelines") for path in (ROOT / folder).rglob("*")}
    bundled = {f"liverimg/_bundled/{path.as_posix()}" for path in here if (ROOT / path).is_file()}
    assert bundled <= names
    data = {
        path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/liverimg").rglob("*.*") if path.is_file()
    }
    assert {name for name in data if "__pycache__" not in name} <= names
    assert not [name for name in names if name.startswith(("tests", "sample_dicom", "docs"))]
    assert {"Apache-2.0", "LicenseRef-liverimg-weights"} <= set(told["License-Expression"].split(" AND "))
    assert "Private :: Do Not Upload" in told.get_all("Classifier")


@pytest.mark.slow
def test_what_it_installs_runs_in_an_empty_folder(elsewhere: Path, tmp_path: Path, slab: Slab) -> None:
    (tmp_path / "study").symlink_to(slab.study)
    assert "hifu" in run(elsewhere, "criteria", where=tmp_path).stdout.lower()
    inspected = run(elsewhere, "inspect", "study", where=tmp_path)
    assert inspected.returncode == 0 and "portal venous" in inspected.stdout
    done = run(elsewhere, "pre", "study", "--out", "out", where=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "measurements.json").read_text())
    assert record["labels"]["origin"] == "model" and record["lesions"]
    module = elsewhere.parent.parent
    said = subprocess.run(
        [str(elsewhere.parent / "python"), "-c", "import liverimg; print(liverimg.__file__)"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(said.stdout.strip()).is_relative_to(module), "the wheel's own package ran, not the checkout's"


def test_one_version_everywhere() -> None:
    import liverimg

    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert liverimg.__version__ == version
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
