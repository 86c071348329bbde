"""The receiving half of DICOM's upper layer protocol (PS3.8): association PDUs read and written.

Written for input from strangers: every length is checked before anything is taken, and whatever does not fit is a
:class:`ProtocolError`. pynetdicom's own acceptor reads a PDU of any length, keeps a whole object in memory before
anyone may refuse it, and shakes hands in the loop that accepts; a listener in a hospital can't.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
HEAD_BYTES: Final = 6
# 128 contexts with every transfer syntax there is stay below a third of this.
LONGEST_REQUEST_BYTES: Final = 1 << 20
# A-RELEASE-RQ, A-RELEASE-RP and A-ABORT carry four bytes (PS3.8 sections 9.3.6 to 9.3.8).
SHORT_BODY_BYTES: Final = 4
_MOST_CONTEXTS: Final = 128
_UNLIMITED_PDU_BYTES: Final = 1 << 16
_SMALLEST_PDU_BYTES: Final = 4096
_IMPLEMENTATION_VERSION: Final = b"LIVERIMG"


class Kind(IntEnum):
    """PDU types (PS3.8 section 9.3)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class ProtocolError(Exception):
    """The peer sent something that the standard does not allow, or that we do not take.

    Attributes:
        reason: For A-ABORT (PS3.8 section 9.3.8).
    """

    def __init__(self, words: str, reason: int = 0) -> None:
        super().__init__(words)
        self.reason = reason


UNRECOGNISED_PDU: Final = 1
UNEXPECTED_PDU: Final = 2
INVALID_PARAMETER: Final = 6


@dataclass(frozen=True)
class Rejection:
    """Why an association is refused (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int
    words: str


STRANGER: Final = Rejection(1, 1, 3, "its AE title is not on the list")
WRONG_ADDRESS: Final = Rejection(1, 1, 1, "its AE title belongs to another address")
NOT_US: Final = Rejection(1, 1, 7, "it asks for another AE title")
NO_SUCH_CONTEXT: Final = Rejection(1, 1, 2, "it speaks another application context")
FULL: Final = Rejection(2, 3, 2, "there are too many associations open")


@dataclass(frozen=True)
class ContextAsked:
    """A presentation context that the peer proposes."""

    number: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """An A-ASSOCIATE-RQ.

    Attributes:
        called: AE title that it asks for.
        calling: Its own.
        application: Application context name.
        contexts: What it wants to send, and how encoded.
        most_pdu_bytes: Longest P-DATA-TF that it takes.
        raw_titles: Bytes 10 to 73, which the answer repeats.
    """

    called: str
    calling: str
    application: str
    contexts: tuple[ContextAsked, ...]
    most_pdu_bytes: int
    raw_titles: bytes


def read_head(head: bytes) -> tuple[int, int]:
    """Type and length of a PDU."""
    kind, length = struct.unpack(">BxL", head)
    return kind, length


def read_request(body: bytes) -> Request:
    """Parses an A-ASSOCIATE-RQ (PS3.8 section 9.3.2).

    Raises:
        ProtocolError: It does not fit.
    """
    if len(body) < 68:
        raise ProtocolError("an association request that is cut off", INVALID_PARAMETER)
    contexts: list[ContextAsked] = []
    application, most_pdu_bytes = "", 0
    for kind, value in _items(body, 68):
        if kind == 0x10:
            application = _word(value)
        elif kind == 0x20:
            contexts.append(_context(value))
        elif kind == 0x50:
            for sub_kind, sub in _items(value, 0):
                if sub_kind == 0x51 and len(sub) == 4:
                    (most_pdu_bytes,) = struct.unpack(">L", sub)
    numbers = {context.number for context in contexts}
    if not contexts or len(contexts) > _MOST_CONTEXTS or len(numbers) < len(contexts):
        raise ProtocolError("an association request with no, too many or equal contexts", INVALID_PARAMETER)
    return Request(
        called=_word(body[4:20]),
        calling=_word(body[20:36]),
        application=application,
        contexts=tuple(contexts),
        most_pdu_bytes=max(most_pdu_bytes, _SMALLEST_PDU_BYTES) if most_pdu_bytes else _UNLIMITED_PDU_BYTES,
        raw_titles=bytes(body[4:68]),
    )


def _context(value: bytes) -> ContextAsked:
    if len(value) < 4:
        raise ProtocolError("a presentation context that is cut off", INVALID_PARAMETER)
    abstract, syntaxes = "", []
    for kind, sub in _items(value, 4):
        if kind == 0x30:
            abstract = _word(sub)
        elif kind == 0x40:
            syntaxes.append(_word(sub))
    return ContextAsked(value[0], abstract, tuple(syntaxes))


def _items(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at < len(data):
        if at + 4 > len(data):
            raise ProtocolError("an item that is cut off", INVALID_PARAMETER)
        kind, length = struct.unpack_from(">BxH", data, at)
        at += 4
        if at + length > len(data):
            raise ProtocolError("an item longer than its PDU", INVALID_PARAMETER)
        yield kind, bytes(data[at : at + length])
        at += length


def _word(value: bytes) -> str:
    """A UID or AE title; what is no ASCII matches nothing we know."""
    return value.decode("ascii", "replace").strip(" \0")


def accept(request: Request, chosen: Mapping[int, str], *, known: frozenset[str], pdu_bytes: int, uid: str) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 section 9.3.3).

    Args:
        request: What it answers.
        chosen: Transfer syntax by number of the accepted context.
        known: Abstract syntaxes that we speak at all.
        pdu_bytes: Longest P-DATA-TF that we take.
        uid: Implementation class UID.
    """
    parts = [_item(0x10, APPLICATION_CONTEXT.encode())]
    for context in request.contexts:
        taken = chosen.get(context.number)
        # 0 acceptance, 3 abstract syntax not supported, 4 transfer syntaxes not supported (table 9-18).
        result = 0 if taken else 4 if context.abstract_syntax in known else 3
        syntax = taken or (context.transfer_syntaxes[0] if context.transfer_syntaxes else "1.2.840.10008.1.2")
        head = struct.pack(">BxBx", context.number, result)
        parts.append(_item(0x21, head + _item(0x40, syntax.encode("ascii", "replace")[:64])))
    user = _item(0x51, struct.pack(">L", pdu_bytes)) + _item(0x52, uid.encode()) + _item(0x55, _IMPLEMENTATION_VERSION)
    body = struct.pack(">Hxx", 1) + request.raw_titles + b"".join(parts) + _item(0x50, user)
    return _pdu(Kind.ASSOCIATE_AC, body)


