"""Reading DICOM header elements tolerantly: a broken value is None, never an exception, never a guess.

The parser of pydicom walks the file; values are taken from their raw bytes, because a study of thousands of
headers is indexed and most elements are never asked for.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import unicodedata
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from liverimg.dicom.file_meta import FileMeta
from liverimg.dicom.walk import NotPlainError, items, walk

PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
TEXT_LIMIT: Final = 120

# What a damaged or hostile file makes the parser raise.
PARSER_ERRORS: Final = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError,
    EOFError, OSError, struct.error, OverflowError, RecursionError, MemoryError, zlib.error, LookupError,
    BytesLengthException, InvalidDicomError,
)  # fmt: skip

_STRUCT_OF_VR: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}


@contextmanager
def quiet() -> Iterator[None]:
    """Silences what the libraries say about odd values: it may quote them, and with them a patient."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "pylibjpeg", "openjpeg", "libjpeg")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Elements:
    """The wanted elements of one data set, with tolerant accessors.

    Attributes:
        stopped_at: Offset of the pixel data element's tag, or of the end of what was parsed.
    """

    def __init__(self, raw: Mapping[int, RawDataElement | DataElement], *, stopped_at: int = 0) -> None:
        self._raw = raw
        self.stopped_at = stopped_at

    @classmethod
    def parse(cls, data: bytes, meta: FileMeta, wanted: Iterable[int], *, offset: int) -> Elements:
        """Parses ``data`` from ``offset`` up to the pixel data.

        Raises:
            One of PARSER_ERRORS when the bytes make no sense.
        """
        wanted = frozenset(wanted)
        if meta.is_little_endian:
            with suppress(NotPlainError, RecursionError):
                found, stopped_at = walk(
                    data, offset, len(data), explicit=not meta.is_implicit, wanted=wanted, stop=PIXEL_TAGS
                )
                return cls(found, stopped_at=stopped_at)
        stream = BytesIO(data)
        stream.seek(offset)
        generator = data_element_generator(
            stream,
            is_implicit_VR=meta.is_implicit,
            is_little_endian=meta.is_little_endian,
            stop_when=lambda tag, _vr, _length: tag in PIXEL_TAGS,
            specific_tags=[BaseTag(tag) for tag in wanted],
        )
        raw = {int(element.tag): element for element in generator}
        return cls(raw, stopped_at=stream.tell())

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> Elements:
        """The elements of a sequence item."""
        return cls({int(tag): dataset.get_item(tag) for tag in dataset.keys()})  # noqa: SIM118 - iterating a data set decodes it

    def __contains__(self, tag: int) -> bool:
        return tag in self._raw

    def raw_bytes(self, tag: int) -> bytes | None:
        """The undecoded value; None when absent."""
        element = self._raw.get(tag)
        value = None if element is None else element.value
        if isinstance(value, bytes):
            return value
        if value is None or isinstance(value, str | int | float):
            return None if value is None else str(value).encode("utf-8")
        return "\\".join(str(part) for part in value).encode("utf-8") if isinstance(value, Iterable) else None

    def _parts(self, tag: int) -> tuple[str, ...]:
        value = self.raw_bytes(tag)
        return _split(value) if value else ()

    def code(self, tag: int) -> str:
        """An ASCII value (UI, CS, TM, ...), the first one, stripped; "" when absent."""
        parts = self._parts(tag)
        return parts[0] if parts else ""

    def codes(self, tag: int) -> tuple[str, ...]:
        """All ASCII values, upper case."""
        return tuple(part.upper()[:64] for part in self._parts(tag))

    def decimals(self, tag: int, count: int) -> tuple[float, ...] | None:
        """Exactly ``count`` finite decimal numbers (DS, IS or binary), or None."""
        values = self._values(tag)
        return values if values is not None and len(values) == count else None

    def decimal(self, tag: int) -> float | None:
        """One finite decimal number; the first when there are several."""
        values = self._values(tag)
        return values[0] if values else None

    def integer(self, tag: int) -> int | None:
        """One integer, or None when it is absent or not whole."""
        value = self.decimal(tag)
        return int(value) if value is not None and value == int(value) else None

    def integers(self, tag: int) -> tuple[int, ...]:
        """All whole numbers; empty when absent or when one is not whole."""
        values = self._values(tag) or ()
        return tuple(int(v) for v in values) if all(v == int(v) for v in values) else ()

    def _values(self, tag: int) -> tuple[float, ...] | None:
        """All values as finite numbers; None when one is not."""
        element = self._raw.get(tag)
        if element is None:
            return None
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
            letter = _STRUCT_OF_VR.get(element.VR or _VR_WHEN_IMPLICIT.get(tag, ""))
            if letter is not None:
                return _unpacked(element.value, ("<" if element.is_little_endian else ">"), letter)
        return _numbers(self.raw_bytes(tag) or b"")

    def raw_integer(self, tag: int, *, signed: bool) -> int | None:
        """A 16-bit value whose sign follows PixelRepresentation, such as PixelPaddingValue."""
        element = self._raw.get(tag)
        value = None if element is None else element.value
        if not isinstance(value, bytes) or len(value) < 2:
            return self.integer(tag)
        little = getattr(element, "is_little_endian", True)
        return int.from_bytes(value[:2], "little" if little else "big", signed=signed)

    def text(self, tag: int) -> str | None:
        """Human text, decoded by SpecificCharacterSet and cleaned; None when absent."""
        if tag not in self._raw:
            return None
        return _decoded(self.raw_bytes(tag) or b"", self._parts(0x00080005))

    def items(self, tag: int) -> tuple[Elements, ...]:
        """The items of a sequence; empty when absent."""
        element = self._raw.get(tag)
        if element is None:
            return ()
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes) and element.is_little_endian:
            # What is stored as unknown is implicit inside (PS3.5 section 6.2.2, note 2).
            explicit = element.VR == "SQ"
            with suppress(NotPlainError, RecursionError):
                return tuple(Elements(found) for found in items(element.value, explicit=explicit))
        dataset = Dataset()
        dataset[BaseTag(tag)] = element
        value: Any = dataset[BaseTag(tag)].value
        return tuple(Elements.of_dataset(item) for item in value) if value else ()

    def first_item(self, tag: int) -> Elements | None:
        """The first item of a sequence, or None."""
        items = self.items(tag)
        return items[0] if items else None


