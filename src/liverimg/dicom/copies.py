"""The same slice twice: files copied, sent again, or kept both as acquired and as an archive compressed them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.decode import Decoder
from liverimg.dicom.frame import Frame, Problem
from liverimg.dicom.places import Frames, place_numbers
from liverimg.dicom.stored import same_content, stored_frames


def without_copies(frames: Frames) -> tuple[Frames, bool]:
    """Drops files that are another file again; marks as unusable what shares a UID but not its content."""
    first_of: dict[tuple[str, int], Frame] = {}
    kept: list[Frame] = []
    dropped = False
    for frame in frames:
        key = (frame.sop_instance_uid, frame.number)
        earlier = first_of.get(key) if frame.sop_instance_uid else None
        if earlier is None:
            first_of[key] = frame
            kept.append(frame)
        elif _is_copy(earlier, frame):
            dropped = True
        else:
            clash = Problem(Code.DUPLICATE_POSITIONS, "two files share a SOPInstanceUID but not their content")
            kept.append(replace(frame, problem=clash))
    return tuple(kept), dropped


def without_resent(frames: Frames) -> tuple[Frames, bool]:
    """Drops slices sent again under a new UID.

    Where only a minority of places is doubled, each copy goes. Where most are, they are phases, unless every place
    holds nothing but copies of one acquisition: two phases may well share a slice of nothing.
    """
    numbers = place_numbers(frames)
    crowded = [n for n, count in Counter(numbers).items() if count > 1]
    if not crowded:
        return frames, False
    some_only = len(crowded) * 2 <= len(set(numbers))
    kept: list[Frame] = []
    at_place: dict[int, Frame] = {}
    for frame, number in zip(frames, numbers, strict=True):
        earlier = at_place.get(number)
        if earlier is not None and not some_only and _acquisition(earlier) != _acquisition(frame):
            return frames, False
        if earlier is not None and _is_copy(earlier, frame):
            continue
        if earlier is not None and not some_only:
            return frames, False
        at_place.setdefault(number, frame)
        kept.append(frame)
    return tuple(kept), len(kept) < len(frames)


def _is_copy(first: Frame, second: Frame) -> bool:
    """Whether two frames are one slice, however each is packed."""
    if same_content(first, second):
        return True
    one, other = first.pixels, second.pixels
    if one.transfer_syntax == other.transfer_syntax or first.lossy or second.lossy:
        return False
    if _scaling(first) != _scaling(second) or first.problem is not None or second.problem is not None:
        return False
    try:
        return np.array_equal(_stored(first), _stored(second))
    except (DicomRefusedError, OSError):
        return False


def _acquisition(frame: Frame) -> tuple[object, ...]:
    return (
        frame.temporal_position, frame.time_offset_s, frame.acquisition_number, frame.acquired_s, frame.trigger_ms,
        frame.dimensions,
    )  # fmt: skip


def _scaling(frame: Frame) -> tuple[object, ...]:
    block = frame.pixels
    return (
        frame.position_lps_mm, frame.row_lps, frame.column_lps, frame.slope, frame.intercept, frame.padding,
        block.rows, block.columns, block.bits_allocated, block.bits_stored, block.high_bit, block.signed,
    )  # fmt: skip


def _stored(frame: Frame) -> np.ndarray:
    block = frame.pixels
    room = np.empty((block.rows, block.columns), dtype=f"u{block.bits_allocated // 8}")
    with Decoder() as decoder:
        (pair,) = stored_frames([frame], lambda _: room, decoder)
        return np.array(pair[1])
