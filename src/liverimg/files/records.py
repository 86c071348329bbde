"""Core values to JSON and back, in the published shape, always through the schema.

JSON is written with sorted keys and a final newline so that equal values give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.imports import going_without
from liverimg.files.bundled import package_data

Record = dict[str, Any]

# More digits than any scanner delivers; fewer would make a re-read grid differ from the one written.
_AFFINE_DECIMALS = 9
_MOST_REMEMBERED: Final = 4096
_RIGHT: Final[set[tuple[str, bytes]]] = set()
_GRAMMARS: Final = ("rfc3987", "rfc3987_syntax")
KINDS = (
    "study",
    "inspection",
    "cine",
    "labels",
    "label_quality",
    "measurements",
    "window",
    "assessment",
    "scores",
    "perfusion",
    "alignment",
    "zones",
    "response",
    "timeline",
    "published",
    "meshes",
    "fhir",
)


def dump(record: Mapping[str, Any]) -> str:
    """A record as JSON text; the same record always gives the same text."""
    return json.dumps(record, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def load(path: Path) -> Record:
    """Reads a JSON object.

    Raises:
        RecordInvalidError: Missing, unreadable, not JSON or not an object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_duplicates)
    except FileNotFoundError:
        raise RecordInvalidError(f"{path.name} does not exist") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise RecordInvalidError(f"{path.name} can't be read ({type(error).__name__})") from error
    except json.JSONDecodeError as error:
        raise RecordInvalidError(
            f"{path.name} is not valid JSON (line {error.lineno}, column {error.colno}); write it anew"
        ) from error
    except _DuplicateKeyError as error:
        raise RecordInvalidError(f"{path.name} holds {error.args[0]!r} twice, expected once; remove one") from error
    if not isinstance(record, dict):
        raise RecordInvalidError(f"{path.name} holds a {type(record).__name__}, expected a JSON object")
    return record


class _DuplicateKeyError(Exception):
    """A JSON object has a key twice; the standard library would silently take the last."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Record:
    record: Record = {}
    for key, value in pairs:
        if key in record:
            raise _DuplicateKeyError(key)
        record[key] = value
    return record


def _jsonschema() -> ModuleType:
    """The library, without the grammars of web addresses that it loads where they are installed.

    To build them takes more than a second of every start, and no schema of ours asks for them.
    """
    with going_without(*_GRAMMARS):
        return import_module("jsonschema")


@cache
def _validator(kind: str) -> Any:
    jsonschema = _jsonschema()
    # That the schemas themselves are right is shown by a test, not anew in every run.
    schema = json.loads(package_data("schema", f"{kind}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def kind_of(record: Mapping[str, Any], file_name: str) -> str:
    """Which published record this is: it says so itself, or its file name does.

    Raises:
        RecordInvalidError: It is none of ours.
    """
    # A Bundle is no shape of ours and has no room for our field.
    said = "fhir" if record.get("resourceType") == "Bundle" else record.get("record")
    stem = file_name.removesuffix(".json")
    for kind in KINDS:
        if said == kind or (said is None and stem == kind):
            return kind
    raise RecordInvalidError(
        f"{file_name} does not say which record it is; expected a field 'record' with one of: {', '.join(KINDS)}"
    )


def checked(path: Path) -> tuple[str, list[str]]:
    """Which published record a file is, and what is wrong with it; see :func:`problems`.

    Raises:
        RecordInvalidError: It is no JSON object, or none of ours.
    """
    record = load(path)
    kind = kind_of(record, path.name)
    return kind, problems(record, kind)


def problems(record: Mapping[str, Any], kind: str) -> list[str]:
    """What is wrong with a record, one line each, nearest to the top first; empty when nothing is."""
    errors = sorted(_validator(kind).iter_errors(record), key=lambda e: [str(p) for p in e.absolute_path])
    return [f"{'/'.join(str(p) for p in e.absolute_path) or 'the record'}: {e.message}" for e in errors]


def check(record: Mapping[str, Any], kind: str, file_name: str) -> None:
    """Refuses a record that does not keep its schema.

    Raises:
        RecordInvalidError: Naming the first place and how many more there are.
    """
    known = _fingerprint(record, kind)
    if known is not None and known in _RIGHT:
        return
    found = problems(record, kind)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RecordInvalidError(f"{file_name} does not keep the {kind} schema: {found[0]}{more}")
    if known is not None:
        if len(_RIGHT) >= _MOST_REMEMBERED:
            _RIGHT.clear()
        _RIGHT.add(known)


def _fingerprint(record: Mapping[str, Any], kind: str) -> tuple[str, bytes] | None:
    """Of what a record says: each stage reads again what another has written, and a schema takes long to check."""
    try:
        return kind, sha256(json.dumps(record, sort_keys=True).encode()).digest()
    except (TypeError, ValueError):
        return None  # it can't be written either, which its writer says


def grid_to_record(grid: Grid) -> Record:
    """Shape, affine and frame of a grid."""
    return {
        "shape_kji": list(grid.shape),
        "affine_kji_to_lps_mm": np.round(grid.affine, _AFFINE_DECIMALS).tolist(),
        "spacing_kji_mm": np.round(grid.spacing_mm, _AFFINE_DECIMALS).tolist(),
        "frame_of_reference_uid": grid.frame_of_reference_uid,
    }


def grid_from_record(record: Mapping[str, Any]) -> Grid:
    """The inverse of :func:`grid_to_record`."""
    k, j, i = record["shape_kji"]
    return Grid((k, j, i), record["affine_kji_to_lps_mm"], record["frame_of_reference_uid"])
