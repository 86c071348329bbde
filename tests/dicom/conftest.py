"""Fixtures of the DICOM room."""

import importlib.util
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from liverimg.cli import main
from liverimg.dicom.phase import PhaseRules


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """The module ``tests/dicom/build.py``: writes small DICOM studies to order."""
    spec = importlib.util.spec_from_file_location("dicom_build", Path(__file__).with_name("build.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def build_us() -> ModuleType:
    """The module ``tests/dicom/build_us.py``: writes small ultrasound clips to order."""
    spec = importlib.util.spec_from_file_location("dicom_build_us", Path(__file__).with_name("build_us.py"))
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
def published(tmp_path_factory: pytest.TempPathFactory, assessed: Path, sample: Path) -> Path:
    """The sample's results, published with everything this machine can make; not to be changed by tests."""
    out = tmp_path_factory.mktemp("published") / "out"
    shutil.copytree(assessed, out)
    before = sys.argv
    sys.argv = ["liverimg", "publish", str(out), "--study", str(sample / "pre_ct")]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code
    finally:
        sys.argv = before
    return out
