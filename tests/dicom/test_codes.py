"""Every code and flag is documented, used and nothing else is documented."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from liverimg.dicom.codes import Code, Flag


@pytest.fixture(scope="module")
def table(repository: Path) -> dict:
    path = repository / "src" / "liverimg" / "data" / "refusal_codes.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def source(repository: Path) -> str:
    room = repository / "src" / "liverimg" / "dicom"
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(room.glob("*.py")) if path.name != "codes.py")


@pytest.mark.parametrize(("section", "names"), [("codes", Code), ("flags", Flag)])
def test_documented_exactly(section: str, names: type[Code] | type[Flag], table: dict) -> None:
    assert set(table[section]) == {name.value for name in names}
    for entry in table[section].values():
        assert set(entry) == {"meaning", "action"}
        assert entry["meaning"].endswith(".") and entry["action"].endswith(".")


@pytest.mark.parametrize("names", [Code, Flag])
def test_each_is_used_in_the_source(names: type[Code] | type[Flag], source: str) -> None:
    unused = [name for name in names if not re.search(rf"\b{names.__name__}\.{name.name}\b", source)]
    assert unused == []


def test_refusals_use_the_documented_names_only(source: str) -> None:
    assert re.findall(r"DicomRefusedError\(\s*[\"']", source) == []
