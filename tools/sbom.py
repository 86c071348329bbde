"""Writes a software bill of materials (CycloneDX 1.6, JSON): what runs when liverimg runs, models included.

Usage: ``python -m tools.sbom FILE [--everything]``. It lists the packages of the environment that it runs in, of these
only what the package asks for, and what that asks for; with ``--everything`` the tools of developers too. The same
environment gives the same bytes.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from liverimg.files.bundled import bundled_folder

_ROOT = Path(__file__).resolve().parent.parent
_LICENCE = "LicenseRef-liverimg-weights"
# A heading such as "@niivue/niivue 0.69.0 (BSD-2-Clause)"; what a script is built from has no version.
_SCRIPT = re.compile(r"^=+\n(\S+)(?: (\d\S*))? \(([\w.\- ]+)\)\n=+$", re.MULTILINE)


def bill(*, everything: bool = False) -> dict[str, Any]:
    """The bill of this environment."""
    told = subprocess.run(
        [
            *(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--short-PURLs"),
            *("--sv", "1.6", "--of", "JSON", "--pyproject", str(_ROOT / "pyproject.toml"), sys.executable),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(told.stdout)
    kept = None if everything else needed(*_project()["dependencies"])
    packages = [
        without_places(part)
        for part in found["components"]
        if (kept is None or canonicalize_name(part["name"]) in kept) and canonicalize_name(part["name"]) != "liverimg"
    ]
    inside = [*models(bundled_folder("models")), *scripts(_ROOT / "src" / "liverimg" / "viewer" / "pages")]
    found["components"] = sorted([*packages, *inside], key=lambda part: str(part["bom-ref"]))
    found["metadata"]["component"] = without_places(found["metadata"]["component"])
    found["dependencies"] = dependencies(found, [str(part["bom-ref"]) for part in inside])
    return found


def needed(*asked: str) -> set[str]:
    """Names of requirements, of theirs and so on, without extras that nobody asks for."""
    known: set[str] = set()
    waiting = [Requirement(each) for each in asked]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        if (one.name, frozenset(one.extras)) in seen:
            continue
        seen.add((one.name, frozenset(one.extras)))
        try:
            theirs = [Requirement(each) for each in metadata.requires(one.name) or []]
        except metadata.PackageNotFoundError:
            continue  # of another platform or Python
        known.add(canonicalize_name(one.name))
        waiting += [
            each
            for each in theirs
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *one.extras))
        ]
    return known


def _project() -> dict[str, Any]:
    """What ``pyproject.toml`` says; an environment may have been made from an older one."""
    return dict(tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def models(folder: Path) -> list[dict[str, Any]]:
    """Each file of weights as a component, with its SHA-256 and its licence in words."""
    return [_model(weights, folder) for weights in sorted(folder.glob("*/models/*.safetensors"))]


def _model(weights: Path, folder: Path) -> dict[str, Any]:
    bundle = weights.parents[1]
    contract = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    terms = (bundle / "docs" / "data_license.txt").read_text(encoding="utf-8")
    name = weights.relative_to(folder).as_posix()
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{name}@{contract['version']}",
        "name": name,
        "version": contract["version"],
        "description": f"{contract['task']}. {contract['intended_use']}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(weights.read_bytes()).hexdigest()}],
        "licenses": [{"license": {"name": _LICENCE, "text": {"contentType": "text/plain", "content": terms}}}],
    }


def scripts(folder: Path) -> list[dict[str, Any]]:
    """Scripts of others that travel inside the package, as the file of their licences names them."""
    found = [
        match.groups()
        for notices in sorted(folder.glob("*-LICENSES.txt"))
        for match in _SCRIPT.finditer(notices.read_text(encoding="utf-8"))
    ]
    return [_script(name, version, licence) for name, version, licence in found]


def _script(name: str, version: str | None, licence: str) -> dict[str, Any]:
    at = "" if version is None else f"@{version}"
    part = {
        "type": "library",
        "bom-ref": f"script:{name}{at}",
        "name": name,
        "purl": f"pkg:npm/{name.replace('@', '%40')}{at}",
        "licenses": [{"expression": licence}],
    }
    return part if version is None else {**part, "version": version}


def without_places(part: dict[str, Any]) -> dict[str, Any]:
    """A component without folders of this machine."""
    references = [r for r in part.get("externalReferences", []) if not str(r.get("url", "")).startswith("file:")]
    rest = {key: value for key, value in part.items() if key != "externalReferences"}
    return {**rest, "externalReferences": references} if references else rest


def dependencies(found: dict[str, Any], inside: list[str]) -> list[dict[str, Any]]:
    """Who needs whom, of what is listed; the package itself needs what travels inside it."""
    root = found["metadata"]["component"]["bom-ref"]
    listed = {part["bom-ref"] for part in found["components"]} | {root}
    rows = {row["ref"]: set(row.get("dependsOn", [])) & listed for row in found["dependencies"] if row["ref"] in listed}
    rows.setdefault(root, set()).update(inside)
    rows.update({ref: set() for ref in inside})
    return [{"ref": ref, "dependsOn": sorted(of)} if of else {"ref": ref} for ref, of in sorted(rows.items())]


def main() -> int:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--everything", action="store_true", help="list what only developers need as well")
    told = parser.parse_args()
    told.file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(bill(everything=told.everything), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    told.file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
