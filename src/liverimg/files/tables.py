"""TOML tables: thresholds, rules and names, read as data and turned into core values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from liverimg.core.criteria import CriteriaSet, Criterion, Threshold
from liverimg.core.errors import RecordInvalidError
from liverimg.core.labels import Structure
from liverimg.files.bundled import package_data

Table = Mapping[str, Any]


@dataclass(frozen=True)
class StructureStyle:
    """How a structure is numbered, named and drawn.

    Attributes:
        value: Its value in ``labels.nii.gz``.
        colour: sRGB, ``#rrggbb``.
        title: Its name for readers.
        sct: SNOMED CT code.
    """

    value: int
    colour: str
    title: str
    sct: str


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        RecordInvalidError: Missing, unreadable or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordInvalidError(f"{path.name} does not exist; expected a TOML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecordInvalidError(f"{path.name} can't be read ({type(error).__name__})") from error
    except (ValueError, RecursionError) as error:
        raise RecordInvalidError(f"{path.name} is not valid TOML: {error}") from error


def read_table(name: str) -> dict[str, Any]:
    """One of the tables that come with the package, such as ``phases`` or ``criteria/hifu_suitability``."""
    return read_toml(package_data(f"{name}.toml"))


def table_hashes(*names: str) -> dict[str, str]:
    """Sha256 of tables that come with the package, by name: what a stage's outputs depend on."""
    return {name: sha256(package_data(f"{name}.toml").read_bytes()).hexdigest() for name in names}


def structure_styles() -> dict[Structure, StructureStyle]:
    """Value, colour, title and code of every structure."""
    return {Structure(name): StructureStyle(**row) for name, row in read_table("structures").items()}


def load_criteria(table: Table, *, file_name: str = "criteria") -> CriteriaSet:
    """Turns a criteria table into core values.

    Raises:
        RecordInvalidError: A field is missing, unknown or of the wrong kind.
    """
    try:
        criteria = tuple(_criterion(row) for row in table["criterion"])
        return CriteriaSet(
            id=str(table["id"]),
            title=str(table["title"]),
            edition=str(table["edition"]),
            criteria=criteria,
            conflicts=tuple(str(c) for c in table.get("conflicts", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordInvalidError(
            f"{file_name} is not a criteria table ({error}); expected id, title, edition and [[criterion]] rows"
        ) from error


def _criterion(row: Table) -> Criterion:
    lists = {
        "thresholds": tuple(
            Threshold(float(t["value"]), str(t["unit"]), str(t["source"])) for t in row.get("thresholds", ())
        ),
        "allowed": tuple(str(a) for a in row.get("allowed", ())),
        "refused": tuple(str(r) for r in row.get("refused", ())),
        "plausible": tuple(float(p) for p in row.get("plausible", ())),
        "notes": tuple(str(n) for n in row.get("notes", ())),
    }
    return Criterion(**{**row, **lists})
