"""Reading DICOM header elements tolerantly: a broken value is None, never an exception, never a guess.

The parser of pydicom walks the file; values are taken from their raw bytes, because a study of thousands of
headers is indexed and most elements are never asked for.
"""

from __future__ import annotations

import logging
import math
import struct
import unicodedata
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Literal

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code

PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
TEXT_LIMIT: Final = 120
INFLATED_LIMIT_BYTES: Final = 512 << 20

# What a damaged or hostile file makes the parser raise.
PARSER_ERRORS: Final = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError,
    EOFError, OSError, struct.error, OverflowError, RecursionError, MemoryError, zlib.error, LookupError,
)  # fmt: skip

_LONG_VR: Final = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))
_STRUCT_OF_VR: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}


@dataclass(frozen=True)
class FileMeta:
    """The part of the file meta information that matters, and where the data set begins."""

    transfer_syntax: str
    sop_instance_uid: str
    dataset_offset: int
    is_implicit: bool
    is_little_endian: bool

    @property
    def byte_order(self) -> Literal["little", "big"]:
        """As ``int.from_bytes`` wants it."""
        return "little" if self.is_little_endian else "big"


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file's first bytes are a DICOM preamble, or a data set without one."""
    if head[128:132] == b"DICM":
        return True
    # Without a preamble the data set itself comes first: group 0002 or 0008, explicit or implicit little endian.
    if len(head) < 8 or head[:2] not in (b"\x02\x00", b"\x08\x00"):
        return False
    length = struct.unpack("<I", head[4:8])[0]
    return (head[4:6].isalpha() and head[4:6].isupper()) or length < 256


def read_meta(head: bytes) -> FileMeta:
    """Reads group 0002 (always explicit little endian, PS3.10 section 7.1) from a file's first bytes.

    Raises:
        ValueError: The group runs beyond ``head``.
    """
    at = 132 if head[128:132] == b"DICM" else 0
    values: dict[int, bytes] = {}
    while len(head) >= at + 8 and head[at : at + 2] == b"\x02\x00":
        element, vr = struct.unpack("<H2s", head[at + 2 : at + 6])
        if vr in _LONG_VR:
            (length,) = struct.unpack("<I", head[at + 8 : at + 12])
            at += 12
        else:
            (length,) = struct.unpack("<H", head[at + 6 : at + 8])
            at += 8
        if at + length > len(head):
            raise ValueError("the file meta information is cut off or larger than any real one")
        values[element] = head[at : at + length]
        at += length
    transfer_syntax = values.get(0x10, b"").rstrip(b"\0 ").decode("ascii", "replace")
    sop_instance_uid = values.get(0x03, b"").rstrip(b"\0 ").decode("ascii", "replace")
    first_vr = head[at + 4 : at + 6]
    explicit = (first_vr.isalpha() and first_vr.isupper()) or transfer_syntax == DeflatedExplicitVRLittleEndian
    if not transfer_syntax and not explicit:
        transfer_syntax = str(ImplicitVRLittleEndian)
    return FileMeta(
        transfer_syntax=transfer_syntax,
        sop_instance_uid=sop_instance_uid,
        dataset_offset=at,
        is_implicit=not explicit,
        is_little_endian=transfer_syntax != ExplicitVRBigEndian,
    )


def inflate(deflated: bytes) -> bytes:
    """Inflates a deflated data set (PS3.5 A.5), stopping bombs.

    Raises:
        DicomRefusedError: It grows beyond any single image.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, INFLATED_LIMIT_BYTES)
    if inflater.unconsumed_tail:
        raise DicomRefusedError(
            Code.TOO_LARGE, f"a deflated file grows beyond {INFLATED_LIMIT_BYTES >> 20} MiB when it is unpacked"
        )
    return inflated


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

    def __init__(self, raw: dict[int, RawDataElement | DataElement], *, stopped_at: int = 0) -> None:
        self._raw = raw
        self.stopped_at = stopped_at
        self._encodings: list[str] | None = None

    @classmethod
    def parse(cls, data: bytes, meta: FileMeta, wanted: Iterable[int], *, offset: int) -> Elements:
        """Parses ``data`` from ``offset`` up to the pixel data.

        Raises:
            One of PARSER_ERRORS when the bytes make no sense.
        """
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

    def _parts(self, tag: int) -> list[str]:
        value = self.raw_bytes(tag)
        if not value:
            return []
        return [part.strip("\0 ") for part in value.decode("ascii", "replace").split("\\")]

    def code(self, tag: int) -> str:
        """An ASCII value (UI, CS, TM, ...), the first one, stripped; "" when absent."""
        parts = self._parts(tag)
        return parts[0] if parts else ""

    def codes(self, tag: int) -> tuple[str, ...]:
        """All ASCII values, upper case."""
        return tuple(part.upper()[:64] for part in self._parts(tag))

    def decimals(self, tag: int, count: int) -> tuple[float, ...] | None:
        """Exactly ``count`` finite decimal numbers (DS, IS or binary), or None."""
        values = self._binary(tag)
        if values is None:
            try:
                values = tuple(float(part) for part in self._parts(tag))
            except ValueError:
                return None
        if len(values) != count or not all(math.isfinite(value) for value in values):
            return None
        return values

    def decimal(self, tag: int) -> float | None:
        """One finite decimal number; the first when there are several."""
        try:
            count = max(1, len(self._binary(tag) or self._parts(tag)))
        except struct.error:
            return None
        values = self.decimals(tag, count)
        return values[0] if values else None

    def integer(self, tag: int) -> int | None:
        """One integer, or None when it is absent or not whole."""
        value = self.decimal(tag)
        return int(value) if value is not None and value == int(value) else None

    def _binary(self, tag: int) -> tuple[float, ...] | None:
        element = self._raw.get(tag)
        if element is None or not isinstance(element, RawDataElement):
            return None
        vr = element.VR or _VR_WHEN_IMPLICIT.get(tag)
        letter = _STRUCT_OF_VR.get(str(vr))
        if letter is None or not isinstance(element.value, bytes):
            return None
        size = struct.calcsize(letter)
        count = len(element.value) // size
        order = "<" if element.is_little_endian else ">"
        return tuple(float(v) for v in struct.unpack(f"{order}{count}{letter}", element.value[: count * size]))

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
        value = self.raw_bytes(tag) or b""
        return clean_text(self._decoded(value))

    def _decoded(self, value: bytes) -> str:
        if self._encodings is None:
            try:
                self._encodings = list(convert_encodings(self._parts(0x00080005) or [""]))
            except PARSER_ERRORS:
                self._encodings = ["iso8859"]
        try:
            return str(decode_bytes(value, self._encodings, {0x5C}))
        except PARSER_ERRORS:
            return value.decode("latin-1")

    def items(self, tag: int) -> tuple[Elements, ...]:
        """The items of a sequence; empty when absent."""
        element = self._raw.get(tag)
        if element is None:
            return ()
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
}  # fmt: skip


def clean_text(text: str) -> str:
    """One line without control or formatting characters, at most TEXT_LIMIT long."""
    visible = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(visible.split())[:TEXT_LIMIT]


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
