"""Trying again, longer apart each time: only for what may be done twice without harm."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from liverimg.pacs.settings import ClientSettings


class PassingError(Exception):
    """It did not work now and may work later; the words say why."""


def waits_s(settings: ClientSettings) -> Iterator[float]:
    """How long to wait before the second attempt, the third, and so on.

    Half of each wait is random: peers that lost the same archive don't come back in the same moment.
    """
    wait_s = settings.first_wait_s
    for _ in range(settings.attempts - 1):
        yield wait_s * (0.5 + 0.5 * random.random())  # no secret
        wait_s = min(2 * wait_s, settings.longest_wait_s)


def tried(action: Callable[[], bool], settings: ClientSettings, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """Does something until it is done.

    Args:
        action: Returns whether everything is done. May be called again after :class:`PassingError`, and after False.
        settings: How often and how far apart.
        sleep: Waits.

    Returns:
        Why it was left undone after the last attempt, or nothing.
    """
    words = "not everything was done"
    for wait_s in (*waits_s(settings), None):
        try:
            if action():
                return ""
        except PassingError as error:
            words = str(error)
        if wait_s is not None:
            sleep(wait_s)
    return words
