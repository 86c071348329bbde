"""From stored values to Hounsfield units or MR signal, slice by slice into one array.

Uncompressed pixels are read straight from their place in the file; compressed ones are decoded by pydicom's
plugins, then by SimpleITK. A slice is never filled up with zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from liverimg.core.errors import DicomRefusedError
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.codes import Code
from liverimg.dicom.frame import Frame, PixelBlock, Progress
from liverimg.dicom.resample import regularise
from liverimg.dicom.stack import Stack
from liverimg.dicom.tags import PARSER_ERRORS, inflate, quiet, read_meta

# Water is 0 and air -1000 HU by definition; nothing measured lies below the customary bottom of the scale.
BOTTOM_HU: Final = -1024
# Padding that would lie above this is a tag that contradicts its image: soft tissue must not become air.
HIGHEST_PADDING_HU: Final = -500
LARGEST_VOLUME_VOXELS: Final = 1 << 30
_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0"
# A slice whose lower part turns to stored zeros, unlike its neighbour's, was cut off in transfer.
ZERO_TAIL_SHARE: Final = 0.25


class _BeyondInt16Error(Exception):
    """Values that only floating point holds."""


def load_volume(stack: Stack, *, progress: Progress | None = None) -> Volume:
    """Reads the pixels of a stack.

    Args:
        stack: Slices in order, from :func:`liverimg.dicom.study.read_study`.
        progress: Called with (slices done, slices in all).

    Returns:
        CT in Hounsfield units or MR signal; int16 where that is exact, else float32.

    Raises:
        DicomRefusedError: Pixels are missing, damaged or too large.
    """
    first = stack.frames[0].pixels
    voxels = max(len(stack.frames) * first.rows * first.columns, int(np.prod(stack.grid.shape)))
    if voxels > LARGEST_VOLUME_VOXELS:
        raise DicomRefusedError(Code.TOO_LARGE, f"{voxels:.2e} voxels, at most {LARGEST_VOLUME_VOXELS:.2e} are read")
    whole = all(float(f.slope or 0).is_integer() and float(f.intercept or 0).is_integer() for f in stack.frames)
    with quiet():
        try:
            array = _read_slices(stack, np.dtype(np.int16 if whole else np.float32), progress)
        except _BeyondInt16Error:
            array = _read_slices(stack, np.dtype(np.float32), progress)
        except OSError as error:
            raise DicomRefusedError(Code.UNREADABLE, "a file of the series can no longer be read") from error
    is_ct = stack.frames[0].modality == "CT"
    if stack.regularisation is not None:
        array = regularise(array, stack.regularisation, outside=BOTTOM_HU if is_ct else 0)
    return Volume(array, stack.grid, Quantity.HU if is_ct else Quantity.MR_SIGNAL)


def _read_slices(stack: Stack, dtype: np.dtype[Any], progress: Progress | None) -> NDArray[Any]:
    first = stack.frames[0].pixels
    out = np.empty((len(stack.frames), first.rows, first.columns), dtype=dtype)
    tails = np.zeros(len(stack.frames), dtype=int)
    place_of = {(frame.pixels.path, frame.number): k for k, frame in enumerate(stack.frames)}
    by_file: dict[Path, list[Frame]] = {}
    for frame in stack.frames:
        by_file.setdefault(frame.pixels.path, []).append(frame)
    done = 0
    for frames in by_file.values():
        for frame, stored in _stored_frames(frames):
            k = place_of[frame.pixels.path, frame.number]
            tails[k] = _zero_tail_rows(stored)
            _convert(frame, stored, out[k])
            done += 1
            if progress is not None:
                progress(done, len(stack.frames))
    _refuse_zero_tails(tails, first.rows)
    return out


def _stored_frames(frames: list[Frame]) -> Iterator[tuple[Frame, NDArray[Any]]]:
    """Stored values, sign and width put right, of frames that share a file."""
    block = frames[0].pixels
    if block.length is None:
        yield from _decoded_frames(frames)
        return
    kind = {8: "u1", 16: "u2", 32: "u4"}[block.bits_allocated]
    order = ">" if block.transfer_syntax == ExplicitVRBigEndian else "<"
    buffer = np.empty((block.rows, block.columns), dtype=order + kind)
    inflated = _inflated(block) if block.transfer_syntax == DeflatedExplicitVRLittleEndian else None
    with block.path.open("rb", buffering=0) as stream:
        for frame in frames:
            start = block.offset + frame.number * block.frame_bytes
            if inflated is not None:
                part = inflated[start : start + block.frame_bytes]
                got = len(part)
                buffer = np.frombuffer(part, dtype=order + kind, count=got // buffer.itemsize)
                buffer = buffer.reshape(block.rows, block.columns).copy() if got == block.frame_bytes else buffer
            else:
                stream.seek(start)
                got = stream.readinto(buffer.data.cast("B")) or 0
            if got != block.frame_bytes:
                raise DicomRefusedError(
                    Code.PIXEL_DATA_TRUNCATED, f"a slice holds {got} of {block.frame_bytes} bytes of pixels"
                )
            yield frame, _signed_values(buffer.astype(kind, copy=False), block)


def _inflated(block: PixelBlock) -> bytes:
    data = block.path.read_bytes()
    return inflate(data[read_meta(data[: 1 << 16]).dataset_offset :])


def _decoded_frames(frames: list[Frame]) -> Iterator[tuple[Frame, NDArray[Any]]]:
    """Decodes compressed frames, by a second decoder where the first one fails."""
    block = frames[0].pixels
    _refuse_cut_fragments(block)
    try:
        numbers = [frame.number for frame in frames]
        decoded = list(iter_pixels(block.path, indices=numbers, raw=True))
    except (*PARSER_ERRORS, RuntimeError):
        decoded = _second_decoder(frames)
    for frame, stored in zip(frames, decoded, strict=True):
        if stored.shape != (block.rows, block.columns):
            raise DicomRefusedError(
                Code.DECODING_FAILED, f"decoded to {stored.shape}, the header says {(block.rows, block.columns)}"
            )
        unsigned = stored.astype(f"u{stored.dtype.itemsize}", copy=False)
        yield frame, _signed_values(unsigned, block)


def _refuse_cut_fragments(block: PixelBlock) -> None:
    """Follows the fragments of encapsulated pixels (PS3.5 A.4); decoders fill up what is missing in silence."""
    size = block.path.stat().st_size
    at, fragments = block.offset, 0
    with block.path.open("rb") as stream:
        while at + 8 <= size:
            stream.seek(at)
            head = stream.read(8)
            if head[:4] == _SEQUENCE_END:
                break
            if head[:4] != _ITEM:
                raise DicomRefusedError(Code.DECODING_FAILED, "compressed pixels that are not stored in fragments")
            at += 8 + int.from_bytes(head[4:], "little")
            fragments += 1
    # The first item is the offset table; some writers leave out the delimiter at the very end.
    if at > size or fragments < 2:
        raise DicomRefusedError(Code.PIXEL_DATA_TRUNCATED, "a compressed slice ends before its pixels do")


def _second_decoder(frames: list[Frame]) -> list[NDArray[Any]]:
    """Decodes by SimpleITK (GDCM), undoing the rescale that it applies."""
    import SimpleITK  # slow to import, and hardly ever needed

    try:
        image = SimpleITK.ReadImage(str(frames[0].pixels.path), SimpleITK.sitkFloat64)
        values = SimpleITK.GetArrayFromImage(image).reshape(-1, frames[0].pixels.rows, frames[0].pixels.columns)
    except (RuntimeError, ValueError) as error:
        raise DicomRefusedError(Code.DECODING_FAILED, "compressed pixels that no decoder could read") from error
    if len(frames) != 1 or len(values) != 1 or frames[0].slope is None or frames[0].intercept is None:
        raise DicomRefusedError(Code.DECODING_FAILED, "compressed frames that only pydicom's decoders can separate")
    stored = np.rint((values[0] - frames[0].intercept) / frames[0].slope).astype(np.int64)
    return [stored.astype("u4" if frames[0].pixels.bits_allocated == 32 else "u2")]


def _signed_values(raw: NDArray[Any], block: PixelBlock) -> NDArray[Any]:
    """Cuts out the bits that carry the value (overlays and junk may fill the rest) and applies the sign."""
    width = raw.dtype.itemsize * 8
    low_bit = block.high_bit + 1 - block.bits_stored
    if block.bits_stored < width:
        if low_bit > 0:
            raw = raw >> raw.dtype.type(low_bit)
        if not block.signed:
            return np.asarray(raw & raw.dtype.type((1 << block.bits_stored) - 1))
        up = raw.dtype.type(width - block.bits_stored)
        signed = f"i{raw.dtype.itemsize}"
        return np.asarray((raw << up).view(signed) >> np.dtype(signed).type(up))
    return raw.view(f"i{raw.dtype.itemsize}") if block.signed else raw


def _convert(frame: Frame, stored: NDArray[Any], out: NDArray[Any]) -> None:
    """Writes one slice of quantities into ``out``; MONOCHROME1 is about display and changes no value."""
    slope, intercept = float(frame.slope or 0), float(frame.intercept or 0)
    is_ct = frame.modality == "CT"
    padded = _padding_mask(frame, stored)
    if out.dtype == np.int16:
        _convert_whole(stored, out, slope=int(slope), intercept=int(intercept), bottom=BOTTOM_HU if is_ct else None)
    else:
        values = stored.astype(np.float64) * slope + intercept
        out[...] = np.maximum(values, BOTTOM_HU) if is_ct else values
    if padded is not None:
        out[padded] = BOTTOM_HU if is_ct else 0


def _convert_whole(stored: NDArray[Any], out: NDArray[Any], *, slope: int, intercept: int, bottom: int | None) -> None:
    """Exact integer rescale of one slice into int16, without a detour where everything fits 16 bits."""
    low, high = int(stored.min()), int(stored.max())
    least, most = sorted((low * slope + intercept, high * slope + intercept))
    limits = np.iinfo(np.int16)
    if most > limits.max or (least < limits.min and bottom is None):
        raise _BeyondInt16Error
    if slope == 1 and high <= limits.max and min(low, least, intercept) >= limits.min and intercept <= limits.max:
        np.add(stored.astype(np.int16, copy=False), np.int16(intercept), out=out)
        if bottom is not None and least < bottom:
            np.maximum(out, np.int16(bottom), out=out)
        return
    values = stored.astype(np.int64) * slope + intercept
    out[...] = values if bottom is None else np.maximum(values, bottom)


def padding_is_plausible(frame: Frame) -> bool:
    """Whether what the header calls padding lies outside the body's range of values."""
    if frame.padding is None or frame.modality != "CT":
        return frame.padding is not None
    slope, intercept = float(frame.slope or 0), float(frame.intercept or 0)
    return max(end * slope + intercept for end in frame.padding) <= HIGHEST_PADDING_HU


