"""One run at a time in a folder: a lock that the system drops when a run is killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from liverimg.core.errors import WorkspaceBusyError, WorkspaceError

_NAME = ".lock"


@contextmanager
def locked(folder: Path, *, own: Path, needs: Sequence[Path] = (), run: str = "run") -> Iterator[None]:
    """Keeps a second run out of a folder of results.

    Args:
        folder: What is locked, as a person named it.
        own: Folder of our own in it, for the lock's file; made with all above it when it is not there.
        needs: Folders that the run needs beside it, made likewise.
        run: What the other one is, in the refusal.

    Raises:
        WorkspaceError: Nothing can be written there.
        WorkspaceBusyError: Another run has it.
    """
    try:
        for needed in (own, *needs):
            needed.mkdir(parents=True, exist_ok=True)
        handle = os.open(own / _NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkspaceError(
            f"{folder} can't be written to ({error.strerror}); give --out a folder that you may write to"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceBusyError(
                f"another {run} is at work in {folder}; wait for it, or give another --out"
            ) from None
        yield
    finally:
        os.close(handle)
