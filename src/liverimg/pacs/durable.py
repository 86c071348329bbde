"""Writing so that a power cut or a kill leaves either the old state or the new one."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, lie on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes a folder, readable by us alone, whose name survives; its parent is there."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    sync(folder.parent)


def move_in(temporary: Path, place: Path) -> None:
    """Puts a synced file in its place, on the same disk."""
    temporary.rename(place)
    sync(place.parent)


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a small JSON record, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(record, stream, sort_keys=True, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    move_in(temporary, path)


def read_record(path: Path) -> dict[str, Any]:
    """What :func:`write_record` wrote; empty when there is none, or nothing that we wrote."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def lock(path: Path) -> int | None:
    """An exclusive lock as an open descriptor, inherited by whoever gets it; None when somebody else holds it.

    The system drops it when the last process with the descriptor ends, however that happens.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
