"""Files and folders hashed, and written so that they are whole or absent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_BLOCK = 1 << 20


def hash_file(path: Path) -> str:
    """Sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_tree(folder: Path) -> str:
    """Sha256 over a folder: each file's relative name and content, in order of name; links not followed."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def hash_path(path: Path) -> str | None:
    """Hash of a file or folder; None when there is none."""
    if path.is_dir():
        return hash_tree(path)
    return hash_file(path) if path.is_file() else None


def write_atomically(path: Path, text: str) -> None:
    """Writes a small file whole or not at all, even when the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    fsync(temporary)
    temporary.rename(path)
    fsync(path.parent)


def fsync(path: Path) -> None:
    """Returns when the file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
