"""A connection with a peer, with limits on time and length."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Final

from liverimg.pacs import upper_layer as ul
from liverimg.pacs.upper_layer import Kind, ProtocolError

# How long a peer may take to read our last word before the line is closed.
LAST_WORD_S: Final = 1.0


class LineEndedError(Exception):
    """The connection is gone, or was silent for too long."""


class Wire:
    """A connection with limits on time."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def read_into(self, view: memoryview, *, within_s: float) -> None:
        """Fills the view.

        Raises:
            LineEndedError: It can't be filled in time.
        """
        deadline, at = time.monotonic() + within_s, 0
        while at < len(view):
            left = deadline - time.monotonic()
            if left <= 0:
                raise LineEndedError("silent for too long")
            try:
                self.connection.settimeout(left)
                got = self.connection.recv_into(view[at:])
            except TimeoutError:
                raise LineEndedError("silent for too long") from None
            except (OSError, ValueError) as error:  # ValueError: a TLS socket that was shut down meanwhile
                raise LineEndedError("the connection broke") from error
            if not got:
                raise LineEndedError("the peer hung up")
            at += got

    def read_pdu(self, room: memoryview | None, *, most: int, within_s: float) -> tuple[int, memoryview]:
        """The next PDU's type and body.

        Args:
            room: Where to put the body; None takes memory once the length is known.
            most: Longest body that is taken.
            within_s: For the head, and again for the body.

        Raises:
            LineEndedError: See above.
            ProtocolError: It is too long, or nothing we know.
        """
        head = bytearray(ul.HEAD_BYTES)
        self.read_into(memoryview(head), within_s=within_s)
        kind, length = ul.read_head(bytes(head))
        if kind not in set(Kind):
            raise ProtocolError("a PDU of no known type", ul.UNRECOGNISED_PDU)
        if length > most:
            raise ProtocolError(f"a PDU of {length} bytes, at most {most} are taken", ul.INVALID_PARAMETER)
        body = memoryview(bytearray(length)) if room is None else room[:length]
        self.read_into(body, within_s=within_s)
        return kind, body

    def send(self, pdu: bytes, *, within_s: float) -> None:
        """Sends all of it.

        Raises:
            LineEndedError: It can't.
        """
        try:
            self.connection.settimeout(within_s)
            self.connection.sendall(pdu)
        except (OSError, ValueError) as error:
            raise LineEndedError("the peer does not take our answer") from error

    def linger(self, *, within_s: float) -> None:
        """Lets the peer read our last word and close the line (state 13 of PS3.8 section 9.2); then it is closed."""
        deadline, rest = time.monotonic() + within_s, bytearray(1 << 12)
        with suppress(OSError, ValueError):
            while (left := deadline - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv_into(rest):
                    return

    def hang_up(self) -> None:
        """Ends it, from any thread; whoever is reading wakes up, and closes it."""
        with suppress(OSError):  # it is gone already
            # Not the TLS socket's own shutdown, which takes its state away under a thread that is reading.
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)
