"""Stored values of frames, wherever they lie: straight from the file, or through the decoding process.

Plain pixels are read from their place in the file into the memory that the volume will lie in; everything that must be
unpacked first goes through :mod:`liverimg.dicom.decode`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.codestream import refuse_cut_fragments
from liverimg.dicom.decode import Decoder
from liverimg.dicom.file_meta import inflate_start, read_meta
from liverimg.dicom.frame import Frame, PixelBlock

_HEAD_BYTES: Final = 1 << 16
Room = Callable[[Frame], NDArray[Any]]


def is_packed(block: PixelBlock) -> bool:
    """Whether the pixels must be unpacked before they can be read."""
    return block.length is None or block.transfer_syntax == DeflatedExplicitVRLittleEndian


def stored_frames(
    frames: Sequence[Frame], room: Room, decoder: Decoder, *, compare: Sequence[int] = ()
) -> Iterator[tuple[Frame, NDArray[Any]]]:
    """Stored values, sign and width put right, of frames that share a file.

    Args:
        frames: Of one file.
        room: Where a frame's values may be put: an array of its shape and of any integer or float type. The values
            that are yielded lie there whenever its items are as wide as they are in the file.
        decoder: For what must be unpacked.
        compare: Frame numbers to decode twice.

    Yields:
        Frames and their values, shape (rows, columns), valid until the next one.

    Raises:
        DicomRefusedError: Pixels that are missing, damaged or cannot be unpacked.
    """
    block = frames[0].pixels
    if not is_packed(block):
        yield from _plain_frames(frames, room)
        return
    if block.length is None:
        refuse_cut_fragments(block)
    frames = sorted(frames, key=lambda frame: frame.number)
    numbers = [frame.number for frame in frames]
    decoded = decoder.frames(block, numbers, compare=compare)
    for frame, values in zip(frames, decoded, strict=True):
        yield frame, _values(values, block)


def _plain_frames(frames: Sequence[Frame], room: Room) -> Iterator[tuple[Frame, NDArray[Any]]]:
    block = frames[0].pixels
    width = block.bits_allocated // 8
    big = block.transfer_syntax == ExplicitVRBigEndian
    scratch: NDArray[Any] | None = None
    with block.path.open("rb", buffering=0) as stream:
        for frame in frames:
            place = room(frame)
            if place.dtype.itemsize != width or not place.flags.c_contiguous:
                scratch = np.empty(place.shape, dtype=f"u{width}") if scratch is None else scratch
                place = scratch
            raw = place.view(f"u{width}")
            stream.seek(block.offset + frame.number * block.frame_bytes)
            got = stream.readinto(raw.data.cast("B")) or 0
            if got != block.frame_bytes:
                raise DicomRefusedError(
                    Code.PIXEL_DATA_TRUNCATED, f"a slice holds {got} of {block.frame_bytes} bytes of pixels"
                )
            if big:
                raw.byteswap(inplace=True)
            yield frame, _values(raw, block)


def _values(raw: NDArray[Any], block: PixelBlock) -> NDArray[Any]:
    """Numbers out of words: floats as they are, integers cut out of the bits that carry them, with their sign."""
    if block.float_bits:
        return raw.view(f"f{raw.dtype.itemsize}")
    width = raw.dtype.itemsize * 8
    low_bit = block.high_bit + 1 - block.bits_stored
    if block.bits_stored == width:
        return raw.view(f"i{raw.dtype.itemsize}") if block.signed else raw
    if not raw.flags.writeable:
        raw = raw.copy()
    # Overlays and junk may fill the other bits.
    if low_bit > 0:
        raw >>= raw.dtype.type(low_bit)
    if not block.signed:
        raw &= raw.dtype.type((1 << block.bits_stored) - 1)
        return raw
    up = raw.dtype.type(width - block.bits_stored)
    raw <<= up
    signed = raw.view(f"i{raw.dtype.itemsize}")
    signed >>= signed.dtype.type(up)
    return signed


def same_content(first: Frame, second: Frame) -> bool:
    """Whether two frames are copies: same place, same scaling, same pixel bytes."""
    if (first.position_lps_mm, first.row_lps, first.column_lps, first.slope, first.intercept) != (
        second.position_lps_mm, second.row_lps, second.column_lps, second.slope, second.intercept,
    ):  # fmt: skip
        return False
    return _digest(first) == _digest(second)


def _digest(frame: Frame) -> bytes:
    block = frame.pixels
    start = block.offset + (frame.number * block.frame_bytes if block.length is not None else 0)
    with block.path.open("rb") as stream:
        if block.transfer_syntax == DeflatedExplicitVRLittleEndian:
            # The same pixels are packed differently behind another header.
            stream.seek(read_meta(stream.read(_HEAD_BYTES)).dataset_offset)
            data, _ = inflate_start(stream.read(), start + block.frame_bytes)
            return hashlib.sha256(data[start:]).digest()
        stream.seek(start)
        return hashlib.sha256(stream.read(block.frame_bytes if block.length is not None else block.available)).digest()
