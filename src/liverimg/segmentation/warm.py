"""Models that stay open: a process that takes study after study loads each model once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from liverimg.segmentation.bundle import Bundle, open_bundle

# One for CT and one for MR.
_KEPT: Final = 2
_Fingerprint = tuple[tuple[str, int, int], ...]


def warm_bundle(folder: Path, *, device: str) -> Bundle:
    """A model, opened now or kept open since an earlier study of this process.

    Args:
        folder: Of the bundle; when a file in it changed since, it is opened again.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ModelRefusedError: As :func:`liverimg.segmentation.bundle.open_bundle`.
        UsageError: Likewise.
    """
    return _opened(folder.resolve(), device, _fingerprint(folder))


@lru_cache(maxsize=_KEPT)
def _opened(folder: Path, device: str, _files: _Fingerprint) -> Bundle:
    return open_bundle(folder, device=device)


def _fingerprint(folder: Path) -> _Fingerprint:
    """Names, sizes and times of a bundle's files: what tells that somebody changed it, without reading it all."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return tuple((p.relative_to(folder).as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in found)
