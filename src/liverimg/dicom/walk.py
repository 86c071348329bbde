"""Walking over the elements of a data set in memory (PS3.5 section 7), for headers that are plainly encoded.

Indexing thousands of files spends its time here, so this does no more than find where each element lies. Whatever
is not plain (big endian, unknown value representations, lengths that run over the end) is left to pydicom.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_DEEPEST: Final = 64

_EXPLICIT: Final = struct.Struct("<HH2sH")
_IMPLICIT: Final = struct.Struct("<HHL")
_LENGTH: Final = struct.Struct("<L")
_SHORT_VR: Final = {
    name.encode(): name
    for name in (
        "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM",
        "UI", "UL", "US",
    )
}  # fmt: skip
_LONG_VR: Final = {
    name.encode(): name
    for name in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
}  # fmt: skip

Found = dict[int, RawDataElement]


class NotPlainError(Exception):
    """Something that only a full parser should judge."""


class Everything:
    """The container that holds every tag."""

    def __contains__(self, tag: object) -> bool:
        return True


def walk(  # noqa: PLR0912 - one loop, because a call an element would cost as much again
    data: bytes, at: int, end: int, *, explicit: bool, wanted: Container[int], stop: Container[int] = (), depth: int = 0
) -> tuple[Found, int]:
    """Finds elements of a little-endian data set.

    Args:
        data: The bytes.
        at: Offset of the first element.
        end: Offset behind the last one.
        explicit: Whether value representations are written out.
        wanted: Tags to keep.
        stop: Tags at which to stop.
        depth: Of nesting.

    Returns:
        The wanted elements, undecoded, and the offset of the tag that stopped the walk, or ``end``.

    Raises:
        NotPlainError: See above.
    """
    found: Found = {}
    unpack = (_EXPLICIT if explicit else _IMPLICIT).unpack_from
    vr: str | None = None
    while at + 8 <= end:
        if explicit:
            group, element, code, length = unpack(data, at)
            tag = group << 16 | element
            if tag in stop:
                return found, at
            start = at + 8
            vr = _SHORT_VR.get(code)
            if vr is None:
                vr = _LONG_VR.get(code)
                if vr is None or start + 4 > end:
                    raise NotPlainError
                (length,) = _LENGTH.unpack_from(data, start)
                start += 4
        else:
            group, element, length = unpack(data, at)
            tag = group << 16 | element
            if tag in stop:
                return found, at
            start = at + 8
        if length == _UNDEFINED:
            if explicit and vr != "SQ":
                raise NotPlainError
            value_end = _end_of_items(data, start, end, explicit=explicit, depth=depth + 1)
            at = value_end + 8
        else:
            at = value_end = start + length
            if at > end:
                raise NotPlainError
        if tag in wanted:
            value = data[start:value_end]
            found[tag] = RawDataElement(BaseTag(tag), vr, len(value), value, start, not explicit, True)
    if at != end:
        raise NotPlainError
    return found, at


def items(data: bytes, *, explicit: bool) -> tuple[Found, ...]:
    """The items of a sequence's value, each with all of its elements.

    Raises:
        NotPlainError: See :func:`walk`.
    """
    found: list[Found] = []
    at, end = 0, len(data)
    while at + 8 <= end:
        tag, length = _item_head(data, at)
        if tag != _ITEM:
            raise NotPlainError
        at += 8
        item_end = end if length == _UNDEFINED else at + length
        if item_end > end:
            raise NotPlainError
        stop = (_ITEM_END,) if length == _UNDEFINED else ()
        elements, stopped = walk(data, at, item_end, explicit=explicit, wanted=Everything(), stop=stop)
        found.append(elements)
        at = stopped + 8 if length == _UNDEFINED else item_end
    return tuple(found)


def _end_of_items(data: bytes, at: int, end: int, *, explicit: bool, depth: int) -> int:
    """Offset of the delimiter that ends a sequence of undefined length whose first item is at ``at``."""
    if depth > _DEEPEST:
        raise NotPlainError
    while at + 8 <= end:
        tag, length = _item_head(data, at)
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise NotPlainError
        at += 8
        if length == _UNDEFINED:
            _, stopped = walk(data, at, end, explicit=explicit, wanted=(), stop=(_ITEM_END,), depth=depth)
            at = stopped + 8
        else:
            at += length
    raise NotPlainError


def _item_head(data: bytes, at: int) -> tuple[int, int]:
    group, element, length = _IMPLICIT.unpack_from(data, at)
    return group << 16 | element, length