def reject(rejection: Rejection) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
    return _pdu(Kind.ASSOCIATE_RJ, struct.pack(">xBBB", rejection.result, rejection.source, rejection.reason))


def release_answer() -> bytes:
    """An A-RELEASE-RP (PS3.8 section 9.3.7)."""
    return _pdu(Kind.RELEASE_RP, bytes(4))


def abort(reason: int) -> bytes:
    """An A-ABORT from the service provider (PS3.8 section 9.3.8)."""
    return _pdu(Kind.ABORT, struct.pack(">xxBB", 2, reason))


def data(context: int, command: bytes, *, most_pdu_bytes: int) -> bytes:
    """A command set as one or more P-DATA-TF PDUs (PS3.8 section 9.3.5 and annex E)."""
    room = most_pdu_bytes - 6
    pieces = [command[at : at + room] for at in range(0, len(command), room)]
    pdus = []
    for number, piece in enumerate(pieces):
        control = 0x03 if number == len(pieces) - 1 else 0x01
        pdus.append(_pdu(Kind.DATA, struct.pack(">LBB", len(piece) + 2, context, control) + piece))
    return b"".join(pdus)


@dataclass(frozen=True)
class Fragment:
    """One presentation data value: a piece of a command or of a data set."""

    context: int
    is_command: bool
    is_last: bool
    value: memoryview


def fragments(body: memoryview) -> Iterator[Fragment]:
    """The values of a P-DATA-TF's body.

    Raises:
        ProtocolError: A length does not fit.
    """
    at = 0
    if not len(body):
        raise ProtocolError("a data PDU without data", INVALID_PARAMETER)
    while at < len(body):
        if at + 6 > len(body):
            raise ProtocolError("a data value that is cut off", INVALID_PARAMETER)
        length, context, control = struct.unpack_from(">LBB", body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise ProtocolError("a data value longer than its PDU", INVALID_PARAMETER)
        yield Fragment(context, bool(control & 1), bool(control & 2), body[at + 6 : end])
        at = end


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdu(kind: Kind, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body
