"""Keeps an association of pynetdicom from swallowing the answer that it is waiting for.

Before it sends a request, pynetdicom stops the association's own thread at a checkpoint, as that thread takes messages
from the same queue. It believes the thread stopped when it is merely passing by; on a busy machine, with a peer that
answers within a millisecond, the thread then takes the answer, nobody else sees it, and the request runs into its
timeout. Here the checkpoint knows for certain; and it lets the thread look after the line between two requests, so that
nothing is sent on one that has ended.
"""

from __future__ import annotations

import threading

from pynetdicom.association import Association

from liverimg.pacs.retry import PassingError

_LOOK_S = 0.05


class Checkpoint(threading.Event):
    """An event whose :meth:`clear` returns when the thread has stopped at it.

    Args:
        association: Whose thread passes it.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._change = threading.Condition()
        self._arrivals = self._due = 0
        self._is_stopped = False
        self.set()

    def set(self) -> None:
        """Opens the way; before it is closed again, the thread goes round once."""
        with self._change:
            self._due = self._arrivals + 1
            super().set()
            self._change.notify_all()

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - nobody waits with one
        """Called by the association's thread: passes when the way is open."""
        with self._change:
            self._arrivals += 1
            self._is_stopped = True
            self._change.notify_all()
            while not self.is_set():
                self._change.wait()
            self._is_stopped = False
        return True

    def clear(self) -> None:
        """Called by whoever is about to send: closes the way, and returns when nobody is on it.

        Raises:
            PassingError: The line has ended, and with it the thread.
        """
        ends_itself = threading.current_thread() is self._association
        with self._change:
            while not ends_itself and self._arrivals < self._due:
                self._wait_for_thread()
            super().clear()
            while not ends_itself and not self._is_stopped:
                self._wait_for_thread()

    def _wait_for_thread(self) -> None:
        if not self._change.wait(_LOOK_S) and not self._association.is_alive():
            raise PassingError("the line to the peer has ended")


def steady(association: Association) -> Association:
    """Gives an established association a checkpoint that holds."""
    association._reactor_checkpoint = Checkpoint(association)
    return association
