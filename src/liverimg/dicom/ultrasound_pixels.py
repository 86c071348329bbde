"""Ultrasound pixels of any colour space as grey levels, with a few frames kept in colour to learn the tint from.

Grey is the luma of ITU-R BT.601, which is also the Y of YBR_FULL (PS3.3 C.7.6.3.1.2): a grey picture stored in
colour comes back exactly as it was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID
from scipy import ndimage

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.decode import Decoder
from liverimg.dicom.decode_job import Packing
from liverimg.dicom.tags import PARSER_ERRORS, quiet
from liverimg.dicom.ultrasound_header import UltrasoundHeader

_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Colour is looked at in this many frames, evenly spread over the clip.
COLOUR_SAMPLES: Final = 16
# Decoders round differently; a luma that is the first stored channel differs by no more than this on average.
_SAME_LUMA: Final = 1.0
# Darker than this a tint can't be told.
_DARK: Final = 16
# So many tint thresholds away from the colour of its grey level, and so many of those: no tint.
_STRAY_TINTS: Final = 4
_OVERLAY_SHARE: Final = 0.01
_NEIGHBOUR_LEVELS: Final = 15
_PALETTE_TAGS: Final = tuple(0x00281100 + n for n in (0x01, 0x02, 0x03, 0x99)) + tuple(
    0x00281200 + n for n in (0x01, 0x02, 0x03, 0x21, 0x22, 0x23)
)

Greys = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Frames:
    """Decoded frames of a clip.

    Attributes:
        grey: Shape (t, j, i), 0..255.
        colour: Some of the frames in colour, shape (n, j, i, 3); None when the file is grey.
        colour_of: Index in ``grey`` of each of those.
    """

    grey: Greys
    colour: NDArray[np.uint8] | None
    colour_of: tuple[int, ...]


def load_frames(headers: Sequence[UltrasoundHeader]) -> Frames:
    """Decodes a loop (one header) or stills (several), in the order given.

    Raises:
        DicomRefusedError: Pixels that can't be decoded, or are not what the header says.
    """
    first = headers[0].frame.pixels
    total = sum(header.frame.pixels.frames for header in headers)
    wanted = set(np.linspace(0, total - 1, min(total, COLOUR_SAMPLES)).round().astype(int).tolist())
    grey = np.empty((total, first.rows, first.columns), dtype=np.uint8)
    colour: dict[int, NDArray[np.uint8]] = {}
    at = 0
    with Decoder() as decoder:
        for header in headers:
            count = header.frame.pixels.frames
            done = 0
            for shown, luma in _decoded(header, decoder):
                if luma.shape != grey.shape[1:] or done == count:
                    raise DicomRefusedError(Code.DECODING_FAILED, "decoded frames do not fit the header")
                grey[at + done] = luma
                if shown is not None and at + done in wanted:
                    colour[at + done] = shown
                done += 1
            if done != count:
                raise DicomRefusedError(Code.PIXEL_DATA_TRUNCATED, f"{done} of {count} frames could be decoded")
            at += count
    samples = np.stack([colour[n] for n in sorted(colour)]) if colour else None
    return Frames(grey, samples, tuple(sorted(colour)))


def _decoded(header: UltrasoundHeader, decoder: Decoder) -> Iterator[tuple[NDArray[np.uint8] | None, Greys]]:
    """Each frame in colour (None when grey) and as grey levels."""
    try:
        with quiet():
            if header.colour_space == "PALETTE COLOR":
                yield from _palette_frames(header, decoder)
            elif header.samples == 1:
                for stored in read_stored(header, range(header.frame.pixels.frames), decoder, to_rgb=False):
                    yield None, _grey_of_stored(stored, header)
            else:
                yield from _colour_frames(header, decoder)
    except (*PARSER_ERRORS, RuntimeError) as error:
        raise DicomRefusedError(Code.DECODING_FAILED, "ultrasound pixels that could not be decoded") from error


def _grey_of_stored(stored: NDArray[Any], header: UltrasoundHeader) -> Greys:
    """Stored values as 0..255: the high bits of deeper images, MONOCHROME1 turned over."""
    bits = header.frame.pixels.bits_stored
    values = stored.astype(np.uint32) & ((1 << bits) - 1)
    shift = bits - 8
    grey = (values >> shift if shift > 0 else values << -shift if shift < 0 else values).astype(np.uint8)
    return np.asarray(255 - grey if header.colour_space == "MONOCHROME1" else grey, dtype=np.uint8)


def _palette_frames(header: UltrasoundHeader, decoder: Decoder) -> Iterator[tuple[NDArray[np.uint8], Greys]]:
    palette = dcmread(header.path, specific_tags=list(_PALETTE_TAGS), stop_before_pixels=True)
    for stored in read_stored(header, range(header.frame.pixels.frames), decoder, to_rgb=False):
        shown = apply_color_lut(stored, palette)
        levels = np.asarray(shown >> 8 if shown.dtype == np.uint16 else shown, dtype=np.uint8)
        yield levels, luma_of(levels)


def _colour_frames(header: UltrasoundHeader, decoder: Decoder) -> Iterator[tuple[NDArray[np.uint8] | None, Greys]]:
    """Three samples a pixel.

    Where the first stored channel proves to be the luma (YBR_FULL and its kin), the rest of the clip is not
    taken through RGB and back; the header alone is no proof, as many say RGB over a JPEG stream in YCbCr.
    """
    count = header.frame.pixels.frames
    wanted = np.unique(np.linspace(0, count - 1, COLOUR_SAMPLES).round().astype(int)).tolist()
    shown = {
        number: _eight_bits(frame, header).copy()
        for number, frame in zip(wanted, read_stored(header, wanted, decoder, to_rgb=True), strict=True)
    }
    direct = False
    if header.colour_space.startswith("YBR_FULL"):
        (stored,) = (_eight_bits(frame, header)[..., 0] for frame in read_stored(header, [0], decoder, to_rgb=False))
        direct = bool(np.abs(luma_of(shown[0]).astype(np.int16) - stored).mean() <= _SAME_LUMA)
    for number, frame in enumerate(read_stored(header, range(count), decoder, to_rgb=not direct)):
        levels = _eight_bits(frame, header)
        yield shown.get(number), levels[..., 0] if direct else luma_of(levels)


def read_stored(
    header: UltrasoundHeader, numbers: Sequence[int], decoder: Decoder, *, to_rgb: bool
) -> Iterator[NDArray[Any]]:
    """Stored values of some frames; compressed ones come out of the decoding process."""
    block = header.frame.pixels
    if header.colour_space == "YBR_FULL_422" and block.length is not None:
        yield from _read_422(header, numbers, to_rgb=to_rgb)
        return
    if not UID(block.transfer_syntax).is_encapsulated:
        yield from iter_pixels(header.path, indices=list(numbers), raw=not to_rgb)
        return
    packing = Packing(samples=header.samples, photometric=header.colour_space, to_rgb=to_rgb)
    yield from decoder.frames(block, list(numbers), packing=packing)


def _read_422(header: UltrasoundHeader, numbers: Sequence[int], *, to_rgb: bool) -> Iterator[NDArray[np.uint8]]:
    """Uncompressed 4:2:2: two lumas, then the two chromas that they share (PS3.3 C.7.6.3.1.2)."""
    block = header.frame.pixels
    if block.columns % 2 or block.bits_allocated != 8:
        raise DicomRefusedError(Code.PIXEL_FORMAT, "YBR_FULL_422 wants an even number of columns and 8 bits")
    frame_bytes = block.rows * block.columns * 2
    with block.path.open("rb") as stream:
        for number in numbers:
            stream.seek(block.offset + number * frame_bytes)
            pairs = np.frombuffer(stream.read(frame_bytes), dtype=np.uint8)
            if pairs.size != frame_bytes:
                raise DicomRefusedError(Code.PIXEL_DATA_TRUNCATED, "a frame ends before its pixels do")
            pairs = pairs.reshape(block.rows, block.columns // 2, 4)
            ybr = np.empty((block.rows, block.columns, 3), dtype=np.uint8)
            ybr[..., 0] = pairs[..., :2].reshape(block.rows, block.columns)
            ybr[..., 1:] = np.repeat(pairs[..., 2:], 2, axis=1)
            yield np.asarray(convert_color_space(ybr, "YBR_FULL", "RGB") if to_rgb else ybr, dtype=np.uint8)


def _eight_bits(shown: NDArray[Any], header: UltrasoundHeader) -> NDArray[np.uint8]:
    shift = max(0, header.frame.pixels.bits_stored - 8)
    return np.asarray(shown >> shift if shift else shown, dtype=np.uint8)


def luma_of(levels: NDArray[np.uint8]) -> Greys:
    """Luma (ITU-R BT.601) of red, green and blue."""
    return np.asarray((levels.astype(np.float32) @ _LUMA + 0.5).clip(0, 255), dtype=np.uint8)


def colour_map_of(
    colour: NDArray[np.uint8], *, tint_levels: float
) -> tuple[tuple[tuple[int, int, int], ...] | None, bool]:
    """The tint of a picture, learned from its pixels.

    Args:
        colour: Frames of the picture, shape (n, j, i, 3).
        tint_levels: Mean distance from grey, in levels, from which a picture counts as tinted.

    Returns:
        The mean colour of each of the 256 grey levels, interpolated where none was seen, or None for a grey
        picture or for colours that are no function of the grey level; and whether such colours lie over it.
    """
    grey = luma_of(colour).ravel()
    flat = colour.reshape(-1, 3).astype(np.float32)
    bright = grey > _DARK
    if not bright.any():
        return None, False
    table = _smooth_table(grey, flat)
    off_grey = np.abs(flat - flat.mean(axis=1, keepdims=True)).max(axis=1)
    # A tenth of a per cent of strongly deviating pixels is a marker; a per cent and more is colour Doppler.
    stray = np.abs(_other_hue(flat - table[grey], table)).max(axis=1) > _STRAY_TINTS * tint_levels
    overlay = bool(stray[bright].mean() > _OVERLAY_SHARE)
    if overlay or off_grey[bright].mean() < tint_levels:
        return None, overlay
    return tuple((int(r), int(g), int(b)) for r, g, b in table.round().astype(int)), overlay


def _other_hue(deviation: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of a deviation is not along the picture's own hue: chroma stored at half the width strays along it."""
    hue = (table - table.mean(axis=1, keepdims=True)).mean(axis=0)
    length = float(np.linalg.norm(hue))
    if length < 1:
        return deviation
    hue = hue / length
    return np.asarray(deviation - (deviation @ hue)[:, None] * hue)


def _smooth_table(grey: NDArray[np.uint8], flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour of each grey level: the mean where it was seen, freed of levels that stand out from their neighbours."""
    count = np.bincount(grey, minlength=256)
    levels = np.flatnonzero(count)
    means = np.stack([np.bincount(grey, flat[:, c], minlength=256)[levels] / count[levels] for c in range(3)], axis=1)
    table = np.stack([np.interp(np.arange(256), levels, means[:, c]) for c in range(3)], axis=1)
    # The tint, as distance from grey, changes slowly along the scale; the grey level itself need not be smoothed.
    tint = table - np.arange(256)[:, None]
    rough = ndimage.median_filter(tint, size=(2 * _NEIGHBOUR_LEVELS + 1, 1), mode="nearest")
    outlying = np.abs(tint - rough).max(axis=1) > _NEIGHBOUR_LEVELS
    smooth = np.where(outlying[:, None], rough, tint) + np.arange(256)[:, None]
    return np.asarray(smooth.clip(0, 255), dtype=np.float32)
