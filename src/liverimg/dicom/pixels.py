"""From stored values to Hounsfield units or MR signal, slice by slice into one array.

Where the stored values come from is the business of :mod:`liverimg.dicom.stored`. A slice is never filled up with
zeros, and MONOCHROME1 is about display: it changes no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import DicomRefusedError
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.codes import Code
from liverimg.dicom.decode import Decoder
from liverimg.dicom.frame import Frame, PixelBlock, Progress
from liverimg.dicom.limits import refuse_large_volume
from liverimg.dicom.resample import regularise
from liverimg.dicom.stack import Stack
from liverimg.dicom.stored import same_content, stored_frames
from liverimg.dicom.tags import quiet

__all__ = ["load_volume", "padding_is_plausible", "same_content"]

# Water is 0 and air -1000 HU by definition; nothing measured lies below the customary bottom of the scale.
BOTTOM_HU: Final = -1024
# Padding that would lie above this is a tag that contradicts its image: soft tissue must not become air.
HIGHEST_PADDING_HU: Final = -500
# A slice whose lower part turns to stored zeros, unlike its neighbour's, was cut off in transfer.
ZERO_TAIL_SHARE: Final = 0.25
# Beyond this, a product with a 32-bit value leaves 64 bits.
_LARGEST_SCALE: Final = 1 << 30


class _BeyondInt16Error(Exception):
    """Values that only floating point holds."""


def load_volume(stack: Stack, *, progress: Progress | None = None, decoder: Decoder | None = None) -> Volume:
    """Reads the pixels of a stack.

    Args:
        stack: Slices in order, from :func:`liverimg.dicom.study.read_study`.
        progress: Called with (slices done, slices in all).
        decoder: Unpacks compressed pixels; give one for all series of a study, so that it starts only once.

    Returns:
        CT in Hounsfield units or MR signal; int16 where that is exact, else float32.

    Raises:
        DicomRefusedError: Pixels are missing, damaged or too large.
    """
    first = stack.frames[0].pixels
    refuse_large_volume(max(len(stack.frames) * first.rows * first.columns, int(np.prod(stack.grid.shape))))
    if decoder is None:
        with Decoder() as own:
            return load_volume(stack, progress=progress, decoder=own)
    whole = all(_is_whole(frame) for frame in stack.frames)
    with quiet(), _readable():
        array = _read_exactly(stack, decoder, progress) if whole else None
        if array is None:
            array = _read_slices(stack, np.dtype(np.float32), decoder, progress)
    is_ct = stack.frames[0].modality == "CT"
    if stack.regularisation is not None:
        array = regularise(array, stack.regularisation, outside=BOTTOM_HU if is_ct else 0)
    return Volume(array, stack.grid, Quantity.HU if is_ct else Quantity.MR_SIGNAL)


@contextmanager
def _readable() -> Iterator[None]:
    """Turns what the file system says into a refusal."""
    try:
        yield
    except OSError as error:
        raise DicomRefusedError(Code.UNREADABLE, "a file of the series can no longer be read") from error


def _read_exactly(stack: Stack, decoder: Decoder, progress: Progress | None) -> NDArray[Any] | None:
    """The volume in int16; None, and its memory free again, when there are values that only floating point holds."""
    try:
        return _read_slices(stack, np.dtype(np.int16), decoder, progress)
    except _BeyondInt16Error:
        return None


def _is_whole(frame: Frame) -> bool:
    """Whether stored values and scale are whole numbers, so that int16 may hold the result exactly."""
    return not frame.pixels.float_bits and all(float(n or 0).is_integer() for n in (frame.slope, frame.intercept))


def _read_slices(stack: Stack, dtype: np.dtype[Any], decoder: Decoder, progress: Progress | None) -> NDArray[Any]:
    first = stack.frames[0].pixels
    out = np.empty((len(stack.frames), first.rows, first.columns), dtype=dtype)
    tails = np.zeros(len(stack.frames), dtype=int)
    place_of = {(frame.pixels.path, frame.number): k for k, frame in enumerate(stack.frames)}
    by_file: dict[Path, list[Frame]] = {}
    for frame in stack.frames:
        by_file.setdefault(frame.pixels.path, []).append(frame)
    # A slice in the middle shows most; it is decoded twice, to see that two decoders agree.
    compared = stack.frames[len(stack.frames) // 2]
    decoder.begin_series(sum(frame.pixels.frame_bytes for frame in stack.frames))
    done = 0
    for path, frames in by_file.items():
        compare = [compared.number] if path == compared.pixels.path else []
        room = lambda frame: out[place_of[frame.pixels.path, frame.number]]  # noqa: E731 - too short for a name
        for frame, stored in stored_frames(frames, room, decoder, compare=compare):
            k = place_of[frame.pixels.path, frame.number]
            tails[k] = _zero_tail_rows(stored)
            _convert(frame, stored, out[k])
            done += 1
            if progress is not None:
                progress(done, len(stack.frames))
    _refuse_zero_tails(tails, first.rows)
    return out


def _convert(frame: Frame, stored: NDArray[Any], out: NDArray[Any]) -> None:
    """Writes one slice of quantities into ``out``, which may be where the stored values lie."""
    slope, intercept = float(frame.slope or 0), float(frame.intercept or 0)
    bottom = BOTTOM_HU if frame.modality == "CT" else None
    unmeasured = _unmeasured(frame, stored)
    if out.dtype == np.int16:
        _convert_whole(frame.pixels, stored, out, slope=int(slope), intercept=int(intercept), bottom=bottom)
    else:
        _convert_real(stored, out, slope=slope, intercept=intercept, bottom=bottom, unmeasured=unmeasured)
    if unmeasured is not None:
        out[unmeasured] = bottom or 0


def _convert_real(
    stored: NDArray[Any],
    out: NDArray[Any],
    *,
    slope: float,
    intercept: float,
    bottom: int | None,
    unmeasured: NDArray[np.bool_] | None,
) -> None:
    """Rescales one slice into float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = stored.astype(np.float64) * slope + intercept
        out[...] = values if bottom is None else np.maximum(values, bottom)
    beyond = ~np.isfinite(out)
    if unmeasured is not None:
        beyond &= ~unmeasured
    if beyond.any():
        raise DicomRefusedError(Code.RESCALE_INVALID, "rescale slope and intercept lead beyond any number")


