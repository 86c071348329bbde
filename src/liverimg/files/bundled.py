"""Where the files that travel with the program lie: recipes, models, tables and schemas."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from liverimg.core.errors import UsageError


def package_data(*parts: str) -> Path:
    """A file of ``liverimg/data``."""
    return Path(str(files("liverimg"))).joinpath("data", *parts)


def bundled_folder(name: str) -> Path:
    """``pipelines`` or ``models``: inside an installed package, or at the top of a checkout.

    Raises:
        UsageError: Neither is there.
    """
    package = Path(str(files("liverimg")))
    for candidate in (package / "_bundled" / name, package.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise UsageError(f"the folder of {name} that comes with liverimg is missing; reinstall liverimg")
