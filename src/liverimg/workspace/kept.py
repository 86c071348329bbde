"""What was read from files and is kept while they stay as they are, so that no stage unpacks it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import time_ns
from typing import Any, Final, TypeVar

T = TypeVar("T")
_State = tuple[tuple[int, int, int, int] | None, ...]

# A file that was touched so shortly before it was read may be changed again without another time on it.
_SETTLED_NS: Final = 20_000_000


class Kept:
    """Values by name, each with the state of the files that it was read from.

    A file counts as changed when it is another one, or its size or one of its times differs: the time of its last
    change is the system's own, and no program that writes into a file can keep it.
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[_State, Any]] = {}

    def get(self, name: str, files: Sequence[Path], read: Callable[[], T]) -> T:
        """What ``read`` makes of some files, read anew when one of them changed since.

        Args:
            name: What it is; one value is kept under it.
            files: All that it is read from.
            read: Gives a value that nobody changes.
        """
        before = _state(files)
        kept = self._values.get(name)
        if kept is not None and kept[0] == before:
            value: T = kept[1]
            return value
        # Gone before the new one is there: never two of them in memory.
        self._values.pop(name, None)
        started_ns = time_ns()
        value = read()
        settled = all(one is None or started_ns - max(one[2:]) > _SETTLED_NS for one in before)
        if settled and _state(files) == before:
            self._values[name] = (before, value)
        return value


def _state(files: Sequence[Path]) -> _State:
    return tuple(_of_file(path) for path in files)


def _of_file(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