def _padding_mask(frame: Frame, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    if frame.padding is None or not padding_is_plausible(frame):
        return None
    mask = (stored >= frame.padding[0]) & (stored <= frame.padding[1])
    return mask if mask.any() else None


def _zero_tail_rows(stored: NDArray[Any]) -> int:
    """Number of rows at the bottom that hold nothing but stored zeros."""
    if stored[-1].any():
        return 0
    filled = np.flatnonzero(stored.any(axis=1))
    return len(stored) - 1 - int(filled[-1]) if len(filled) else len(stored)


def _refuse_zero_tails(tails: NDArray[np.int_], rows: int) -> None:
    """Whole empty slices at either end are tolerated: scanners pad; anything else was cut off."""
    filled = np.flatnonzero(tails < rows)
    if not len(filled):
        raise DicomRefusedError(Code.PIXEL_DATA_ZERO_TAIL, "every pixel is zero")
    inner = tails[filled[0] : filled[-1] + 1]
    jumps = np.abs(np.diff(inner)) >= ZERO_TAIL_SHARE * rows
    if jumps.any():
        raise DicomRefusedError(
            Code.PIXEL_DATA_ZERO_TAIL, "a slice turns to zeros part of the way down, its neighbour does not"
        )


def same_content(first: Frame, second: Frame) -> bool:
    """Whether two frames are copies: same place, same scaling, same pixel bytes."""
    if (first.position_lps_mm, first.row_lps, first.column_lps, first.slope, first.intercept) != (
        second.position_lps_mm, second.row_lps, second.column_lps, second.slope, second.intercept,
    ):  # fmt: skip
        return False
    return _digest(first) == _digest(second)


def _digest(frame: Frame) -> bytes:
    block = frame.pixels
    if block.transfer_syntax == DeflatedExplicitVRLittleEndian:
        data = _inflated(block)[block.offset + frame.number * block.frame_bytes :][: block.frame_bytes]
        return hashlib.sha256(data).digest()
    with block.path.open("rb") as stream:
        stream.seek(block.offset + (frame.number * block.frame_bytes if block.length is not None else 0))
        return hashlib.sha256(stream.read(block.frame_bytes if block.length is not None else block.available)).digest()
