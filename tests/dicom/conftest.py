"""Fixtures of the DICOM room."""

import importlib.util
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from tests.conftest import MakeOnce, succeed

from liverimg.dicom.phase import PhaseRules


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """The module ``tests/dicom/build.py``: writes small DICOM studies to order."""
    return _beside("build.py")


@pytest.fixture(scope="session")
def build_us() -> ModuleType:
    """The module ``tests/dicom/build_us.py``: writes small ultrasound clips to order."""
    return _beside("build_us.py")


def _beside(name: str) -> ModuleType:
    path = Path(__file__).with_name(name)
    spec = importlib.util.spec_from_file_location(f"dicom_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rules(repository: Path) -> PhaseRules:
    """The phase rules as they are shipped."""
    text = (repository / "src" / "liverimg" / "data" / "phases.toml").read_text(encoding="utf-8")
    return PhaseRules.from_table(tomllib.loads(text))


@pytest.fixture(scope="session")
def published(made_once: MakeOnce, assessed: Path, sample: Path) -> Path:
    """The sample's results, published with everything this machine can make; not to be changed by tests."""

    def publish(out: Path) -> None:
        shutil.copytree(assessed, out)
        succeed("publish", out, "--study", sample / "pre_ct")

    return made_once("published", publish)


@pytest.fixture(scope="session")
def published_post(made_once: MakeOnce, assessed_post: Path, sample: Path) -> Path:
    """The sample's study after ablation with exact labels, published; not to be changed by tests."""

    def make(out: Path) -> None:
        shutil.copytree(assessed_post, out)
        succeed("publish", out, "--study", sample / "post_ct")

    return made_once("published_post", make)


@pytest.fixture(scope="session")
def published_ceus(made_once: MakeOnce, sample: Path) -> Path:
    """The sample's contrast ultrasound, published; not to be changed by tests."""

    def make(out: Path) -> None:
        succeed("ceus", sample / "ceus", "--out", out)
        succeed("publish", out, "--study", sample / "ceus")

    return made_once("published_ceus", make)
