"""Waiting that a signal may end, and waiting that grows with each failure."""

from __future__ import annotations

import time
from typing import Final

_SLICE_S: Final = 0.2


class Stop:
    """Told to end, from a signal handler too: it takes no lock, as the thread that is interrupted might hold it."""

    def __init__(self) -> None:
        self._told = False

    def set(self) -> None:
        """Tells."""
        self._told = True

    def is_set(self) -> bool:
        """Whether it was told."""
        return self._told

    def wait(self, longest_s: float) -> None:
        """Sleeps until it is told, or for so long."""
        deadline = time.monotonic() + longest_s
        while not self._told and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_S))


class Waits:
    """When something that failed is tried again: later each time."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._until: dict[str, tuple[float, float]] = {}

    def waits(self, key: str) -> bool:
        """Whether it is too early."""
        return time.monotonic() < self._until.get(key, (0.0, 0.0))[0]

    def put_off(self, key: str) -> None:
        """It failed."""
        wait_s = min(2 * self._until[key][1], self._longest_s) if key in self._until else self._first_s
        self._until[key] = (time.monotonic() + wait_s, wait_s)

    def forget(self, key: str) -> None:
        """It went well."""
        self._until.pop(key, None)