# Binary elements that we ask for; in implicit VR the data set does not say.
_VR_WHEN_IMPLICIT: Final = {
    0x00280002: "US", 0x00280010: "US", 0x00280011: "US", 0x00280100: "US", 0x00280101: "US", 0x00280102: "US",
    0x00280103: "US", 0x00189087: "FD", 0x00189082: "FD", 0x00209128: "UL", 0x00209057: "UL", 0x00209156: "US",
    0x00209157: "UL", 0x0020930D: "FD", 0x00209153: "FD", 0x2005100E: "FL", 0x00409224: "FD",
    0x00409225: "FD", 0x00200011: "IS", 0x0019100C: "IS", 0x20011003: "FL",
    0x00186012: "US", 0x00186014: "US", 0x00186016: "UL", 0x00186018: "UL", 0x0018601A: "UL", 0x0018601C: "UL",
    0x0018601E: "UL", 0x00186024: "US", 0x00186026: "US", 0x0018602C: "FD", 0x0018602E: "FD", 0x00286020: "US",
}  # fmt: skip


# Most values are the same on all slices of a series: what they mean is worked out once.
@lru_cache(maxsize=8192)
def _split(value: bytes) -> tuple[str, ...]:
    return tuple(part.strip("\0 ") for part in value.decode("ascii", "replace").split("\\"))


@lru_cache(maxsize=8192)
def _numbers(value: bytes) -> tuple[float, ...] | None:
    try:
        return _finite(tuple(float(part) for part in _split(value))) if value else ()
    except ValueError:
        return None


@lru_cache(maxsize=8192)
def _unpacked(value: bytes, order: str, letter: str) -> tuple[float, ...] | None:
    size = struct.calcsize(letter)
    count = len(value) // size
    return _finite(tuple(map(float, struct.unpack(f"{order}{count}{letter}", value[: count * size]))))


def _finite(values: tuple[float, ...]) -> tuple[float, ...] | None:
    return values if all(math.isfinite(value) for value in values) else None


_DESIGNATION: Final = re.compile("\x1b(?:\\$[()]?|[()])[@-~]")


@lru_cache(maxsize=1024)
def _decoded(value: bytes, character_sets: tuple[str, ...]) -> str:
    try:
        encodings = list(convert_encodings(list(character_sets) or [""]))
    except PARSER_ERRORS:
        encodings = ["iso8859"]
    try:
        text = str(decode_bytes(value, encodings, {0x5C}))
        # Some designations pydicom leaves in the text, such as that of GB 2312 (PS3.5 annex K).
        return clean_text(_DESIGNATION.sub("", text) if len(character_sets) > 1 else text)
    except PARSER_ERRORS:
        return clean_text(value.decode("latin-1"))


def clean_text(text: str) -> str:
    """One line without control or formatting characters, at most TEXT_LIMIT long."""
    visible = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(visible.split())[:TEXT_LIMIT]


@lru_cache(maxsize=8192)
def time_of_day_s(value: str) -> float | None:
    """DICOM TM (``HHMMSS.FFFFFF``, also the retired ``HH:MM:SS``) as seconds after midnight."""
    digits = value.replace(":", "").strip()
    whole, _, fraction = digits.partition(".")
    if not whole.isdigit() or not whole.isascii() or len(whole) not in (2, 4, 6):
        return None
    hours, minutes, seconds = int(whole[:2]), int(whole[2:4] or 0), int(whole[4:6] or 0)
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    part = float(f"0.{fraction}") if fraction.isdigit() and fraction.isascii() else 0.0
    return hours * 3600 + minutes * 60 + seconds + part
