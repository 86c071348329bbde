"""TOML tables: thresholds, rules and names, read as data and turned into core values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

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
