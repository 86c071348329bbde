"""Importing a library without the further ones that it would load and never be asked for here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def going_without(*names: str) -> Iterator[None]:
    """Within the block an import of these libraries fails, as where they are not installed.

    For libraries that do with or without them. One that is loaded already stays; after the block all can be imported.

    Args:
        names: Of modules, as an import statement names them.
    """
    loaded: dict[str, Any] = sys.modules
    absent = dict.fromkeys(name for name in names if name not in loaded)
    loaded.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del loaded[name]
