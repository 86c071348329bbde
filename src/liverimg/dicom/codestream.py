"""Compressed pixels as bytes, before any decoder sees them: their fragments, and the size that they claim.

A decoder allocates what the code stream's own header asks for, not what the DICOM header says, so both are compared.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.frame import PixelBlock

# A writer may cut a frame, but not into crumbs.
_MOST_FRAGMENTS_PER_FRAME: Final = 4096
_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0"
# The start of a JPEG 2000 code stream, bare or inside a JP2 file (ISO 15444-1 A.4.1, A.5.1).
_JPEG2000_START: Final = b"\xff\x4f\xff\x51"
# Markers of JPEG that stand alone, and those that start a frame (ISO 10918-1 B.1.1.3; C4, C8 and CC are no frames).
_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD9)))
_FRAME_STARTS: Final = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}


def refuse_cut_fragments(block: PixelBlock) -> None:
    """Follows the fragments of encapsulated pixels (PS3.5 A.4); decoders fill up what is missing in silence.

    Raises:
        DicomRefusedError: The file ends too early, or holds fewer fragments than frames.
    """
    size = block.path.stat().st_size
    with block.path.open("rb") as stream:
        most = block.frames * _MOST_FRAGMENTS_PER_FRAME + 1
        at, fragments = _follow_fragments(stream, block.offset, size, most)
    # The first item is the offset table; some writers leave out the delimiter at the very end.
    if at > size or fragments - 1 < block.frames:
        raise DicomRefusedError(Code.PIXEL_DATA_TRUNCATED, "a compressed slice ends before its pixels do")


def _follow_fragments(stream: BinaryIO, start: int, size: int, most: int) -> tuple[int, int]:
    """Where the fragments end, and how many there are, the offset table included."""
    at, fragments = start, 0
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(8)
        if head[:4] == _SEQUENCE_END:
            break
        if head[:4] != _ITEM:
            raise DicomRefusedError(Code.DECODING_FAILED, "compressed pixels that are not stored in fragments")
        at += 8 + int.from_bytes(head[4:], "little")
        fragments += 1
        if fragments > most:
            raise DicomRefusedError(Code.DECODING_FAILED, "compressed pixels in more fragments than any real ones")
    return at, fragments


def claimed_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 code stream claims; None when it names none."""
    start = frame.find(_JPEG2000_START, 0, 4096)
    if start >= 0:
        # SIZ: marker, length, capabilities, then width, height and their offsets (ISO 15444-1 A.5.1).
        fields = [int.from_bytes(frame[start + n : start + n + 4], "big") for n in (8, 12, 16, 20)]
        return fields[1] - fields[3], fields[0] - fields[2]
    return _jpeg_size(frame) if frame[:2] == b"\xff\xd8" else None


def is_ended(frame: bytes) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 code stream has its end marker; decoders make up what follows a cut."""
    return frame.rstrip(b"\0\xff")[-2:] == b"\xff\xd9"


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker in _FRAME_STARTS:
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        if marker == 0xFF:
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return None
