"""Where peers come in: accepts connections, shakes hands, checks who asks, and lets associations run.

The loop that accepts does nothing else. TLS and the association request are read in a thread for each connection, which
costs nothing while the peer is silent, and until both are done the connection holds no place among the associations:
fifty idle sockets stand in nobody's way. Who has not asked for an association in time is shown out.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from liverimg.core.errors import UsageError
from liverimg.pacs import upper_layer as ul
from liverimg.pacs.association import KNOWN, Association, Receiver, choose
from liverimg.pacs.names import printable
from liverimg.pacs.settings import ListenerSettings, listener_settings
from liverimg.pacs.upper_layer import Kind, ProtocolError, Rejection, Request
from liverimg.pacs.wire import LAST_WORD_S, LineEndedError, Wire

logger = logging.getLogger(__name__)

IMPLEMENTATION_UID: Final = "1.2.826.0.1.3680043.8.498.20261121.3"
_LOOK_S: Final = 0.25
_BACKLOG: Final = 128


@dataclass(frozen=True)
class House:
    """Who we are, and whom we let in.

    Attributes:
        ae_title: Ours; a peer that asks for another one is rejected.
        host: Address to listen on.
        port: 0 lets the system choose.
        peers: AE titles that may send, each with the addresses that it may come from; none means any.
        tls: Present where connections must be encrypted.
        settings: Limits.
    """

    ae_title: str
    host: str
    port: int
    peers: Mapping[str, tuple[str, ...]]
    tls: ssl.SSLContext | None = None
    settings: ListenerSettings = field(default_factory=listener_settings)


@dataclass(eq=False)
class _Visitor:
    wire: Wire
    address: str
    since_s: float


class Door:
    """A listening socket with everyone who came in through it; use it as a context.

    Args:
        house: Who we are.
        receiver: Where objects go.

    Raises:
        UsageError: The address can't be listened on.
    """

    def __init__(self, house: House, receiver: Receiver) -> None:
        self._house, self._receiver = house, receiver
        self._lock = threading.Lock()
        self._waiting: dict[_Visitor, None] = {}
        self._inside: dict[_Visitor, str] = {}
        self._closing = threading.Event()
        family = socket.AF_INET6 if ":" in house.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((house.host, house.port))
            self._socket.listen(_BACKLOG)
        except OSError as error:
            self._socket.close()
            raise UsageError(
                f"{house.host} port {house.port} can't be listened on ({error.strerror or error}); choose another one"
            ) from error
        self._socket.settimeout(_LOOK_S)
        self._thread = threading.Thread(target=self._accept, name="door", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    @property
    def is_open(self) -> bool:
        """Whether peers can still come in."""
        return self._thread.is_alive()

    @property
    def associations(self) -> int:
        """Open now."""
        return len(self._inside)

    def __enter__(self) -> Door:
        """Lets peers in."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shows everyone out: what was acknowledged is kept, peers see a broken connection and send the rest again."""
        self._closing.set()
        self._thread.join()
        self._socket.close()
        for visitor in self._everyone():
            visitor.wire.hang_up()
        deadline = time.monotonic() + self._house.settings.request_s
        while self._everyone() and time.monotonic() < deadline:
            time.sleep(_LOOK_S / 10)

    def _everyone(self) -> list[_Visitor]:
        with self._lock:
            return [*self._waiting, *self._inside]

    # ---- the loop that accepts ----

    def _accept(self) -> None:
        while not self._closing.is_set():
            self._show_out_the_silent()
            try:
                connection, (address, *_) = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as error:
                # Out of file descriptors, or the peer was gone before we looked: neither ends the listener.
                logger.warning("a connection could not be accepted (%s)", error.strerror)
                self._closing.wait(_LOOK_S)
                continue
            try:
                self._let_in(connection, address)
            except OSError:
                connection.close()  # the peer was gone before we looked

    def _let_in(self, connection: socket.socket, address: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._house.tls is not None:
            # The handshake waits for the thread: this call does not talk to the peer.
            connection = self._house.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        visitor = _Visitor(Wire(connection), address, time.monotonic())
        with self._lock:
            self._waiting[visitor] = None
            crowded = len(self._waiting) > self._house.settings.waiting
            longest = next(iter(self._waiting))
        if crowded:
            longest.wire.hang_up()
        try:
            threading.Thread(target=self._receive, args=(visitor,), name="peer", daemon=True).start()
        except RuntimeError:
            logger.warning("no thread for another connection; it is closed")
            self._forget(visitor)

    def _show_out_the_silent(self) -> None:
        until = time.monotonic() - self._house.settings.request_s
        with self._lock:
            late = [visitor for visitor in self._waiting if visitor.since_s < until]
        for visitor in late:
            visitor.wire.hang_up()

    def _forget(self, visitor: _Visitor) -> None:
        with self._lock:
            self._waiting.pop(visitor, None)
            self._inside.pop(visitor, None)
        visitor.wire.connection.close()

    # ---- a thread for each connection ----

    def _receive(self, visitor: _Visitor) -> None:
        try:
            self._greet(visitor)
        except LineEndedError as ended:
            logger.info("connection from %s ended: %s", visitor.address, ended)
        except ProtocolError as error:
            logger.warning("connection from %s ended: %s", visitor.address, error)
        except ssl.SSLError as error:
            logger.warning("connection from %s: no TLS (%s)", visitor.address, error.reason or "handshake failed")
        except OSError as error:
            logger.info("connection from %s ended: %s", visitor.address, error.strerror or type(error).__name__)
        finally:
            self._forget(visitor)

    def _greet(self, visitor: _Visitor) -> None:
        settings, wire = self._house.settings, visitor.wire
        if isinstance(wire.connection, ssl.SSLSocket):
            wire.connection.settimeout(settings.request_s)
            wire.connection.do_handshake()
        try:
            kind, body = wire.read_pdu(None, most=ul.LONGEST_REQUEST_BYTES, within_s=settings.request_s)
            if kind != Kind.ASSOCIATE_RQ:
                raise ProtocolError("something else than an association request", ul.UNEXPECTED_PDU)
            request = ul.read_request(bytes(body))
        except ProtocolError as error:
            wire.send(ul.abort(error.reason), within_s=settings.request_s)
            wire.linger(within_s=LAST_WORD_S)
            raise
        rejection = self._admit(visitor, request)
        if rejection is not None:
            logger.warning(
                "association of %r from %s rejected: %s", printable(request.calling), visitor.address, rejection.words
            )
            wire.send(ul.reject(rejection), within_s=settings.request_s)
            wire.linger(within_s=LAST_WORD_S)
            return
        self._associate(visitor, request)

    def _admit(self, visitor: _Visitor, request: Request) -> Rejection | None:
        """Why the peer may not come in; otherwise it has its place."""
        house = self._house
        if request.application != ul.APPLICATION_CONTEXT:
            return ul.NO_SUCH_CONTEXT
        if request.called != house.ae_title:
            return ul.NOT_US
        if request.calling not in house.peers:
            return ul.STRANGER
        addresses = house.peers[request.calling]
        if addresses and visitor.address not in addresses:
            return ul.WRONG_ADDRESS
        with self._lock:
            of_peer = Counter(self._inside.values())[request.calling]
            if len(self._inside) >= house.settings.associations or of_peer >= house.settings.associations_per_peer:
                return ul.FULL
            self._waiting.pop(visitor, None)
            self._inside[visitor] = request.calling
        return None

    def _associate(self, visitor: _Visitor, request: Request) -> None:
        settings, chosen = self._house.settings, choose(request)
        accepted = ul.accept(request, chosen, known=KNOWN, pdu_bytes=settings.pdu_bytes, uid=IMPLEMENTATION_UID)
        visitor.wire.send(accepted, within_s=settings.request_s)
        association = Association(
            visitor.wire,
            request,
            chosen,
            receiver=self._receiver,
            pdu_bytes=settings.pdu_bytes,
            idle_s=settings.idle_s,
        )
        try:
            association.serve()
        finally:
            tally = association.tally
            if tally.stored or tally.refused:
                logger.info("association of %r: %d objects taken", request.calling, tally.stored)
            for words, count in sorted(tally.refused.items()):
                logger.warning("association of %r: %d objects refused: %s", request.calling, count, words)
