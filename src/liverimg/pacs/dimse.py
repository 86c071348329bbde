"""Asking other nodes by DIMSE: associations with limits on time, C-ECHO and C-FIND."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from liverimg.core.errors import PeerError
from liverimg.dicom.tags import PARSER_ERRORS
from liverimg.pacs.checkpoint import steady
from liverimg.pacs.commands import VERIFICATION
from liverimg.pacs.door import IMPLEMENTATION_UID
from liverimg.pacs.names import printable
from liverimg.pacs.peer import Peer, client_context
from liverimg.pacs.query import Query, Row, identifier, row
from liverimg.pacs.retry import PassingError, tried

# The library would log whole identifiers, and with them patients.
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
# Files go out as they lie on the disk, and piece by piece.
_config.STORE_SEND_CHUNKED_DATASET = True
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)

SUCCESS: Final = 0x0000
PENDING: Final = (0xFF00, 0xFF01)
OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)
# Answers that count as done although the peer had something to say (PS3.7 annex C.4).
WARNINGS: Final = (0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000))
_TRANSIENT: Final = 2
_FIND: Final = UID("1.2.840.10008.5.1.4.1.2.2.1")  # study root, PS3.4 section C.6.2


class NoServiceError(PeerError):
    """The peer lets us in and takes nothing of what we propose."""


@contextmanager
def associated(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Callable[[Any], Any]]] = (),
) -> Iterator[Association]:
    """An association with a peer, released at the end.

    Args:
        peer: With whom.
        contexts: What is proposed.
        roles: Role selection items.
        handlers: Events of pynetdicom and who handles them.

    Raises:
        PassingError: The peer can't be reached, or has no place for us now.
        NoServiceError: It speaks nothing of what is proposed.
        PeerError: It does not want us.
    """
    node = _node(peer)
    tls = None if peer.tls is None else (client_context(peer.tls), peer.tls.name or peer.host)
    try:
        association = node.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            ext_neg=list(roles),
            tls_args=tls,
            evt_handlers=list(handlers),
        )
    except OSError as error:  # the name of the host has no address
        raise PassingError(f"{peer.words} can't be found ({error.strerror or 'no address'})") from error
    if not association.is_established:
        _explain(association, peer)
    try:
        yield steady(association)
    finally:
        if association.is_established:
            with suppress(PassingError):  # the peer was faster: it has ended
                association.release()


def _node(peer: Peer) -> AE:
    node = AE(ae_title=peer.own_title)
    node.implementation_class_uid = UID(IMPLEMENTATION_UID)
    node.connection_timeout = peer.settings.connect_s
    node.acse_timeout = node.dimse_timeout = node.network_timeout = peer.settings.answer_s
    return node


def _explain(association: Association, peer: Peer) -> None:
    """Says why there is no association."""
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        reason = printable(str(answer.reason_str))
        if answer.result == _TRANSIENT:
            raise PassingError(f"{peer.words} has no place for us now ({reason})")
        raise PeerError(
            f"{peer.words} rejects the association ({reason}); it must know the AE title {peer.own_title} and be "
            f"called by its own"
        )
    if answer is not None:
        raise NoServiceError(
            f"{peer.words} speaks none of the services that were asked for; see its conformance statement"
        )
    line = "or does not answer" if peer.tls is None else "does not answer, or the TLS certificates do not fit"
    raise PassingError(f"{peer.words} can't be reached {line}; check address, port, AE title and TLS")


def safely(peer: Peer, action: Callable[[], bool]) -> None:
    """Does something that may be repeated, until it works.

    Raises:
        PeerError: It did not, after the last attempt.
    """
    words = tried(action, peer.settings)
    if words:
        raise PeerError(f"{words} (tried {peer.settings.attempts} times)")


def echo(peer: Peer) -> None:
    """C-ECHO: whether a node answers.

    Raises:
        PeerError: It does not.
    """

    def once() -> bool:
        with associated(peer, [build_context(VERIFICATION)]) as association:
            code = code_of(association.send_c_echo(), peer)
        if code != SUCCESS:
            raise PeerError(f"{peer.words} answers C-ECHO with status {code:04X}H; expected 0000H")
        return True

    safely(peer, once)


def find(peer: Peer, query: Query) -> list[Row]:
    """C-FIND in the study root.

    Returns:
        Answers in the order of the archive, at most ``most_matches``.

    Raises:
        PeerError: The archive can't be asked, or refuses.
    """
    rows: list[Row] = []

    def once() -> bool:
        rows.clear()
        with associated(peer, [build_context(_FIND)]) as association:
            for status, answer in association.send_c_find(identifier(query), _FIND):
                code = code_of(status, peer)
                if code in PENDING and answer is not None:
                    rows.append(row(answer, query.level))
                    if len(rows) >= peer.settings.most_matches:
                        association.abort()  # it might go on for ever
                        break
                elif code not in PENDING and code != SUCCESS:
                    _refused(code, f"{peer.words} answers the question with status {code:04X}H{comment_of(status)}")
        return True

    safely(peer, once)
    return rows


def _refused(code: int, words: str) -> None:
    if code in OUT_OF_RESOURCES:
        raise PassingError(words)
    raise PeerError(words)


def code_of(status: Dataset, peer: Peer) -> int:
    """The status of an answer.

    Raises:
        PassingError: There was none: the line broke, or nobody spoke in time.
    """
    code = status.get("Status")
    if code is None:
        raise PassingError(f"{peer.words} broke off, or did not answer within {peer.settings.answer_s:g} s")
    return int(code)


def comment_of(status: Dataset) -> str:
    """What the peer says to its status, in brackets; nothing when it says nothing."""
    try:
        comment = printable(str(status.get("ErrorComment", "") or ""))
    except PARSER_ERRORS:
        comment = ""
    return f" ({comment})" if comment else ""
