"""The bill of materials and the audit: what is listed, and what is said where nothing can be asked."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from tools import audit, sbom

ROOT = Path(__file__).resolve().parents[2]


def test_every_model_is_listed_with_hash_and_licence() -> None:
    listed = {part["name"]: part for part in sbom.models(ROOT / "models")}
    for weights in ROOT.glob("models/*/models/*.safetensors"):
        part = listed.pop(weights.relative_to(ROOT / "models").as_posix())
        assert part["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(weights.read_bytes()).hexdigest()}]
        assert "research and evaluation only" in part["licenses"][0]["license"]["text"]["content"]
    assert not listed


def test_scripts_inside_the_package_are_listed() -> None:
    listed = {part["name"]: part for part in sbom.scripts(ROOT / "src/liverimg/viewer/pages")}
    assert listed["@niivue/niivue"]["licenses"] == [{"expression": "BSD-2-Clause"}]
    assert listed["@niivue/niivue"]["purl"].startswith("pkg:npm/%40niivue/niivue@")
    assert listed["zarrita"]["licenses"] == [{"expression": "MIT"}], "what a script is built from is listed too"


def test_requirements_of_requirements_are_listed_and_tools_are_not() -> None:
    found = sbom.needed("rich>=13", "jsonschema>=4")
    assert {"rich", "pygments", "jsonschema", "attrs"} <= found
    assert "pytest" not in found


def test_no_folder_of_this_machine_is_told() -> None:
    part = {"name": "x", "externalReferences": [{"url": "file:///home/somebody/x"}, {"url": "https://pypi.org/x"}]}
    assert sbom.without_places(part) == {"name": "x", "externalReferences": [{"url": "https://pypi.org/x"}]}


@pytest.mark.parametrize(
    ("pins", "code"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0),
        ([{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}], 1),
        ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}], 2),
        (None, 2),
    ],
)
def test_an_audit_that_could_not_ask_is_no_clean_bill(
    pins: list | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "" if pins is None else json.dumps({"dependencies": pins})
    answer = subprocess.CompletedProcess([], 0, stdout=said, stderr="no answer")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert audit.main() == code
