"""DIMSE command sets (PS3.7 annex E), as far as a storage and verification provider needs them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from liverimg.pacs.upper_layer import INVALID_PARAMETER, ProtocolError

LONGEST_COMMAND_BYTES: Final = 1 << 16
C_STORE: Final = 0x0001
C_ECHO: Final = 0x0030
C_CANCEL: Final = 0x0FFF
VERIFICATION: Final = "1.2.840.10008.1.1"
_RESPONSE: Final = 0x8000
_NO_DATA_SET: Final = 0x0101
_LONGEST_COMMENT: Final = 64

_SOP_CLASS, _FIELD, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT, _SOP_INSTANCE = 0x0800, 0x0900, 0x0902, 0x1000


class Status(IntEnum):
    """Answers to C-STORE and C-ECHO (PS3.7 annex C, PS3.4 table B.2-1)."""

    SUCCESS = 0x0000
    CLASS_NOT_SUPPORTED = 0x0122
    UNRECOGNISED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True)
class Command:
    """A request.

    Attributes:
        field: Which operation.
        message_id: What the answer refers to.
        sop_class: Affected SOP class UID, or empty.
        sop_instance: Affected SOP instance UID, or empty.
        has_data: Whether a data set follows.
    """

    field: int
    message_id: int
    sop_class: str
    sop_instance: str
    has_data: bool

    @property
    def is_request(self) -> bool:
        """Requests want an answer."""
        return not self.field & _RESPONSE


def read_command(data: bytes) -> Command:
    """Parses a command set: group 0000, implicit little endian.

    Raises:
        ProtocolError: It does not fit, or lacks what every request has.
    """
    values: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ProtocolError("a command that is cut off", INVALID_PARAMETER)
        group, element, length = struct.unpack_from("<HHL", data, at)
        at += 8
        if group or at + length > len(data):
            raise ProtocolError("a command with a foreign or too long element", INVALID_PARAMETER)
        values[element] = data[at : at + length]
        at += length
    field = _number(values, _FIELD)
    if field is None:
        raise ProtocolError("a command that does not say what it asks", INVALID_PARAMETER)
    message_id = _number(values, _MESSAGE_ID)
    if message_id is None and not field & _RESPONSE and field != C_CANCEL:
        raise ProtocolError("a command without a number", INVALID_PARAMETER)
    return Command(
        field=field,
        message_id=message_id or 0,
        sop_class=_uid(values, _SOP_CLASS),
        sop_instance=_uid(values, _SOP_INSTANCE),
        has_data=_number(values, _DATA_SET_TYPE) not in (None, _NO_DATA_SET),
    )


def answer(command: Command, status: Status, comment: str = "") -> bytes:
    """The command set of a response, without a data set."""
    elements: dict[int, bytes] = {
        _FIELD: struct.pack("<H", command.field | _RESPONSE),
        _ANSWERED_ID: struct.pack("<H", command.message_id),
        _DATA_SET_TYPE: struct.pack("<H", _NO_DATA_SET),
        _STATUS: struct.pack("<H", status),
    }
    if command.sop_class:
        elements[_SOP_CLASS] = _padded(command.sop_class, b"\0")
    if command.sop_instance:
        elements[_SOP_INSTANCE] = _padded(command.sop_instance, b"\0")
    if comment:
        elements[_COMMENT] = _padded(comment[:_LONGEST_COMMENT], b" ")
    body = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in sorted(elements.items()))
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _number(values: Mapping[int, bytes], tag: int) -> int | None:
    value = values.get(tag, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def _uid(values: Mapping[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("ascii", "replace").strip(" \0")


def _padded(text: str, filler: bytes) -> bytes:
    encoded = text.encode("ascii", "replace")
    return encoded + filler * (len(encoded) % 2)