def _convert_whole(
    block: PixelBlock, stored: NDArray[Any], out: NDArray[Any], *, slope: int, intercept: int, bottom: int | None
) -> None:
    """Exact integer rescale of one slice into int16, without a detour where everything fits 16 bits."""
    limits = np.iinfo(np.int16)
    low, high = _stored_range(block)
    floor = limits.min if bottom is None else bottom
    if slope != 1 or min(low, low + intercept) < floor or max(high, high + intercept) > limits.max:
        # The format allows more than the slice holds, perhaps.
        low, high = int(stored.min()), int(stored.max())
    least, most = sorted((low * slope + intercept, high * slope + intercept))
    if most > limits.max or (least < limits.min and bottom is None) or max(abs(slope), abs(intercept)) > _LARGEST_SCALE:
        raise _BeyondInt16Error
    if slope == 1 and high <= limits.max and min(low, least, intercept) >= limits.min and intercept <= limits.max:
        np.add(stored.astype(np.int16, copy=False), np.int16(intercept), out=out)
        if bottom is not None and least < bottom:
            np.maximum(out, np.int16(bottom), out=out)
        return
    values = stored.astype(np.int64) * slope + intercept
    out[...] = values if bottom is None else np.maximum(values, bottom)


def _stored_range(block: PixelBlock) -> tuple[int, int]:
    """Least and greatest value that the stored bits can hold."""
    half = 1 << (block.bits_stored - 1)
    return (-half, half - 1) if block.signed else (0, 2 * half - 1)


def padding_is_plausible(frame: Frame) -> bool:
    """Whether what the header calls padding lies outside the body's range of values."""
    if frame.padding is None or frame.modality != "CT":
        return frame.padding is not None
    slope, intercept = float(frame.slope or 0), float(frame.intercept or 0)
    return max(end * slope + intercept for end in frame.padding) <= HIGHEST_PADDING_HU


def _unmeasured(frame: Frame, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where padding stands instead of a measured value; None when nowhere.

    Raises:
        DicomRefusedError: Infinite values.
    """
    if frame.pixels.float_bits:
        if np.isinf(stored).any():
            raise DicomRefusedError(Code.PIXEL_FORMAT, "a slice of floating-point pixels with infinite values")
        mask = np.isnan(stored)
    elif frame.padding is None or not padding_is_plausible(frame):
        return None
    else:
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
