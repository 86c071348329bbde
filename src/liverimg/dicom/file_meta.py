"""A DICOM file's frame: preamble, meta information (group 0002), and the deflated transfer syntax (PS3.10, PS3.5)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final, Literal

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code

INFLATED_LIMIT_BYTES: Final = 512 << 20
_LONG_VR: Final = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))


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


def inflate_start(deflated: bytes, most_bytes: int) -> tuple[bytes, bool]:
    """The first bytes of a deflated data set, and whether they are all of it; no more than those are unpacked."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, most_bytes)
    return inflated, inflater.eof or not inflater.unconsumed_tail
